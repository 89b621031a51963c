"""Checking an uploaded file: read once as a stream, each row checked, then compared with what is stored.

Every transaction is short, shows a sign of life and writes only under this attempt's token, so that a worker that dies
or is given up leaves nothing half done: the next attempt checks the file from its beginning.
"""

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, delete, func, insert, select

from flexdash import metrics
from flexdash.extensions import db
from flexdash.models import RowOutcome, Upload, UploadChunk, UploadState
from flexdash.prefetch import prefetched
from flexdash.services.uploads import staging
from flexdash.services.uploads.attempts import Attempt
from flexdash.services.uploads.encodings import NotUsable
from flexdash.services.uploads.headers import HEADER_ROW
from flexdash.services.uploads.kinds import Kind, Target
from flexdash.services.uploads.reading import Batch, FileReader
from flexdash.services.uploads.registry import KINDS
from flexdash.services.uploads.staging import rows

NOTHING_COUNTED = dict.fromkeys(
    ("n_rows", "n_bytes_read", "n_new", "n_changed", "n_unchanged", "n_refused", "n_big_changes", "n_applied"), 0
)
_NO_ROWS = "The file names its columns and has no row below them, so there is nothing to do."


def check(attempt: Attempt) -> None:
    """Check the upload that `attempt` holds and leave it as CHECKED, or as REFUSED with a sentence.

    Raises Superseded and HandBack.
    """
    upload = db.session.get_one(Upload, attempt.upload_id, populate_existing=True)
    kind, target = KINDS[upload.kind], Target.of(upload)
    encoding, delimiter = upload.encoding, upload.delimiter
    db.session.rollback()
    clear_rows(db.engine, attempt)
    try:
        reader = FileReader(
            chunks_of(db.engine, target.upload_id), kind.columns(target), encoding=encoding, delimiter=delimiter
        )
        with db.engine.connect() as connection, staging.temporary_tables(connection):
            _Check(attempt, kind, target, reader, connection).run()
    except NotUsable as refusal:
        with db.engine.connect() as connection, staging.writing(connection):
            attempt.end(connection, UploadState.REFUSED, error_sentence=refusal.sentence[:1000], **NOTHING_COUNTED)
        metrics.count("uploads_ended", kind=kind.kind, outcome="refused")


def chunks_of(engine: Engine, upload_id: int) -> Iterator[bytes]:
    """Yield the pieces of the stored file, each read on its own."""
    position = 0
    while True:
        with engine.connect() as connection:
            chunk = connection.scalar(
                select(UploadChunk.content).where(UploadChunk.upload_id == upload_id, UploadChunk.position == position)
            )
        if chunk is None:
            return
        yield chunk
        position += 1


def clear_rows(engine: Engine, attempt: Attempt) -> None:
    """Delete what an earlier attempt, or an earlier choice of encoding, has left."""
    with engine.connect() as connection:
        with staging.writing(connection):
            attempt.check_in(connection, **NOTHING_COUNTED)
        for first, last in ranges(connection, attempt.upload_id):
            with staging.writing(connection):
                attempt.check_in(connection)
                connection.execute(delete(rows).where(*staging.of_upload(attempt.upload_id, first, last)))


def ranges(connection: Connection, upload_id: int, above: int = 0) -> Iterator[tuple[int, int]]:
    """Yield (first, last) row numbers of the upload's rows above a number, each a piece for one transaction."""
    last_row = connection.scalar(select(func.max(rows.c.row_number)).where(rows.c.upload_id == upload_id)) or 0
    connection.rollback()
    for start in range(above, last_row, staging.ROWS_AT_ONCE):
        yield start + 1, min(start + staging.ROWS_AT_ONCE, last_row)


@dataclass(frozen=True)
class _ReadyBatch:
    n_rows: int
    n_bytes_read: int
    fillings: list[staging.Filling]


def _made_ready(batch: Batch, dialect: Dialect) -> _ReadyBatch:
    fillings, refused = [], batch.refused
    if batch.row_numbers:
        fillings.append(staging.for_stage({"row_number": list(map(str, batch.row_numbers)), **batch.values}, dialect))
    if refused:
        fillings.append(
            staging.for_stage(
                {
                    "row_number": [str(row.row_number) for row in refused],
                    "outcome": [RowOutcome.REFUSED.value] * len(refused),
                    "sku_code": [row.sku_code for row in refused],
                    "reason": [row.reason for row in refused],
                    "refused_text": [row.text for row in refused],
                },
                dialect,
            )
        )
    return _ReadyBatch(batch.n_rows, batch.n_bytes_read, fillings)


class _Check:
    def __init__(
        self, attempt: Attempt, kind: Kind, target: Target, reader: FileReader, connection: Connection
    ) -> None:
        self.attempt, self.kind, self.target, self.reader = attempt, kind, target, reader
        self.connection, self.n_rows = connection, 0
        self.comparison = kind.comparison(target, reader.fields)

    def run(self) -> None:
        self._write_header()
        # While the database writes a batch, the next one is read and made ready for it.
        with _without_search_for_cycles(), closing(prefetched(self._ready_batches())) as batches:
            for batch in batches:
                self.attempt.stop_here()
                self._write(batch)
        if not self.n_rows:
            raise NotUsable(_NO_ROWS)
        self._refuse_doubles()
        self._finish()

    def _write_header(self) -> None:
        with staging.writing(self.connection):
            self.attempt.check_in(self.connection, encoding=self.reader.encoding, delimiter=self.reader.delimiter)
            self.connection.execute(
                insert(rows).values(
                    upload_id=self.target.upload_id,
                    row_number=HEADER_ROW,
                    refused_text=self.reader.header_as_json(),
                )
            )

    def _ready_batches(self) -> Iterator[_ReadyBatch]:
        dialect = self.connection.dialect
        return (_made_ready(batch, dialect) for batch in self.reader.batches())

    def _write(self, batch: _ReadyBatch) -> None:
        self.n_rows += batch.n_rows
        with staging.writing(self.connection):
            self.attempt.check_in(self.connection, n_rows=self.n_rows, n_bytes_read=batch.n_bytes_read)
            staging.prefer_indexes(self.connection)
            for filling in batch.fillings:
                staging.fill_stage(self.connection, filling)
            staging.store_stage(self.connection, self.target.upload_id, self.comparison)

    def _refuse_doubles(self) -> None:
        if not staging.find_doubles(self.connection, self.target.upload_id, self.kind.identity):
            return
        reason = self.kind.reason_of_double(staging.first_like_it(self.kind.identity))
        for first, last in ranges(self.connection, self.target.upload_id):
            self.attempt.stop_here()
            with staging.writing(self.connection):
                self.attempt.check_in(self.connection)
                staging.prefer_indexes(self.connection)
                staging.refuse_doubles(self.connection, self.target.upload_id, self.kind.identity, reason, first, last)

    def _finish(self) -> None:
        counts = count_outcomes(self.connection, self.target.upload_id)
        self.connection.rollback()
        with staging.writing(self.connection):
            self.attempt.end(self.connection, UploadState.CHECKED, **counts)


def count_outcomes(connection: Connection, upload_id: int) -> dict[str, Any]:
    """Return how many rows have which outcome, under the names of Upload's columns."""
    query = (
        select(rows.c.outcome, func.count())
        .where(rows.c.upload_id == upload_id, rows.c.outcome.is_not(None))
        .group_by(rows.c.outcome)
    )
    counts = {RowOutcome(outcome): n for outcome, n in connection.execute(query)}
    n_big = counts.get(RowOutcome.BIG_CHANGE, 0)
    return {
        "n_new": counts.get(RowOutcome.NEW, 0),
        "n_changed": counts.get(RowOutcome.CHANGED, 0) + n_big,
        "n_unchanged": counts.get(RowOutcome.UNCHANGED, 0),
        "n_refused": counts.get(RowOutcome.REFUSED, 0),
        "n_big_changes": n_big,
    }


@contextmanager
def _without_search_for_cycles() -> Iterator[None]:
    """Millions of short-lived lists make Python look for garbage all the time, a third of the work for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
