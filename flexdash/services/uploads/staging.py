"""Writing checked rows in bulk: into a temporary table first, from there, compared with what is stored, for good.

Temporary tables belong to one connection, so everything here works on the connection it is handed.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Index,
    Integer,
    MetaData,
    ScalarSelect,
    String,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import DropTable

from flexdash.extensions import db
from flexdash.models import RowOutcome, UploadRow

rows = UploadRow.__table__
OWN_FIELDS = ("row_number", "outcome", "reason", "refused_text")
SEEN_FIELDS = ("seen_price", "seen_on_hand")
VALUE_FIELDS = tuple(
    column.name for column in rows.columns if column.name not in {"upload_id", *OWN_FIELDS, *SEEN_FIELDS}
)
ROWS_AT_ONCE = 50_000  # row numbers of one transaction: others that want to write wait for its end


def _temporary(name: str, *columns: Column[Any], **options: Any) -> Table:
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"], **options)


stage = _temporary(
    "upload_stage",
    Column("row_number", Integer),
    Column("outcome", String(10)),
    Column("reason", String(300)),
    Column("refused_text", String(2000)),
    *(Column(name, rows.columns[name].type) for name in VALUE_FIELDS),
    postgresql_on_commit="DELETE ROWS",
)
doubles = _temporary(
    "upload_doubles",
    *(Column(name, rows.columns[name].type) for name in ("sku_code", "hub_id")),
    Column("first_row", Integer),
    Index("ix_upload_doubles", "sku_code", "hub_id"),
)


@dataclass(frozen=True)
class Comparison:
    """How rows of the stage stand against what is stored: `outcome` and `reason` over `source`, which joins both.

    `seen` has, by SEEN_FIELDS, what of it is kept with the rows.
    """

    source: FromClause
    outcome: ColumnElement[Any]
    reason: ColumnElement[Any]
    seen: dict[str, ColumnElement[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Filling:
    """Rows for the stage as the database takes them: PostgreSQL a text to COPY, SQLite tuples."""

    names: tuple[str, ...]
    rows: Any


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """Run the block as one write transaction on `connection`."""
    connection.execution_options(sqlite_begin="IMMEDIATE")
    try:
        with connection.begin():
            yield
    finally:
        connection.execution_options(sqlite_begin="DEFERRED")


@contextmanager
def temporary_tables(connection: Connection) -> Iterator[None]:
    """Give `connection` the temporary tables while the block runs."""
    _exchange_tables(connection, create=True)
    try:
        yield
    finally:
        if not (connection.invalidated or connection.closed):
            _exchange_tables(connection, create=False)


def beside_stage(table: FromClause, condition: ColumnElement[bool]) -> tuple[FromClause, FromClause]:
    """Return the stage joined with the row of `table` that meets `condition`, if there is one, and that row.

    It is looked up for each row of the stage. PostgreSQL, which may not have counted a new catalog yet, would else
    take it for a handful of rows and read all of them again and again.
    """
    if db.engine.dialect.name == "postgresql":
        found = select(table).where(condition).limit(1).lateral("found")
        return stage.outerjoin(found, true()), found
    return stage.outerjoin(table, condition), table


def for_stage(columns: dict[str, Sequence[str | None]], dialect: Dialect) -> Filling:
    """Return rows for the stage: each column's values by its name, as text, all of one length.

    The texts hold no control characters and no empty ones: nothing is None. It needs no connection and no app context,
    so that a thread can do it while the database is busy with the rows before.
    """
    if dialect.name != "postgresql":
        return Filling(tuple(columns), zip(*columns.values(), strict=True))
    # No value holds the quote, the delimiter or a line break, so nothing has to be escaped.
    lines = map("\t".join, zip(*map(_without_none, columns.values()), strict=True))
    return Filling(tuple(columns), "\n".join(lines) + "\n")


def fill_stage(connection: Connection, filling: Filling) -> None:
    """Put rows into the stage."""
    names = ", ".join(filling.names)
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:
        statement = f"COPY {stage.name} ({names}) FROM STDIN (FORMAT csv, DELIMITER E'\\t', QUOTE E'\\x01')"
    else:
        marks = ", ".join("?" * len(filling.names))
        statement = f"INSERT INTO {stage.name} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own columns
    with closing(connection.connection.cursor()) as cursor:
        try:
            if is_postgres:
                with cursor.copy(statement) as copy:
                    copy.write(filling.rows)
            else:
                cursor.executemany(statement, filling.rows)
        except connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(
                statement, None, error, connection.dialect.loaded_dbapi.Error, dialect=connection.dialect
            ) from error


def store_stage(connection: Connection, upload_id: int, comparison: Comparison) -> None:
    """Write the rows of the stage for good, with their outcomes, and empty the stage."""
    outcome, reason = comparison.outcome, comparison.reason
    selected = (
        select(
            literal(upload_id),
            stage.c.row_number,
            outcome,
            reason,
            stage.c.refused_text,
            *(stage.columns[name] for name in VALUE_FIELDS),
            *comparison.seen.values(),
        )
        .select_from(comparison.source)
        .order_by(stage.c.row_number)
    )
    connection.execute(insert(rows).from_select(["upload_id", *OWN_FIELDS, *VALUE_FIELDS, *comparison.seen], selected))
    connection.execute(delete(stage))


def prefer_indexes(connection: Connection) -> None:
    """Have PostgreSQL, for this transaction, look single rows up by their index, whatever it thinks of the sizes."""
    if connection.dialect.name == "postgresql":
        for name in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "enable_bitmapscan", "jit"):
            connection.execute(text(f"SET LOCAL {name} = off"))


def find_doubles(connection: Connection, upload_id: int, identity: Sequence[str]) -> int:
    """Note which values of `identity` stand in more than one good row, and in which first; return how many do."""
    columns = [rows.columns[name] for name in identity]
    found = (
        select(*columns, func.min(rows.c.row_number))
        .where(rows.c.upload_id == upload_id, rows.c.outcome.is_not(None), rows.c.outcome != RowOutcome.REFUSED)
        .group_by(*columns)
        .having(func.count() > 1)
    )
    with connection.begin():  # no write transaction: it reads for long, and writes into the temporary table only
        connection.execute(insert(doubles).from_select([*identity, "first_row"], found))
        return connection.scalars(select(func.count()).select_from(doubles)).one()


def refuse_doubles(
    connection: Connection, upload_id: int, identity: Sequence[str], reason: ColumnElement[Any], first: int, last: int
) -> None:
    """Refuse, of rows `first` to `last`, those whose identity stands in an earlier row already."""
    connection.execute(
        update(rows)
        .where(
            *of_upload(upload_id, first, last),
            rows.c.outcome.is_not(None),
            rows.c.outcome != RowOutcome.REFUSED,
            rows.c.row_number > first_like_it(identity),
        )
        .values(outcome=RowOutcome.REFUSED, reason=reason)
    )


def first_like_it(identity: Sequence[str]) -> ScalarSelect[int]:
    """Return, in SQL, the number of the first row with the same identity; nothing where no other row has it."""
    same = (rows.columns[name] == doubles.columns[name] for name in identity)
    return select(doubles.c.first_row).where(*same).correlate(rows).scalar_subquery()


def of_upload(upload_id: int, first: int, last: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that choose an upload's rows from row number `first` to `last`."""
    return (rows.c.upload_id == upload_id, rows.c.row_number >= first, rows.c.row_number <= last)


def _exchange_tables(connection: Connection, *, create: bool) -> None:
    with connection.begin():
        for table in (stage, doubles):
            connection.execute(DropTable(table, if_exists=True))
            if create:
                table.create(connection, checkfirst=False)


def _without_none(values: Sequence[str | None]) -> Sequence[str]:
    return ["" if value is None else value for value in values] if None in values else values  # type: ignore[return-value]
