"""The scheduler process: the tick comes on the minute, whatever happens to Redis."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
import time_machine

from flexdash.jobs import queues, scheduling
from flexdash.jobs.schedule import TICK
from flexdash.jobs.scheduling import SEEN_KEY, TickScheduler
from tests.support.servers import running_redis

START = datetime(2026, 11, 23, 9, 0, 30, tzinfo=UTC)
SCHEDULED = "rq:scheduler:scheduled_jobs"


@pytest.fixture(autouse=True)
def logging_set_up(built_app):
    """The app sets up the logging that these tests look at."""


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def ticks_in_queue(connection):
    return queues.queue("tick", connection).count


def test_the_tick_stands_once_under_its_own_id_on_the_minute(clock, redis_connection):
    for _ in range(3):
        TickScheduler(redis_connection).look()
    (entry,) = redis_connection.zrange(SCHEDULED, 0, -1, withscores=True)
    assert entry == (TICK.job_id.encode(), datetime(2026, 11, 23, 9, 1, tzinfo=UTC).timestamp())


def test_two_schedulers_put_one_tick_a_minute_into_the_queue(clock, redis_connection):
    first, second = TickScheduler(redis_connection), TickScheduler(redis_connection)
    for _ in range(10 * 30):
        first.look()
        second.look()
        clock.shift(2)
    assert ticks_in_queue(redis_connection) == 10


def test_a_wiped_redis_gets_its_tick_back_at_the_next_look(clock, redis_connection):
    scheduler = TickScheduler(redis_connection)
    scheduler.look()
    redis_connection.flushall()
    scheduler.look()
    clock.shift(60)
    scheduler.look()
    assert ticks_in_queue(redis_connection) == 1


def test_a_tick_whose_job_has_expired_is_made_again(clock, redis_connection):
    scheduler = TickScheduler(redis_connection)
    scheduler.look()
    redis_connection.delete(f"rq:job:{TICK.job_id}")
    scheduler.look()
    assert redis_connection.exists(f"rq:job:{TICK.job_id}")
    assert redis_connection.zcard(SCHEDULED) == 1


def test_a_scheduler_that_was_away_for_hours_ticks_once_at_its_return(clock, redis_connection):
    TickScheduler(redis_connection).look()
    clock.shift(timedelta(hours=3))
    TickScheduler(redis_connection).look()
    assert ticks_in_queue(redis_connection) == 1


def test_a_scheduler_killed_with_the_lock_delays_the_tick_by_seconds_only(redis_connection):
    redis_connection.set("rq:scheduler_lock", 1, ex=scheduling._INTERVAL_SECONDS + 10)
    assert TickScheduler(redis_connection)._scheduler.acquire_lock() is None
    assert redis_connection.ttl("rq:scheduler_lock") <= 15


def test_it_says_that_it_has_been_seen_for_a_minute(redis_connection):
    TickScheduler(redis_connection).look()
    assert 0 < redis_connection.ttl(SEEN_KEY) <= 60


def test_an_outage_of_redis_is_said_once_and_survived(tmp_path, capfd, caplog):
    with running_redis(tmp_path / "redis") as url:
        connection = redis.Redis.from_url(url)
        scheduler = TickScheduler(connection)
        assert scheduler.look()
    with caplog.at_level("INFO"):
        assert [scheduler.look() for _ in range(5)] == [False] * 5
    # Whether a record or a line depends on whether an app has set up the logs of this process before.
    said = "\n".join([*(record.getMessage() for record in caplog.records), capfd.readouterr().out])
    assert said.count("Redis is away") == 1
    with running_redis(tmp_path / "redis") as url_again:
        assert url_again == url
        assert scheduler.look()
        assert connection.zcard(SCHEDULED) == 1
    connection.close()
