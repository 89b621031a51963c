"""Order pulls whose worker is killed, whose answers get lost, whose pages misbehave: nothing lost, nothing twice."""

import random
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta

import psutil
import pytest
import redis
from sqlalchemy import func, select

from amazon_sandbox.control_client import Control, ControlError
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import Order, OrderState, RunState, SyncAttempt
from tests.support import fault_worker
from tests.support.pulls import (
    ENDED_WELL,
    MAPPED,
    OPEN,
    QUICK,
    SELLER,
    UNMAPPED,
    all_shipments,
    assert_all_is_well,
    do_attempt,
    do_run,
    make_due,
    make_pulled_store,
    new_run,
    row,
    take_up,
    wait_for_end,
    workers,
)
from tests.support.servers import wait_for

LOST_AFTER = timedelta(seconds=3)
long = pytest.mark.faults


@pytest.mark.parametrize(("n_kills", "n_shipments"), [(2, 50), pytest.param(50, 5_000, marks=long)])
def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(
    store, sandbox, pages_of, environment, figure, scaled, n_kills, n_shipments
) -> None:
    """The work horse alone and the whole worker are killed in turn, among pages and among acknowledgements.

    That a silent run is taken up after its time is what the next test measures; here that time is let pass at once.
    """
    chance = random.Random(n_kills)
    if n_kills == 2:
        pages_of(20)
        sandbox.control.options(latency_ms=150)  # so that the kills fall into the work
    else:
        n_kills = scaled(n_kills)
    sandbox.control.create_orders(n_shipments * 9 // 10, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.create_orders(n_shipments // 10, location_id=UNMAPPED, seller_id=SELLER)
    n_done, n_runs = 0, 0
    with workers({**environment, **QUICK}) as fleet:
        for _ in range(2):
            fleet.start()
        while n_done < n_kills:
            run_id = new_run(store.id)
            queues.enqueue_run(run_id)
            n_runs += 1
            while n_done < n_kills and _kill_once(fleet, run_id, chance):
                n_done += 1
                take_up(run_id, LOST_AFTER)
                if row(run_id).state not in OPEN:
                    break  # given up after so many deaths: the next run goes on
            if row(run_id).state in ENDED_WELL and n_done < n_kills:
                sandbox.control.create_orders(n_shipments // 10, location_id=MAPPED, seller_id=SELLER)
        if row(run_id).state in OPEN:
            wait_for_end(run_id)
        last_id = new_run(store.id)
        queues.enqueue_run(last_id)
        assert wait_for_end(last_id).state is RunState.SUCCEEDED
    n_here = db.session.scalar(select(func.count(Order.id)))
    words = assert_all_is_well(store, sandbox)
    figure("kills", f"{n_done} kills in {n_runs} runs, {n_here:,} shipments: {words}")


def _kill_once(fleet, run_id: int, chance: random.Random) -> bool:
    """Kill whoever does the run, at a random moment among its pages or its acknowledgements; False when it ended."""
    wait_for(lambda: fleet.busy() or row(run_id).state not in OPEN, "a worker to begin", 30)
    if chance.random() < 0.5:
        wait_for(
            lambda: row(run_id).progress.startswith("Acknowledging") or row(run_id).state not in OPEN,
            "acknowledgements",
            60,
        )
    time.sleep(chance.random() * 1.5)  # the moment of the kill, not a wait for anything
    found = fleet.busy()
    if found is None:
        wait_for_end(run_id)
        return False
    worker, horse = found
    if chance.random() < 0.5:
        with suppress(psutil.NoSuchProcess):
            horse.kill()
            wait_for(lambda: not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE, "the horse's end")
    else:
        fleet.kill(worker)
        fleet.start()
    return row(run_id).state in OPEN  # queued still: it died before it had begun


@long
def test_a_killed_worker_is_replaced_within_two_minutes(
    app, sandbox, environment, flexdash, redis_server, figure, scaled
) -> None:
    """Everything real and as configured by default, scheduler, ticks on the minute and signs of life; but the pace, at
    which a run is still at work when its turn to be killed comes."""
    sandbox.control.plans({"*": None})
    n_stores = max(2, scaled(6))
    for n in range(n_stores):
        make_pulled_store(sandbox, partner=f"A3SBXPARTNER{n}")
    sandbox.control.create_orders(400, location_id=MAPPED, seller_id=SELLER)  # minutes of work at that pace
    slow = {**environment, "SHIPMENTS_REQUESTS_PER_SECOND": "2"}
    db.session.remove()
    chance = random.Random(6)
    killed: dict[int, datetime] = {}
    flexdash("scheduler")
    flexdash("worker", "--queues", "tick")
    with workers(slow) as fleet, redis.Redis.from_url(redis_server) as connection:
        for _ in range(n_stores):
            fleet.start()
        wait_for(lambda: len(_attempts()) == n_stores, "every store's run", 90)
        for n, worker in enumerate(list(fleet.alive)):
            # Spread over the minute between two ticks, and over the time between two signs of life.
            time.sleep(60 / n_stores * chance.random())
            run_id = fleet.run_of(worker, connection)
            horse = psutil.Process(worker.pid).children()[0]
            killed[run_id] = clock.now()
            if n % 2:
                fleet.kill(worker)
                fleet.start()
            else:
                horse.kill()
        wait_for(lambda: all(len(_attempts(run_id)) > 1 for run_id in killed), "every run to be taken up", 180)
    seconds = sorted((_attempts(run_id)[1].started_at - moment).total_seconds() for run_id, moment in killed.items())
    p95 = seconds[min(len(seconds) - 1, round(0.95 * len(seconds)))]
    figure("recovery", f"{len(seconds)} kills: after {seconds[0]:.0f} to {seconds[-1]:.0f} s, p95 {p95:.0f} s")
    assert len(seconds) == n_stores
    assert p95 < 120


def _attempts(run_id: int | None = None) -> list[SyncAttempt]:
    db.session.rollback()
    query = select(SyncAttempt).order_by(SyncAttempt.id).execution_options(populate_existing=True)
    found = db.session.scalars(query if run_id is None else query.where(SyncAttempt.run_id == run_id)).all()
    return list(found)


@pytest.mark.parametrize("n_runs", [2, pytest.param(200, marks=long)])
def test_what_dies_between_amazons_204_and_our_commit_is_done_once_and_not_stuck(
    store, sandbox, environment, redis_server, figure, scaled, n_runs
) -> None:
    """In turn: the work horse kills itself once Amazon has answered, and Amazon acts but its answer is cut."""
    chance = random.Random(n_runs)
    n_runs = scaled(n_runs) if n_runs > 2 else n_runs
    n_died = n_cut = 0
    quick = {**environment, **QUICK, "ORDER_PULL_OVERLAP_MINUTES": "0"}
    with workers(quick) as fleet, redis.Redis.from_url(redis_server) as connection:
        fleet.start()
        for n in range(n_runs):
            sandbox.control.create_orders(5, location_id=MAPPED, seller_id=SELLER)
            if n % 2:
                connection.rpush(fault_worker.FATES, *["live"] * chance.randint(0, 4), "die")
            else:
                sandbox.control.fault("drop_after_effect", operation="processShipment", count=chance.randint(1, 5))
            run_id = new_run(store.id)
            queues.enqueue_run(run_id)
            if n % 2:
                wait_for(lambda: connection.getdel(fault_worker.DIED), "the work horse's death")
                wait_for(lambda: fleet.busy() is None, "its burial")
                assert row(run_id).state is RunState.RUNNING
                take_up(run_id, LOST_AFTER)
                n_died += 1
            else:
                # A few lost answers leave their orders to the next run; where all are lost, the run is tried again.
                wait_for(
                    lambda run_id=run_id: row(run_id).retry_at is not None or row(run_id).state not in OPEN,
                    "the answers to be lost",
                )
                sandbox.control.clear_faults()
                if row(run_id).state is RunState.QUEUED:
                    assert "could not be reached" in row(run_id).error_sentence
                    make_due(run_id)
                else:
                    assert row(run_id).state is RunState.PARTIAL
                    run_id = new_run(store.id)
                queues.enqueue_run(run_id)
                n_cut += 1
            assert wait_for_end(run_id, 30).state is RunState.SUCCEEDED
    words = assert_all_is_well(store, sandbox)
    figure("acknowledge", f"{n_died} killed, {n_cut} cut: {words}")


@pytest.mark.parametrize(
    ("paging", "n_shipments"),
    [("offset", 40), pytest.param("stable", 5_000, marks=long), pytest.param("offset", 5_000, marks=long)],
)
def test_pages_that_are_empty_repeated_or_endless_and_orders_that_move_meanwhile(
    store, sandbox, pages_of, no_pace, figure, scaled, paging, n_shipments
) -> None:
    """All shipments have one time of change at first; people and buyers move some while they are listed.

    A list that is paged by offset passes over as many shipments as leave it meanwhile: the next run brings those.
    """
    n_of_page = 20 if n_shipments == 40 else 100
    n_shipments = scaled(n_shipments) if n_shipments > 40 else n_shipments
    pages_of(n_of_page)
    sandbox.control.options(paging=paging)
    ids = sandbox.control.create_orders(n_shipments, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("empty_page", operation="getShipments", probability=0.2)
    sandbox.control.fault("repeated_page", operation="getShipments", probability=0.2)
    meddler = _Meddler(sandbox, ids, pause=2 / n_shipments)
    with meddler:
        first = do_run(store)
    assert first.state in ENDED_WELL
    sandbox.control.clear_faults()
    sandbox.control.create_orders(n_of_page * 3 // 2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("stuck_token", operation="getShipments")
    endless = do_run(store)
    assert "page token" in endless.error_detail
    assert endless.n_pages <= 4
    sandbox.control.clear_faults()
    make_due(endless.id)
    assert do_attempt(endless.id).state in ENDED_WELL
    assert do_run(store).state in ENDED_WELL
    words = assert_all_is_well(store, sandbox)
    cancelled = {item["id"] for item in all_shipments(sandbox) if item["status"] == "CANCELLED"}
    still_open = db.session.scalars(
        select(Order.amazon_shipment_id).where(
            Order.amazon_shipment_id.in_(cancelled), Order.state != OrderState.CANCELLED
        )
    ).all()
    assert still_open == []
    figure("paging", f"{paging}: {n_shipments:,} shipments, {meddler.n_moved} moved meanwhile: {words}")


class _Meddler:
    """While open, confirms and cancels shipments on Amazon's side and adds new ones, as people and buyers do.

    It rests for `pause` seconds after each.
    """

    def __init__(self, sandbox, ids: list[str], pause: float) -> None:
        self._sandbox, self._ids, self._pause = sandbox, ids, pause
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._chance = random.Random(1)
        self.n_moved = 0

    def __enter__(self) -> "_Meddler":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        control = Control(self._sandbox.url)
        try:
            while not self._is_over.wait(self._pause):
                shipment_id = self._chance.choice(self._ids)
                try:
                    if self._chance.random() < 0.5:
                        control.cancel(shipment_id)
                    else:
                        control.move(shipment_id, "CONFIRMED")
                    self.n_moved += 1
                except ControlError:
                    continue  # it was moved before: the sandbox refuses to move it back
                if self._chance.random() < 0.1:
                    control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
        finally:
            control.close()
