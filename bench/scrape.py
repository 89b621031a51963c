"""`/metrics` of a large installation: ten thousand stores with a million sync runs behind them."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta

from flask import Flask
from sqlalchemy import insert, select, text

from bench import ground
from bench.results import Figure, percentile
from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RunState, Store, StoreStatus, Sync, SyncRun, SyncState, Trigger
from tests import factories

N_STORES = 10_000
N_RUNS = int(os.environ.get("BENCH_ROWS", "1000000"))
N_OPEN = 2_000
N_SCRAPES = 30
WANTED_MS = 200
_PIECE = 50_000


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table."""
    for database in ground.databases():
        with ground.app_on(database) as app:
            yield _scrapes(app, database)


def _scrapes(app: Flask, database: str) -> Figure:
    _fill()
    client = app.test_client()
    milliseconds = []
    for _ in range(N_SCRAPES):
        began = time.perf_counter()
        answer = client.get("/metrics")
        milliseconds.append((time.perf_counter() - began) * 1000)
        assert f'flexdash_stores{{status="connected"}} {N_STORES:.1f}' in answer.text
        assert f'flexdash_sync_runs_open{{state="queued",sync="order_pull"}} {N_OPEN:.1f}' in answer.text
    return Figure(
        f"/metrics, {N_STORES:,} stores, {N_RUNS:,} sync runs",
        database,
        f"p95 {percentile(milliseconds, 0.95):.0f} ms, {len(answer.text.encode()) / 1024:.0f} KB",
        f"≤ {WANTED_MS} ms",
    )


def _fill() -> None:
    seller = factories.make_seller(factories.make_workspace())
    now = clock.now()
    of_all = {"workspace_id": seller.workspace_id}
    common = {
        **of_all,
        "seller_id": seller.id,
        "country_code": "IN",
        "marketplace_id": "A21TJRUUN4KGV",
        "currency": "INR",
        "status": StoreStatus.CONNECTED,
        "is_order_sync_on": True,
        "is_inventory_sync_on": True,
        "refresh_token_encrypted": b"not used",
        "authorized_at": now - timedelta(days=30),
    }
    db.session.execute(
        insert(Store),
        [common | {"name": f"Store {n}", "amazon_selling_partner_id": f"A{n:013d}"} for n in range(N_STORES)],
    )
    store_ids = list(db.session.scalars(select(Store.id)))
    for sync in Sync:
        db.session.execute(
            insert(SyncState),
            [
                of_all
                | {
                    "store_id": store_id,
                    "sync": sync,
                    "next_due_at": now + timedelta(minutes=20),
                    "on_since": now - timedelta(days=20),
                    "last_success_at": now - timedelta(minutes=n % 60),
                }
                for n, store_id in enumerate(store_ids)
            ],
        )
    db.session.commit()
    for start in range(0, N_RUNS, _PIECE):
        db.session.execute(
            insert(SyncRun),
            [
                of_all
                | {
                    "store_id": store_ids[n % N_STORES],
                    "sync": Sync.ORDER_PULL,
                    "trigger": Trigger.SCHEDULE,
                    "slot_at": now - timedelta(minutes=30 * (n // N_STORES)),
                    "queued_at": now - timedelta(minutes=30 * (n // N_STORES)),
                    "heartbeat_at": now,
                    "finished_at": None if n < N_OPEN else now,
                    "state": RunState.QUEUED if n < N_OPEN else RunState.SUCCEEDED,
                }
                for n in range(start, min(start + _PIECE, N_RUNS))
            ],
        )
        db.session.commit()
    db.session.execute(text("ANALYZE"))
    db.session.commit()
