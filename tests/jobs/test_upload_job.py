"""The job of an uploaded file: through queue and ticks, and when things fail."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
import redis
from sqlalchemy.exc import OperationalError

from flexdash import clock
from flexdash.jobs import dispatch, queues, schedule, uploads
from flexdash.models import UploadState
from flexdash.services.uploads import applying, attempts, checking, deciding
from tests import factories
from tests.support.schedules import scheduled
from tests.support.servers import wait_for
from tests.support.upload_kills import n_left
from tests.support.uploads import catalog, checked, fresh, hand_in, work

LOST_AFTER = timedelta(seconds=45)


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def in_queue() -> list[str]:
    return queues.queue(schedule.UPLOAD_QUEUE).job_ids


def no_syncs():
    return scheduled()


# Queue and tick -------------------------------------------------------------------------------------------------------


def test_the_job_goes_on_until_a_person_has_to_decide(store, actor) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    uploads.run(upload_id)
    assert fresh(upload_id).state is UploadState.CHECKED
    uploads.run(upload_id)
    assert fresh(upload_id).state is UploadState.CHECKED
    deciding.accept(actor, upload_id)
    uploads.run(upload_id)
    uploads.run(upload_id)
    assert fresh(upload_id).state is UploadState.APPLIED
    assert n_left(upload_id) == (1, 0)
    uploads.run(404)


def test_an_upload_stands_in_its_queue_once(store, actor) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert queues.enqueue_upload(upload_id)
    assert queues.enqueue_upload(upload_id)
    assert queues.enqueue_uploads([upload_id]) == 0
    assert len(in_queue()) == 1


def test_a_tick_puts_into_the_queue_what_is_missing_there(store, actor) -> None:
    waiting = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    put_aside = checked(actor, factories.make_store(store.seller), catalog("TEE,B0TESTTEE1,Tee"))
    deciding.discard(actor, put_aside.id)
    checked(actor, store, b"sku_code,selling_price\nTEE,1\n", "prices")  # waits for a person
    with no_syncs():
        dispatch.dispatch()
        dispatch.dispatch()
    assert sorted(int(entry.split("-")[1]) for entry in in_queue()) == [waiting, put_aside.id]


def test_redis_away_costs_nothing_but_a_minute(store, actor, monkeypatch) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))

    def away(*_arguments):
        raise redis.ConnectionError

    monkeypatch.setattr(queues, "enqueue_uploads", away)
    assert not queues.enqueue_upload(upload_id)
    monkeypatch.undo()
    with no_syncs():
        dispatch.dispatch()
    assert len(in_queue()) == 1


def test_a_tick_takes_up_what_lost_its_worker_and_gives_it_up_in_the_end(app, store, actor) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    later = clock.now() + LOST_AFTER * 2
    for _ in range(app.config["SETTINGS"].run_max_attempts):
        assert attempts.claim(upload_id) is not None
        uploads.take_up(clock.now())
        assert fresh(upload_id).state is UploadState.CHECKING
        uploads.take_up(later)
    upload = fresh(upload_id)
    assert upload.state is UploadState.FAILED
    assert upload.error_sentence.startswith("The worker that did this file stopped without a word, 5 times in a row")


def test_what_waited_for_a_file_is_enqueued_when_that_is_applied(store, actor) -> None:
    first = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    deciding.accept(actor, first.id)
    second = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    uploads.run(second)
    assert fresh(second).state is UploadState.RECEIVED
    uploads.run(first.id)
    assert [int(entry.split("-")[1]) for entry in in_queue()] == [second, first.id]  # the first is to be cleaned


# Failures -------------------------------------------------------------------------------------------------------------


def test_a_failure_that_may_pass_is_tried_again_and_given_up_in_the_end(app, store, actor, monkeypatch) -> None:
    def locked(*_arguments):
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database is locked"))

    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    monkeypatch.setattr(checking, "check", locked)
    uploads.run(upload_id)
    upload = fresh(upload_id)
    assert (upload.state, upload.n_attempts) == (UploadState.RECEIVED, 1)
    assert upload.error_sentence == (
        "The database was busy for too long. FlexDash tries again by itself within a minute."
    )
    for _ in range(app.config["SETTINGS"].run_max_attempts - 1):
        uploads.run(upload_id)
    upload = fresh(upload_id)
    assert (upload.state, upload.error_sentence) == (UploadState.FAILED, "The database was busy for too long.")
    monkeypatch.undo()
    deciding.try_again(actor, upload_id)
    assert work(upload_id).state is UploadState.CHECKED


def test_a_fault_of_ours_is_said_with_a_reference(store, actor, monkeypatch) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    deciding.accept(actor, upload.id)
    monkeypatch.setattr(applying, "apply", lambda _attempt: 1 / 0)
    uploads.run(upload.id)
    upload = fresh(upload.id)
    assert upload.state is UploadState.FAILED
    assert upload.error_sentence.endswith(f"the log has the details under upload {upload.id}.")


def test_a_file_is_applied_before_anything_is_cleaned(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    deciding.accept(actor, upload.id)
    uploads.run(upload.id)
    assert fresh(upload.id).state is UploadState.APPLIED
    assert [int(entry.split("-")[1]) for entry in in_queue()] == [upload.id]
    assert n_left(upload.id) == (2, 1)
    uploads.run(upload.id)
    assert n_left(upload.id) == (1, 0)


def test_a_long_step_shows_signs_of_life(app, store, actor, monkeypatch) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_heartbeat_seconds=0.05))
    seen = []

    def slow(attempt) -> None:
        for _ in range(2):
            before = fresh(upload_id).heartbeat_at
            wait_for(lambda: fresh(upload_id).heartbeat_at > before, "a sign of life", 20)  # noqa: B023
            seen.append(before)
        checking_for_real(attempt)

    checking_for_real = checking.check
    monkeypatch.setattr(checking, "check", slow)
    uploads.run(upload_id)
    assert len(seen) == 2
    assert fresh(upload_id).state is UploadState.CHECKED
