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
    """How verifying one workspace's chain ended. `fault` is empty when all is well, else says what and where.

    Every row was read. `checked_at` is when the reading began where all is well, for of what was changed later it knows
    nothing.
    """

    workspace_id: int
    checked_at: datetime
    n_rows: int  # rows that were in order, counted from the first
    bad_sequence: int | None = None
    fault: str = ""
    hash: str = ""  # of the last row that was in order

    @property
    def is_intact(self) -> bool:
        """Say whether every row was in order, up to the kept head."""
        return not self.fault


class Broken(Exception):
    """A row that is not in order, by its number, or the chain without its head."""

    def __init__(self, sequence: int | None, fault: str) -> None:
        super().__init__(fault)
        self.sequence = sequence
        self.fault = fault


class Chain:
    """The rows read so far: how many, and the hash the next one must carry.

    `known` is number and hash of a row that was found in order before, and must be there still; 0 and "" for none.
    """

    def __init__(self, n_rows: int = 0, last_hash: str = "", known: tuple[int, str] = (0, "")) -> None:
        self.n_rows = n_rows
        self.hash = last_hash
        self.known = known

    def add(self, row: Any) -> None:
        """Take `row` as the next link; raise Broken when it is not."""
        expected = self.n_rows + 1
        if row.sequence != expected:
            raise _not_the_next(row.sequence, expected)
        try:
            true_hash = hash_of_values(_readable(row._mapping))
        except (TypeError, ValueError):
            true_hash = None
        if true_hash != row.hash:
            raise Broken(expected, f"Row {expected} was edited: what it says does not match its hash.")
        if row.previous_hash != self.hash:
            before = f"row {self.n_rows}" if self.n_rows else "the beginning of the log"
            raise Broken(
                expected,
                f"Row {expected} does not follow {before}: it was inserted or moved there, or the row before it was "
                "replaced.",
            )
        if expected == self.known[0] and row.hash != self.known[1]:
            raise Broken(
                expected,
                f"Row {expected} was replaced, and rows before it may be too: it is not the row that an earlier "
                "verification found there.",
            )
        self.n_rows, self.hash = expected, row.hash

    def end_at(self, head: Any) -> None:
        """Hold the end of the chain against the kept head, and what was known of it; raise Broken when they differ."""
        if head is None:
            raise Broken(None, "The kept head of the chain is gone, so nobody can tell whether the end was cut off.")
        if self.n_rows < head.sequence:
            missing = self.n_rows + 1
            many = f"Rows {missing} to {head.sequence} are" if missing < head.sequence else f"Row {missing} is"
            raise Broken(missing, f"{many} missing: the end of the log was cut off.")
        if self.n_rows > head.sequence:
            extra = head.sequence + 1
            raise Broken(extra, f"Row {extra} was inserted: the kept head of the chain ends at row {head.sequence}.")
        if self.hash != head.hash:
            last = max(self.n_rows, 1)
            raise Broken(last, f"Row {last} was replaced: the kept head of the chain knows another last row.")
        if self.n_rows < self.known[0]:
            raise cut_off(self.n_rows + 1)


def cut_off(first: int) -> Broken:
    """Return the fault of a chain that ended further on before; `first` is the first row that is missing."""
    return Broken(first, f"Row {first} is missing, which was there before: the end of the log was cut off.")


def verify(workspace_id: int) -> Verification:
    """Read the whole chain of `workspace_id` in one snapshot and return what was found; memory use stays constant."""
    chain = Chain()
    checked_at = clock.now()
    try:
        with snapshot() as connection:
            head = connection.execute(head_of(workspace_id)).one_or_none()
            if head is not None:
                chain.known = (head.known_sequence, head.known_hash)
            for row in rows_of(connection, workspace_id, chain):
                chain.add(row)
            chain.end_at(head)
    except Broken as broken:
        return Verification(workspace_id, checked_at, chain.n_rows, broken.sequence, broken.fault, chain.hash)
    return Verification(workspace_id, checked_at, chain.n_rows, hash=chain.hash)


def verify_and_keep(workspace_id: int) -> Verification:
    """Verify, keep when and how it ended beside the chain's head, and return it."""
    return keep(verify(workspace_id))


def keep(verification: Verification) -> Verification:
    """Keep when a verification from the first row on was made, and how it ended, and return it."""
    with transaction():
        head = db.session.get(ConfigChainHead, verification.workspace_id, with_for_update=True, populate_existing=True)
        # A fault that was found since this reading began stands, whatever these rows were like then.
        is_outdated = head is not None and head.verified_at is not None and head.verified_at > verification.checked_at
        if head is not None and not (is_outdated and verification.is_intact):
            note(head, verification)
    return verification


def note(head: ConfigChainHead, verification: Verification) -> None:
    """Note on the head how a verification ended, in the caller's transaction. A walk under way begins anew."""
    head.verified_at, head.verified_sequence = verification.checked_at, verification.n_rows
    head.verified_fault = verification.fault
    head.walk_began_at, head.walk_sequence, head.walk_hash = None, 0, ""
    if verification.is_intact and verification.n_rows > head.known_sequence:  # not what one that began earlier knew
        head.known_sequence, head.known_hash = verification.n_rows, verification.hash


def latest(workspace_id: int) -> Verification | None:
    """Return how the latest kept verification ended, or None when there was none."""
    head = db.session.get(ConfigChainHead, workspace_id, populate_existing=True)
    if head is None or head.verified_at is None:
        return None
    return Verification(workspace_id, head.verified_at, head.verified_sequence, fault=head.verified_fault)


def heads() -> list[tuple[int, str, int, str]]:
    """Return (workspace id, name, number of rows, hash of the last one) of every chain, to be kept elsewhere."""
    query = select(Workspace.id, Workspace.name, ConfigChainHead.sequence, ConfigChainHead.hash)
    rows = db.session.execute(query.join(ConfigChainHead).order_by(Workspace.id))
    return [(row.id, row.name, row.sequence, row.hash) for row in rows]


def place_of(head_hash: str) -> tuple[int, int] | None:
    """Return workspace and number of the row that has `head_hash`, None when no row of any log has it.

    A head that somebody kept elsewhere must be a row of its log for ever: none means that the log was rewritten, or cut
    off before it.
    """
    row = db.session.execute(
        select(ConfigEvent.workspace_id, ConfigEvent.sequence).where(ConfigEvent.hash == head_hash).limit(1)
    ).one_or_none()
    return (row.workspace_id, row.sequence) if row else None


def workspaces() -> list[tuple[int, str]]:
    """Return id and name of every workspace, for the command that verifies all of them."""
    return [
        (row.id, row.name) for row in db.session.execute(select(Workspace.id, Workspace.name).order_by(Workspace.id))
    ]


def snapshot() -> Connection:
    """Return a connection on which everything is read as of one moment."""
    # Rows appended while the chain is read must not look like a fault: everything is read as of one moment. On SQLite
    # a read transaction of the write-ahead log is that already.
    connection = db.engine.connect()
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def rows_of(connection: Connection, workspace_id: int, chain: Chain, at_most: int | None = None) -> Iterator[Any]:
    """Yield the rows after those of `chain`, at most so many, in the order of their numbers."""
    # Read as plainly as the database gives it: an edited row may hold what the column's type could not turn into a
    # value, and must be named instead of ending the verification.
    columns = [
        type_coerce(column, Integer if isinstance(column.type, Integer) else String).label(column.name)
        for column in (ConfigEvent.__table__.c[name] for name in (*HASHED_FIELDS, "hash"))
    ]
    query = select(*columns).where(ConfigEvent.workspace_id == workspace_id)
    if chain.n_rows:  # else a row numbered 0 or less is to be found too
        query = query.where(ConfigEvent.sequence > chain.n_rows)
    query = query.order_by(ConfigEvent.sequence).limit(at_most)
    try:
        yield from connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query)
    except DBAPIError as error:
        if error.connection_invalidated or connection.dialect.name != "sqlite":
            raise
        sequence = chain.n_rows + 1
        raise Broken(sequence, f"Row {sequence}, or one after it, cannot be read: it was edited or damaged.") from error


def head_of(workspace_id: int) -> Any:
    """Return the SELECT of the kept head, and of what earlier verifications knew."""
    row = ConfigChainHead
    return select(row.sequence, row.hash, row.known_sequence, row.known_hash).where(row.workspace_id == workspace_id)


def _not_the_next(sequence: Any, expected: int) -> Broken:
    if isinstance(sequence, int) and sequence > expected:
        many = f"Rows {expected} to {sequence - 1} are" if sequence - 1 > expected else f"Row {expected} is"
        return Broken(expected, f"{many} missing: deleted, or moved elsewhere.")
    return Broken(expected, f"A row with the number {sequence} stands where row {expected} belongs: it was inserted.")


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
