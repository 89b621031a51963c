"""The job of a batch: one action on many orders."""

from datetime import datetime, timedelta

import structlog

from flexdash.extensions import db, settings
from flexdash.jobs import queues, stopping
from flexdash.jobs.context import job_context
from flexdash.services.actors import Actor
from flexdash.services.order_work import batches, steps
from flexdash.services.run_context import HandBack, Superseded

logger = structlog.get_logger(__name__)


def run(batch_id: int) -> None:
    """Run by RQ: do what is left of the batch with this id; one that another worker has is left alone."""
    with job_context(batch_id=batch_id):
        hold = batches.begin(batch_id, stopping.is_asked)
        if hold is None:
            return
        try:
            batches.work(hold, _start_steps)
        except Superseded:
            db.session.rollback()
            logger.warning("batch left to the worker that has it now")
        except HandBack:
            db.session.rollback()
            batches.hand_back(hold)
            queues.enqueue_batch(batch_id)
        except Exception:
            db.session.rollback()
            batches.retry_or_give_up(hold, settings.run_max_attempts)  # the next tick tries again
            raise
        else:
            logger.info("batch done")


def take_up(now: datetime) -> None:
    """Do what a tick owes batches: lost ones are taken up or given up, and all that wait stand in the queue.

    Raises redis.RedisError when Redis is away.
    """
    lost_after = timedelta(seconds=settings.run_lost_after_seconds)
    batches.take_up_lost(now, lost_after, settings.run_max_attempts)
    queues.enqueue_batches(batches.waiting())


def _start_steps(actor: Actor, order_id: int) -> None:
    run_id = steps.request(actor, order_id)
    if run_id is not None:
        queues.enqueue_run(run_id)
