"""Each kind of alarm: something is put into the state it is about, and the sentence a person would read is read."""

from datetime import timedelta

import pytest
from flask import Flask, current_app
from sqlalchemy import event, select, update

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs.schedule import QUEUES
from flexdash.models import (
    Alarm,
    AlarmKind,
    ConfigChainHead,
    QuarantinedShipment,
    RunState,
    Severity,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncState,
    Trigger,
    UploadKind,
    UploadState,
    Workspace,
)
from flexdash.services import config_log_verify, figures, sync_attempts, sync_status
from flexdash.services.alarms import keeping, looking, queue_load
from flexdash.services.alarms.findings import Parts
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.uploads import applying, attempts, deciding, working
from tests import factories
from tests.factories import make_run, make_store
from tests.support.uploads import applied, catalog, checked, fresh

LONG_AGO = timedelta(days=2)
ALL_THERE = Parts()


@pytest.fixture
def store(seller) -> Store:
    """A store that has been well for long, with both syncs on."""
    then = clock.now() - LONG_AGO
    return make_store(seller, name="Pune Store", is_order_sync_on=True, is_inventory_sync_on=True, authorized_at=then)


def state_of(store: Store, sync: Sync = Sync.ORDER_PULL, **values: object) -> SyncState:
    own = {"workspace_id": store.workspace_id, "store_id": store.id, "sync": sync}
    state = SyncState(**own, **{"on_since": clock.now() - LONG_AGO, **values})
    db.session.add(state)
    db.session.commit()
    return state


def alarms(seen: Parts = ALL_THERE) -> list[Alarm]:
    """Look around once, and return what is open, each with a link that leads to a page."""
    keeping.evaluate(seen)
    found = list(db.session.scalars(select(Alarm).where(Alarm.cleared_at.is_(None)).order_by(Alarm.id)))
    for alarm in found:
        if alarm.path:
            current_app.url_map.bind("localhost").match(alarm.path.partition("?")[0], method="GET")
    return found


def the_alarm(kind: AlarmKind, seen: Parts = ALL_THERE) -> Alarm:
    (alarm,) = (one for one in alarms(seen) if one.kind is kind)
    return alarm


def test_all_is_well_and_nothing_is_said(store) -> None:
    state_of(store, last_success_at=clock.now())
    state_of(store, Sync.INVENTORY_PUSH, last_success_at=clock.now())
    assert alarms() == []


def test_an_order_sync_without_a_good_run_for_too_long_is_stale(store) -> None:
    state_of(store, last_success_at=clock.now() - timedelta(minutes=46))
    alarm = the_alarm(AlarmKind.ORDER_SYNC_STALE)
    assert alarm.sentence == (
        "Pune Store: Order Sync has had no good run for more than 45 minutes. New orders may be missing here; look at "
        "the last runs for the reason."
    )
    assert (alarm.severity, alarm.path, alarm.store_id) == (Severity.CRITICAL, f"/stores/{store.id}", store.id)


def test_an_inventory_sync_without_a_good_run_for_too_long_is_stale(store) -> None:
    state_of(store, Sync.INVENTORY_PUSH, last_success_at=clock.now() - timedelta(minutes=91))
    assert the_alarm(AlarmKind.INVENTORY_SYNC_STALE).sentence == (
        "Pune Store: Inventory Sync has had no good run for more than 90 minutes. Amazon may show stock that is sold "
        "already; look at the last runs for the reason."
    )


@pytest.mark.parametrize("success", [None, 10, 46])
@pytest.mark.parametrize("on_since", [None, 10, 46])
@pytest.mark.parametrize("first_run", [None, 10, 46])
@pytest.mark.parametrize("status", ["connected", "disconnected"])
def test_an_alarm_calls_stale_what_the_stores_page_calls_stale(seller, success, on_since, first_run, status) -> None:
    def ago(minutes: int | None):
        return None if minutes is None else clock.now() - timedelta(minutes=minutes)

    store = make_store(seller, status, is_order_sync_on=True, authorized_at=clock.now() - LONG_AGO)
    state_of(store, last_success_at=ago(success), on_since=ago(on_since))
    if first_run is not None:
        make_run(store, RunState.QUEUED, queued_at=ago(first_run))
    found, _ = looking.around(Parts(), clock.now())
    is_alarm = any(finding.kind is AlarmKind.ORDER_SYNC_STALE for finding in found)
    assert is_alarm == sync_status.of_sync(store, Sync.ORDER_PULL).is_stale


def test_a_sync_that_is_off_or_paused_is_not_stale(store) -> None:
    state_of(store, last_success_at=clock.now() - LONG_AGO)
    store.is_order_sync_on = False
    db.session.commit()
    assert alarms() == []


def test_three_failed_runs_in_a_row_are_an_alarm_and_a_good_one_ends_it(store) -> None:
    state = state_of(store, last_success_at=clock.now() - timedelta(minutes=40))
    for _ in range(2):
        make_run(store, RunState.FAILED)
    assert alarms() == []
    last = make_run(store, RunState.FAILED, error_sentence="Amazon did not answer. It was tried 5 times.")
    alarm = the_alarm(AlarmKind.SYNC_FAILING)
    assert alarm.sentence == (
        "Pune Store: the last 3 runs of Order Sync failed. Amazon did not answer. It was tried 5 times."
    )
    assert alarm.path == f"/sync-runs/{last.id}"
    state.last_success_at = clock.now()
    db.session.commit()
    found, _ = looking.around(Parts(), clock.now())
    assert found == []


def test_runs_that_failed_before_the_sync_was_turned_on_again_are_no_alarm(store) -> None:
    state = state_of(store, last_success_at=clock.now() - timedelta(minutes=40))
    for _ in range(3):
        make_run(store, RunState.FAILED)
    state.on_since = clock.now()
    db.session.commit()
    assert alarms() == []
    for _ in range(3):
        make_run(store, RunState.FAILED)
    assert the_alarm(AlarmKind.SYNC_FAILING)


def test_one_failed_run_of_a_sync_that_comes_once_a_day_is_an_alarm(store) -> None:
    state_of(store, last_success_at=clock.now())
    state_of(store, Sync.RECONCILE)
    make_run(store, RunState.FAILED, sync=Sync.RECONCILE)
    assert the_alarm(AlarmKind.SYNC_FAILING).sentence.startswith("Pune Store: the last run of Reconciliation failed.")


@pytest.mark.parametrize(
    ("days", "stage", "severity", "words"),
    [
        (29.5, 1, Severity.WARNING, "ends within 30 days. After that no order comes in."),
        (6.5, 2, Severity.WARNING, "ends within 7 days."),
        (0.5, 3, Severity.CRITICAL, "ends within a day."),
        (-0.1, 4, Severity.CRITICAL, "has ended after 365 days. No order comes in and no stock goes out."),
    ],
)
def test_an_authorization_that_ends_is_told_of_in_time(seller, days, stage, severity, words) -> None:
    store = make_store(seller, name="Pune Store", authorization_expires_at=clock.now() + timedelta(days=days))
    alarm = the_alarm(AlarmKind.AUTHORIZATION)
    assert alarm.sentence.startswith(f"Pune Store: the authorization at Amazon {words}")
    assert (alarm.stage, alarm.severity, alarm.path) == (stage, severity, f"/stores/{store.id}/reconnect")


def test_an_authorization_with_more_than_thirty_days_left_is_none(seller) -> None:
    make_store(seller, authorization_expires_at=clock.now() + timedelta(days=30, hours=1))
    assert alarms() == []


def test_a_refused_authorization_is_told_at_once_with_amazons_reason(seller) -> None:
    make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name="Pune Store")
    assert the_alarm(AlarmKind.AUTHORIZATION).sentence == (
        "Pune Store: Amazon refuses FlexDash's access, so all its syncs wait. Amazon refused the token: invalid_grant"
    )


def test_a_push_of_zeros_that_waits_is_an_alarm_and_not_a_stale_sync_too(store) -> None:
    state_of(store, Sync.INVENTORY_PUSH, last_success_at=clock.now() - LONG_AGO)
    brake = factories.make_zero_brake(store, n_to_zero=800, n_published=1_000)
    (alarm,) = alarms()
    assert alarm.sentence == (
        "Pune Store: a push would set 800 of 1,000 quantities to zero on Amazon. No stock is sent until somebody "
        "approves or declines it."
    )
    assert alarm.path == f"/stores/{store.id}/inventory/zeros/{brake.id}"


def test_conflicts_of_a_store_are_one_alarm(store) -> None:
    factories.make_conflict(factories.make_order(store))
    assert the_alarm(AlarmKind.CONFLICTS).sentence == "Pune Store: Amazon and FlexDash disagree about 1 order."
    factories.make_conflict(factories.make_order(store))
    factories.make_conflict(factories.make_order(store), closed_at=clock.now())
    alarm = the_alarm(AlarmKind.CONFLICTS)
    assert alarm.sentence == "Pune Store: Amazon and FlexDash disagree in 2 conflicts of orders."


def test_shipments_in_quarantine_are_an_alarm_until_they_are_read(store) -> None:
    for name in ("A", "B", "C"):
        own = {"workspace_id": store.workspace_id, "store_id": store.id}
        is_read = clock.now() if name == "C" else None
        db.session.add(
            QuarantinedShipment(**own, amazon_shipment_id=name, error_sentence="No line.", resolved_at=is_read)
        )
    db.session.commit()
    alarm = the_alarm(AlarmKind.QUARANTINE)
    assert alarm.sentence == (
        "Pune Store: 2 shipments are in quarantine, because FlexDash could not read what Amazon sent."
    )
    assert alarm.path == f"/orders/quarantine?store={store.id}"


def test_runs_that_wait_for_a_worker_for_too_long_are_an_alarm(store) -> None:
    state_of(store, last_success_at=clock.now())
    make_run(store, RunState.QUEUED, queued_at=clock.now() - timedelta(minutes=14))
    assert alarms() == []
    make_run(store, RunState.QUEUED, sync=Sync.INVENTORY_PUSH, queued_at=clock.now() - timedelta(minutes=16))
    assert the_alarm(AlarmKind.QUEUE_WAITING).sentence == (
        "1 sync run has waited for a worker of the queue sync for more than 15 minutes."
    )


@pytest.mark.parametrize("ending", ["handed back", "lost"])
def test_a_run_that_was_at_work_waits_for_a_worker_from_its_end_on(store, workspace, ending) -> None:
    state_of(store, last_success_at=clock.now())
    actor = factories.make_actor(factories.make_user(workspace))
    run = make_run(store, RunState.QUEUED, queued_at=clock.now() - LONG_AGO)
    context = sync_attempts.begin(run.id)
    if ending == "handed back":  # as by a deployment, in the middle of a long run
        db.session.execute(update(SyncRun).values(heartbeat_at=clock.now() - timedelta(seconds=20)))
        db.session.commit()
        assert sync_attempts.hand_back(db.engine, context)
    else:
        db.session.execute(update(SyncRun).values(heartbeat_at=clock.now() - timedelta(minutes=16)))
        db.session.commit()
        assert sync_attempts.take_up_lost(clock.now(), timedelta(minutes=1), max_attempts=5) == 1

    assert alarms() == []
    assert not queue_load.of(actor)["sync"].is_slow
    [waited] = [one.value for one in figures.of_everything() if one.name == "sync_oldest_queued_seconds"]
    assert waited < 60

    db.session.execute(update(SyncRun).values(heartbeat_at=clock.now() - timedelta(minutes=16)))
    db.session.commit()
    assert the_alarm(AlarmKind.QUEUE_WAITING)
    assert queue_load.of(actor)["sync"].is_slow


def test_files_that_wait_to_be_checked_or_applied_for_too_long_are_an_alarm(store) -> None:
    state_of(store, last_success_at=clock.now())
    long_ago, lately = clock.now() - timedelta(minutes=16), clock.now() - timedelta(minutes=14)
    factories.make_upload(store, UploadState.CHECKED, uploaded_at=long_ago)  # a person decides
    factories.make_upload(store, UploadState.RECEIVED, uploaded_at=lately)
    file = factories.make_upload(store, UploadState.ACCEPTED, uploaded_at=clock.now() - LONG_AGO, heartbeat_at=lately)
    assert alarms() == []
    file.heartbeat_at = long_ago
    db.session.commit()
    alarm = the_alarm(AlarmKind.QUEUE_WAITING)
    assert alarm.sentence == "1 uploaded file has waited for a worker of the queue upload for more than 15 minutes."
    assert alarm.path == "/uploads"


def test_a_file_that_waits_for_another_of_its_kind_does_not_wait_for_a_worker(store) -> None:
    state_of(store, last_success_at=clock.now())
    factories.make_upload(store, UploadState.APPLYING, uploaded_at=clock.now() - LONG_AGO, heartbeat_at=clock.now())
    factories.make_upload(store, UploadState.RECEIVED, uploaded_at=clock.now() - LONG_AGO)
    assert alarms() == []


@pytest.mark.parametrize("ending", ["applied", "failed"])
@pytest.mark.parametrize("kind", ["catalog", "stock"])
def test_a_file_that_waited_for_another_waits_for_a_worker_from_its_end_on(store, workspace, kind, ending) -> None:
    state_of(store, last_success_at=clock.now())
    merchant = factories.make_actor(factories.make_user(workspace))
    factories.make_hub(workspace, "PUNE")
    place, content = store, catalog("TEE,B0TESTTEE1,Tee")
    if kind == "stock":
        place, content = store.seller, b"hub_code,sku_code,quantity\nPUNE,TEE,5\n"
    first = checked(merchant, place, content, kind)
    deciding.accept(merchant, first.id)
    attempt = working.begin(first.id)
    waiting = factories.make_upload(place, UploadState.RECEIVED, uploaded_at=clock.now() - LONG_AGO)
    assert alarms() == []
    if ending == "applied":
        working.work(attempt)
    else:
        applying.fail(attempt, "The disk is full.")
    assert attempts.waiting() == [waiting.id]
    assert alarms() == []
    fresh(waiting.id).heartbeat_at = clock.now() - timedelta(minutes=16)
    db.session.commit()
    assert the_alarm(AlarmKind.QUEUE_WAITING)


def test_the_end_of_a_file_changes_nothing_for_those_that_did_not_wait_for_it(store, workspace) -> None:
    state_of(store, last_success_at=clock.now())
    merchant = factories.make_actor(factories.make_user(workspace))
    factories.make_upload(store, UploadState.RECEIVED, kind=UploadKind.PRICES, uploaded_at=clock.now() - LONG_AGO)
    elsewhere = factories.make_store(store.seller)
    state_of(elsewhere, last_success_at=clock.now())
    factories.make_upload(elsewhere, UploadState.RECEIVED, uploaded_at=clock.now() - LONG_AGO)
    applied(merchant, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert the_alarm(AlarmKind.QUEUE_WAITING).sentence.startswith("2 uploaded files have waited")


def test_a_file_that_is_accepted_late_waits_from_then_on(store, workspace) -> None:
    state_of(store, last_success_at=clock.now())
    merchant = factories.make_actor(factories.make_user(workspace))
    file = factories.make_upload(
        store, n_new=1, uploaded_at=clock.now() - LONG_AGO, heartbeat_at=clock.now() - LONG_AGO
    )
    assert deciding.accept(merchant, file.id)
    assert alarms() == []


def test_actions_on_many_orders_that_wait_for_too_long_are_an_alarm(store, workspace) -> None:
    state_of(store, last_success_at=clock.now())
    order, user = factories.make_order(store), factories.make_user(workspace)
    batches = [factories.make_batch(order, user) for _ in range(2)]
    assert [alarm for alarm in alarms() if alarm.kind is AlarmKind.QUEUE_WAITING] == []
    for batch in batches:
        batch.made_at = clock.now() - timedelta(minutes=16)
    db.session.commit()
    alarm = the_alarm(AlarmKind.QUEUE_WAITING)
    assert alarm.sentence == (
        "2 actions on many orders have waited for a worker of the queue work for more than 15 minutes."
    )
    assert alarm.path == "/orders/batches"


def test_a_run_that_was_put_off_does_not_wait_for_a_worker(store) -> None:
    old = clock.now() - timedelta(hours=1)
    make_run(store, RunState.QUEUED, trigger=Trigger.MANUAL, queued_at=old, retry_at=clock.now())
    assert [alarm for alarm in alarms() if alarm.kind is AlarmKind.QUEUE_WAITING] == []


@pytest.mark.parametrize(
    ("seen", "kind", "sentence"),
    [
        (
            Parts(is_scheduler_away=True),
            AlarmKind.SCHEDULER_AWAY,
            "The scheduler has not been seen lately. No sync begins by the clock in any store.",
        ),
        (
            Parts(is_redis_away=True, unserved_queues=None, is_scheduler_away=None),
            AlarmKind.REDIS_AWAY,
            "Redis does not answer. Nothing is synced in any store.",
        ),
    ],
)
def test_a_part_that_is_away_alarms_every_workspace_once(workspace, seen, kind, sentence) -> None:
    other = factories.make_workspace()
    found = alarms(seen)
    assert alarms(seen) == found
    assert {alarm.workspace_id for alarm in found} == {workspace.id, other.id}
    assert {(alarm.kind, alarm.sentence, alarm.severity) for alarm in found} == {(kind, sentence, Severity.CRITICAL)}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_without_a_worker_is_named_with_what_waits_in_it(workspace, queue) -> None:
    waits = {
        "tick": "no sync is begun by the clock",
        "sync": "orders, stock and prices wait",
        "work": "actions on many orders wait",
        "upload": "uploaded files are neither checked nor applied",
    }[queue]
    (alarm,) = alarms(Parts(unserved_queues=(queue,)))
    assert (alarm.kind, alarm.severity) == (AlarmKind.WORKER_AWAY, Severity.CRITICAL)
    assert alarm.sentence == (
        f"No worker of the queue {queue} has been seen lately: {waits}. "
        f"It is started with: python -m flexdash worker --queues {queue}"
    )


def test_while_redis_is_away_nothing_new_is_said_of_workers_and_nothing_is_taken_back(workspace) -> None:
    assert len(alarms(Parts(unserved_queues=("sync", "tick"), is_scheduler_away=True))) == 3
    keeping.evaluate(Parts(is_redis_away=True, unserved_queues=None, is_scheduler_away=None))
    known = db.session.scalars(select(Alarm).where(Alarm.kind != AlarmKind.REDIS_AWAY)).all()
    assert [alarm.clear_since for alarm in known] == [None] * 3


def test_a_log_that_did_not_verify_is_an_alarm(app: Flask, workspace: Workspace) -> None:
    head = db.session.get(ConfigChainHead, workspace.id)
    head.sequence += 1  # as if the last row had been cut off
    db.session.commit()
    config_log_verify.verify_and_keep(workspace.id)
    alarm = the_alarm(AlarmKind.LOG_BROKEN)
    assert alarm.sentence == (
        "The Configuration Log is not as it was written. Row 1 is missing: the end of the log was cut off."
    )
    assert alarm.path == "/configuration-log/verify"


def test_every_kind_is_described_and_watched() -> None:
    assert set(KINDS) == set(AlarmKind)
    by_parts = {AlarmKind.REDIS_AWAY, AlarmKind.SCHEDULER_AWAY, AlarmKind.WORKER_AWAY}
    assert set(looking.CHECKS) | by_parts == set(AlarmKind)


def test_looking_around_takes_as_many_statements_for_many_stores_as_for_one(seller) -> None:
    def n_statements() -> int:
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: seen.append(args[2]))
        try:
            keeping.evaluate(Parts())
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return len(seen)

    def make_stale() -> None:
        state_of(make_store(seller, is_order_sync_on=True, authorized_at=clock.now() - LONG_AGO))

    make_stale()
    first = n_statements()
    for _ in range(20):
        make_stale()
    assert n_statements() == first
    assert n_statements() < first  # nothing has changed: nothing is written


def test_the_runs_that_failed_and_the_quarantine_are_found_by_their_indexes(app: Flask, store) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by size, and these tables are empty")
    statements: list[tuple[str, object]] = []
    event.listen(db.engine, "before_cursor_execute", watch := lambda *args: statements.append((args[2], args[3])))
    try:
        looking.around(Parts(), clock.now())
    finally:
        event.remove(db.engine, "before_cursor_execute", watch)
    plans = ""
    for statement, values in statements:
        if statement.startswith("SELECT"):
            rows = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans += "\n".join(str(row[-1]) for row in rows) + "\n"
    db.session.rollback()
    for index in (
        "ix_sync_runs_failed",
        "ix_sync_runs_open",
        "ix_quarantined_shipments_open",
        "ix_order_conflicts_open",
    ):
        assert index in plans, plans
