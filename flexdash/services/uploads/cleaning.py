"""Deleting what is not needed any more: the file and its rows, once it was applied or put aside, or is out of date.

The pieces of the file go last: as long as there are any, the next tick finds that something is left to do.
"""

from datetime import datetime, timedelta

from sqlalchemy import and_, delete, exists, or_, select, update
from sqlalchemy.orm import aliased

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import RowOutcome, Upload, UploadChunk, UploadState
from flexdash.services.uploads import staging
from flexdash.services.uploads.checking import ranges
from flexdash.services.uploads.places import WAITING, is_newer
from flexdash.services.uploads.staging import rows

KEPT_UNDECIDED = timedelta(days=30)
NEVER_ARRIVED = timedelta(hours=1)  # a file that was still being kept then will not be whole any more
_CHUNKS_AT_ONCE = 100


def clean(upload_id: int) -> None:
    """Delete what the upload with this id does not need any more; nothing when it needs all of it.

    Of an applied one, and of one given up in the middle, the refused rows stay, for the file of refusals.
    """
    if upload_id not in _to_clean(upload_id):
        return
    state = db.session.scalar(select(Upload.state).where(Upload.id == upload_id))
    db.session.rollback()
    may_go = (
        rows.c.outcome.is_not(None) & (rows.c.outcome != RowOutcome.REFUSED)
        if state in (UploadState.APPLIED, UploadState.FAILED)
        else True
    )
    with db.engine.connect() as connection:
        for first, last in ranges(connection, upload_id):
            with staging.writing(connection):
                connection.execute(delete(rows).where(*staging.of_upload(upload_id, first, last), may_go))
    while True:
        some = (
            select(UploadChunk.position)
            .where(UploadChunk.upload_id == upload_id)
            .order_by(UploadChunk.position.desc())
            .limit(_CHUNKS_AT_ONCE)
        )
        with transaction() as session:
            deleted = session.execute(
                delete(UploadChunk)
                .where(UploadChunk.upload_id == upload_id, UploadChunk.position.in_(some))
                .execution_options(synchronize_session=False)
            )
        if not deleted.rowcount:  # type: ignore[attr-defined]
            return


def to_clean() -> list[int]:
    """Return the ids of the uploads that `clean` has something to do for."""
    return sorted(_to_clean())


def put_forgotten_aside(now: datetime) -> int:
    """Put files aside that nobody has decided on for KEPT_UNDECIDED; return how many."""
    forgotten = and_(Upload.state.in_(WAITING), Upload.uploaded_at < now - KEPT_UNDECIDED)
    is_there = db.session.scalar(select(Upload.id).where(forgotten).limit(1))
    db.session.rollback()
    if is_there is None:
        return 0
    with transaction() as session:
        result = session.execute(
            update(Upload)
            .where(forgotten)
            .values(
                state=UploadState.DISCARDED,
                attempt_token="",
                finished_at=now,
                error_sentence=f"Nobody decided on it for {KEPT_UNDECIDED.days} days, so FlexDash put it aside.",
            )
            .execution_options(synchronize_session=False)
        )
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def _to_clean(upload_id: int | None = None) -> set[int]:
    newer = aliased(Upload)
    is_superseded = exists().where(is_newer(newer, Upload))
    is_over = or_(
        Upload.state.in_((UploadState.APPLIED, UploadState.DISCARDED)),
        and_(Upload.state.in_((UploadState.FAILED, UploadState.REFUSED)), is_superseded),
        and_(Upload.state == UploadState.REFUSED, Upload.uploaded_at < clock.now() - KEPT_UNDECIDED),
        and_(Upload.state == UploadState.FAILED, Upload.sha256 == "", Upload.uploaded_at < clock.now() - NEVER_ARRIVED),
    )
    query = select(UploadChunk.upload_id).join(Upload, Upload.id == UploadChunk.upload_id).where(is_over).distinct()
    if upload_id is not None:
        query = query.where(Upload.id == upload_id)
    found = set(db.session.scalars(query))
    db.session.rollback()
    return found
