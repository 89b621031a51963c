"""The usage plan: nearly all of it is used, none of it is exceeded, whoever takes the turns."""

import heapq
import itertools
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flexdash.amazon import errors
from flexdash.amazon.pacing import Pacer, Plan
from tests.amazon.stub import AmazonBucket, Give

PROJECT_DIR = Path(__file__).parents[2]
START = 1_800_000_000.0
PARTNER = "EU:A1SELLER"


class Actor:
    """A worker with its own place in simulated time: sleeping moves it on."""

    def __init__(self, redis_client, now=START):
        self.now = now
        self.pacer = Pacer(redis_client, sleep=self._sleep, clock=lambda: f"{self.now * 1e6:.0f}", max_wait_seconds=1e6)

    def _sleep(self, seconds):
        self.now += seconds


def arrivals(redis_client, plan, n_turns, n_actors=1, delay=lambda: 0.0):
    """When requests reach Amazon if `n_actors` take turns one after another, each busy until its request arrived."""
    actors = [Actor(redis_client) for _ in range(n_actors)]
    queue = [(actor.now, number) for number, actor in enumerate(actors)]
    heapq.heapify(queue)
    reached = []
    for _ in range(n_turns):
        _, number = heapq.heappop(queue)
        actor = actors[number]
        actor.pacer.acquire(PARTNER, plan)
        actor.now += delay()
        reached.append(actor.now)
        heapq.heappush(queue, (actor.now, number))
    return sorted(reached)


@pytest.mark.parametrize(
    ("plan", "n_actors", "most_delay"),
    [
        (Plan("batchInventory", 50, 100), 1, 0),
        (Plan("batchInventory", 50, 100), 20, 0.4),
        (Plan("getShipments", 5, 10), 8, 0.4),
        (Plan("getShipments", 1, 1), 4, 0),
        (Plan("getShipments", 1, 2), 4, 0.4),
        (Plan("getReturns", 10, 20), 12, 0.4),
        (Plan("getFeed", 2, 15), 6, 0.4),
    ],
    ids=str,
)
def test_the_plan_is_used_to_97_percent_and_never_exceeded_even_from_an_empty_bucket(
    redis_connection, plan, n_actors, most_delay
):
    chance = random.Random(7)
    n_turns = 3000
    reached = arrivals(redis_connection, plan, n_turns, n_actors, lambda: chance.uniform(0, most_delay))
    amazon = AmazonBucket(plan.rate, plan.burst, n_left=0, now=START)
    assert [amazon.take(now) for now in reached].count(False) == 0
    allowed = plan.rate * (reached[-1] - START)
    assert n_turns / allowed >= 0.97


def test_turns_are_given_in_the_order_they_were_asked_for(redis_connection):
    plan = Plan("getShipments", 1, 1)
    actors = [Actor(redis_connection, START + number / 1000) for number in range(5)]
    for actor in actors:
        actor.pacer.acquire(PARTNER, plan)
    times = [actor.now for actor in actors]
    assert times == sorted(times)
    assert [round(later - earlier, 2) for earlier, later in itertools.pairwise(times)] == [1.02] * 4


def test_a_rested_bucket_lets_its_burst_go_at_once(redis_connection):
    plan = Plan("batchInventory", 50, 100)
    arrivals(redis_connection, plan, 1)
    actor = Actor(redis_connection, START + 60)
    waits = [actor.pacer.acquire(PARTNER, plan) for _ in range(plan.capacity)]
    assert waits == [0] * 75
    assert actor.pacer.acquire(PARTNER, plan) > 0


def test_partners_and_operations_do_not_wait_for_each_other(redis_connection):
    plan, other = Plan("getShipments", 1, 1), Plan("getShipment", 1, 1)
    actor = Actor(redis_connection)
    for _ in range(10):
        actor.pacer.acquire(PARTNER, plan)
    later = actor.now
    assert actor.pacer.acquire("EU:A2OTHER", plan) == pytest.approx(1.02, abs=0.01)
    assert actor.pacer.acquire(PARTNER, other) == pytest.approx(1.02, abs=0.01)
    assert actor.now - later < 2.1


def test_a_wiped_redis_starts_with_an_empty_bucket(redis_connection):
    plan = Plan("batchInventory", 50, 100)
    before = arrivals(redis_connection, plan, 400)
    amazon = AmazonBucket(plan.rate, plan.burst, n_left=0, now=START)
    assert all(amazon.take(now) for now in before)
    amazon.n_left = 0  # whatever Amazon still holds, take the worst
    redis_connection.flushall()
    actor = Actor(redis_connection, before[-1])
    for _ in range(200):
        actor.pacer.acquire(PARTNER, plan)
        assert amazon.take(actor.now)


def test_a_redis_wiped_while_someone_waits_makes_them_ask_again(redis_connection):
    plan = Plan("getShipments", 1, 1)
    actor = Actor(redis_connection)
    actor.pacer.acquire(PARTNER, plan)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        actor.now += seconds
        if len(naps) == 1:
            redis_connection.flushall()

    actor.pacer._sleep = sleep
    actor.pacer.acquire(PARTNER, plan)
    assert len(naps) == 2


def test_a_slow_operation_starts_with_some_tokens_so_that_no_person_waits(redis_connection):
    plan = Plan("getMarketplaceParticipations", 0.016, 15)
    actor = Actor(redis_connection)
    assert [actor.pacer.acquire(PARTNER, plan) for _ in range(4)] == [0, 0, 0, 0]
    assert actor.pacer.acquire(PARTNER, plan) == pytest.approx(62.8, abs=0.1)


@pytest.mark.parametrize("rate", [20.0, 0.5])
def test_the_rate_amazon_names_is_everybodys_at_once(redis_connection, rate):
    plan = Plan("getShipments", 2, 1)
    one, other = Actor(redis_connection), Actor(redis_connection)
    one.pacer.acquire(PARTNER, plan)
    one.pacer.follow(PARTNER, plan, str(rate))
    other.now = one.now
    begun = other.now
    for _ in range(20):
        other.pacer.acquire(PARTNER, plan)
    assert other.now - begun == pytest.approx(20 / (rate * 0.98), rel=0.06)


@pytest.mark.parametrize("header", [None, "", "fast", "nan", "inf", "-1", "0", "1e9", "0.019", "1e-9", "5e-324"])
def test_what_is_no_rate_is_ignored(redis_connection, header):
    plan = Plan("getShipments", 2, 1)
    actor = Actor(redis_connection)
    actor.pacer.acquire(PARTNER, plan)
    before = redis_connection.hgetall(f"flexdash:amazon:pace:{PARTNER}:getShipments")
    actor.pacer.follow(PARTNER, plan, header)
    assert redis_connection.hgetall(f"flexdash:amazon:pace:{PARTNER}:getShipments") == before


def test_after_a_429_the_bucket_rests_for_everybody(redis_connection):
    plan = Plan("batchInventory", 50, 100)
    one, other = Actor(redis_connection, START + 60), Actor(redis_connection, START + 60)
    arrivals(redis_connection, plan, 1)
    one.pacer.back_off(PARTNER, plan, 3)
    assert other.pacer.acquire(PARTNER, plan) == pytest.approx(3.5, abs=0.1)


def test_a_turn_not_yet_taken_is_void_after_a_429(redis_connection):
    plan = Plan("getShipments", 1, 1)
    other = Actor(redis_connection)
    waiting = Actor(redis_connection)
    waiting.pacer.acquire(PARTNER, plan)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        waiting.now += seconds
        if len(naps) == 1:
            other.now = waiting.now
            other.pacer.back_off(PARTNER, plan, 5)

    waiting.pacer._sleep = sleep
    waiting.pacer.acquire(PARTNER, plan)
    assert len(naps) == 2
    assert naps[1] == pytest.approx(6.02, abs=0.1)


def test_a_wait_that_is_too_long_is_refused_without_taking_a_turn(redis_connection):
    plan = Plan("getShipments", 1, 1)
    actor = Actor(redis_connection)
    actor.pacer.acquire(PARTNER, plan)
    for _ in range(3):
        with pytest.raises(errors.Throttled, match="no room within 0 seconds") as caught:
            actor.pacer.acquire(PARTNER, plan, max_wait_seconds=0.5)
        assert caught.value.retry_after_seconds == pytest.approx(1.02, abs=0.01)
    actor.now += 1.1
    assert actor.pacer.acquire(PARTNER, plan, max_wait_seconds=0.5) == 0


def test_an_impatient_caller_gets_its_turn_in_a_new_bucket_once_it_is_due(redis_connection):
    plan = Plan("getShipments", 1, 1)
    actor = Actor(redis_connection)
    with pytest.raises(errors.Throttled):
        actor.pacer.acquire(PARTNER, plan, max_wait_seconds=0.1)
    actor.now += 1.1
    assert actor.pacer.acquire(PARTNER, plan, max_wait_seconds=0.1) == 0


def test_a_clock_set_back_an_hour_stops_nobody(redis_connection):
    plan = Plan("getShipments", 1, 1)
    actor = Actor(redis_connection)
    actor.pacer.acquire(PARTNER, plan)
    actor.now -= 3600
    assert actor.pacer.acquire(PARTNER, plan) < 3


def test_without_redis_nothing_is_sent():
    pacer = Pacer(redis.Redis(port=9, retry=Retry(NoBackoff(), 0)))
    with pytest.raises(errors.AmazonUnavailable, match="nothing was sent"):
        pacer.acquire(PARTNER, Plan("getShipments", 1, 1))


def test_a_redis_lost_after_the_answer_does_not_hide_the_answer():
    pacer = Pacer(redis.Redis(port=9, retry=Retry(NoBackoff(), 0)))
    pacer.follow(PARTNER, Plan("getShipments", 1, 1), "5")
    pacer.back_off(PARTNER, Plan("getShipments", 1, 1), 5)


def test_three_processes_of_four_threads_on_the_real_clock_never_meet_a_429(stub, redis_connection, redis_server):
    """Twelve requests at most are under way at once, fewer than the 25 tokens held back: no delay can make a 429."""
    plan = Plan("batchInventory", 50, 100)
    amazon = AmazonBucket(plan.rate, plan.burst, n_left=0, now=time.monotonic())
    lock = threading.Lock()

    def door(seen):
        with lock:
            return Give(200 if amazon.take(time.monotonic()) else 429, {})

    stub.answers = door
    command = [sys.executable, "-m", "tests.amazon.pacing_worker", redis_server, stub.url, "4", "10", "50", "100"]
    processes = [subprocess.Popen(command, cwd=PROJECT_DIR) for _ in range(3)]
    try:
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert amazon.n_allowed == 120
    assert amazon.n_refused == 0
