"""The tick, once a minute: what is due gets its run, what is lost is taken up again, what waits stands in a queue.

Every step asks the database what is missing and does that, so a tick that is late, doubled, cut off, or that comes
after Redis was wiped, neither doubles nor misses anything.
"""

import time
from datetime import timedelta

import structlog

from flexdash import clock
from flexdash.extensions import settings
from flexdash.jobs import queues, schedule, uploads, work_batches
from flexdash.jobs.context import job_context
from flexdash.services import (
    access_log,
    api_log,
    buyer_retention,
    config_log_walk,
    run_sheets,
    sync_attempts,
    sync_schedule,
)
from flexdash.services.sync_schedule import Claimed

logger = structlog.get_logger(__name__)


def tick() -> None:
    """Run by RQ: dispatch what the present moment asks for."""
    with job_context(job="tick"):
        queues.forget_later_ticks()
        dispatch()
        if n_deleted := buyer_retention.delete_due(clock.now()):
            logger.info("buyers' data deleted in time", n_deleted=n_deleted)
        config_log_walk.step(clock.now())
        access_log.forget_old(clock.now(), settings.access_log_days)
        if n_deleted := api_log.delete_old(clock.now()) + run_sheets.delete_old(clock.now()):
            logger.info("old calls to Amazon and outcomes of runs deleted", n_deleted=n_deleted)


def dispatch() -> Claimed:
    """Do one tick in the present app context; return what was claimed. Raises redis.RedisError when Redis is away."""
    began, now = time.perf_counter(), clock.now()
    n_lost = sync_attempts.take_up_lost(
        now, timedelta(seconds=settings.run_lost_after_seconds), settings.run_max_attempts
    )
    claimed = Claimed()
    sync_schedule.drop_unscheduled({line.sync for line in schedule.SCHEDULE})
    for line in schedule.SCHEDULE:
        if (timing := line.timing(settings)) is None:
            continue
        sync_schedule.put_in_order(timing, now)
        claimed += sync_schedule.claim_due(timing, now)
    with queues.filling_alone():
        n_enqueued = queues.enqueue_runs(sync_schedule.waiting(now))
    uploads.take_up(now)
    work_batches.take_up(now)
    if claimed.n_queued or claimed.n_skipped or n_enqueued or n_lost:
        logger.info(
            "dispatched",
            n_queued=claimed.n_queued,
            n_skipped=claimed.n_skipped,
            n_enqueued=n_enqueued,
            n_lost=n_lost,
            duration_ms=round((time.perf_counter() - began) * 1000),
        )
    return claimed
