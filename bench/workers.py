"""Two workers beside one: real worker processes that pull the orders of many stores over HTTP."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from rq import Worker
from sqlalchemy import func, select

from amazon_sandbox.serving import Running
from bench import ground
from bench.results import Figure
from flexdash.extensions import db
from flexdash.jobs import queues, schedule
from flexdash.models import RunState, Store, Sync, SyncRun
from tests import factories
from tests.support.servers import flexdash_process, wait_for

N_STORES = 20
N_ORDERS = 25  # of each store, found again by each run
LATENCY_MS = 100  # of each answer of Amazon, as for the push of stock
WANTED_RATIO = 1.8
N_ROUNDS = 3


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table."""
    for database in ground.databases():
        with (
            ground.sandbox() as sandbox,
            ground.app_on(database, sandbox, shipments_requests_per_second=1000.0),
        ):
            yield _workers(database, sandbox)


def _workers(database: str, sandbox: Running) -> Figure:
    sandbox.control.create_orders(N_ORDERS, seller_id=ground.SANDBOX_SELLER, location_id="EXSB")
    stores = [_store(sandbox) for _ in range(N_STORES)]
    _drain(stores, n_workers=2)  # the first pull of each brings its orders in
    sandbox.control.options(latency_ms=LATENCY_MS)
    one, two = [], []
    for _ in range(N_ROUNDS):
        one.append(_drain(stores, n_workers=1))
        two.append(_drain(stores, n_workers=2))
    of_one, of_two = sorted(one)[N_ROUNDS // 2], sorted(two)[N_ROUNDS // 2]
    return Figure(
        f"order pulls of {N_STORES} stores by two workers, {LATENCY_MS} ms latency",
        database,
        f"{N_STORES / of_two:.1f} pulls/s",
        f"≥ {WANTED_RATIO} ×",
        f"one worker: {N_STORES / of_one:.1f} pulls/s",
        f"{of_one / of_two:.2f} ×",
    )


def _store(sandbox: Running) -> Store:
    return factories.make_store(
        factories.make_seller(factories.make_workspace()),
        refresh_token=sandbox.control.issue_tokens(ground.SANDBOX_SELLER)["refresh_token"],
        amazon_selling_partner_id=ground.SANDBOX_SELLER,
        is_order_sync_on=True,
    )


def _drain(stores: list[Store], *, n_workers: int) -> float:
    """Give each store a run, let `n_workers` processes that are up and idle do them all; return the seconds."""
    store_ids = [store.id for store in stores]
    db.session.rollback()
    with ExitStack() as processes:
        for _ in range(n_workers):
            processes.enter_context(flexdash_process(ground.environment(), "worker", "--queues", "sync"))
        wait_for(lambda: _n_idle() == n_workers, "the workers")
        runs = [factories.make_run(db.session.get(Store, store_id), RunState.QUEUED) for store_id in store_ids]
        waiting = [(run.id, Sync.ORDER_PULL, 1) for run in runs]
        db.session.rollback()
        began = time.perf_counter()
        queues.enqueue_runs(waiting)
        wait_for(_all_ended, "the runs", timeout=300)
        return time.perf_counter() - began


def _all_ended() -> bool:
    n_open = db.session.scalar(
        select(func.count(SyncRun.id)).where(SyncRun.state.in_((RunState.QUEUED, RunState.RUNNING)))
    )
    db.session.rollback()
    return n_open == 0


def _n_idle() -> int:
    workers = Worker.all(queue=queues.queue(schedule.SYNC_QUEUE))
    return sum(worker.get_state() == "idle" for worker in workers)
