"""Verifying the Configuration Log: read from its first row to the kept head, the first bad row named."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Integer, String, select, type_coerce
from sqlalchemy.exc import DBAPIError

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, ConfigEvent, Workspace
from flexdash.services.config_log import HASHED_FIELDS, hash_of_values

ROWS_AT_A_TIME = 1_000  # what is in memory at once, however long the log is


@dataclass(frozen=True)
class Verification:
    """How verifying one workspace's chain ended. `fault` is empty when all is well, else says what and where."""

    workspace_id: int
    checked_at: datetime
    n_rows: int  # rows that were in order, counted from the first
    bad_sequence: int | None = None
    fault: str = ""

    @property
    def is_intact(self) -> bool:
        """Say whether every row was in order, up to the kept head."""
        return not self.fault


class _Broken(Exception):
    def __init__(self, sequence: int | None, fault: str) -> None:
        super().__init__(fault)
        self.sequence = sequence
        self.fault = fault


class _Chain:
    """The rows read so far: how many, and the hash the next one must carry."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.hash = ""

    def add(self, row: Any) -> None:
        expected = self.n_rows + 1
        if row.sequence != expected:
            raise _not_the_next(row.sequence, expected)
        try:
            true_hash = hash_of_values(_readable(row._mapping))
        except (TypeError, ValueError):
            true_hash = None
        if true_hash != row.hash:
            raise _Broken(expected, f"Row {expected} was edited: what it says does not match its hash.")
        if row.previous_hash != self.hash:
            before = f"row {self.n_rows}" if self.n_rows else "the beginning of the log"
            raise _Broken(
                expected,
                f"Row {expected} does not follow {before}: it was inserted or moved there, or the row before it was "
                "replaced.",
            )
        self.n_rows, self.hash = expected, row.hash

    def end_at(self, head: Any) -> None:
        if head is None:
            raise _Broken(None, "The kept head of the chain is gone, so nobody can tell whether the end was cut off.")
        if self.n_rows < head.sequence:
            missing = self.n_rows + 1
            many = f"Rows {missing} to {head.sequence} are" if missing < head.sequence else f"Row {missing} is"
            raise _Broken(missing, f"{many} missing: the end of the log was cut off.")
        if self.n_rows > head.sequence:
            extra = head.sequence + 1
            raise _Broken(extra, f"Row {extra} was inserted: the kept head of the chain ends at row {head.sequence}.")
        if self.hash != head.hash:
            last = max(self.n_rows, 1)
            raise _Broken(last, f"Row {last} was replaced: the kept head of the chain knows another last row.")


def verify(workspace_id: int) -> Verification:
    """Read the whole chain of `workspace_id` in one snapshot and return what was found; memory use stays constant."""
    chain = _Chain()
    checked_at = clock.now()
    try:
        with _snapshot() as connection:
            for row in _rows(connection, workspace_id, chain):
                chain.add(row)
            chain.end_at(connection.execute(_head_of(workspace_id)).one_or_none())
    except _Broken as broken:
        return Verification(workspace_id, checked_at, chain.n_rows, broken.sequence, broken.fault)
    return Verification(workspace_id, checked_at, chain.n_rows)


def verify_and_keep(workspace_id: int) -> Verification:
    """Verify, keep when and how it ended beside the chain's head, and return it."""
    verification = verify(workspace_id)
    with transaction():
        head = db.session.get(ConfigChainHead, workspace_id, with_for_update=True, populate_existing=True)
        if head is not None:
            head.verified_at = verification.checked_at
            head.verified_sequence = verification.n_rows
            head.verified_fault = verification.fault
    return verification


def latest(workspace_id: int) -> Verification | None:
    """Return how the latest kept verification ended, or None when there was none."""
    head = db.session.get(ConfigChainHead, workspace_id, populate_existing=True)
    if head is None or head.verified_at is None:
        return None
    return Verification(workspace_id, head.verified_at, head.verified_sequence, fault=head.verified_fault)


def workspaces() -> list[tuple[int, str]]:
    """Return id and name of every workspace, for the command that verifies all of them."""
    return [
        (row.id, row.name) for row in db.session.execute(select(Workspace.id, Workspace.name).order_by(Workspace.id))
    ]


def _snapshot() -> Connection:
    # Rows appended while the chain is read must not look like a fault: everything is read as of one moment. On SQLite
    # a read transaction of the write-ahead log is that already.
    connection = db.engine.connect()
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def _rows(connection: Connection, workspace_id: int, chain: _Chain) -> Iterator[Any]:
    # Read as plainly as the database gives it: an edited row may hold what the column's type could not turn into a
    # value, and must be named instead of ending the verification.
    columns = [
        type_coerce(column, Integer if isinstance(column.type, Integer) else String).label(column.name)
        for column in (ConfigEvent.__table__.c[name] for name in (*HASHED_FIELDS, "hash"))
    ]
    query = select(*columns).where(ConfigEvent.workspace_id == workspace_id).order_by(ConfigEvent.sequence)
    try:
        yield from connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query)
    except DBAPIError as error:
        if error.connection_invalidated or connection.dialect.name != "sqlite":
            raise
        sequence = chain.n_rows + 1
        raise _Broken(
            sequence, f"Row {sequence}, or one after it, cannot be read: it was edited or damaged."
        ) from error


def _head_of(workspace_id: int) -> Any:
    return select(ConfigChainHead.sequence, ConfigChainHead.hash).where(ConfigChainHead.workspace_id == workspace_id)


def _not_the_next(sequence: Any, expected: int) -> _Broken:
    if isinstance(sequence, int) and sequence > expected:
        many = f"Rows {expected} to {sequence - 1} are" if sequence - 1 > expected else f"Row {expected} is"
        return _Broken(expected, f"{many} missing: deleted, or moved elsewhere.")
    return _Broken(expected, f"A row with the number {sequence} stands where row {expected} belongs: it was inserted.")


def _readable(row: Any) -> dict[str, Any]:
    values = dict(row)
    values["occurred_at"] = _utc(values["occurred_at"])
    for name in ("old_value", "new_value"):
        if isinstance(values[name], str | bytes):
            values[name] = json.loads(values[name])
    return values


def _utc(moment: Any) -> datetime:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if not isinstance(moment, datetime):
        raise TypeError(f"not a moment: {moment!r}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
