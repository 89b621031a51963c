"""The worker process: takes jobs from queues and does each in a fork of its own."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
import structlog
from flask import Flask
from rq import Worker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from flexdash.extensions import db
from flexdash.jobs import (  # noqa: F401 - imported before the fork
    context,
    inventory_fetch,
    inventory_push,
    order_pull,
    price_push,
    queues,
    schedule,
    stopping,
    uploads,
)
from flexdash.parent_death import end_with_parent

# With RQ's own 420 and 600 seconds, a killed worker's job was noticed after more than three minutes.
WORKER_TTL_SECONDS = 45
MAINTENANCE_SECONDS = 30
MONITORING_SECONDS = 15
_LONGEST_PAUSE_SECONDS = 5.0

logger = structlog.get_logger(__name__)


class FlexDashWorker(Worker):
    """RQ's worker, whose work horse begins with clean connections and can be asked to stop."""

    max_connection_wait_time = _LONGEST_PAUSE_SECONDS  # after an outage of Redis, work goes on within seconds

    @property
    def is_told_to_stop(self) -> bool:
        """Whether a signal asked this worker to stop, as opposed to Redis having failed it."""
        return self._shutdown_requested_date is not None

    def main_work_horse(self, job: Any, queue: Any) -> None:
        """Begin the forked process: what belongs to the parent is not used, nor closed in its name."""
        end_with_parent(self.pid)  # a killed worker's run is taken up again: it must not go on here as well
        stopping.become_horse()
        app = context.app()
        with app.app_context():
            db.engine.dispose(close=False)
        # For the lines that are written around the job itself as well, such as RQ's own on an error.
        structlog.contextvars.bind_contextvars(**queues.ids_of(job.id))
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Ctrl-C is the parent's; SIGTERM asks the run to end."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, stopping.ask)

    def handle_warm_shutdown_request(self) -> None:
        """Pass the wish to stop on to the work horse, so that its run is handed back instead of waited for."""
        if self.horse_pid:
            with suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)


def run_worker(app: Flask, queue_names: Sequence[str], *, burst: bool = False) -> None:
    """Serve `queue_names` (earlier ones first) until SIGTERM or Ctrl-C; with `burst`, until they are empty.

    Redis may go away and come back meanwhile. Raises ValueError for a queue that is not in the schedule.
    """
    if unknown := set(queue_names) - set(schedule.QUEUES):
        raise ValueError(f"no such queue: {', '.join(sorted(unknown))}. There are: {', '.join(schedule.QUEUES)}.")
    context.use(app)
    with app.app_context():
        db.session.remove()
    pause = 0.5
    while True:
        began = time.monotonic()
        worker = None
        # Its own client: the worker waits on it for long, where the app's gives up after seconds.
        connection = redis.Redis.from_url(app.config["SETTINGS"].redis_url, health_check_interval=30)
        try:
            worker = _make(connection, queue_names)
            logger.info("worker started", queues=list(queue_names), worker=worker.name)
            worker.work(burst=burst, logging_level="WARNING")
        except StopRequested:
            return
        except redis.RedisError as error:
            logger.warning("Redis is away; the worker waits for it", error=type(error).__name__)
        finally:
            with suppress(redis.RedisError):
                connection.close()
        if burst or (worker is not None and worker.is_told_to_stop):
            logger.info("worker stopped")
            return
        # RQ's handlers belong to the worker that has just ended; until the next one is there, a signal ends us.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
        pause = 0.5 if time.monotonic() - began > 60 else min(pause * 2, _LONGEST_PAUSE_SECONDS)
        time.sleep(pause)


def _leave(*_signal: object) -> None:
    raise SystemExit(0)


def _make(connection: redis.Redis, queue_names: Sequence[str]) -> FlexDashWorker:
    return FlexDashWorker(
        [queues.queue(name, connection) for name in queue_names],
        connection=connection,
        job_class=queues.JsonJob,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL_SECONDS,
        maintenance_interval=MAINTENANCE_SECONDS,
        job_monitoring_interval=MONITORING_SECONDS,
        default_result_ttl=queues.KEEP_RESULT_SECONDS,
        log_job_description=False,
    )
