"""Ten thousand stores with two syncs each due at once, and two schedulers that tick at the same moment."""

import threading
import time
from collections.abc import Iterator

from flask import Flask
from sqlalchemy import func, insert, select

from bench import ground
from bench.results import Figure
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import Store, StoreStatus, SyncRun
from tests import factories

N_STORES = 10_000
N_SYNCS = 2  # what a connected store with Order Sync on has: its orders and its returns
WANTED_SECONDS = 3


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table."""
    for database in ground.databases():
        with ground.app_on(database) as app:
            yield _dispatch(app, database)


def _dispatch(app: Flask, database: str) -> Figure:
    workspace = factories.make_workspace()
    seller = factories.make_seller(workspace)
    now = clock.now()
    common = {
        "workspace_id": workspace.id,
        "seller_id": seller.id,
        "country_code": "IN",
        "marketplace_id": "A21TJRUUN4KGV",
        "currency": "INR",
        "status": StoreStatus.CONNECTED,
        "is_order_sync_on": True,
        "refresh_token_encrypted": b"not used",
        "authorized_at": now,
    }
    db.session.execute(
        insert(Store),
        [common | {"name": f"Store {n}", "amazon_selling_partner_id": f"A{n:013d}"} for n in range(N_STORES)],
    )
    db.session.commit()

    seconds: list[float] = []

    def one_scheduler() -> None:
        with app.app_context():
            began = time.perf_counter()
            dispatch.dispatch()
            seconds.append(time.perf_counter() - began)
            db.session.remove()

    threads = [threading.Thread(target=one_scheduler) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    n_of_each = db.session.scalars(select(func.count(SyncRun.id)).group_by(SyncRun.store_id, SyncRun.sync)).all()
    assert len(seconds) == 2, "a scheduler failed"
    assert n_of_each == [1] * (N_STORES * N_SYNCS), (len(n_of_each), max(n_of_each))
    return Figure(
        f"dispatch, {N_STORES:,} stores × {N_SYNCS} syncs due at once, two schedulers",
        database,
        f"{max(seconds):.2f} s, each exactly once",
        f"≤ {WANTED_SECONDS} s",
    )
