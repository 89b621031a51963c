"""The return pull on real workers: killed half way, and silent about the one-time passwords it is sent."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import AmazonReturn, AttemptOutcome, ReturnLocation, RunState, Store, Sync, SyncAttempt
from tests.factories import make_run
from tests.support.canaries import all_of_redis, all_values, files, found_in
from tests.support.pulls import QUICK, row, take_up, wait_for_end, workers
from tests.support.returns import MAPPED, OTHER, UNMAPPED, at_amazon, here, make_returning_store, returned
from tests.support.servers import wait_for

LOST_AFTER = timedelta(seconds=3)
SOON = {**QUICK, "RUN_HEARTBEAT_SECONDS": "1", "RUN_LOST_AFTER_SECONDS": "3"}


@pytest.fixture
def store(app, sandbox):
    return make_returning_store(sandbox, mapped=(MAPPED, OTHER))


def queued_run(store_id):
    db.session.rollback()
    store = db.session.get_one(Store, store_id)
    run_id = make_run(store, RunState.QUEUED, sync=Sync.RETURN_PULL, trigger="manual").id
    queues.enqueue_run(run_id)
    return run_id


def n_here(store_id):
    db.session.rollback()
    n = len(db.session.scalars(select(AmazonReturn.id).where(AmazonReturn.store_id == store_id)).all())
    db.session.rollback()
    return n


def n_locations_read(store_id):
    db.session.rollback()
    query = select(ReturnLocation.id).where(ReturnLocation.store_id == store_id, ReturnLocation.watermark.is_not(None))
    n = len(db.session.scalars(query).all())
    db.session.rollback()
    return n


@pytest.mark.parametrize("moment", ["after the first page", "after the first location"])
def test_a_worker_killed_half_way_loses_and_doubles_nothing(store, sandbox, pages_of, environment, moment):
    pages_of(20)
    store_id = store.id
    made = returned(sandbox, 26) + returned(sandbox, 5, location_id=UNMAPPED)
    sandbox.control.options(latency_ms=60)
    has_come = {
        "after the first page": lambda: n_here(store_id) >= 20,
        "after the first location": lambda: n_locations_read(store_id) >= 1,
    }[moment]
    with workers({**environment, **SOON}) as fleet:
        worker = fleet.start()
        run_id = queued_run(store_id)
        wait_for(has_come, moment, 60)
        fleet.kill(worker)
        assert row(run_id).state is RunState.RUNNING
        sandbox.control.move_return(made[0], "IN_TRANSIT")
        sandbox.control.options(latency_ms=0)
        fleet.start()
        take_up(run_id, LOST_AFTER)
        assert wait_for_end(run_id, 60).state is RunState.SUCCEEDED
    attempts = select(SyncAttempt.outcome).where(SyncAttempt.run_id == run_id).order_by(SyncAttempt.id)
    outcomes = db.session.scalars(attempts).all()
    assert outcomes == [AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED]
    kept = here(store)
    assert {return_id: one.amazon_status for return_id, one in kept.items()} == at_amazon(sandbox)
    assert row(run_id).n_created == len(made) == len(kept)


def test_the_password_is_found_nowhere(store, sandbox, environment, settings, redis_server, tmp_path):
    """Good pages, broken entries, a cut and an unreadable answer: the canaries are in all of them."""
    passwords = [f"canary{n:02d}otpqzx" for n in range(12)]
    for n, password in enumerate(passwords):
        returned(sandbox, otp=password, status="OUT_FOR_DELIVERY", location_id=MAPPED if n % 2 else "")
    store_id = store.id
    with (tmp_path / "worker.log").open("wb+") as log:
        with workers({**environment, **SOON, "LOG_FORMAT": "json"}, log=log, level="DEBUG") as fleet:
            fleet.start()
            sandbox.control.fault("odd_return_no_status", operation="listReturns", count=2)
            sandbox.control.fault("cut_body", operation="listReturns", count=1)
            sandbox.control.fault("html_instead_of_json", operation="listReturns", count=1, status=500)
            wait_for_end(queued_run(store_id))
            sandbox.control.fault("odd_return_no_id", operation="getReturn", count=2)
            wait_for_end(queued_run(store_id))
        log.seek(0)
        worker_log = log.read()
    kept = here(store)
    assert len(kept) == len(passwords)
    assert all(one.otp_valid_until for one in kept.values()), "there was a password to keep"
    assert b'"run ended"' in worker_log, "the log is the one of these runs"
    places = {
        "the worker's log": worker_log,
        "the database": b"\n".join(all_values()),
        "the database's files": b"\n".join(files(settings)),
        "Redis": b"\n".join(all_of_redis(redis_server)),
    }
    assert {place: found_in(content, passwords) for place, content in places.items()} == {place: [] for place in places}
