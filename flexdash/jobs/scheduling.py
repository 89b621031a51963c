"""The scheduler process: rq-scheduler with one job, the tick. What is due is decided in the database, not here.

rq-scheduler's lock can lapse (https://github.com/rq/rq-scheduler/issues/312), and Redis may lose what it holds; so
nothing relies on a tick coming once, or at all: the next one does what is due.
"""

import os
import signal
import socket
import time

import redis
import structlog
from flask import Flask
from rq_scheduler import Scheduler

from flexdash.jobs import queues
from flexdash.jobs.schedule import TICK

SEEN_KEY = "flexdash:scheduler:seen"
SEEN_SECONDS = 60
LOOK_EVERY_SECONDS = 2.0
# rq-scheduler holds its lock this much longer than its interval; a scheduler killed with it delays the tick that long.
_INTERVAL_SECONDS = 5
# Longer than the minute between ticks, or rq-scheduler would find its job gone and forget it; yet not for ever.
_KEEP_TICK_SECONDS = 3600

logger = structlog.get_logger(__name__)


class TickScheduler:
    """Keeps the tick scheduled and hands it to its queue when its minute comes."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._scheduler = Scheduler(
            TICK.queue,
            connection=connection,
            interval=_INTERVAL_SECONDS,
            job_class=queues.JsonJob,
            name=f"{socket.gethostname()}-{os.getpid()}",
        )
        self._away_since: float | None = None

    def look(self) -> bool:
        """Look once whether the tick's minute has come; False while Redis is away, which is logged once."""
        try:
            self._register()
            if self._scheduler.acquire_lock():
                try:
                    self._scheduler.enqueue_jobs()
                finally:
                    self._scheduler.remove_lock()
            self._connection.set(SEEN_KEY, int(time.time()), ex=SEEN_SECONDS)
        except redis.RedisError as error:
            if self._away_since is None:
                self._away_since = time.monotonic()
                logger.warning("Redis is away; the schedule waits for it", error=type(error).__name__)
            return False
        if self._away_since is not None:
            logger.info("Redis is back", seconds_away=round(time.monotonic() - self._away_since))
            self._away_since = None
        return True

    def _register(self) -> None:
        """Schedule the tick where Redis does not know it: at first, and after Redis was wiped or restarted."""
        job_is_there = self._connection.exists(queues.JsonJob.key_for(TICK.job_id))
        if job_is_there and TICK.job_id in self._scheduler:
            return
        self._scheduler.cron(
            TICK.cron,
            TICK.job,
            id=TICK.job_id,
            queue_name=TICK.queue,
            timeout=TICK.timeout_seconds,
            result_ttl=_KEEP_TICK_SECONDS,
            description="tick",
        )
        logger.info("tick scheduled", cron=TICK.cron)


def run_scheduler(app: Flask) -> None:
    """Tick every minute until SIGTERM or Ctrl-C. Several schedulers at once do no harm; Redis may go and come."""
    is_stopped = False

    def stop(*_signal: object) -> None:
        nonlocal is_stopped
        is_stopped = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    connection = redis.Redis.from_url(app.config["SETTINGS"].redis_url, socket_timeout=5, socket_connect_timeout=5)
    scheduler = TickScheduler(connection)
    logger.info("scheduler started")
    look_at = 0.0
    while not is_stopped:
        if time.monotonic() >= look_at:
            scheduler.look()
            look_at = time.monotonic() + LOOK_EVERY_SECONDS
        time.sleep(0.1)
    connection.close()
    logger.info("scheduler stopped")
