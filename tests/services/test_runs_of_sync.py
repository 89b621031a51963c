"""What the newest run of a sync costs where there is none."""

from typing import Any

import pytest
from sqlalchemy import ScalarSelect, select, text

from flexdash.extensions import db
from flexdash.models import Store, Sync, SyncRun
from flexdash.services import runs_of_sync
from tests.factories import make_run, make_store
from tests.support.databases import is_postgres


def test_they_come_in_their_order_and_no_others_among_them(seller) -> None:
    store, other = make_store(seller), make_store(seller)
    first, second = make_run(store, sync=Sync.ORDER_PULL), make_run(store, sync=Sync.ORDER_PULL)
    make_run(store, sync=Sync.PRICE_PUSH)
    make_run(other, sync=Sync.ORDER_PULL)
    query = select(SyncRun.id).where(runs_of_sync.of(store.id, Sync.ORDER_PULL))
    assert db.session.scalars(query.order_by(*runs_of_sync.newest_first())).all() == [second.id, first.id]
    assert db.session.scalars(query.order_by(*runs_of_sync.oldest_first())).all() == [first.id, second.id]


@pytest.mark.skipif(not is_postgres(), reason="SQLite goes by the columns named, and not by how many rows it expects")
def test_a_store_without_a_run_of_a_sync_is_not_looked_for_among_all_runs(seller) -> None:
    """PostgreSQL went through the whole table by its key: 100 ms for a page of a store with 300,000 runs beside it."""
    store, new_store = make_store(seller), make_store(seller)
    busy = make_run(store, sync=Sync.ORDER_PULL)
    names = [f'"{column.name}"' for column in SyncRun.__table__.columns if column.name != "id"]
    values = [f"{name} - n * interval '1 minute'" if name == '"slot_at"' else name for name in names]
    copied = f"SELECT {', '.join(values)} FROM sync_runs, generate_series(1, 5000) AS n WHERE id = {busy.id}"
    db.session.execute(text(f"INSERT INTO sync_runs ({', '.join(names)}) {copied}"))
    db.session.commit()
    db.session.execute(text("ANALYZE sync_runs"))
    stores = select(Store.id, newest_of(Store.id)).where(Store.id == new_store.id)
    sql = str(stores.compile(db.engine, compile_kwargs={"literal_binds": True}))
    plan = db.session.execute(text(f"EXPLAIN {sql}")).scalars().all()
    assert any("using ix_sync_runs_store_id_sync_id" in line for line in plan), plan


def newest_of(store_id: Any) -> ScalarSelect[int]:
    query = select(SyncRun.id).where(runs_of_sync.of(store_id, Sync.ORDER_PULL))
    return query.order_by(*runs_of_sync.newest_first()).limit(1).correlate(Store).scalar_subquery()
