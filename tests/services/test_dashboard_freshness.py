"""How fresh each store is: worst first, one sentence each, the same few queries however many there are."""

from datetime import timedelta

import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Role, RunState, StoreStatus, Sync, SyncState
from flexdash.services import sync_attempts, sync_schedule, sync_status
from flexdash.services.dashboard import freshness
from tests.factories import (
    make_actor,
    make_run,
    make_seller,
    make_store,
    make_sync_state,
    make_user,
    make_workspace,
    make_zero_brake,
)


@pytest.fixture
def support(workspace):
    return make_actor(make_user(workspace, Role.SUPPORT))


def working(seller, name: str, minutes: float = 5, inventory_minutes: float | None = None, **values):
    """A store whose syncs went well so many minutes ago; inventory is off unless it has a number."""
    long_ago = clock.now() - timedelta(days=30)
    is_on = inventory_minutes is not None
    given = {"is_order_sync_on": True, "is_inventory_sync_on": is_on, "authorized_at": long_ago}
    store = make_store(seller, name=name, **given | values)
    make_sync_state(store, minutes_since_good=minutes)
    if is_on:
        make_sync_state(store, Sync.INVENTORY_PUSH, minutes_since_good=inventory_minutes)
    return store


def shown(actor) -> list[tuple[str, str]]:
    """Each store's name and sentence, in the order of the list."""
    order = [SyncState.fresh_until, SyncState.id]
    states = db.session.scalars(freshness.expected(actor).order_by(*order)).all()
    syncs = sync_status.of_each([state.store for state in states])
    return [(one.store.name, one.sentence) for one in freshness.of_each(states, syncs)]


def test_the_worst_store_comes_first_each_once_by_its_worst_sync(support, seller) -> None:
    working(seller, "Good", 5, 20)
    working(seller, "Late stock", 5, 200)  # 110 minutes beyond what silence is allowed
    working(seller, "Late orders", 100, 20)  # 55 minutes beyond
    assert shown(support) == [
        ("Late stock", "No good Inventory Sync for 3 hours; no run has begun since. "
         "The scheduler or the worker may be away."),
        ("Late orders", "No good Order Sync for 100 minutes; no run has begun since. "
         "The scheduler or the worker may be away."),
        ("Good", "Order Sync went through 5 minutes ago."),
    ]  # fmt: skip


def test_the_sentence_says_why_the_last_run_failed(support, seller) -> None:
    store = working(seller, "Pune Store", 52)
    make_run(store, RunState.FAILED)
    assert (
        shown(support)[0][1] == "No good Order Sync for 52 minutes; the last run failed because Amazon did not answer."
    )


def test_a_run_that_is_tried_again_is_failing_with_its_plain_reason(support, seller) -> None:
    store = working(seller, "Pune Store", 10, 80)
    said = {"error_sentence": "Amazon had a fault of its own.", "error_detail": "HTTP 500; request id r-1"}
    make_run(store, RunState.QUEUED, n_attempts=2, retry_at=clock.now() + timedelta(minutes=1), **said)
    [(_, sentence)] = shown(support)
    assert sentence == "No good Order Sync for 10 minutes; the last run failed because Amazon had a fault of its own."


def test_a_reason_that_begins_with_an_article_goes_on_small(support, seller) -> None:
    store = working(seller, "Pune Store", 10)
    run = make_run(store, RunState.FAILED)
    run.error_sentence = "The answer could not be read."
    db.session.commit()
    assert shown(support)[0][1].endswith("for 10 minutes; the last run failed because the answer could not be read.")


@pytest.mark.parametrize(
    ("state", "values", "minutes", "end"),
    [
        (RunState.RUNNING, {"progress": "Fetching page 3."}, 60, "60 minutes; a run is at work: Fetching page 3."),
        (RunState.QUEUED, {}, 60, "60 minutes; a run waits for a worker."),
        (RunState.PARTIAL, {"n_failed": 3}, 5, "5 minutes ago, but for 3 of its items, which are kept apart."),
        (RunState.SUCCEEDED, {}, 0.1, "Order Sync went through just now."),
    ],
)
def test_every_state_has_its_sentence(support, seller, state, values, minutes, end) -> None:
    store = working(seller, "Pune Store", minutes)
    make_run(store, state, **values)
    assert shown(support)[0][1].endswith(end)


def test_a_sync_that_failed_is_told_before_one_that_is_merely_older(support, seller) -> None:
    store = working(seller, "Pune Store", 5, 80)
    make_run(store, RunState.FAILED)
    make_run(store, sync=Sync.INVENTORY_PUSH)
    assert shown(support)[0][1].startswith("No good Order Sync for 5 minutes; the last run failed because")


def test_a_failure_from_before_the_store_was_authorized_again_is_not_told(support, seller) -> None:
    store = working(seller, "Pune Store", 5)
    run = make_run(store, RunState.FAILED)
    store.authorized_at = run.finished_at + timedelta(seconds=1)
    db.session.commit()
    assert shown(support)[0][1] == "Order Sync waits for its first run since the store was authorized again."


def test_a_push_that_waits_for_a_person_says_so(support, seller) -> None:
    store = working(seller, "Pune Store", 5, 100)
    make_run(store, RunState.SKIPPED, sync=Sync.INVENTORY_PUSH)
    make_run(store, sync=Sync.INVENTORY_PUSH)
    make_zero_brake(store)
    assert "No good Inventory Sync for 100 minutes. A push that would set 8 of 9 quantities" in shown(support)[0][1]


def test_stores_of_which_nothing_is_expected_stand_apart(support, seller) -> None:
    working(seller, "Good")
    off = working(seller, "Off")
    off.is_order_sync_on = False
    db.session.commit()
    working(seller, "Gone", status=StoreStatus.DISCONNECTED)
    working(seller, "Refused", status=StoreStatus.NEEDS_REAUTHORIZATION)
    make_store(seller, StoreStatus.DRAFT, name="Draft")
    assert [name for name, _ in shown(support)] == ["Good"]
    assert [one.store.name for one in freshness.refused(support)] == ["Refused"]
    assert [(one.store.name, one.sentence) for one in freshness.at_rest(support)] == [
        ("Draft", "Not connected to Amazon yet."),
        ("Gone", "Disconnected from Amazon: nothing is sent or fetched."),
        ("Off", "Order Sync and Inventory Sync are off, so nothing runs."),
    ]


def test_a_store_that_no_tick_has_seen_yet_is_shown_too(support, seller) -> None:
    make_store(seller, name="New", is_order_sync_on=True)
    stores = freshness.unscheduled(support)
    [one] = freshness.of_unscheduled(stores, sync_status.of_each(stores))
    assert one.store.name == "New"
    assert one.sentence == "Order Sync waits for its first good run. The first run starts within a minute."
    assert shown(support) == []


def test_nobody_sees_another_workspace_or_another_seller(workspace, support, seller) -> None:
    working(make_seller(make_workspace()), "Foreign")
    mine = make_seller(workspace)
    working(seller, "Colleague's")
    working(mine, "Mine")
    limited = make_actor(make_user(workspace, sellers=[mine]))
    assert [name for name, _ in shown(limited)] == ["Mine"]
    assert sorted(name for name, _ in shown(support)) == ["Colleague's", "Mine"]


# What keeps `fresh_until` ---------------------------------------------------------------------------------------------


def timing() -> sync_schedule.Timing:
    return sync_schedule.Timing(Sync.ORDER_PULL, timedelta(minutes=30))


def state_of(store) -> SyncState:
    db.session.expire_all()
    return db.session.query(SyncState).filter_by(store_id=store.id, sync=Sync.ORDER_PULL).one()


def test_the_first_tick_a_good_run_and_the_toggle_move_the_moment_on(seller) -> None:
    store, now = make_store(seller, is_order_sync_on=True), clock.now()
    sync_schedule.put_in_order(timing(), now)
    assert state_of(store).fresh_until == now + timedelta(minutes=45)
    run = sync_attempts.begin(make_run(store, RunState.QUEUED).id)
    sync_attempts.succeed(run)
    state = state_of(store)
    assert state.fresh_until == state.last_success_at + timedelta(minutes=45)
    store.is_order_sync_on = False
    db.session.commit()
    sync_schedule.put_in_order(timing(), now)
    assert state_of(store).fresh_until is None


def test_a_store_that_lost_its_connection_keeps_the_moment_for_its_return(seller) -> None:
    store, now = make_store(seller, is_order_sync_on=True), clock.now()
    sync_schedule.put_in_order(timing(), now)
    store.status = StoreStatus.NEEDS_REAUTHORIZATION
    db.session.commit()
    sync_schedule.put_in_order(timing(), now)
    state = state_of(store)
    assert (state.next_due_at, state.fresh_until) == (None, now + timedelta(minutes=45))
