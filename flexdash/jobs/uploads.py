"""The job of an uploaded file: check it, or apply it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from flexdash.extensions import db, settings
from flexdash.jobs import endings, queues, stopping
from flexdash.jobs.context import job_context
from flexdash.logs import with_present_ids
from flexdash.services.run_context import HandBack, Superseded
from flexdash.services.uploads import applying, attempts, cleaning, working
from flexdash.services.uploads.attempts import Attempt

_LOST = (
    "The worker that did this file stopped without a word, {n} times in a row, so it is given up. What it had applied "
    "stays applied. Whoever runs FlexDash finds the reason in the workers' log."
)

logger = structlog.get_logger(__name__)


def run(upload_id: int) -> None:
    """Run by RQ: do what is next for the upload with this id.

    An upload that another worker has, or that waits for a person, is left alone. Nothing is raised for one that fails:
    its row says so.
    """
    with job_context(upload_id=upload_id):
        attempt = working.begin(upload_id, stopping.is_asked)
        if attempt is None:
            return
        _attempt(attempt)
        # What waited for this one's end can begin now, and so can the cleaning after it.
        queues.enqueue_uploads([*attempts.waiting(), *cleaning.to_clean()])


def take_up(now: datetime) -> None:
    """Do what a tick owes uploads: lost ones are taken up, all that have something to do stand in the queue.

    Raises redis.RedisError when Redis is away.
    """
    lost_after = timedelta(seconds=settings.run_lost_after_seconds)
    for upload_id in attempts.take_up_lost(now, lost_after, settings.run_max_attempts):
        if attempt := attempts.of_lost(upload_id, now, lost_after):
            _give_up(attempt, _LOST.format(n=attempt.number))
    cleaning.put_forgotten_aside(now)
    queues.enqueue_uploads([*attempts.waiting(), *cleaning.to_clean()])


def _attempt(attempt: Attempt) -> None:
    began = time.perf_counter()
    logger.info("upload taken up", step=attempt.step.value, attempt=attempt.number)
    try:
        with _signs_of_life(attempt):
            working.work(attempt)
    except Superseded:
        db.session.rollback()
        logger.warning("upload left: another worker has it now, or somebody put it aside")
    except HandBack:
        db.session.rollback()
        attempts.hand_back(attempt)
        logger.info("the worker stops; the upload is handed back")
    except Exception as error:
        db.session.rollback()
        _end_failed(attempt, error)
    else:
        logger.info("upload done", step=attempt.step.value, seconds=round(time.perf_counter() - began, 1))


@contextmanager
def _signs_of_life(attempt: Attempt) -> Iterator[None]:
    """Show one every few seconds from a thread, for steps that take longer than a piece of the file does."""
    engine, every, is_over = db.engine, settings.run_heartbeat_seconds, threading.Event()

    def show() -> None:
        while not is_over.wait(every):
            try:
                if not attempts.beat(engine, attempt):
                    return
            except SQLAlchemyError as error:
                logger.warning("a sign of life could not be written", error=type(error).__name__)

    thread = threading.Thread(target=with_present_ids(show), name=f"upload-{attempt.upload_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _end_failed(attempt: Attempt, error: Exception) -> None:
    ending = endings.ending_of(error, f"upload {attempt.upload_id}")
    if ending.is_expected:
        logger.warning("upload failed", code=ending.code, error=str(error))
    else:
        logger.error("upload failed", code=ending.code, exc_info=error)
    sentence = ending.sentence
    if ending.code == "defect":
        sentence = (
            "FlexDash ran into a fault of its own with this file. Please tell whoever runs FlexDash; the log has the "
            f"details under upload {attempt.upload_id}."
        )
    if ending.may_pass and attempt.number < settings.run_max_attempts:
        attempts.retry_later(attempt, f"{sentence} FlexDash tries again by itself within a minute.")
        return
    _give_up(attempt, sentence)


def _give_up(attempt: Attempt, sentence: str) -> None:
    try:
        applying.fail(attempt, sentence)
    except Superseded:
        db.session.rollback()
        logger.warning("upload left: another worker has it now, or somebody put it aside")
