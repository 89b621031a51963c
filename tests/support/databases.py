"""A database per test process, made by the real migrations, and emptied between tests in about a millisecond.

Tests commit for real, as the services do, so a transaction rolled back at the end would not do. The Configuration
Log refuses DELETE: SQLite gets a copy of the empty database back, PostgreSQL deletes as a replica does, without
triggers and without looking at foreign keys. Where that is not allowed, or rows are many, tables are truncated, which
makes the files of every table that refers to one of them anew, and of every index, and takes a hundred times as long.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import sqlalchemy
from alembic import command
from flask import Flask
from sqlalchemy import Connection, Engine, event, text

from config import PROJECT_DIR
from flexdash.extensions import db

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
    """A file that gets its first content back through SQLite's own backup, so every open connection stays right."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "flexdash.db"
        self.url = f"sqlite:///{self._path}"
        self._empty = sqlite3.connect(":memory:", check_same_thread=False)
        self._engine: Engine | None = None

    def prepare(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
            event.listen(self._engine, "connect", _do_not_wait_for_the_disk)
            _migrate(app)
        with closing(sqlite3.connect(self._path)) as migrated:
            migrated.backup(self._empty)

    def reset(self) -> None:
        # Waits for a writer that is about to end, and fails when a test has left a transaction open.
        with closing(sqlite3.connect(self._path, timeout=10)) as live:
            live.execute("PRAGMA synchronous=OFF")
            self._empty.backup(live)

    def drop(self) -> None:
        self._empty.close()
        if self._engine is not None:
            self._engine.dispose()


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
        self._cleaner = sqlalchemy.create_engine(self.url, pool_size=1)
        self._tables: list[str] = []
        self._guarded: list[str] = []
        self._may_delete = False
        self._on_server(f'CREATE DATABASE "{name}"')

    def prepare(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
            _migrate(app)
        with self._cleaner.connect() as connection:
            self._tables = list(connection.scalars(text(_TABLES)))
            self._guarded = list(connection.scalars(text(_GUARDED)))
            self._may_delete = connection.scalar(text("SELECT usesuper FROM pg_user WHERE usename = current_user"))
            if self._may_delete:
                # For good: each change of it throws away every plan, and planning the look at all tables takes longest.
                connection.exec_driver_sql("SET session_replication_role = replica")
                connection.commit()

    def reset(self) -> None:
        n_rows = " UNION ALL ".join(
            f"SELECT '{table}', (SELECT count(*) FROM (SELECT FROM \"{table}\" LIMIT {_MANY}) AS few)"
            for table in self._tables
        )
        with self._cleaner.begin() as connection:
            # A session a test left open would hold its locks against the truncation for ever.
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = :name AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                ),
                {"name": self._name},
            )
            filled = {table: n for table, n in connection.execute(text(n_rows)) if n}
            if self._may_delete and _MANY not in filled.values():
                for table in filled:
                    connection.exec_driver_sql(f'DELETE FROM "{table}"')
            elif filled:
                names = ", ".join(f'"{table}"' for table in filled)
                self._guard(connection, "DISABLE")
                connection.exec_driver_sql(f"TRUNCATE {names} CASCADE")
                self._guard(connection, "ENABLE")
            # Those that gave a number, whether or not its row stayed; starting all anew takes as long as all the rest.
            connection.execute(text(_RESTART_USED))

    def _guard(self, connection: Connection, how: str) -> None:
        if not self._may_delete:  # a replica fires no triggers
            for table in self._guarded:
                connection.exec_driver_sql(f"ALTER TABLE {table} {how} TRIGGER USER")

    def drop(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._cleaner.dispose()
        self._on_server(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def _on_server(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def _migrate(app: Flask) -> None:
    config = app.extensions["migrate"].migrate.get_config(str(PROJECT_DIR / "migrations"))
    command.upgrade(config, "head")


def _do_not_wait_for_the_disk(dbapi_connection, _record) -> None:
    dbapi_connection.execute("PRAGMA synchronous=OFF")
