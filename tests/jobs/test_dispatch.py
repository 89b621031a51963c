"""The dispatcher: each store, sync and slot gets one run, however the ticks come."""

import itertools
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Thread

import pytest
import redis
import time_machine
from rq import Queue
from rq.utils import import_attribute
from sqlalchemy import func, literal, select, update

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import dispatch, queues, schedule
from flexdash.models import PriceState, RunState, Store, StoreStatus, Sync, SyncRun, SyncState, Trigger
from flexdash.services import prices, store_settings, sync_attempts, sync_schedule
from flexdash.services.store_settings import Toggle
from tests.factories import make_actor, make_listing, make_run, make_seller, make_store, make_user, make_workspace
from tests.support.schedules import scheduled

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HALF_HOUR = timedelta(minutes=30)


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as traveller, scheduled(Sync.ORDER_PULL):
        yield traveller


@pytest.fixture
def seller(app):
    return make_seller(make_workspace())


@pytest.fixture
def store(seller):
    return make_store(seller, is_order_sync_on=True)


def runs_of(store):
    return db.session.scalars(select(SyncRun).where(SyncRun.store_id == store.id).order_by(SyncRun.id)).all()


def state_of(store):
    return db.session.scalars(select(SyncState).where(SyncState.store_id == store.id)).one()


def finish_all():
    """Let every queued run be done at once, as a quick worker would."""
    for run_id in db.session.scalars(select(SyncRun.id).where(SyncRun.state == RunState.QUEUED)).all():
        run = sync_attempts.begin(run_id)
        sync_attempts.succeed(run)


def test_a_store_just_turned_on_is_due_at_once_and_then_in_its_slots(clock, store):
    dispatch.dispatch()
    (first,) = runs_of(store)
    assert (first.trigger, first.state) == (Trigger.SCHEDULE, RunState.QUEUED)
    assert first.slot_at <= START < first.slot_at + HALF_HOUR
    assert state_of(store).next_due_at == first.slot_at + HALF_HOUR


@pytest.mark.parametrize("interval", [MINUTE, HALF_HOUR, timedelta(hours=24)])
@pytest.mark.parametrize("sync", [Sync.ORDER_PULL, Sync.RECONCILE])
def test_the_database_reckons_slots_as_the_pages_do(app, sync, interval):
    timing = sync_schedule.Timing(sync, interval)
    moment = START + timedelta(microseconds=1)
    store_ids = [1, 2, 3, 1_000, 48_271, 999_999_999, 2**31 - 1]
    columns = [
        timing.slot_in_sql(literal(store_id), moment, n_later).label(f"{store_id}_{n_later}")
        for store_id in store_ids
        for n_later in (-1, 0, 1)
    ]
    slots = [timing.slot_at(store_id, moment) for store_id in store_ids]
    assert list(db.session.execute(select(*columns)).one()) == [
        slot + n_later * interval for slot in slots for n_later in (-1, 0, 1)
    ]


@pytest.mark.parametrize("n_hours", [8, pytest.param(24, marks=pytest.mark.faults)])
def test_every_slot_of_a_day_gets_one_run_whatever_the_ticks_do(clock, store, n_hours):
    for n in range(n_hours * 60 // 15):
        clock.move_to(START + n * 15 * MINUTE)
        if n % 7 == 3:
            continue  # a tick that did not come
        for _ in range(1 + (n % 5 == 0)):  # some come twice
            dispatch.dispatch()
        finish_all()
    runs = runs_of(store)
    slots = [run.slot_at for run in runs]
    assert len(runs) in (2 * n_hours, 2 * n_hours + 1)
    assert {later - earlier for earlier, later in itertools.pairwise(slots)} == {HALF_HOUR}
    assert {run.state for run in runs} == {RunState.SUCCEEDED}


def test_redis_wiped_mid_day_loses_no_run_and_doubles_none(clock, store, redis_server):
    dispatch.dispatch()
    (run,) = runs_of(store)
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    clock.shift(MINUTE)
    dispatch.dispatch()
    assert [r.id for r in runs_of(store)] == [run.id]
    (job,) = queues.queue("sync").jobs
    assert job.args == [run.id]
    dispatch.dispatch()
    assert queues.queue("sync").count == 1, "an entry that stands in the queue is not made again"


def test_after_three_hours_without_a_scheduler_one_run_catches_up(clock, store):
    dispatch.dispatch()
    finish_all()
    clock.shift(timedelta(hours=3))
    dispatch.dispatch()
    runs = runs_of(store)
    assert [run.trigger for run in runs] == [Trigger.SCHEDULE, Trigger.CATCH_UP]
    assert runs[1].slot_at == runs[0].slot_at + 6 * HALF_HOUR
    assert state_of(store).next_due_at == runs[1].slot_at + HALF_HOUR


def test_a_slot_that_comes_while_the_run_before_is_at_work_is_skipped_in_words(clock, store):
    dispatch.dispatch()
    (long_run,) = runs_of(store)
    run = sync_attempts.begin(long_run.id)
    clock.shift(HALF_HOUR)
    sync_attempts.beat(db.engine, run)
    dispatch.dispatch()
    skipped = runs_of(store)[1]
    assert skipped.state is RunState.SKIPPED
    assert skipped.slot_at == long_run.slot_at + HALF_HOUR
    assert f"Run {long_run.id}" in skipped.error_sentence
    assert "still at work" in skipped.error_sentence
    sync_attempts.succeed(run)
    clock.shift(HALF_HOUR)
    dispatch.dispatch()
    assert runs_of(store)[2].state is RunState.QUEUED


def test_a_slot_that_comes_while_the_run_before_waits_for_its_retry_says_that_and_why(clock, store):
    dispatch.dispatch()
    (first,) = runs_of(store)
    first.retry_at, first.error_sentence = first.queued_at + 3 * HALF_HOUR, "Amazon answered with an error (500)."
    db.session.commit()
    clock.shift(HALF_HOUR)
    dispatch.dispatch()
    sentence = runs_of(store)[1].error_sentence
    assert f"Run {first.id}" in sentence
    assert "had failed and was waiting to be tried again when this turn came" in sentence
    assert sentence.endswith("It had failed because: Amazon answered with an error (500).")
    assert "waiting for a worker" not in sentence


def test_the_first_turn_of_a_sync_just_turned_on_is_not_skipped_for_a_slot_from_before(clock, store):
    dispatch.dispatch()
    (first,) = runs_of(store)
    first.retry_at, first.error_sentence = START + 3 * HALF_HOUR, "Amazon answered with an error (500)."
    db.session.commit()
    clock.move_to(first.slot_at + HALF_HOUR + 10 * MINUTE)
    start_again(store, clock, "turned on after a tick")  # ten minutes into a slot
    assert dispatch.dispatch().n_skipped == 0
    assert runs_of(store) == [first], "the run that waits does what the first turn would"
    clock.move_to(first.slot_at + 2 * HALF_HOUR)
    assert dispatch.dispatch().n_skipped == 1, "the next slot came while the sync was on"
    assert runs_of(store)[-1].slot_at == first.slot_at + 2 * HALF_HOUR


@pytest.mark.parametrize(
    ("status", "is_on"),
    [
        (StoreStatus.CONNECTED, False),
        (StoreStatus.NEEDS_REAUTHORIZATION, True),
        (StoreStatus.DISCONNECTED, True),
        (StoreStatus.DRAFT, True),
    ],
)
def test_a_store_that_may_not_sync_gets_no_run_and_no_turn(clock, store, status, is_on):
    dispatch.dispatch()
    finish_all()
    store.status, store.is_order_sync_on = status, is_on
    db.session.commit()
    clock.shift(HALF_HOUR)
    dispatch.dispatch()
    assert len(runs_of(store)) == 1
    assert state_of(store).next_due_at is None


def start_again(store, clock, how):
    """Bring the store's sync from a standstill to work again, as people and the dispatcher do."""
    if how == "turned on":
        for turn_on in (False, True):
            actor = make_actor(make_user(store.seller.workspace))
            version = store.settings_version
            store_settings.set_toggle(actor, store.id, Toggle.ORDER_SYNC, turn_on=turn_on, version=version)
    elif how == "turned on after a tick":
        store.is_order_sync_on = False
        db.session.commit()
        dispatch.dispatch()
        store.is_order_sync_on = True
    elif how == "authorized again":
        store.authorized_at = datetime.now(UTC)
    else:
        store.status = StoreStatus.DISCONNECTED
        db.session.commit()
        dispatch.dispatch()
        store.status, store.authorized_at = StoreStatus.CONNECTED, datetime.now(UTC)
    db.session.commit()


@pytest.mark.parametrize("how", ["turned on", "turned on after a tick", "authorized again", "reconnected"])
def test_a_store_that_starts_again_within_its_slot_has_a_run_within_a_minute_and_then_its_slots(clock, store, how):
    dispatch.dispatch()
    finish_all()
    (first,) = runs_of(store)
    for n in range(1, 4):  # at any distance: the same minute, the next, and later
        clock.shift(timedelta(seconds=20) * n)
        start_again(store, clock, how)
        claimed = dispatch.dispatch()
        clock.shift(MINUTE)
        claimed += dispatch.dispatch()
        assert claimed.n_queued == 1
        finish_all()
        run = runs_of(store)[n]
        assert len(runs_of(store)) == n + 1
        assert (run.state, run.trigger) == (RunState.SUCCEEDED, Trigger.SCHEDULE)
        assert state_of(store).next_due_at == first.slot_at + HALF_HOUR
    clock.move_to(first.slot_at + HALF_HOUR)
    dispatch.dispatch()
    assert runs_of(store)[-1].slot_at == first.slot_at + HALF_HOUR
    assert len({run.slot_at for run in runs_of(store)}) == 5


def test_a_run_that_found_the_toggle_off_does_not_keep_the_store_waiting(clock, store):
    dispatch.dispatch()
    store.is_order_sync_on = False
    db.session.commit()
    assert sync_attempts.begin(runs_of(store)[0].id) is None
    assert runs_of(store)[0].state is RunState.SKIPPED
    store.is_order_sync_on = True
    db.session.commit()
    actor = make_actor(make_user(store.seller.workspace))
    for turn_on in (False, True):
        store_settings.set_toggle(actor, store.id, Toggle.ORDER_SYNC, turn_on=turn_on, version=store.settings_version)
    clock.shift(MINUTE)
    assert dispatch.dispatch().n_queued == 1
    assert [run.state for run in runs_of(store)] == [RunState.SKIPPED, RunState.QUEUED]


def test_what_another_has_claimed_is_not_counted(clock, store):
    dispatch.dispatch()
    finish_all()
    db.session.execute(update(SyncState).values(next_due_at=START))
    db.session.commit()
    taken = runs_of(store)[0]
    taken.slot_at = START
    db.session.commit()
    assert sync_schedule.claim_due(sync_schedule.Timing(Sync.ORDER_PULL, HALF_HOUR), START).n_queued == 0
    assert len(runs_of(store)) == 1


def test_two_dispatchers_starting_a_store_again_make_one_run(clock, app, seller):
    stores = [make_store(seller, is_order_sync_on=True) for _ in range(20)]
    dispatch.dispatch()
    finish_all()
    for store in stores:
        store.authorized_at = START + MINUTE
    db.session.commit()
    clock.shift(MINUTE)
    barrier = Barrier(4)

    def one(_):
        with app.app_context():
            barrier.wait()
            return dispatch.dispatch().n_queued

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(4))) == 20
    assert [len(runs_of(store)) for store in stores] == [2] * 20


def test_two_dispatchers_at_the_same_moment_make_one_run_per_store(clock, app, seller):
    for _ in range(50):
        make_store(seller, is_order_sync_on=True)
    barrier = Barrier(4)

    def one(_):
        with app.app_context():
            barrier.wait()
            dispatch.dispatch()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    dispatch.dispatch()
    assert db.session.scalar(select(func.count()).select_from(SyncRun)) == 50
    assert {job.args[0] for job in queues.queue("sync").jobs} == set(db.session.scalars(select(SyncRun.id)))


def test_a_dispatcher_that_comes_while_another_fills_the_queues_does_not_put_the_same_in_again(
    clock, app, store, monkeypatch
):
    def one():
        with app.app_context():
            dispatch.dispatch()

    late, enqueue_many = Thread(target=one), Queue.enqueue_many

    def slowly(*args):
        if late.ident is None:
            late.start()
            late.join(1)  # where nothing held it back, it would be through
        return enqueue_many(*args)

    monkeypatch.setattr(Queue, "enqueue_many", slowly)
    dispatch.dispatch()
    late.join()
    assert queues.queue("sync").count == 1


def test_redis_wiped_while_a_dispatcher_fills_the_queues_does_not_fail_the_tick(clock, store, redis_server):
    with queues.filling_alone(), redis.Redis.from_url(redis_server) as client:
        client.flushall()
    assert dispatch.dispatch().n_queued == 1


def test_a_clock_that_stood_wrong_by_a_day_does_not_silence_a_store(clock, store):
    clock.shift(timedelta(days=1))
    dispatch.dispatch()
    finish_all()
    clock.shift(timedelta(days=-1))
    dispatch.dispatch()
    clock.shift(HALF_HOUR)
    dispatch.dispatch()
    assert len(runs_of(store)) == 2
    assert state_of(store).next_due_at <= START + 2 * HALF_HOUR


def test_a_run_without_a_sign_of_life_is_taken_up_again_and_given_up_in_the_end(clock, store, settings):
    dispatch.dispatch()
    (row,) = runs_of(store)
    for attempt in range(1, settings.run_max_attempts + 1):
        run = sync_attempts.begin(row.id)
        assert run.attempt == attempt
        clock.shift(timedelta(seconds=settings.run_lost_after_seconds + 1))
        dispatch.dispatch()
    db.session.refresh(row)
    assert row.state is RunState.FAILED
    assert "5 times in a row" in row.error_sentence
    assert row.finished_at is not None


def test_a_run_that_shows_itself_is_left_alone(clock, store, settings):
    dispatch.dispatch()
    run = sync_attempts.begin(runs_of(store)[0].id)
    for _ in range(10):
        clock.shift(timedelta(seconds=settings.run_lost_after_seconds - 1))
        assert sync_attempts.beat(db.engine, run)
        dispatch.dispatch()
    assert runs_of(store)[0].state is RunState.RUNNING


def test_a_manual_run_holds_the_place_so_that_the_slot_is_skipped(clock, store):
    dispatch.dispatch()
    finish_all()
    manual = make_run(store, RunState.QUEUED, trigger=Trigger.MANUAL)
    clock.shift(HALF_HOUR)
    dispatch.dispatch()
    skipped = runs_of(store)[-1]
    assert skipped.state is RunState.SKIPPED
    assert f"Run {manual.id} of this store's Order Sync was still waiting" in skipped.error_sentence


def test_job_arguments_are_the_run_id_as_json(clock, store, redis_server):
    dispatch.dispatch()
    (job,) = queues.queue("sync").jobs
    with redis.Redis.from_url(redis_server) as client:
        data = client.hget(job.key, "data")
    text = data if data.startswith(b"[") else zlib.decompress(data)
    assert json.loads(text) == ["flexdash.jobs.order_pull.run", None, [job.args[0]], {}]


# Several syncs of one store -----------------------------------------------------------------------------------------


@pytest.fixture
def stock_too():
    """The clock, with all that concerns stock and prices in the schedule as well."""
    syncs = (Sync.ORDER_PULL, Sync.INVENTORY_PUSH, Sync.INVENTORY_FETCH, Sync.PRICE_PUSH)
    with time_machine.travel(START, tick=False) as traveller, scheduled(*syncs):
        yield traveller


def test_prices_that_change_while_a_push_is_at_work_go_out_soon_after_it(stock_too, store):
    make_listing(store, "TEE", price=Decimal("499.00"), price_state=PriceState.WAITING)
    stock_too.shift(10 * MINUTE)
    with transaction():
        prices.push_soon(store)
    dispatch.dispatch()
    (first,) = [run for run in runs_of(store) if run.sync is Sync.PRICE_PUSH]
    at_work = sync_attempts.begin(first.id)
    stock_too.shift(MINUTE / 2)
    with transaction():
        prices.push_soon(db.session.get_one(Store, store.id))
    dispatch.dispatch()
    sync_attempts.succeed(at_work)
    stock_too.shift(MINUTE)
    dispatch.dispatch()
    pushes = [run for run in runs_of(store) if run.sync is Sync.PRICE_PUSH]
    assert [run.state for run in pushes] == [RunState.SUCCEEDED, RunState.QUEUED]


def test_each_sync_of_a_store_has_turns_of_its_own(stock_too, store):
    store.is_inventory_sync_on = True
    db.session.commit()
    for n in range(3 * 6):  # three hours, a tick every ten minutes
        stock_too.move_to(START + n * 10 * MINUTE)
        dispatch.dispatch()
        finish_all()
    by_sync = {sync: [run.slot_at for run in runs_of(store) if run.sync is sync] for sync in Sync}
    steps = {
        sync: {later - earlier for earlier, later in itertools.pairwise(slots)}
        for sync, slots in by_sync.items()
        if slots
    }
    assert steps[Sync.ORDER_PULL] == {HALF_HOUR}
    assert steps[Sync.INVENTORY_PUSH] == {2 * HALF_HOUR}
    assert by_sync[Sync.INVENTORY_FETCH] == [], "it is asked for by people only"
    assert by_sync[Sync.PRICE_PUSH] == [], "no price is on its way"


def test_a_run_of_one_sync_does_not_hold_up_the_other(stock_too, store):
    store.is_inventory_sync_on = True
    db.session.commit()
    dispatch.dispatch()
    finish_all()
    make_run(store, RunState.QUEUED, trigger=Trigger.MANUAL)
    stock_too.shift(2 * HALF_HOUR)
    dispatch.dispatch()
    assert {(run.sync, run.state) for run in runs_of(store)[-2:]} == {
        (Sync.ORDER_PULL, RunState.SKIPPED),
        (Sync.INVENTORY_PUSH, RunState.QUEUED),
    }


def test_turning_inventory_sync_on_starts_a_push_within_a_minute(stock_too, store):
    actor = make_actor(make_user(store.seller.workspace))
    store_settings.set_toggle(
        actor, store.id, Toggle.INVENTORY_SYNC, turn_on=True, version=store.settings_version, zeros_seen=0
    )
    dispatch.dispatch()
    assert [run.sync for run in runs_of(store)].count(Sync.INVENTORY_PUSH) == 1


# The schedule's table ---------------------------------------------------------------------------------------------


def test_a_line_added_to_the_schedule_gives_its_stores_a_turn(clock, store, monkeypatch):
    monkeypatch.setattr(schedule, "SCHEDULE", ())
    dispatch.dispatch()
    assert runs_of(store) == []
    monkeypatch.undo()
    dispatch.dispatch()
    assert len(runs_of(store)) == 1


def test_a_line_that_stays_keeps_the_next_turn(clock, store):
    dispatch.dispatch()
    due = state_of(store).next_due_at
    clock.shift(MINUTE)
    dispatch.dispatch()
    assert state_of(store).next_due_at == due


def test_a_shorter_interval_brings_the_next_turn_forward(clock, store, app):
    dispatch.dispatch()
    finish_all()
    shorter = sync_schedule.Timing(Sync.ORDER_PULL, timedelta(minutes=5))
    sync_schedule.put_in_order(shorter, START)
    assert START < state_of(store).next_due_at <= START + timedelta(minutes=5)


def test_a_longer_interval_applies_from_the_next_turn_on(clock, store):
    dispatch.dispatch()
    finish_all()
    longer = sync_schedule.Timing(Sync.ORDER_PULL, timedelta(hours=2))
    due = state_of(store).next_due_at
    sync_schedule.put_in_order(longer, START)
    assert state_of(store).next_due_at == due
    clock.move_to(due)
    sync_schedule.claim_due(longer, due)
    assert due < state_of(store).next_due_at <= due + timedelta(hours=2)


def test_a_line_removed_from_the_schedule_leaves_no_turn_and_keeps_the_watermark(clock, store, monkeypatch):
    dispatch.dispatch()
    finish_all()
    db.session.execute(update(SyncState).values(watermark=START))
    db.session.commit()
    monkeypatch.setattr(schedule, "SCHEDULE", ())
    clock.shift(HALF_HOUR)
    dispatch.dispatch()
    assert state_of(store).next_due_at is None
    assert state_of(store).watermark == START
    assert len(runs_of(store)) == 1


def test_every_job_of_the_schedule_can_be_imported_and_its_queue_has_a_worker():
    for line in (*schedule.SCHEDULE, schedule.TICK):
        assert callable(import_attribute(line.job))
        assert line.queue in schedule.QUEUES


def test_every_sync_with_facts_stands_in_the_schedule():
    assert {line.sync for line in schedule.SCHEDULE} == set(Sync)
