"""Inventory push over real HTTP: beside Amazon's allowance and a plain loop, at full speed, and when little changed."""

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, insert, select, update

from amazon_sandbox.serving import Running
from bench import ground
from bench.results import Figure
from flexdash import clock
from flexdash.amazon.inventory import InventoryUpdate
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import ApiCall, Listing, RunState, StockLevel, Store, Sync, SyncRun
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.inventory.push import push
from tests import factories

N_SKUS = 50_000
N_SKUS_OF_PEER = 500
FEW_SKUS = 10_000
AMAZONS_RPS = 50
LATENCY_MS = 100
WANTED_SHARE = 0.97
WANTED_PER_SECOND = 3_000
WANTED_CALLS = 0.011
LOCATION = "EXSB"


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table."""
    for database in ground.databases():
        with ground.sandbox() as sandbox, ground.app_on(database, sandbox):
            yield from _at_full_speed(database, sandbox)
            sandbox.control.reset()
            yield from _at_amazons_pace(database, sandbox)


def _at_amazons_pace(database: str, sandbox: Running) -> Iterator[Figure]:
    """Amazon's own usage plan, each answer after 100 ms."""
    sandbox.control.options(latency_ms=LATENCY_MS)
    sandbox.control.plans({"batchInventory": {"rate": AMAZONS_RPS, "burst": 2 * AMAZONS_RPS}})
    store = _store(sandbox, N_SKUS)
    peer = _rate_of_peer(store)
    sandbox.control.clear_stats()
    seconds, run = _push(store)
    stats = sandbox.control.stats()
    n_throttled = stats["statuses"]["batchInventory"].get("429", 0)
    assert run.n_updated == N_SKUS, (run.state, run.n_updated, run.error_sentence)
    assert _is_equal(store, sandbox), "Amazon shows other numbers than ours"
    allowed = AMAZONS_RPS * 10
    rate = N_SKUS / seconds
    yield Figure(
        f"inventory push, {N_SKUS:,} SKUs, Amazon's plan {AMAZONS_RPS} requests/s × 10, {LATENCY_MS} ms latency",
        database,
        f"{rate / allowed:.1%} of the allowed {allowed} SKU/s, {n_throttled} answers 429, every number equal",
        f"≥ {WANTED_SHARE:.0%}, 0 answers 429",
        f"a plain loop, one call at a time: {peer / allowed:.1%}",
        f"{rate / peer:.1f} ×",
    )


def _at_full_speed(database: str, sandbox: Running) -> Iterator[Figure]:
    """No latency, and a plan that holds nothing up; then one hundredth of the SKUs changed."""
    sandbox.control.plans({"batchInventory": {"rate": 10_000, "burst": 10_000}})
    _push(_store(sandbox, FEW_SKUS // 10))  # what is loaded at first use is none of the push's memory
    with _memory() as of_few:
        _push(_store(sandbox, FEW_SKUS))
    store = _store(sandbox, N_SKUS)
    with _memory() as of_many:
        seconds, run = _push(store)
    assert run.n_updated == N_SKUS, (run.state, run.n_updated, run.error_sentence)
    assert _is_equal(store, sandbox), "Amazon shows other numbers than ours"
    n_calls_full = _n_calls(run)
    yield Figure(
        f"inventory push, {N_SKUS:,} SKUs, no plan, no latency, one worker",
        database,
        f"{N_SKUS / seconds:,.0f} SKU/s, every number equal",
        f"≥ {WANTED_PER_SECOND:,} SKU/s",
    )
    yield Figure(
        f"the worker's memory at its most, {N_SKUS:,} SKUs",
        database,
        f"{of_many.peak:.0f} MB",
        "flat",
        f"{FEW_SKUS:,} SKUs: {of_few.peak:.0f} MB",
        f"{of_many.peak / of_few.peak:.2f} ×",
    )
    db.session.execute(
        update(StockLevel)
        .where(StockLevel.seller_id == store.seller_id, StockLevel.id % 100 == 0)
        .values(on_hand=StockLevel.on_hand + 1)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()
    _, run = _push(store)
    n_calls = _n_calls(run)
    assert _is_equal(store, sandbox), "Amazon shows other numbers than ours"
    yield Figure(
        f"hourly push when 1 % of {N_SKUS:,} SKUs changed",
        database,
        f"{n_calls:,} calls, {n_calls / n_calls_full:.2%} of a full push",
        f"≤ {WANTED_CALLS:.1%}",
        f"a full push: {n_calls_full:,} calls",
    )


def _store(sandbox: Running, n_skus: int) -> Store:
    """Make a store with `n_skus` SKUs in catalog and hub, quantities from 0 to 29."""
    workspace = factories.make_workspace()
    store = factories.make_store(
        factories.make_seller(workspace),
        refresh_token=sandbox.control.issue_tokens(ground.SANDBOX_SELLER)["refresh_token"],
        amazon_selling_partner_id=ground.SANDBOX_SELLER,
        is_inventory_sync_on=True,
    )
    hub = factories.make_hub(workspace)
    factories.make_mapping(store, hub, LOCATION)
    own, at_hub, now = {"workspace_id": workspace.id}, {"hub_id": hub.id, "seller_id": store.seller_id}, clock.now()
    for start in range(0, n_skus, 10_000):
        codes = [f"W{workspace.id}-SKU-{n:06d}" for n in range(start, min(start + 10_000, n_skus))]
        db.session.execute(
            insert(Listing),
            [own | {"store_id": store.id, "sku_code": code, "asin": "B012345678", "name": code} for code in codes],
        )
        db.session.execute(
            insert(StockLevel),
            [own | at_hub | {"sku_code": code, "on_hand": n % 30, "changed_at": now} for n, code in enumerate(codes)],
        )
    db.session.commit()
    return store


def _push(store: Store) -> tuple[float, SyncRun]:
    """Do one push as a worker does; return its seconds and the run."""
    run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.INVENTORY_PUSH, trigger="manual").id
    began = time.perf_counter()
    runner.execute(run_id, push)
    seconds = time.perf_counter() - began
    db.session.rollback()  # the run was done in a session of its own
    return seconds, db.session.get_one(SyncRun, run_id, populate_existing=True)


def _n_calls(run: SyncRun) -> int:
    query = select(func.count()).where(ApiCall.run_id == run.id, ApiCall.operation == "batchInventory")
    return db.session.scalar(query) or 0


def _is_equal(store: Store, sandbox: Running) -> bool:
    ours = dict(
        db.session.execute(
            select(StockLevel.sku_code, StockLevel.on_hand).where(StockLevel.seller_id == store.seller_id)
        ).all()
    )
    theirs = {item["sku_code"]: item["n_units"] for item in sandbox.control.stock(ground.SANDBOX_SELLER)}
    return all(theirs.get(sku_code) == quantity for sku_code, quantity in ours.items())


@dataclass
class _Memory:
    """The largest resident memory seen, in MB."""

    peak: float = 0.0


@contextmanager
def _memory() -> Iterator[_Memory]:
    """Watch this process's memory during the block."""
    seen, is_over = _Memory(), threading.Event()

    def watch() -> None:
        while True:
            n_pages = int(Path("/proc/self/statm").read_text().split()[1])
            seen.peak = max(seen.peak, n_pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            if is_over.wait(0.02):
                return

    gc.collect()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def _rate_of_peer(store: Store) -> float:
    """The same as one would write it first: ten SKUs, one call, wait, and so on; through the same client."""
    at_amazon = store_at_amazon(store.id)
    codes = db.session.scalars(select(Listing.sku_code).where(Listing.store_id == store.id).limit(N_SKUS_OF_PEER)).all()
    with open_amazon(at_amazon, CallLog(at_amazon)) as client:
        client.inventory.fetch([InventoryUpdate(LOCATION, codes[0], at_amazon.marketplace_id)])  # the first turn waits
        began = time.perf_counter()
        for start in range(0, len(codes), 10):
            client.inventory.update(
                [
                    InventoryUpdate(LOCATION, code, at_amazon.marketplace_id, quantity=1)
                    for code in codes[start : start + 10]
                ]
            )
        return len(codes) / (time.perf_counter() - began)
