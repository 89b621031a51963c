"""Attempts at sync runs: begun by an atomic claim, kept alive by signs of life, ended in a state people can read."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine, func, select, update

from flexdash import clock, metrics
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import AttemptOutcome, RunState, Store, StoreStatus, SyncAttempt, SyncRun, SyncState
from flexdash.services import refused_runs, sync_schedule, waiting_runs
from flexdash.services.run_context import RunContext
from flexdash.services.syncs import FACTS

MAX_SENTENCE = 1000
NO_SYNC = {"synchronize_session": False}
_NO_ERROR = {"error_code": "", "error_sentence": "", "error_detail": ""}

logger = structlog.get_logger(__name__)


def begin(run_id: int, should_stop: Callable[[], bool] = lambda: False) -> RunContext | None:
    """Claim the run for this worker and return what the sync needs; None when there is nothing to do.

    The claim is one UPDATE that only a queued run satisfies: of several queue entries for a run one gets it, the
    others get None. A run whose store may not sync any more ends here, with a sentence.
    """
    token, now = uuid.uuid4().hex, clock.now()
    with transaction() as session:
        claimed = session.execute(
            update(SyncRun)
            .where(SyncRun.id == run_id, waiting_runs.is_ready(now))
            .values(
                state=RunState.RUNNING,
                attempt_token=token,
                n_attempts=SyncRun.n_attempts + 1,
                started_at=func.coalesce(SyncRun.started_at, now),
                heartbeat_at=now,
                retry_at=None,
                progress="",
            )
            .execution_options(**NO_SYNC)
        )
        if claimed.rowcount == 0:  # type: ignore[attr-defined]
            return None
        run = session.get_one(SyncRun, run_id, populate_existing=True)
        if sentence := why_not(run.store, run):
            run.state, run.finished_at, run.error_sentence = RunState.SKIPPED, now, sentence
            run.error_detail = ""
            run.n_attempts -= 1
            metrics.count("sync_runs_ended", sync=run.sync, outcome="skipped")
            return None
        session.add(SyncAttempt(run_id=run_id, attempt_token=token, started_at=now))
        sync_schedule.ensure_state(run.workspace_id, run.store_id, run.sync)
        return RunContext(
            run_id=run.id,
            store_id=run.store_id,
            workspace_id=run.workspace_id,
            sync=run.sync,
            trigger=run.trigger,
            attempt=run.n_attempts,
            attempt_token=token,
            retry_of_id=run.retry_of_id,
            should_stop=should_stop,
        )


def why_not(store: Store, run: SyncRun) -> str:
    """Return the sentence that says why a queued run must not start any more, "" when it may."""
    label = FACTS[run.sync].label
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        return (
            f"{store.name} needs re-authorization, so Amazon was not asked. Re-authorize the store. "
            f"{FACTS[run.sync].once_authorized}"
        )
    if store.status is not StoreStatus.CONNECTED:
        return f"{store.name} is not connected to Amazon any more, so this run did not start."
    if not FACTS[run.sync].is_on(store):
        return f"{label} was turned off for {store.name} before this run began, so it did not start."
    return ""


def beat(engine: Engine, run: RunContext) -> bool:
    """Write a sign of life on a connection of its own; False when the run is no longer this attempt's.

    Needs no app context, so that a thread can call it.
    """
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection, connection.begin():
        result = connection.execute(
            update(SyncRun.__table__).where(*_is_ours(run)).values(heartbeat_at=clock.now())  # type: ignore[arg-type]
        )
    return result.rowcount == 1


def succeed(run: RunContext) -> RunState | None:
    """End a run that went through: Healthy, Partial when some items failed, Failed when Amazon took nothing at all.

    Returns its state, None when it was taken away.
    """
    now = clock.now()
    with transaction() as session:
        if not _update(run, finished_at=now, progress="", **_NO_ERROR):
            return None
        row = session.get_one(SyncRun, run.run_id, populate_existing=True)
        if sentence := refused_runs.why_not_good(row):
            row.state, row.error_code, row.error_sentence = RunState.FAILED, refused_runs.CODE, sentence[:MAX_SENTENCE]
        else:
            row.state = RunState.PARTIAL if row.n_failed else RunState.SUCCEEDED
        ended = row.state
        _end_attempt(run, AttemptOutcome(ended.value), row.error_code, row.error_sentence)
        metrics.count("sync_runs_ended", sync=run.sync, outcome=ended)
        if ended is RunState.FAILED or run.retry_of_id is not None:
            return ended  # a retry took up a few items only: whether the store is up to date, it cannot say
        # A partial run has read everything, and what failed is kept apart: the store is not stale for it.
        session.execute(
            update(SyncState)
            .where(SyncState.store_id == run.store_id, SyncState.sync == run.sync)
            .values(last_success_at=now, fresh_until=sync_schedule.fresh_until(run.sync, now))
            .execution_options(**NO_SYNC)
        )
        return ended


def retry_later(run: RunContext, code: str, sentence: str, delay: timedelta, *, detail: str = "") -> bool:
    """Put the run back in line, not before `delay` from now; False when it was taken away meanwhile.

    `sentence` says why, `detail` what only the run's own page has; when it is tried again, `retry_at` tells the pages.
    """
    with transaction():
        if not _update(
            run,
            state=RunState.QUEUED,
            attempt_token="",
            retry_at=clock.now() + delay,
            progress="",
            error_code=code,
            error_sentence=sentence[:MAX_SENTENCE],
            error_detail=detail[:MAX_SENTENCE],
        ):
            return False
        _end_attempt(run, AttemptOutcome.TO_RETRY, code, sentence, detail)
        metrics.count("sync_retries", sync=run.sync, cause="failed")
        return True


def fail(run: RunContext, code: str, sentence: str, *, detail: str = "") -> bool:
    """End the run as failed, with a sentence for people and what its own page says beside it.

    False when it was taken away meanwhile.
    """
    with transaction():
        if not _update(
            run,
            state=RunState.FAILED,
            finished_at=clock.now(),
            progress="",
            error_code=code,
            error_sentence=sentence[:MAX_SENTENCE],
            error_detail=detail[:MAX_SENTENCE],
        ):
            return False
        _end_attempt(run, AttemptOutcome.FAILED, code, sentence, detail)
        metrics.count("sync_runs_ended", sync=run.sync, outcome="failed")
        return True


def skip(run: RunContext, sentence: str) -> bool:
    """End the run as skipped: a person has to decide something first. False when it was taken away meanwhile."""
    with transaction():
        if not _update(
            run,
            state=RunState.SKIPPED,
            finished_at=clock.now(),
            progress="",
            error_code="",
            error_sentence=sentence[:MAX_SENTENCE],
            error_detail="",
        ):
            return False
        _end_attempt(run, AttemptOutcome.SKIPPED, "", sentence)
        metrics.count("sync_runs_ended", sync=run.sync, outcome="skipped")
        return True


def hand_back(engine: Engine, run: RunContext) -> bool:
    """Put the run back in line because its worker stops; this attempt does not count. False when it was taken away.

    Works on a connection of its own and without an app context: a thread may have to do it.
    """
    runs, attempts, now = SyncRun.__table__, SyncAttempt.__table__, clock.now()
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection, connection.begin():
        result = connection.execute(
            update(runs)  # type: ignore[arg-type]
            .where(*_is_ours(run))
            .values(
                state=RunState.QUEUED,
                attempt_token="",
                progress="",
                n_attempts=runs.c.n_attempts - 1,
                heartbeat_at=now,
            )
        )
        if result.rowcount == 0:
            return False
        connection.execute(
            update(attempts)  # type: ignore[arg-type]
            .where(attempts.c.run_id == run.run_id, attempts.c.attempt_token == run.attempt_token)
            .values(finished_at=now, outcome=AttemptOutcome.HANDED_BACK)
        )
        return True


def take_up_lost(now: datetime, lost_after: timedelta, max_attempts: int) -> int:
    """Put runs whose worker gives no sign of life back in line, or end them as failed after `max_attempts`.

    Returns how many runs were lost. The worker, should it live after all, finds itself superseded.
    """
    silent = select(SyncRun.id, SyncRun.sync, SyncRun.attempt_token, SyncRun.n_attempts).where(
        SyncRun.state == RunState.RUNNING, SyncRun.heartbeat_at < now - lost_after
    )
    found = db.session.execute(silent).all()
    db.session.rollback()
    if not found:
        return 0
    n_lost = 0
    for run_id, sync, token, n_attempts in found:
        is_over = n_attempts >= max_attempts
        values: dict[str, Any] = {"state": RunState.QUEUED, "attempt_token": "", "heartbeat_at": now}
        if is_over:
            sentence = (
                f"The worker doing this run stopped without a word, {n_attempts} times in a row, so it is given up. "
                f"{FACTS[sync].after_failure} "
                "Whoever runs FlexDash finds the reason in the workers' log."
            )
            ending = {"error_code": "lost", "error_sentence": sentence, "error_detail": ""}
            values = {"state": RunState.FAILED, "finished_at": now, **ending}
        with transaction() as session:
            changed = session.execute(
                update(SyncRun)
                .where(
                    SyncRun.id == run_id,
                    SyncRun.attempt_token == token,
                    SyncRun.state == RunState.RUNNING,
                    SyncRun.heartbeat_at < now - lost_after,
                )
                .values(progress="", **values)
                .execution_options(**NO_SYNC)
            )
            if changed.rowcount == 0:  # type: ignore[attr-defined]
                continue
            session.execute(
                update(SyncAttempt)
                .where(SyncAttempt.run_id == run_id, SyncAttempt.attempt_token == token)
                .values(
                    finished_at=now,
                    outcome=AttemptOutcome.LOST,
                    error_code="lost",
                    error_sentence="The worker stopped without a word. What it had brought in is kept.",
                )
                .execution_options(**NO_SYNC)
            )
            if is_over:
                metrics.count("sync_runs_ended", sync=sync, outcome="failed")
            else:
                metrics.count("sync_retries", sync=sync, cause="lost")
        n_lost += 1
        logger.warning("run lost its worker", run_id=run_id, attempt=n_attempts, is_given_up=is_over)
    return n_lost


def _is_ours(run: RunContext) -> tuple[Any, ...]:
    table = SyncRun.__table__
    return (
        table.c.id == run.run_id,
        table.c.attempt_token == run.attempt_token,
        table.c.state == RunState.RUNNING,
    )


def _update(run: RunContext, **values: Any) -> bool:
    result = db.session.execute(
        update(SyncRun).where(*_is_ours(run)).values(**values).execution_options(**NO_SYNC),
    )
    return result.rowcount == 1  # type: ignore[attr-defined]


def _end_attempt(
    run: RunContext, outcome: AttemptOutcome, code: str = "", sentence: str = "", detail: str = ""
) -> None:
    said = {"error_sentence": sentence[:MAX_SENTENCE], "error_detail": detail[:MAX_SENTENCE]}
    db.session.execute(
        update(SyncAttempt)
        .where(SyncAttempt.run_id == run.run_id, SyncAttempt.attempt_token == run.attempt_token)
        .values(finished_at=clock.now(), outcome=outcome, error_code=code[:60], **said)
        .execution_options(**NO_SYNC)
    )
