"""Many rows at once, as quickly as the driver takes them: SQLAlchemy's own way costs as much again as the database."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from flexdash.extensions import db

# Of one statement of SQLite. Its driver keeps the last 128 statements, a kilobyte for a row: of many lengths and
# thousands of rows they would fill the worker's memory.
_ROWS_AT_A_TIME = 100


def insert_rows(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which all name the same columns, inside the caller's transaction.

    Values go through the types of their columns, and columns that the rows do not name get the default of the model,
    as in any INSERT. Raises what SQLAlchemy raises when the database refuses one of them: then none is in.
    """
    if not rows:
        return
    connection = db.session.connection()
    columns = _columns(connection, table, rows)
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, columns))
    found = zip(*columns.values(), strict=True)
    if connection.dialect.name == "postgresql":
        statement = f"COPY {table.name} ({names}) FROM STDIN"
        with _cursor(connection, statement) as cursor, cursor.copy(statement) as copy:
            for row in found:
                copy.write_row(row)
        return
    # Many rows in one statement, not one statement for many rows: SQLite's driver lets other threads run at each
    # statement, and waits for its turn again after each, while the next page is being read.
    marks = f"({', '.join('?' * len(columns))})"
    insert = f"INSERT INTO {table.name} ({names}) VALUES "  # noqa: S608 - names of our own columns
    values = list(found)
    with _cursor(connection, insert) as cursor:
        for start in range(0, len(values), _ROWS_AT_A_TIME):
            part = values[start : start + _ROWS_AT_A_TIME]
            cursor.execute(insert + ", ".join([marks] * len(part)), list(chain.from_iterable(part)))


def _columns(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of each column by its name, as the driver takes them."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for column in table.columns:
        if column.name not in columns and (default := column.default) is not None:
            # Called for each row, for the next default may be a token: a millisecond for a thousand orders.
            columns[column.name] = [default.arg(None) if default.is_callable else default.arg for _ in rows]
    for name, values in columns.items():
        process = table.columns[name].type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        if process is not None:
            columns[name] = [process(value) for value in values]
    return columns


@contextmanager
def _cursor(connection: Connection, statement: str) -> Iterator[Any]:
    """Give a cursor of the driver, and raise its errors as SQLAlchemy does."""
    errors = connection.dialect.loaded_dbapi.Error
    with closing(connection.connection.cursor()) as cursor:
        try:
            yield cursor
        except errors as error:
            raise DBAPIError.instance(statement, None, error, errors, dialect=connection.dialect) from error
