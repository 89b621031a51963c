"""Real workers: RQ, Redis, forks and signals."""

import os
import signal
from datetime import timedelta

import psutil
import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch, queues
from flexdash.jobs.schedule import TICK
from flexdash.jobs.scheduling import TickScheduler
from flexdash.jobs.worker import run_worker
from flexdash.models import AttemptOutcome, RunState, Sync, SyncAttempt, SyncRun
from flexdash.services import sync_attempts
from tests.factories import make_run, make_seller, make_store, make_workspace
from tests.support import nursery
from tests.support.schedules import scheduled
from tests.support.servers import kill_session, wait_for


@pytest.fixture
def store(app):
    with scheduled(Sync.ORDER_PULL):
        yield make_store(make_seller(make_workspace()), is_order_sync_on=True)


@pytest.fixture
def worker(environment):
    """Starts a real worker beside the test whose pull is quick, polite or deaf."""
    started = []

    def start(kind):
        process = nursery.fork("tests.jobs.worker_process", [kind], {**os.environ, **environ(environment)})
        started.append(process)
        return process

    yield start
    for process in started:
        kill_session(process.pid)
        process.wait()


def environ(environment):
    return {**environment, "RUN_HEARTBEAT_SECONDS": "1", "RUN_LOST_AFTER_SECONDS": "3"}


def row(run_id):
    db.session.rollback()
    found = db.session.get(SyncRun, run_id, populate_existing=True)
    db.session.expunge(found)
    db.session.rollback()  # a snapshot left open would be too old to write from
    return found


def the_run():
    db.session.rollback()
    return db.session.scalars(db.select(SyncRun).execution_options(populate_existing=True)).one_or_none()


def outcomes():
    return list(db.session.scalars(db.select(SyncAttempt.outcome).order_by(SyncAttempt.id)))


def enqueue(store):
    run = make_run(store, RunState.QUEUED)
    queues.enqueue_run(run.id)
    return run.id


def test_a_tick_of_rq_scheduler_becomes_a_healthy_run_through_a_real_worker(store, redis_connection, worker):
    scheduler = TickScheduler(redis_connection)
    scheduler.look()
    redis_connection.zadd("rq:scheduler:scheduled_jobs", {TICK.job_id: 0})  # its minute has come
    scheduler.look()
    worker("quick")
    wait_for(lambda: (run := the_run()) is not None and run.state is RunState.SUCCEEDED, "the run's end")
    assert (the_run().n_created, the_run().n_attempts) == (1, 1)


@pytest.mark.parametrize("kind", ["polite", "deaf"])
def test_a_worker_told_to_stop_hands_its_run_back_within_seconds(store, worker, kind):
    run_id = enqueue(store)
    process = worker(kind)
    wait_for(lambda: row(run_id).n_created, "the run's first page")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=8) == 0
    assert (row(run_id).state, row(run_id).n_attempts) == (RunState.QUEUED, 0)
    assert outcomes() == [AttemptOutcome.HANDED_BACK]
    worker("quick")
    wait_for(lambda: row(run_id).state is RunState.SUCCEEDED, "the next worker")


def test_a_run_whose_worker_was_killed_is_taken_up_and_ends_well(store, worker, settings):
    run_id = enqueue(store)
    process = worker("deaf")
    wait_for(lambda: row(run_id).n_created, "the run's first page")
    kill_session(process.pid)
    process.wait()
    assert row(run_id).state is RunState.RUNNING
    later = clock.now() + timedelta(seconds=settings.run_lost_after_seconds)
    assert sync_attempts.take_up_lost(later, timedelta(seconds=settings.run_lost_after_seconds), 5) == 1
    dispatch.dispatch()
    worker("quick")
    wait_for(lambda: row(run_id).state is RunState.SUCCEEDED, "the next attempt")
    assert outcomes() == [AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED]


def test_a_killed_work_horse_leaves_its_worker_at_work(store, worker):
    run_id = enqueue(store)
    process = worker("deaf")
    wait_for(lambda: row(run_id).n_created, "the run's first page")
    (horse,) = psutil.Process(process.pid).children()
    horse.kill()
    wait_for(lambda: not horse.is_running(), "the horse's end")
    other = enqueue(make_store(store.seller, is_order_sync_on=True))
    wait_for(lambda: row(other).n_created, "the next run on the same worker")
    assert process.poll() is None


def test_nothing_in_redis_is_pickled(store, redis_connection):
    TickScheduler(redis_connection).look()
    enqueue(store)
    hashes = [redis_connection.hgetall(key) for key in redis_connection.scan_iter("rq:job:*")]
    assert len(hashes) == 2
    for fields in hashes:
        assert not any(b"\x80\x04" in value or b"\x80\x05" in value for value in fields.values())


def test_a_queue_that_nobody_fills_is_refused(app):
    with pytest.raises(ValueError, match="no such queue: snyc"):
        run_worker(app, ["snyc"])
