"""The one wrapper around every sync: app context, claim, signs of life, endings, retries, log lines with ids."""

import random
import threading
import time
from collections.abc import Callable

import structlog
from flask import Flask

from flexdash import metrics
from flexdash.extensions import db, settings
from flexdash.jobs import endings, queues, stopping
from flexdash.jobs.context import job_context
from flexdash.jobs.heartbeat import Heartbeat
from flexdash.services import sync_attempts
from flexdash.services.run_context import HandBack, RunContext, RunSkipped, Superseded
from flexdash.services.syncs import FACTS

logger = structlog.get_logger(__name__)


def execute(run_id: int, work: Callable[[RunContext], None]) -> None:
    """Do one attempt at the run: claim it, call `work`, and write how it ended.

    A run that another worker has, that has ended, or whose time has not come, is left alone. Nothing is raised for a
    run that fails: its row says so. What is raised comes from the database or Redis at the very beginning or end;
    such a run shows no more signs of life and is taken up again.
    """
    superseded = threading.Event()

    def should_stop() -> bool:
        return stopping.is_asked() or superseded.is_set()

    with job_context(run_id=run_id) as app:
        run = sync_attempts.begin(run_id, should_stop)
        if run is None:
            logger.info("nothing to do: the run is taken, over, or not due yet")
            return
        with structlog.contextvars.bound_contextvars(
            store_id=run.store_id, workspace_id=run.workspace_id, sync=run.sync.value, attempt=run.attempt
        ):
            _attempt(app, run, work, superseded)


def _attempt(app: Flask, run: RunContext, work: Callable[[RunContext], None], superseded: threading.Event) -> None:
    began = time.perf_counter()
    logger.info("run begun", trigger=run.trigger.value)

    def after_forced_end() -> None:
        with app.app_context():
            queues.enqueue_run(run.run_id)
        stopping.end_process()

    try:
        with Heartbeat(db.engine, run, settings.run_heartbeat_seconds, superseded, after_forced_end):
            work(run)
    except Superseded:
        logger.warning("run left to the worker that has it now")
    except HandBack:
        db.session.rollback()
        if sync_attempts.hand_back(db.engine, run):
            queues.enqueue_run(run.run_id)
            logger.info("the worker stops; the run is handed back")
        else:
            logger.warning("run left to the worker that has it now")
    except RunSkipped as reason:
        db.session.rollback()
        is_ours = sync_attempts.skip(run, reason.sentence)
        logger.info("run ended", state="skipped" if is_ours else "superseded", seconds=_since(began))
    except Exception as error:
        db.session.rollback()
        _end_failed(run, error)
    else:
        state = sync_attempts.succeed(run)
        logger.info("run ended", state=state.value if state else "superseded", seconds=_since(began))
    finally:
        metrics.count("sync_work_seconds", round((time.perf_counter() - began) * 1000), sync=run.sync)


def _end_failed(run: RunContext, error: Exception) -> None:
    ending = endings.ending_of(error, f"run {run.run_id}")
    if ending.is_expected:
        logger.warning("attempt failed", code=ending.code, error=str(error))
    else:
        logger.error("attempt failed", code=ending.code, exc_info=error)
    is_last = run.attempt >= settings.run_max_attempts
    if ending.may_pass and not is_last:
        delay = endings.delay_before(run.attempt, ending, random.random())  # noqa: S311 - spreads load, guards nothing
        is_ours = sync_attempts.retry_later(run, ending.code, ending.sentence, delay, detail=ending.detail)
    else:
        sentence = f"{ending.sentence}{_what_next(ending, run)}"
        is_ours = sync_attempts.fail(run, ending.code, sentence, detail=ending.detail)
    if not is_ours:
        logger.warning("run left to the worker that has it now")


def _what_next(ending: endings.Ending, run: RunContext) -> str:
    if ending.is_waiting_for_person:
        return ""
    tried = f" It was tried {run.attempt} times." if run.attempt > 1 else ""
    return f"{tried} {FACTS[run.sync].after_failure}"


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 1)
