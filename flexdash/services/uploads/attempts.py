"""Who works on an upload: taken by an atomic claim, kept by signs of life, taken up again when its worker is lost."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Select, and_, exists, func, select, text, update
from sqlalchemy.orm import Session, aliased

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Upload, UploadState
from flexdash.models.upload import IS_WORK
from flexdash.services.run_context import HandBack, Superseded
from flexdash.services.uploads.places import UNDER_WAY, same_place

# What waits for a worker: what it is while one works on it.
STEPS = {UploadState.RECEIVED: UploadState.CHECKING, UploadState.ACCEPTED: UploadState.APPLYING}
_WAITING_STATE = {working: waiting for waiting, working in STEPS.items()}
MAX_SENTENCE = 1000
NO_SYNC = {"synchronize_session": False}

logger = structlog.get_logger(__name__)


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Attempt:
    """One worker's hold on an upload, good until another attempt takes its place."""

    upload_id: int
    step: UploadState  # CHECKING or APPLYING
    token: str
    number: int  # of attempts at this step; 1 for the first
    should_stop: Callable[[], bool] = field(default=_never, repr=False)

    def check_in(self, executor: Connection | Session, **values: Any) -> None:
        """Show a sign of life and set `values` of the upload, inside the transaction of the work.

        The row is held until that transaction ends, so call it first. Raises Superseded when the upload is not this
        attempt's any more: nothing of the transaction may be kept then.
        """
        result = executor.execute(
            update(Upload)
            .where(Upload.id == self.upload_id, Upload.attempt_token == self.token, Upload.state == self.step)
            .values(heartbeat_at=clock.now(), **values)
            .execution_options(**NO_SYNC)
        )
        if result.rowcount != 1:  # type: ignore[attr-defined]
            raise Superseded

    def stop_here(self) -> None:
        """Between two transactions: raise HandBack when the worker is asked to stop."""
        if self.should_stop():
            raise HandBack

    def end(self, executor: Connection | Session, state: UploadState, **values: Any) -> None:
        """Let go of the upload in `state`, inside a transaction; raises Superseded as `check_in` does.

        Files that waited until it leaves its place wait for a worker from now on.
        """
        self.check_in(executor, state=state, attempt_token="", n_attempts=0, **values)
        if self.step is UploadState.APPLYING:
            _let_wait_from_now_on(executor, self.upload_id)


def claim(upload_id: int, should_stop: Callable[[], bool] = _never) -> Attempt | None:
    """Take the upload for this worker; None when nothing is to be done for it, or not yet.

    Of several that try, one gets it. A file is not checked while an older one of its kind is being applied to the same
    place: the preview would be out of date before anybody sees it.
    """
    token = uuid.uuid4().hex
    with transaction() as session:
        for waiting, working in STEPS.items():
            result = session.execute(
                update(Upload)
                .where(Upload.id == upload_id, Upload.state == waiting, ~_is_blocked())
                .values(
                    state=working,
                    attempt_token=token,
                    n_attempts=Upload.n_attempts + 1,
                    heartbeat_at=clock.now(),
                    error_sentence="",
                )
                .execution_options(**NO_SYNC)
            )
            if result.rowcount:  # type: ignore[attr-defined]
                number = session.scalars(select(Upload.n_attempts).where(Upload.id == upload_id)).one()
                return Attempt(upload_id, working, token, number, should_stop)
    return None


def waiting() -> list[int]:
    """Return the ids of the uploads that a worker could begin on, the oldest first."""
    ids = select(Upload.id).where(Upload.state.in_(STEPS), ~_is_blocked()).order_by(Upload.id)
    found = list(db.session.scalars(ids))
    db.session.rollback()
    return found


def n_waiting_since(before: datetime) -> dict[int, int]:
    """Return how many uploads a worker could have begun on since `before`, by workspace; none where there are none."""
    since = func.coalesce(Upload.heartbeat_at, Upload.uploaded_at)
    of_workspace = Upload.workspace_id + 0  # else SQLite reads every upload, in the order of an index of workspaces
    waiting_ones = (
        select(of_workspace, func.count())
        .where(text(IS_WORK), Upload.state.in_(STEPS), since < before, ~_is_blocked())
        .group_by(of_workspace)
    )
    return dict(db.session.execute(waiting_ones).all())


def waiting_in(workspace_id: int) -> Select[tuple[datetime]]:
    """Return a SELECT of since when each upload of a workspace that waits could have been begun, the oldest first."""
    since = func.coalesce(Upload.heartbeat_at, Upload.uploaded_at)
    return (
        select(since.label("since"))
        .where(text(IS_WORK), Upload.state.in_(STEPS), Upload.workspace_id + 0 == workspace_id, ~_is_blocked())
        .order_by(Upload.id)
    )


def beat(engine: Engine, attempt: Attempt) -> bool:
    """Write a sign of life on a connection of its own; False when the upload is no longer this attempt's.

    Needs no app context, so that a thread can call it.
    """
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
        try:
            with connection.begin():
                attempt.check_in(connection)
        except Superseded:
            return False
    return True


def hand_back(attempt: Attempt) -> None:
    """Put the upload back in line because the worker stops; this attempt does not count."""
    _put_back(attempt, n_attempts=Upload.n_attempts - 1)


def retry_later(attempt: Attempt, sentence: str) -> None:
    """Put the upload back in line after a failure that may pass; the next tick takes it up."""
    _put_back(attempt, error_sentence=sentence[:MAX_SENTENCE])


def take_up_lost(now: datetime, lost_after: timedelta, max_attempts: int) -> list[int]:
    """Put uploads whose worker gives no sign of life back in line; return the ids of those given up instead.

    The caller ends those as failed. A worker that lives after all finds itself superseded.
    """
    is_lost = and_(Upload.state.in_(_WAITING_STATE), Upload.heartbeat_at < now - lost_after)
    found = db.session.execute(select(Upload.id, Upload.state, Upload.attempt_token, Upload.n_attempts).where(is_lost))
    lost = found.all()
    db.session.rollback()
    given_up = []
    for upload_id, state, token, n_attempts in lost:
        if n_attempts >= max_attempts:
            given_up.append(upload_id)
            continue
        with transaction() as session:
            session.execute(
                update(Upload)
                .where(Upload.id == upload_id, Upload.attempt_token == token, is_lost)
                .values(state=_WAITING_STATE[state], attempt_token="")
                .execution_options(**NO_SYNC)
            )
        logger.warning("upload lost its worker", upload_id=upload_id, attempt=n_attempts)
    return given_up


def of_lost(upload_id: int, now: datetime, lost_after: timedelta) -> Attempt | None:
    """Return the hold of the lost worker, for ending the upload in its place; None when it is not lost any more."""
    row = db.session.execute(
        select(Upload.state, Upload.attempt_token, Upload.n_attempts).where(
            Upload.id == upload_id, Upload.state.in_(_WAITING_STATE), Upload.heartbeat_at < now - lost_after
        )
    ).one_or_none()
    db.session.rollback()
    return Attempt(upload_id, row.state, row.attempt_token, row.n_attempts) if row else None


def _put_back(attempt: Attempt, **values: Any) -> None:
    with transaction() as session:
        session.execute(
            update(Upload)
            .where(Upload.id == attempt.upload_id, Upload.attempt_token == attempt.token, Upload.state == attempt.step)
            .values(state=_WAITING_STATE[attempt.step], attempt_token="", **values)
            .execution_options(**NO_SYNC)
        )


def _let_wait_from_now_on(executor: Connection | Session, ended_id: int) -> None:
    place = select(Upload.kind, Upload.seller_id, Upload.store_id).where(Upload.id == ended_id)
    executor.execute(
        update(Upload)
        .where(
            same_place(Upload, executor.execute(place).one()),
            Upload.id > ended_id,
            Upload.state == UploadState.RECEIVED,
        )
        .values(heartbeat_at=clock.now())
        .execution_options(**NO_SYNC)
    )


def _is_blocked() -> Any:
    other = aliased(Upload)
    return and_(
        Upload.state == UploadState.RECEIVED,
        exists().where(
            same_place(other, Upload),
            other.id < Upload.id,
            other.state.in_(UNDER_WAY),
        ),
    )
