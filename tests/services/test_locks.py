"""People and clocks that want the same rows at the same moment wait for each other, and never for ever."""

import io
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, text

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    HoldReason,
    OrderState,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    Upload,
    UploadKind,
    UploadState,
)
from flexdash.services import disconnecting, order_holds, stores, sync_runs
from flexdash.services.actors import Actor
from flexdash.services.errors import ServiceError
from flexdash.services.uploads import applying, cleaning, deciding, places, receiving, working
from tests import factories
from tests.support.servers import wait_for
from tests.support.uploads import catalog, checked, fresh


def at_once(app: Flask, *jobs: Callable[[], object]) -> list[Exception]:
    """Begin the jobs at the same moment, each in a thread and app context of its own; return what they raised."""
    db.session.rollback()
    start, raised = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], object]) -> None:
        with app.app_context():
            start.wait(10)
            try:
                job()
            except Exception as error:
                raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


def test_several_people_add_stores_of_one_seller_at_once(app: Flask) -> None:
    workspace = factories.make_workspace()
    seller = factories.make_seller(workspace)
    actor, seller_id = factories.make_actor(factories.make_user(workspace)), seller.id

    def add(n: int) -> Callable[[], object]:
        return lambda: [stores.start_draft(actor, seller_id, "IN", f"Store {n}.{turn}") for turn in range(5)]

    assert at_once(app, *(add(n) for n in range(4))) == []
    assert db.session.scalar(db.select(db.func.count(Store.id))) == 20


def test_a_double_click_begins_one_store(app: Flask) -> None:
    workspace = factories.make_workspace()
    seller_id = factories.make_seller(workspace).id
    asha, ravi = (factories.make_actor(factories.make_user(workspace)) for _ in range(2))

    def begin(actor: Actor) -> Callable[[], object]:
        return lambda: stores.start_draft(actor, seller_id, "IN")

    assert at_once(app, begin(asha), begin(asha), begin(asha), begin(ravi)) == []
    assert db.session.scalar(db.select(db.func.count(Store.id))) == 2, "one for each of them"
    stores.start_draft(asha, seller_id, "AE")
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=False):
        begin(asha)()
    assert db.session.scalar(db.select(db.func.count(Store.id))) == 4


def test_a_store_is_disconnected_while_somebody_starts_its_sync(app: Flask) -> None:
    workspace = factories.make_workspace()
    actor = factories.make_actor(factories.make_user(workspace))
    seller = factories.make_seller(workspace)
    store_ids = [factories.make_store(seller, is_order_sync_on=True).id for _ in range(6)]

    for store_id in store_ids:
        raised = at_once(
            app,
            lambda store_id=store_id: disconnecting.disconnect(actor, store_id),
            lambda store_id=store_id: sync_runs.request_now(actor, store_id, Sync.ORDER_PULL),
        )
        assert all(isinstance(error, ServiceError) for error in raised)  # who came second is told so in words

    assert {store.status for store in db.session.scalars(db.select(Store))} == {StoreStatus.DISCONNECTED}
    assert {run.state for run in db.session.scalars(db.select(SyncRun))} <= {RunState.QUEUED, RunState.FAILED}


def test_of_files_for_one_place_accepted_at_once_one_is_applied(app: Flask) -> None:
    workspace = factories.make_workspace()
    actor = factories.make_actor(factories.make_user(workspace))

    for _ in range(5):
        place = factories.make_seller(workspace)
        upload_ids = [factories.make_upload(place, n_new=1).id for _ in range(4)]
        raised = at_once(
            app, *(lambda upload_id=upload_id: deciding.accept(actor, upload_id) for upload_id in upload_ids)
        )
        assert [type(error) for error in raised] == [ServiceError] * 3
        assert all("is being applied to the same place" in error.sentence for error in raised)
        accepted = db.select(Upload.id).where(Upload.seller_id == place.id, Upload.state == UploadState.ACCEPTED)
        assert len(db.session.scalars(accepted).all()) == 1


def test_a_newer_file_arrives_before_an_older_one_is_taken_up_again_or_after(app: Flask, monkeypatch) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("one transaction at a time writes there, and that one cannot be seen waiting")
    workspace = factories.make_workspace()
    actor = factories.make_actor(factories.make_user(workspace))
    store = factories.make_store(factories.make_seller(workspace))
    older_id = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee")).id
    deciding.accept(actor, older_id)
    applying.fail(working.begin(older_id), "The worker stopped without a word.")
    store_id, to_clean = store.id, []

    def hand_in_newer() -> None:
        with app.app_context():
            receiving.receive(actor, UploadKind.CATALOG, "newer.csv", io.BytesIO(b"sku_code"), store_id=store_id)
            to_clean.extend(cleaning.to_clean())

    newer = threading.Thread(target=hand_in_newer)
    under_way = places.under_way

    def while_the_newer_one_arrives(upload: Upload) -> Upload | None:
        newer.start()
        wait_for(lambda: not newer.is_alive() or is_one_waiting(), "the newer file", 20)
        return under_way(upload)

    monkeypatch.setattr(places, "under_way", while_the_newer_one_arrives)
    deciding.try_again(actor, older_id)
    newer.join(30)
    assert fresh(older_id).state is UploadState.ACCEPTED
    assert to_clean == []  # else its rows would be deleted while they are applied


def is_one_waiting() -> bool:
    """Say whether somebody in this test's database waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with db.engine.connect() as connection:
        return bool(connection.scalar(text(waiting)))


def test_looking_at_held_orders_again_takes_as_many_queries_for_many_as_for_few(app: Flask) -> None:
    store = factories.make_store(factories.make_seller(factories.make_workspace()))

    def n_queries() -> int:
        statements: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: statements.append(args[2]))
        try:
            assert order_holds.release_fixed(store.id) == []
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return len(statements)

    def hold(n_orders: int) -> None:
        for _ in range(n_orders):
            factories.make_order(
                store, OrderState.ON_HOLD, seller_flex_hub_id="PNQ9", hold_reason=HoldReason.NO_HUB_MAPPED
            )
        order_holds.release_fixed(store.id)  # the reasons as routing words them, so that nothing is left to change

    hold(2)
    few = n_queries()
    hold(10)
    assert n_queries() == few
