"""The wrapper around every sync: whatever happens inside, the run's row says how it ended."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import redis
import structlog
import time_machine
from cryptography.fernet import Fernet
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from flexdash import clock
from flexdash.amazon import errors as amazon
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import endings, heartbeat, queues, runner, stopping
from flexdash.models import RunState, StoreStatus, Sync, SyncAttempt, SyncRun
from flexdash.services import order_pull, sync_attempts
from flexdash.services.amazon_access import StoreNotConnected
from flexdash.services.run_context import RunSkipped
from tests.factories import make_run, make_seller, make_store, make_workspace
from tests.support.servers import wait_for

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def store(app):
    return make_store(make_seller(make_workspace()), name="Pune Store", is_order_sync_on=True)


@pytest.fixture
def queued(store):
    return make_run(store, RunState.QUEUED)


@pytest.fixture(autouse=True)
def nobody_asks_to_stop():
    stopping.forget()
    yield
    stopping.forget()


def end_of(queued):
    db.session.rollback()
    return db.session.get(SyncRun, queued.id, populate_existing=True)


def failing_with(error):
    def work(run):
        raise error

    return work


def test_a_run_that_goes_through_is_healthy(queued):
    seen = []
    runner.execute(queued.id, seen.append)
    assert [run.run_id for run in seen] == [queued.id]
    assert end_of(queued).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (Sync.ORDER_PULL, "the store's next run reads everything since its last good one."),
        (Sync.RETURN_PULL, "the store's next run reads everything since its last good one."),
        (Sync.INVENTORY_PUSH, "What Amazon was told until then stands, and the store's next run sends the rest."),
        (Sync.PRICE_PUSH, "What Amazon was told until then stands, and the store's next run sends the rest."),
        (
            Sync.ORDER_STEPS,
            "The steps that are left wait, and the next run, which begins by itself, goes on with them.",
        ),
        (Sync.INVENTORY_FETCH, "No other run follows by itself: Fetch Amazon's numbers, on the store's Inventory tab"),
        (Sync.ORDER_RECOVERY, "No other run follows by itself: if something was not looked at"),
        (Sync.RECONCILE, "The next run compares everything anew; it begins by itself while Order Sync is on"),
    ],
)
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_failed_run_says_what_comes_next_of_its_sync(store, sync, words, is_lost):
    store.is_order_sync_on = store.is_inventory_sync_on = True
    db.session.commit()
    queued = make_run(store, RunState.QUEUED, sync=sync)
    if is_lost:
        sync_attempts.begin(queued.id)
        sync_attempts.take_up_lost(clock.now() + timedelta(hours=1), timedelta(minutes=1), max_attempts=1)
    else:
        runner.execute(queued.id, failing_with(amazon.RequestRefused("Amazon refused the request", status=400)))
    run = end_of(queued)
    assert run.state is RunState.FAILED
    assert words in run.error_sentence
    assert ("Nothing is lost" in run.error_sentence) == (sync in (Sync.ORDER_PULL, Sync.RETURN_PULL))


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (Sync.RETURN_PULL, "Re-authorize the store. It then goes on by itself."),
        (Sync.ORDER_RECOVERY, "Re-authorize the store. Then start it again."),
    ],
)
def test_a_run_of_a_store_to_be_reconnected_says_whether_it_then_goes_on(store, sync, words):
    queued = make_run(store, RunState.QUEUED, sync=sync)
    store.status = StoreStatus.NEEDS_REAUTHORIZATION
    db.session.commit()
    runner.execute(queued.id, failing_with(AssertionError()))
    run = end_of(queued)
    assert (run.state, words in run.error_sentence) == (RunState.SKIPPED, True)


def test_a_run_that_waits_for_a_person_ends_skipped_and_is_not_tried_again(queued):
    runner.execute(queued.id, failing_with(RunSkipped("Somebody has to approve the zeros.")))
    run = end_of(queued)
    assert (run.state, run.error_sentence, run.retry_at) == (
        RunState.SKIPPED,
        "Somebody has to approve the zeros.",
        None,
    )
    assert run.finished_at is not None


def test_a_run_that_is_not_there_any_more_is_left_alone(app):
    runner.execute(4711, failing_with(AssertionError("must not be called")))


def test_a_second_entry_for_a_run_at_work_does_nothing(queued):
    def work(run):
        runner.execute(run.run_id, failing_with(AssertionError("must not be called")))

    runner.execute(queued.id, work)
    assert end_of(queued).state is RunState.SUCCEEDED


PASSING = [
    (
        amazon.AmazonUnavailable("The connection broke", request_id="r-1"),
        "amazon_unavailable",
        "Amazon could not be reached, or did not answer.",
        "The connection broke; request id r-1",
    ),
    (
        amazon.AmazonUnavailable("Amazon has a fault of its own: Oh no.", code="InternalFailure", status=500),
        "amazon_unavailable",
        "Amazon had a fault of its own.",
        "Amazon has a fault of its own: Oh no; InternalFailure; HTTP 500",
    ),
    (
        amazon.AmazonUnavailable("The connection broke", status=200),
        "amazon_unavailable",
        "Amazon could not be reached, or did not answer.",
        "The connection broke; HTTP 200",
    ),
    (amazon.Throttled("Too many requests", status=429), "throttled", "slow down", "Too many requests; HTTP 429"),
    (amazon.UnreadableAnswer("HTML, no JSON"), "unreadable_answer", "could not be read", "HTML, no JSON"),
    (OperationalError("INSERT", {}, Exception("database is locked")), "database_busy", "busy for too long", ""),
    (OperationalError("INSERT", {}, Exception("database or disk is full")), "disk_full", "disk is full", ""),
    (redis.ConnectionError("away"), "redis_unavailable", "Redis", ""),
    (amazon.RedisUnavailable("Redis cannot be reached; nothing was sent"), "redis_unavailable", "Redis", ""),
    (JobTimeoutException("over"), "timeout", "longer than a run may take", ""),
]


@pytest.mark.parametrize(("error", "code", "words", "detail"), PASSING)
def test_what_may_pass_is_tried_again_by_itself(queued, error, code, words, detail):
    runner.execute(queued.id, failing_with(error))
    run = end_of(queued)
    assert (run.state, run.error_code, run.is_retrying) == (RunState.QUEUED, code, True)
    assert words in run.error_sentence
    assert "(" not in run.error_sentence  # what is for support stands apart
    assert "tries again" not in run.error_sentence  # when, is said where it is read
    assert run.error_detail == detail
    assert run.retry_at is not None
    attempt = db.session.query(SyncAttempt).filter_by(run_id=run.id).one()
    assert (attempt.error_sentence, attempt.error_detail) == (run.error_sentence, detail)


LASTING = [
    (amazon.AuthorizationRefused("invalid_grant"), "authorization_refused", "re-authorizes the store", "invalid_grant"),
    (amazon.AppCredentialsRefused("bad"), "app_credentials_refused", "AMAZON_CLIENT_ID", "bad"),
    (amazon.TokenRefused("bad scope"), "token_refused", "no access token", "bad scope"),
    (
        amazon.AccessDenied("No access", status=403, request_id="r-9"),
        "access_denied",
        "with the request id",
        "No access; HTTP 403; request id r-9",
    ),
    (
        amazon.RequestRefused("Bad marketplace", code="InvalidInput", status=400),
        "refused_by_amazon",
        "Amazon refused a request",
        "Bad marketplace; InvalidInput; HTTP 400",
    ),
    (StoreNotConnected("This store is not connected."), "StoreNotConnected", "This store is not connected.", ""),
    (KeyError("locationId"), "defect", "fault of its own", ""),
]


@pytest.mark.parametrize(("error", "code", "words", "detail"), LASTING, ids=[case[1] for case in LASTING])
def test_what_would_not_pass_fails_at_once_in_words(queued, error, code, words, detail):
    runner.execute(queued.id, failing_with(error))
    run = end_of(queued)
    assert (run.state, run.error_code) == (RunState.FAILED, code)
    assert words in run.error_sentence
    assert run.error_detail == detail
    assert "Traceback" not in run.error_sentence
    assert "KeyError" not in run.error_sentence
    assert run.finished_at is not None


def test_after_the_last_attempt_the_run_has_failed(queued, settings):
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(settings.run_max_attempts):
            runner.execute(queued.id, failing_with(amazon.AmazonUnavailable("No answer")))
            clock.shift(timedelta(minutes=20))
    run = end_of(queued)
    assert (run.state, run.n_attempts) == (RunState.FAILED, settings.run_max_attempts)
    assert f"tried {settings.run_max_attempts} times" in run.error_sentence
    assert "next run reads everything since its last good one" in run.error_sentence


def test_attempts_lie_further_and_further_apart_and_heed_amazon():
    ending = endings.ending_of(amazon.AmazonUnavailable("No answer"), "run 1")
    delays = [endings.delay_before(n, ending, 0.5).total_seconds() for n in range(1, 8)]
    assert delays == [30, 60, 120, 240, 480, 900, 900]
    throttled = endings.ending_of(amazon.Throttled("Slow down", retry_after_seconds=200), "run 1")
    assert endings.delay_before(1, throttled, 0.5) == timedelta(seconds=200)


def test_a_missing_key_waits_for_a_person(queued, store):
    """The store's token was encrypted with a key that is not in ENCRYPTION_KEYS any more."""
    store.refresh_token_encrypted = Fernet(Fernet.generate_key()).encrypt(b"Atzr|x")
    db.session.commit()
    with capture_logs() as lines:
        runner.execute(queued.id, order_pull.pull)
    run = end_of(queued)
    assert (run.state, run.error_code, run.n_attempts) == (RunState.FAILED, "unreadable_secret", 1)
    assert "ENCRYPTION_KEYS" in run.error_sentence
    assert "whoever runs FlexDash puts that key back" in run.error_sentence
    assert run.retry_at is None
    assert not any("exc_info" in line for line in lines)


def test_no_secret_gets_into_the_words_for_people(queued):
    error = amazon.RequestRefused("refresh_token=Atzr|IwEBIA-secret was refused for buyer@example.com", status=400)
    runner.execute(queued.id, failing_with(error))
    run = end_of(queued)
    assert "was refused for" in run.error_detail
    for said in (run.error_sentence, run.error_detail):
        assert "Atzr|" not in said
        assert "buyer@example.com" not in said


def test_half_done_work_is_rolled_back_and_the_end_still_written(queued):
    def work(run):
        with transaction():
            run.check_in(n_created=5)
            raise KeyError("in the middle")

    runner.execute(queued.id, work)
    assert (end_of(queued).state, end_of(queued).n_created) == (RunState.FAILED, 0)


def test_log_lines_of_a_run_carry_its_ids(queued, store):
    seen = {}

    def work(run):
        seen.update(structlog.contextvars.get_contextvars())

    runner.execute(queued.id, work)
    assert seen["run_id"] == queued.id
    assert seen["store_id"] == store.id
    assert "run_id" not in structlog.contextvars.get_contextvars()


def test_a_worker_asked_to_stop_hands_the_run_back_and_into_the_queue(queued):
    def work(run):
        stopping.ask()
        run.stop_here()
        pytest.fail("went on")

    runner.execute(queued.id, work)
    run = end_of(queued)
    assert (run.state, run.n_attempts) == (RunState.QUEUED, 0)
    assert [job.args for job in queues.queue("sync").jobs] == [[queued.id]]


def test_a_sync_that_does_not_hear_is_handed_back_for_it(queued, monkeypatch):
    monkeypatch.setattr(stopping, "GRACE_SECONDS", 0)
    ended = threading.Event()
    monkeypatch.setattr(stopping, "end_process", ended.set)

    def work(run):
        stopping.ask()
        assert ended.wait(10)
        with transaction():
            run.check_in(n_created=1)

    runner.execute(queued.id, work)
    run = end_of(queued)
    assert (run.state, run.n_created) == (RunState.QUEUED, 0)
    assert queues.queue("sync").count == 1


def test_a_superseded_worker_notices_by_its_heartbeat(queued, app, settings, monkeypatch):
    monkeypatch.setattr(heartbeat, "_LOOK_EVERY_SECONDS", 0.01)
    begun = sync_attempts.begin(queued.id)
    superseded = threading.Event()
    with heartbeat.Heartbeat(db.engine, begun, 0.01, superseded, lambda: None):
        with transaction():
            db.session.execute(db.update(SyncRun).values(attempt_token="another"))
        assert superseded.wait(10)


def test_the_heartbeat_shows_itself_while_the_sync_waits(queued, monkeypatch):
    monkeypatch.setattr(heartbeat, "_LOOK_EVERY_SECONDS", 0.01)
    begun = sync_attempts.begin(queued.id)
    before = end_of(queued).heartbeat_at
    with heartbeat.Heartbeat(db.engine, begun, 0.01, threading.Event(), lambda: None):
        wait_for(lambda: end_of(queued).heartbeat_at > before, "a sign of life")


def test_a_heartbeat_that_cannot_be_written_is_tried_again(queued, monkeypatch):
    monkeypatch.setattr(heartbeat, "_LOOK_EVERY_SECONDS", 0.01)
    begun = sync_attempts.begin(queued.id)
    calls, got_through = [], threading.Event()
    real = sync_attempts.beat

    def sometimes(engine, run):
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        got_through.set()
        return real(engine, run)

    monkeypatch.setattr(sync_attempts, "beat", sometimes)
    with heartbeat.Heartbeat(db.engine, begun, 0.01, threading.Event(), lambda: None):
        assert got_through.wait(10)
