"""How FlexDash talks to its database: write transactions, and what makes it safe under many writers."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ARRAY, ColumnElement, Connection, Engine, and_, any_, event, func, literal, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from flexdash.extensions import db
from flexdash.models.types import UtcDateTime

COUNT_PATIENCE_MS = 2_000
_LAST_CHARACTER = "\U0010ffff"
LOCK_PATIENCE_MS = 30_000  # then the work fails, says that the database is busy, and is tried again

logger = structlog.get_logger(__name__)


@contextmanager
def transaction() -> Iterator[Session]:
    """Run the block as one write transaction: committed at its end, rolled back when it raises.

    What was read before is let go first, so the block reads the present state. On SQLite the write lock is taken at
    the start (`BEGIN IMMEDIATE`): a transaction that reads first and writes later would fail under concurrent writers.
    A block inside a block is a programming error: one public verb of a service is one transaction.
    """
    session = db.session()
    if session.info.get("in_write_transaction"):
        raise RuntimeError("transaction() inside transaction(): let the outer verb own it")
    session.rollback()
    session.info["in_write_transaction"] = True
    session.info["after_commit"] = []
    try:
        session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info["in_write_transaction"] = False
    for callback in session.info.pop("after_commit"):
        callback()


def after_commit(callback: Callable[[], None]) -> None:
    """Call `callback` once the open `transaction()` is committed; never when it is rolled back."""
    db.session().info["after_commit"].append(callback)


def refuse_in_transaction(what: str) -> None:
    """Raise RuntimeError when a `transaction()` is open: `what` is right only once its rows are there for others."""
    if db.session().info.get("in_write_transaction"):
        raise RuntimeError(f"{what} inside transaction(): commit first")


def one_of(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition `column IN values` for many values.

    PostgreSQL gets them as one array: a statement with thousands of parameters costs its driver more than the database.
    """
    if db.engine.dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(column.type)))
    return column.in_(values)


def begins_with(column: Any, text: str) -> ColumnElement[bool]:
    """Return the condition that `column` begins with `text`, letter by letter, as an index of the column serves it."""
    # The range is for the index; the second condition holds where the database orders letters its own way.
    return and_(column >= text, column < text + _LAST_CHARACTER, column.startswith(text, autoescape=True))


def moment_of(seconds: ColumnElement[int]) -> ColumnElement[datetime]:
    """Return the SQL for the moment so many whole seconds after 1970, as the columns of type UtcDateTime hold it."""
    if db.engine.dialect.name == "postgresql":
        return func.to_timestamp(seconds, type_=UtcDateTime)
    return func.strftime("%Y-%m-%d %H:%M:%S.000000", seconds, "unixepoch", type_=UtcDateTime)


@contextmanager
def joining_whole_tables() -> Iterator[None]:
    """Let PostgreSQL join by hashing in the block, as is right for statements that read a store's rows whole.

    Right after a large upload it does not know yet how much there is, takes the tables for nearly empty, and would go
    through one of them once for every row of the other: for 50,000 SKUs that takes longer than the hour of a push.
    """
    session = db.session()
    is_postgres = db.engine.dialect.name == "postgresql"
    if is_postgres:
        session.execute(text("SET LOCAL enable_nestloop = off"))
    yield
    if is_postgres:  # after an error the transaction is over, and the setting with it
        session.execute(text("SET LOCAL enable_nestloop = on"))


def count_anew(*tables: str) -> None:
    """Have PostgreSQL count `tables` again, after very many rows were written; SQLite plans without counting.

    Until then it takes a store that it did not meet when it counted last for one without rows, and looks a SKU of it up
    in any index that begins with the store: by going through all of the store. Left to itself PostgreSQL counts a table
    again once a tenth has changed, which among the rows of many stores one store never is. Where it is busy with the
    table itself, this is left to it.
    """
    if db.engine.dialect.name != "postgresql":
        return
    try:
        with transaction() as session:
            session.execute(text(f"SET LOCAL lock_timeout = {COUNT_PATIENCE_MS}"))
            session.execute(text(f"ANALYZE {', '.join(tables)}"))
    except OperationalError as error:
        logger.info("the database is busy with the tables itself", tables=tables, error=type(error.orig).__name__)


def release_connection() -> None:
    """Give the connection back before waiting for something slow, such as Amazon.

    Objects loaded before would be read again when touched; carry plain values across the wait instead.
    """
    refuse_in_transaction("waiting")
    db.session.rollback()


def prepare_engine(engine: Engine) -> None:
    """Set up `engine`: an end to waiting for locks; no compiling on PostgreSQL; write-ahead log and more on SQLite."""
    if engine.dialect.name != "sqlite":

        @event.listens_for(engine, "connect")
        def _end_waiting(dbapi_connection: Any, _record: Any) -> None:
            # PostgreSQL would wait for ever for a table that, say, a stuck migration has locked.
            dbapi_connection.execute(f"SET lock_timeout = {LOCK_PATIENCE_MS}")
            # Compiling a statement takes it up to a second, each time, and never worth it for the rows of a page.
            dbapi_connection.execute("SET jit = off")
            dbapi_connection.commit()

        return

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: Any, _record: Any) -> None:
        # The driver's own transaction control is switched off: it would begin late and always DEFERRED.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={LOCK_PATIENCE_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


def engine_options(database_url: str) -> dict[str, Any]:
    """Return the SQLAlchemy engine options for `database_url`."""
    if database_url.startswith("sqlite"):
        return {"connect_args": {"timeout": LOCK_PATIENCE_MS / 1000}}
    return {"pool_pre_ping": True, "pool_size": 5, "max_overflow": 10}
