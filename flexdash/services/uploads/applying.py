"""Applying a checked file: a piece of it per transaction, which also notes how far it is.

An attempt that dies leaves whole pieces, and the next one goes on behind them; what is applied is applied once.

The Configuration Log tells that a file was uploaded, and of what it changed: of one that was applied, and of one given
up in the middle, with how far it came. One that was put aside, refused as a whole or given up before its first row
changed nothing more; the list of uploads, to which the log's row leads, says so with who and why.
"""

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flexdash import clock, metrics
from flexdash.database import count_anew, transaction
from flexdash.extensions import db
from flexdash.models import StockMode, Upload, UploadState
from flexdash.services import config_log, order_holds
from flexdash.services.actors import Actor
from flexdash.services.uploads import staging
from flexdash.services.uploads.attempts import MAX_SENTENCE, Attempt
from flexdash.services.uploads.checking import count_outcomes
from flexdash.services.uploads.headers import fields_of
from flexdash.services.uploads.kinds import Target
from flexdash.services.uploads.registry import KINDS
from flexdash.services.uploads.staging import rows
from flexdash.services.words import listed, quoted

_FIRST_PIECE, _SMALLEST_PIECE = 5_000, 500  # rows
_MANY_ROWS = 1_000  # of a store that PostgreSQL may not have counted: fewer are soon looked through
_WANTED_SECONDS = 0.5  # per piece: others that want to write wait for its end


def apply(attempt: Attempt) -> None:
    """Apply the upload that `attempt` holds, from where the one before ended, and leave it as APPLIED.

    Raises Superseded and HandBack.
    """
    upload = db.session.get_one(Upload, attempt.upload_id, populate_existing=True)
    kind, target, n_applied = KINDS[upload.kind], Target.of(upload), upload.n_applied
    fields = fields_of(upload)
    n_to_apply = (
        db.session.scalar(select(func.max(rows.c.row_number)).where(rows.c.upload_id == attempt.upload_id)) or 1
    ) - 1
    db.session.rollback()
    size = _FIRST_PIECE
    while n_applied < n_to_apply:
        attempt.stop_here()
        began = time.perf_counter()
        reached = min(n_applied + size, n_to_apply)
        with transaction() as session:
            attempt.check_in(session, n_applied=reached)
            staging.prefer_indexes(session.connection())
            upload = session.get_one(Upload, attempt.upload_id, populate_existing=True)
            # The header is row 1, so row n + 1 is the nth below it.
            kind.apply(session, upload, n_applied + 2, reached + 1, fields)
        n_applied = reached
        seconds = time.perf_counter() - began
        size = max(_SMALLEST_PIECE, min(staging.ROWS_AT_ONCE, int(size * min(2.0, _WANTED_SECONDS / seconds))))
    if kind.table and n_to_apply >= _MANY_ROWS:
        count_anew(kind.table)
    with transaction() as session:
        attempt.check_in(session)
        counts = count_outcomes(session.connection(), attempt.upload_id)
        attempt.end(session, UploadState.APPLIED, finished_at=clock.now(), **counts)
        _finish(session, attempt.upload_id, "applied the {file} to {place}: {outcome}")
        metrics.count("uploads_ended", kind=upload.kind, outcome="applied")
    if kind.brings_orders_on:
        order_holds.release_for_seller(target.seller_id)


def fail(attempt: Attempt, sentence: str) -> None:
    """Give the upload up, with a sentence for people; what was applied of it stays, and is logged.

    Raises Superseded when it is not this attempt's any more.
    """
    with transaction() as session:
        attempt.check_in(session)
        upload = session.get_one(Upload, attempt.upload_id, populate_existing=True)
        is_partly_applied = attempt.step is UploadState.APPLYING and upload.n_applied > 0
        attempt.end(session, UploadState.FAILED, finished_at=clock.now(), error_sentence=sentence[:MAX_SENTENCE])
        metrics.count("uploads_ended", kind=upload.kind, outcome="failed")
        if is_partly_applied:
            _finish(session, attempt.upload_id, "applied the {file} to {place} in part: its first {n_applied:,} rows")
    if is_partly_applied and KINDS[upload.kind].brings_orders_on:
        order_holds.release_for_seller(upload.seller_id)


def outcome_words(upload: Upload) -> str:
    """Return what became of the rows, such as "1,204 new, 3 changed and 2 refused"."""
    counts = [
        (upload.n_new, "new"),
        (upload.n_changed, "changed"),
        (upload.n_unchanged, "unchanged"),
        (upload.n_refused, "refused"),
    ]
    return listed([f"{n:,} {word}" for n, word in counts if n]) or "no rows"


def _finish(session: Session, upload_id: int, what: str) -> None:
    upload = session.get_one(Upload, upload_id, populate_existing=True)
    kind = KINDS[upload.kind]
    kind.finish(upload)
    actor = Actor(upload.workspace_id, upload.applied_by_id, upload.applied_by_name, address=upload.applied_from)
    words = what.format(
        file=f"{kind.label} file {quoted(upload.file_name)}",
        place=upload.place.name,
        outcome=outcome_words(upload),
        n_applied=upload.n_applied,
    )
    new = {
        "upload_id": upload.id,
        "file": upload.file_name,
        "new": upload.n_new,
        "changed": upload.n_changed,
        "refused": upload.n_refused,
    }
    if upload.stock_mode:
        new["quantities"] = "added" if upload.stock_mode is StockMode.ADD else "set"
    config_log.record(
        actor,
        kind.section,
        f"{actor.name} {words}",
        store=upload.store,
        seller=upload.seller,
        new=new,
        reason=upload.applied_reason,
    )
