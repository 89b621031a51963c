"""A database per test process, made by the real migrations, and emptied between tests in about a millisecond.

Tests commit for real, as the services do, so a transaction rolled back at the end would not do. Rows are deleted,
though the logs refuse that: on SQLite their triggers let it pass for the transaction that empties the database, on
PostgreSQL it is done as a replica does, without triggers and without looking at foreign keys. Where that is not
allowed, or rows are many, tables of PostgreSQL are truncated, which makes the files of every table that refers to one
of them anew, and of every index, and takes a hundred times as long.
"""

import os
import sqlite3
from pathlib import Path
from typing import Protocol

import psycopg
import sqlalchemy
from alembic import command
from flask import Flask
from psycopg._preparing import PrepareManager
from sqlalchemy import Connection, Engine, event, text

from config import PROJECT_DIR
from flexdash.extensions import db

_CLEANING = "cleaning"
_MANY = 1_000  # rows, from which on emptying a table at once is quicker, and leaves nothing to be cleaned away
_TABLES = """
    SELECT table_name::text FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'
"""
# Tables that refuse to be truncated.
_GUARDED = "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 <> 0"
_RESTART_USED = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
"""


_END_THE_LEFT_OPEN = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'
"""


class Database(Protocol):
    """One database for the tests of one process."""

    url: str

    def prepare(self, app: Flask) -> None:
        """Create the tables; called once, with the app that will use them."""

    def reset(self) -> None:
        """Empty every table, whatever the last test left open."""

    def drop(self) -> None:
        """Remove the database."""


def make_database(folder: Path, name: str) -> Database:
    """Return the database this process tests on: PostgreSQL if TEST_DATABASE_URL names a server, else SQLite."""
    server = os.environ.get("TEST_DATABASE_URL", "")
    return PostgresDatabase(server, f"flexdash_test_{name}_{os.getpid()}") if server else SqliteDatabase(folder)


def is_postgres() -> bool:
    """Whether the suite runs on PostgreSQL."""
    return bool(os.environ.get("TEST_DATABASE_URL"))


class SqliteDatabase:
    """A file whose rows are deleted; a test that changed the tables themselves gets a copy of the empty one back.

    Never a copy otherwise: every connection would read all tables' definitions, and prepare all its statements, anew.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "flexdash.db"
        self.url = f"sqlite:///{self._path}"
        self._empty = sqlite3.connect(":memory:", check_same_thread=False)
        self._engine: Engine | None = None
        self._cleaner: sqlite3.Connection | None = None
        self._filled_of = ""
        self._schema_version = 0

    def prepare(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
            event.listen(self._engine, "connect", _do_not_wait_for_the_disk)
            _migrate(app)
        # Waits for a writer that is about to end, and fails when a test has left a transaction open.
        self._cleaner = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        self._cleaner.execute("PRAGMA synchronous=OFF")
        _let_cleaners_delete(self._cleaner)
        self._cleaner.backup(self._empty)
        self._schema_version = self._version_now()
        tables = self._cleaner.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('alembic_version', 'sqlite_stat1')"
        )
        parts = (f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for (name,) in tables.fetchall())
        self._filled_of = " UNION ALL ".join(parts)

    def reset(self) -> None:
        assert self._cleaner is not None
        if self._version_now() != self._schema_version:
            self._empty.backup(self._cleaner)
            self._schema_version = self._version_now()
            return
        self._cleaner.execute("BEGIN IMMEDIATE")
        self._cleaner.execute(f"INSERT INTO alembic_version VALUES ('{_CLEANING}')")
        for (name,) in self._cleaner.execute(self._filled_of).fetchall():
            self._cleaner.execute(f'DELETE FROM "{name}"')
        self._cleaner.execute(f"DELETE FROM alembic_version WHERE version_num = '{_CLEANING}'")
        self._cleaner.execute("COMMIT")

    def drop(self) -> None:
        self._empty.close()
        if self._cleaner is not None:
            self._cleaner.close()
        if self._engine is not None:
            self._engine.dispose()

    def _version_now(self) -> int:
        assert self._cleaner is not None
        return self._cleaner.execute("PRAGMA schema_version").fetchone()[0]


def _let_cleaners_delete(connection: sqlite3.Connection) -> None:
    """Let the triggers that refuse DELETE look away while a second version of the database is noted."""
    is_no_cleaning = f"NOT EXISTS (SELECT 1 FROM alembic_version WHERE version_num = '{_CLEANING}')"
    guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '% BEFORE DELETE ON %'"
    for name, sql in connection.execute(guards).fetchall():
        head, _, body = sql.partition("BEGIN ")
        condition = f"AND {is_no_cleaning}" if " WHEN " in head else f"WHEN {is_no_cleaning}"
        connection.execute(f"DROP TRIGGER {name}")
        connection.execute(f"{head} {condition} BEGIN {body}")


class PostgresDatabase:
    """A database of its own on the server that `server` names; the tables that have rows are truncated."""

    def __init__(self, server: str, name: str) -> None:
        for short in ("postgres://", "postgresql://"):
            if server.startswith(short):
                server = f"postgresql+psycopg://{server.removeprefix(short)}"
        self._server = sqlalchemy.make_url(server)
        self._name = name
        self.url = self._server.set(database=name).render_as_string(hide_password=False)
        self._engine: Engine | None = None
        # psycopg forgets prepared statements with each rollback, and so with each request that only reads: tables may
        # have gone with it. Planning them anew on empty tables takes an eighth of the suite's time.
        PrepareManager.clear = lambda _manager: False  # type: ignore[method-assign]
        self._cleaner = sqlalchemy.create_engine(self.url, pool_size=1)
        self._tables: list[str] = []
        self._guarded: list[str] = []
        self._eraser: psycopg.Connection | None = None  # where deleting is allowed
        self._on_server(f'CREATE DATABASE "{name}"')

    def prepare(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
            _migrate(app)
        with self._cleaner.connect() as connection:
            self._tables = list(connection.scalars(text(_TABLES)))
            self._guarded = list(connection.scalars(text(_GUARDED)))
            may_delete = connection.scalar(text("SELECT usesuper FROM pg_user WHERE usename = current_user"))
        if may_delete:
            self._eraser = psycopg.connect(self.url.replace("+psycopg", "", 1), autocommit=True)
            self._eraser.execute("SET session_replication_role = replica")
            self._eraser.execute(_erasing(self._tables, self._sequences()))

    def reset(self) -> None:
        if self._eraser is not None:
            self._eraser.execute("SELECT pg_temp.erase()")
            return
        n_rows = " UNION ALL ".join(
            f"SELECT '{table}', (SELECT count(*) FROM (SELECT FROM \"{table}\" LIMIT 1) AS one)"
            for table in self._tables
        )
        with self._cleaner.begin() as connection:
            # A session a test left open would hold its locks against the truncation for ever.
            connection.execute(text(_END_THE_LEFT_OPEN))
            filled = [table for table, n in connection.execute(text(n_rows)) if n]
            if filled:
                self._guard(connection, "DISABLE")
                connection.exec_driver_sql("TRUNCATE " + ", ".join(f'"{table}"' for table in filled) + " CASCADE")
                self._guard(connection, "ENABLE")
            # Those that gave a number, whether or not its row stayed; starting all anew takes as long as all the rest.
            connection.execute(text(_RESTART_USED))

    def _guard(self, connection: Connection, how: str) -> None:
        for table in self._guarded:
            connection.exec_driver_sql(f"ALTER TABLE {table} {how} TRIGGER USER")

    def _sequences(self) -> list[str]:
        with self._cleaner.connect() as connection:
            return list(
                connection.scalars(text("SELECT sequencename::text FROM pg_sequences WHERE schemaname = 'public'"))
            )

    def drop(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._cleaner.dispose()
        if self._eraser is not None:
            self._eraser.close()
        self._on_server(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def _on_server(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def _erasing(tables: list[str], sequences: list[str]) -> str:
    """Return the SQL of a function that empties all at one call; what it asks is planned once."""
    steps = [
        f"""
        n := (SELECT count(*) FROM (SELECT FROM "{table}" LIMIT {_MANY}) AS few);
        IF n = {_MANY} THEN TRUNCATE "{table}" CASCADE; ELSIF n > 0 THEN DELETE FROM "{table}"; END IF;"""
        for table in tables
    ]
    steps += [
        f"""
        IF (SELECT is_called FROM "{sequence}") THEN PERFORM setval('"{sequence}"', 1, false); END IF;"""
        for sequence in sequences
    ]
    return f"""
        CREATE FUNCTION pg_temp.erase() RETURNS void LANGUAGE plpgsql AS $$
        DECLARE n integer;
        BEGIN
        PERFORM ({_END_THE_LEFT_OPEN});
        {"".join(steps)}
        END $$"""


def _migrate(app: Flask) -> None:
    config = app.extensions["migrate"].migrate.get_config(str(PROJECT_DIR / "migrations"))
    command.upgrade(config, "head")


def _do_not_wait_for_the_disk(dbapi_connection, _record) -> None:
    dbapi_connection.execute("PRAGMA synchronous=OFF")
