"""Attempts at runs, what a running sync reports, and how a store's syncs stand in words."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from flexdash.clock import now
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    AttemptOutcome,
    BrakeState,
    Role,
    RunState,
    StepKind,
    StoreStatus,
    Sync,
    SyncAttempt,
    SyncRun,
    SyncState,
    Trigger,
)
from flexdash.services import sync_attempts, sync_runs, sync_schedule, sync_status
from flexdash.services.actors import Actor
from flexdash.services.errors import NotAllowed, NotVisible
from flexdash.services.run_context import HandBack, Superseded
from tests.factories import (
    make_actor,
    make_listing,
    make_order,
    make_run,
    make_seller,
    make_step,
    make_store,
    make_user,
    make_workspace,
    make_zero_brake,
)

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def store(app):
    return make_store(make_seller(make_workspace()), name="Pune Store", is_order_sync_on=True)


@pytest.fixture
def run(store):
    return sync_attempts.begin(make_run(store, RunState.QUEUED).id)


def row(run):
    return db.session.get(SyncRun, run.run_id, populate_existing=True)


def attempts(run):
    return [a.outcome for a in db.session.scalars(db.select(SyncAttempt).order_by(SyncAttempt.id))]


# The claim --------------------------------------------------------------------------------------------------------


def test_of_two_queue_entries_for_a_run_one_does_nothing(store):
    queued = make_run(store, RunState.QUEUED)
    assert sync_attempts.begin(queued.id).attempt == 1
    assert sync_attempts.begin(queued.id) is None


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.SKIPPED])
def test_a_run_that_has_ended_does_not_begin_again(store, state):
    assert sync_attempts.begin(make_run(store, state).id) is None


def test_a_run_that_waits_for_its_retry_does_not_begin_early(clock, store):
    queued = make_run(store, RunState.QUEUED, retry_at=START + timedelta(seconds=30))
    assert sync_attempts.begin(queued.id) is None
    clock.shift(30)
    assert sync_attempts.begin(queued.id) is not None


@pytest.mark.parametrize(
    ("status", "is_on", "words"),
    [
        (StoreStatus.NEEDS_REAUTHORIZATION, True, "needs re-authorization"),
        (StoreStatus.DISCONNECTED, True, "not connected to Amazon any more"),
        (StoreStatus.CONNECTED, False, "was turned off for Pune Store"),
    ],
)
def test_a_queued_run_ends_in_words_when_its_store_may_not_sync_any_more(store, status, is_on, words):
    queued = make_run(store, RunState.QUEUED)
    store.status, store.is_order_sync_on = status, is_on
    db.session.commit()
    assert sync_attempts.begin(queued.id) is None
    db.session.refresh(queued)
    assert queued.state is RunState.SKIPPED
    assert words in queued.error_sentence


def test_the_first_run_makes_the_stores_row_of_what_the_sync_has_reached(run, store):
    assert db.session.scalars(db.select(SyncState)).one().store_id == store.id


# Reporting --------------------------------------------------------------------------------------------------------


def test_counts_add_up_over_attempts(run):
    with transaction():
        run.check_in("Page 1", n_created=3, n_held=1)
    sync_attempts.retry_later(run, "unavailable", "Amazon was away.", timedelta(0))
    again = sync_attempts.begin(run.run_id)
    with transaction():
        again.check_in("Page 1", n_created=2, n_skipped=3)
    assert (row(run).n_created, row(run).n_held, row(run).n_skipped) == (5, 1, 3)
    assert row(run).progress == "Page 1"
    assert again.attempt == 2


def test_counts_go_with_the_work_when_it_is_rolled_back(run):
    def work():
        with transaction():
            run.check_in(n_created=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert row(run).n_created == 0


def test_a_report_outside_a_transaction_is_a_programming_error(run):
    with pytest.raises(RuntimeError, match="inside the transaction"):
        run.check_in(n_created=1)


def test_a_count_that_no_run_has_is_a_programming_error(run):
    with pytest.raises(TypeError, match="n_cups"), transaction():
        run.check_in(n_cups=1)


def test_a_superseded_worker_writes_nothing_more(clock, run, store):
    clock.shift(60)
    assert sync_attempts.take_up_lost(START + timedelta(seconds=60), timedelta(seconds=45), 5) == 1
    other = sync_attempts.begin(run.run_id)

    def work():
        with transaction() as session:
            session.execute(db.update(SyncState).values(watermark=START))
            run.check_in(n_created=1)

    with pytest.raises(Superseded):
        work()
    assert db.session.scalars(db.select(SyncState.watermark)).one() is None
    assert not sync_attempts.beat(db.engine, run)
    assert sync_attempts.succeed(run) is None
    assert not sync_attempts.fail(run, "x", "y")
    assert not sync_attempts.hand_back(db.engine, run)
    assert sync_attempts.succeed(other) is RunState.SUCCEEDED
    assert attempts(run) == [AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED]


def test_an_interruption_is_not_swallowed_by_what_isolates_one_order():
    assert not issubclass(Superseded, Exception)
    assert not issubclass(HandBack, Exception)


# Endings ----------------------------------------------------------------------------------------------------------


def test_a_good_end_is_healthy_and_makes_the_store_fresh(clock, run):
    clock.shift(12)
    assert sync_attempts.succeed(run) is RunState.SUCCEEDED
    assert row(run).finished_at == START + timedelta(seconds=12)
    assert db.session.scalars(db.select(SyncState.last_success_at)).one() == START + timedelta(seconds=12)
    assert attempts(run) == [AttemptOutcome.SUCCEEDED]


def test_a_run_with_failed_items_ends_partial(run):
    with transaction():
        run.check_in(n_failed=1)
    assert sync_attempts.succeed(run) is RunState.PARTIAL
    assert attempts(run) == [AttemptOutcome.PARTIAL]


def test_a_run_handed_back_waits_for_the_next_worker_without_losing_an_attempt(run):
    assert sync_attempts.hand_back(db.engine, run)
    assert (row(run).state, row(run).n_attempts, row(run).retry_at) == (RunState.QUEUED, 0, None)
    assert attempts(run) == [AttemptOutcome.HANDED_BACK]
    assert sync_attempts.begin(run.run_id).attempt == 1


def test_a_good_end_clears_what_an_attempt_before_it_said(run):
    sync_attempts.retry_later(run, "unavailable", "Amazon was away.", timedelta(0))
    sync_attempts.succeed(sync_attempts.begin(run.run_id))
    assert (row(run).error_code, row(run).error_sentence) == ("", "")
    assert attempts(run) == [AttemptOutcome.TO_RETRY, AttemptOutcome.SUCCEEDED]


# By hand ----------------------------------------------------------------------------------------------------------


def test_a_run_by_hand_names_the_person(store):
    user = make_user(store.seller.workspace)
    made = sync_runs.request_now(make_actor(user), store.id, Sync.ORDER_PULL)
    assert (made.trigger, made.requested_by_id, made.state) == (Trigger.MANUAL, user.id, RunState.QUEUED)


def test_a_foreign_store_is_not_there(store):
    stranger = make_actor(make_user(make_workspace()))
    with pytest.raises(NotVisible):
        sync_runs.request_now(stranger, store.id, Sync.ORDER_PULL)


def test_a_role_without_the_permission_is_refused(store, monkeypatch):
    monkeypatch.setattr(Actor, "may", lambda self, permission: False)
    with pytest.raises(NotAllowed):
        sync_runs.request_now(Actor(store.workspace_id, None, "X", Role.SUPPORT), store.id, Sync.ORDER_PULL)


def test_a_run_that_waits_for_a_retry_is_told_apart_from_one_at_work(run, store):
    sync_attempts.retry_later(run, "unavailable", "Amazon was away.", timedelta(seconds=30))
    with pytest.raises(sync_runs.RunInProgress, match="tried again by itself") as refusal:
        sync_runs.request_now(Actor.system(store.workspace_id), store.id, Sync.ORDER_PULL)
    assert refusal.value.run_id == run.run_id


# Status -----------------------------------------------------------------------------------------------------------


def order_sync(store):
    return sync_status.of(store)[0]


def test_the_three_toggles_come_in_the_order_of_the_settings_page(store):
    labels = [status.label for status in sync_status.of(store)]
    assert labels == ["Order Sync", "Inventory Sync", "Automated Order Cancellation on Sales Channel"]


def test_a_sync_turned_off_is_off_and_nothing_is_due(store):
    store.is_order_sync_on = False
    assert (order_sync(store).state, order_sync(store).next_due_at, order_sync(store).is_stale) == ("Off", None, False)


def test_a_sync_just_turned_on_waits_for_its_first_run(store):
    assert order_sync(store).state == "Waiting"
    assert order_sync(store).sentence == "The first run starts within a minute."


def test_a_sync_of_which_no_run_is_kept_waits_for_its_turn(store):
    own = {"workspace_id": store.workspace_id, "store_id": store.id}
    due_at = now() + timedelta(minutes=20)
    db.session.add(SyncState(**own, sync=Sync.ORDER_PULL, next_due_at=due_at))
    db.session.commit()
    assert (order_sync(store).state, order_sync(store).sentence) == ("Waiting", "The next run comes with its turn.")


def test_a_sync_without_a_toggle_waits_for_something_to_do(store):
    def said() -> str:
        return sync_status.of_sync(store, Sync.PRICE_PUSH).sentence

    sync_schedule.begin_again(store, Sync.PRICE_PUSH)
    db.session.commit()
    assert said() == "Nothing is to be done now."
    make_listing(store, price=499, price_state="waiting")
    assert said() == "The first run starts within a minute."


@pytest.mark.parametrize(
    ("state", "values", "shown"),
    [
        (RunState.RUNNING, {"progress": "Fetching."}, "Running"),
        (RunState.SUCCEEDED, {}, "Healthy"),
        (RunState.PARTIAL, {"n_failed": 2}, "Partial"),
        (RunState.FAILED, {}, "Failed"),
    ],
)
def test_the_last_run_says_how_a_sync_stands(store, state, values, shown):
    made = make_run(store, state, **values)
    make_run(store, RunState.SKIPPED)
    status = order_sync(store)
    assert status.state == shown
    assert status.last_run.id == made.id, "a skipped turn is not the last run"


def test_a_failure_from_before_the_store_was_authorized_again_is_not_held_against_it(store):
    failed = make_run(store, RunState.FAILED)
    assert order_sync(store).state == "Failed"
    store.authorized_at = failed.finished_at + timedelta(minutes=1)
    assert order_sync(store).state == "Waiting"
    assert order_sync(store).sentence.startswith("The store was authorized again")


def test_a_failure_from_before_the_sync_was_turned_on_again_is_not_held_against_it(store):
    make_run(store, RunState.FAILED)
    with transaction():
        sync_schedule.begin_again(store, Sync.ORDER_PULL)
    assert order_sync(store).state == "Waiting"
    assert order_sync(store).sentence.startswith("Order Sync was turned on again since the last run failed.")


@pytest.mark.parametrize("status", [StoreStatus.NEEDS_REAUTHORIZATION, StoreStatus.DISCONNECTED, StoreStatus.DRAFT])
def test_a_store_without_connection_is_paused_with_the_reason(store, status):
    store.status = status
    assert order_sync(store).state == "Paused"
    assert order_sync(store).paused_reason.startswith("Paused: ")
    assert order_sync(store).next_due_at is None


def test_silence_of_more_than_45_minutes_is_stale(clock, run, store):
    sync_attempts.succeed(run)
    clock.shift(timedelta(minutes=45))
    assert not order_sync(store).is_stale
    clock.shift(1)
    assert order_sync(store).is_stale
    assert order_sync(store).state == "Stale"


def test_a_store_whose_runs_never_went_through_becomes_stale_too(clock, store):
    for minutes in (0, 30):
        make_run(
            store,
            RunState.FAILED,
            queued_at=START + timedelta(minutes=minutes),
            slot_at=START - timedelta(minutes=minutes),
        )
    clock.shift(timedelta(minutes=46))
    assert order_sync(store).is_stale


@pytest.mark.parametrize("how", ["turned on", "scheduled", "authorized"])
def test_silence_counts_from_the_moment_the_sync_could_work_again(clock, run, store, how):
    sync_attempts.succeed(run)
    clock.shift(timedelta(days=2))
    assert order_sync(store).is_stale
    if how == "turned on":
        with transaction():
            sync_schedule.begin_again(store, Sync.ORDER_PULL)
    elif how == "scheduled":
        sync_schedule.put_in_order(sync_schedule.Timing(Sync.ORDER_PULL, timedelta(minutes=30)), now())
    else:
        store.authorized_at = now()
        db.session.commit()
    assert not order_sync(store).is_stale
    clock.shift(timedelta(minutes=45, seconds=1))
    assert order_sync(store).is_stale


def test_toggles_without_work_say_so_truthfully(store):
    store.is_inventory_sync_on = store.is_automated_cancellation_on = True
    _, inventory, cancellation = sync_status.of(store)
    assert (inventory.sync, inventory.state) == (Sync.INVENTORY_PUSH, "Waiting")
    assert (cancellation.sync, cancellation.state, cancellation.paused_reason) == (None, "Healthy", "")


def test_the_cancellation_toggle_says_how_many_wait_for_amazons_answer(store):
    store.is_automated_cancellation_on = True
    make_step(make_order(store), StepKind.CANCEL)
    assert sync_status.of(store)[-1].sentence == "1 cancellation waits for Amazon's answer."
    store.status = StoreStatus.NEEDS_REAUTHORIZATION
    assert sync_status.of(store)[-1].state == "Paused"


def inventory_sync(store):
    return sync_status.of_sync(store, Sync.INVENTORY_PUSH)


def test_inventory_sync_stands_beside_order_sync_and_is_stale_after_90_minutes(clock, store):
    assert inventory_sync(store).state == "Off"
    store.is_inventory_sync_on = True
    db.session.commit()
    assert inventory_sync(store).state == "Waiting"
    run = sync_attempts.begin(make_run(store, RunState.QUEUED, sync=Sync.INVENTORY_PUSH).id)
    sync_attempts.succeed(run)
    clock.shift(timedelta(minutes=90))
    assert inventory_sync(store).state == "Healthy"
    clock.shift(1)
    assert (inventory_sync(store).state, inventory_sync(store).is_stale) == ("Stale", True)
    assert "may show stock that is sold already" in inventory_sync(store).sentence


def test_a_partial_push_says_that_the_rest_goes_again(store):
    store.is_inventory_sync_on = True
    db.session.commit()
    make_run(store, RunState.PARTIAL, sync=Sync.INVENTORY_PUSH, n_failed=3)
    assert inventory_sync(store).sentence.endswith("but for 3 of its items, which go again with the next.")


def test_a_held_back_push_pauses_inventory_sync_in_words(store):
    store.is_inventory_sync_on = True
    db.session.commit()
    brake = make_zero_brake(store, n_to_zero=8, n_published=9)
    assert inventory_sync(store).state == "Paused"
    assert "would set 8 of 9 quantities to zero waits for somebody" in inventory_sync(store).sentence
    brake.state, brake.decided_by_name, brake.decided_at = BrakeState.DECLINED, "Asha", now()
    db.session.commit()
    assert "was declined by Asha" in inventory_sync(store).sentence


def test_a_run_that_waits_for_a_person_ends_skipped_with_its_sentence(clock, run):
    assert sync_attempts.skip(run, "Somebody has to decide.")
    assert (row(run).state, row(run).error_sentence, row(run).finished_at) == (
        RunState.SKIPPED,
        "Somebody has to decide.",
        START,
    )
    assert attempts(run) == [AttemptOutcome.SKIPPED]
    assert not sync_attempts.skip(run, "again")
