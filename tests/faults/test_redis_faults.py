"""Redis gone and come back empty: pages are read all the while, and every run is done."""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from flexdash import clock, create_app, logs
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import Role, RunState, Sync, SyncRun, Trigger
from tests.factories import PASSWORD, make_user
from tests.support.pulls import (
    ENDED_WELL,
    MAPPED,
    OPEN,
    QUICK,
    SELLER,
    assert_all_is_well,
    make_due,
    new_run,
    row,
    workers,
)
from tests.support.servers import flexdash_process, running_redis, wait_for
from tests.support.web import SeparateClient, sign_in

BANNER = "Redis is away"
PAGES = ("/", "/orders", "/sync-runs", "/configuration-log")


class OwnRedis:
    """A Redis of the test alone, at one address, that can go away and come back empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.url = ""

    def start(self) -> None:
        """Start it, empty."""
        self.url = self._running.enter_context(running_redis(self._folder))

    def stop(self) -> None:
        """Kill it."""
        self._running.close()


@pytest.fixture
def own_redis(tmp_path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@contextmanager
def app_on(settings, url: str) -> Iterator[Flask]:
    """Give a second app on the same database, with `url` for its Redis."""
    second = create_app(replace(settings, redis_url=url))
    second.test_client_class = SeparateClient
    try:
        yield second
    finally:
        with second.app_context():
            db.engine.dispose()
        logs.configure(settings)


def pages_read(client, *, with_banner: bool) -> int:
    """Return how many pages were read; each must answer 200, with or without the banner."""
    for page in PAGES:
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert (BANNER in answer.text) is with_banner, page
    return len(PAGES)


@pytest.mark.parametrize("n_outages", [1, pytest.param(20, marks=pytest.mark.faults)])
def test_redis_goes_away_in_the_middle_of_pulls_and_comes_back_empty(
    store, sandbox, pages_of, settings, environment, own_redis, figure, scaled, n_outages
) -> None:
    """At any moment of a run, or before it began: the run is done once Redis is back, and pages are read meanwhile."""
    chance = random.Random(20)
    n_orders = 250 if n_outages > 1 else 60
    pages_of(100 if n_outages > 1 else 20)
    n_outages = scaled(n_outages) if n_outages > 1 else n_outages
    user = make_user(store.seller.workspace, Role.ADMIN)
    n_read, runs, waits = 0, [], []
    with (
        app_on(settings, own_redis.url) as second,
        workers({**environment, **QUICK, "REDIS_URL": own_redis.url}) as fleet,
    ):
        client = sign_in(second.test_client(), user)
        watch = second.extensions["flexdash_redis_watch"]
        fleet.start()
        for _ in range(n_outages):
            sandbox.control.create_orders(n_orders, location_id=MAPPED, seller_id=SELLER)
            runs.append(run_id := new_run(store.id))
            _tick(second)
            if chance.random() < 0.75:
                wait_for(lambda run_id=run_id: row(run_id).state is not RunState.QUEUED, "the run to begin", 30)
                time.sleep(chance.random())  # the moment of the outage, not a wait for anything
            own_redis.stop()
            watch._asked_at = float("-inf")
            n_read += pages_read(client, with_banner=True)
            if row(run_id).state is RunState.RUNNING:
                wait_for(lambda run_id=run_id: row(run_id).state is not RunState.RUNNING, "the attempt to end", 30)
            said = row(run_id)
            assert said.state in (*ENDED_WELL, RunState.QUEUED)
            if said.retry_at is not None:
                assert "Redis" in said.error_sentence
                make_due(run_id)
            own_redis.start()
            watch._asked_at = float("-inf")
            n_read += pages_read(client, with_banner=False)
            back_at = time.monotonic()
            _tick(second)
            if said.state in OPEN:
                _see_through(second, run_id)
                waits.append(time.monotonic() - back_at)
    db.session.rollback()
    states = Counter(db.session.scalars(select(SyncRun.state).where(SyncRun.id.in_(runs))))
    assert states[RunState.SUCCEEDED] == n_outages, states
    words = assert_all_is_well(store, sandbox)
    slowest = f"{max(waits):.0f} s" if waits else "at once"
    figure(
        "redis",
        f"{n_outages} outages in {n_outages} runs: 0 lost runs, done at the latest {slowest} after Redis was back, "
        f"{n_read} pages read; {words}",
    )


def _tick(app: Flask) -> None:
    with app.app_context():
        dispatch.dispatch()
        db.session.remove()


def _see_through(app: Flask, run_id: int) -> None:
    """Wait for the run's end; an attempt that failed at the end of the outage may be tried again at once."""

    def is_over() -> bool:
        run = row(run_id)
        if run.state is RunState.QUEUED and run.retry_at is not None and run.retry_at > clock.now():
            make_due(run_id)
            _tick(app)
        return run.state not in OPEN

    wait_for(is_over, f"the end of run {run_id}", 60)


def test_a_redis_that_takes_connections_and_never_answers_keeps_nobody_from_signing_in(app, settings, workspace):
    """Some at once: each is answered, not just the one that finds Redis away, and wrong passwords are counted."""
    email = make_user(workspace).email
    answers: list[int] = []
    deaf = socket.create_server(("127.0.0.1", 0))
    with deaf, app_on(settings, f"redis://127.0.0.1:{deaf.getsockname()[1]}/0") as second:

        def sign_in_with(password: str) -> None:
            with second.app_context():
                page = second.test_client().post("/sign-in", data={"email": email, "password": password})
                answers.append(page.status_code)

        for password, n_at_once in ((PASSWORD, 5), ("wrong", 8)):
            threads = [threading.Thread(target=sign_in_with, args=(password,), daemon=True) for _ in range(n_at_once)]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 30
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
    assert answers[:5] == [303] * 5
    assert sorted(answers[5:]) == [422] * 5 + [429] * 3


@pytest.mark.faults
def test_a_minute_without_redis_in_real_time(store, sandbox, settings, environment, own_redis, figure) -> None:
    """Real scheduler, ticks on the minute, a sync every minute: the slots of the outage are caught up by one run."""
    user = make_user(store.seller.workspace, Role.ADMIN)
    store_id = store.id
    sandbox.control.create_orders(20, location_id=MAPPED, seller_id=SELLER)
    env = {**environment, **QUICK, "REDIS_URL": own_redis.url, "ORDER_PULL_INTERVAL_MINUTES": "1"}
    with ExitStack() as stack:
        second = stack.enter_context(app_on(settings, own_redis.url))
        client = sign_in(second.test_client(), user)
        for arguments in (("scheduler",), ("worker", "--queues", "tick"), ("worker", "--queues", "sync")):
            stack.enter_context(flexdash_process(env, *arguments))
        wait_for(lambda: any(run.state in ENDED_WELL for run in _runs(store_id)), "the first run", 90)
        own_redis.stop()
        away_at, n_read = time.monotonic(), 0
        sandbox.control.create_orders(20, location_id=MAPPED, seller_id=SELLER)
        n_before = len(_runs(store_id))
        client.get("/")
        while time.monotonic() - away_at < 60:
            time.sleep(5)  # a person looking at pages
            n_read += pages_read(client, with_banner=True)
        own_redis.start()
        back_at = clock.now()
        wait_for(lambda: len(_runs(store_id)) > n_before, "the next tick", 90)
        next_run = _runs(store_id)[n_before]
        wait_for(lambda: row(next_run.id).state in ENDED_WELL, "the run that catches up", 30)
    seconds = (next_run.queued_at - back_at).total_seconds()
    runs = _runs(store_id)
    slots = [run.slot_at for run in runs]
    assert len(set(slots)) == len(slots)
    assert next_run.trigger in (Trigger.CATCH_UP, Trigger.SCHEDULE)
    words = assert_all_is_well(store, sandbox)
    assert seconds < 75  # the next full minute, and what rq-scheduler's lock may take
    figure(
        "redis_minute", f"{n_read} pages read with the banner, next tick {seconds:.0f} s after Redis was back; {words}"
    )


def _runs(store_id: int) -> list[SyncRun]:
    db.session.rollback()
    of_orders = (SyncRun.store_id == store_id, SyncRun.sync == Sync.ORDER_PULL)
    query = select(SyncRun).where(*of_orders).order_by(SyncRun.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))
