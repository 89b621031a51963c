"""The tick, once a minute: what is due gets its run, what is lost is taken up again, what waits stands in a queue.

Every step asks the database what is missing and does that, so a tick that is late, doubled, cut off, or that comes
after Redis was wiped, neither doubles nor misses anything.
"""

import time
from datetime import timedelta

import structlog

from flexdash import clock
from flexdash.extensions import settings
from flexdash.jobs import queues, schedule
from flexdash.jobs.context import job_context
from flexdash.services import sync_attempts, sync_schedule
from flexdash.services.sync_schedule import Claimed

logger = structlog.get_logger(__name__)


def tick() -> None:
    """Run by RQ: dispatch what the present moment asks for."""
    with job_context(job="tick"):
        queues.forget_later_ticks()
        dispatch()


def dispatch() -> Claimed:
    """Do one tick in the present app context; return what was claimed. Raises redis.RedisError when Redis is away."""
    began, now = time.perf_counter(), clock.now()
    n_lost = sync_attempts.take_up_lost(
        now, timedelta(seconds=settings.run_lost_after_seconds), settings.run_max_attempts
    )
    claimed = Claimed()
    sync_schedule.drop_unscheduled({line.sync for line in schedule.SCHEDULE})
    for line in schedule.SCHEDULE:
        timing = line.timing(settings)
        sync_schedule.put_in_order(timing, now)
        claimed += sync_schedule.claim_due(timing, now)
    n_enqueued = queues.enqueue_runs(sync_schedule.waiting(now))
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
