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
from sqlalchemy import Engine, event, text

from config import PROJECT_DIR
from flexdash.extensions import db

_MANY = 1_000  # rows, from which on emptying a table at once is quicker, and leaves nothing to be cleaned away
_TABLES = """
    SELECT name, coalesce((SELECT pg_get_serial_sequence(name, 'id') FROM information_schema.columns c
        WHERE c.table_schema = 'public' AND c.table_name = name AND c.column_name = 'id'), '')
    FROM (SELECT table_name::text AS name FROM information_schema.tables
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version') AS tables
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
        self._sequences: dict[str, str] = {}  # by table; "" where there is none
        self._may_delete = False
        self._on_server(f'CREATE DATABASE "{name}"')

    def prepare(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
            _migrate(app)
            with self._engine.connect() as connection:
                self._sequences = dict(connection.execute(text(_TABLES)).all())
                self._may_delete = connection.scalar(text("SELECT usesuper FROM pg_user WHERE usename = current_user"))

    def reset(self) -> None:
        n_rows = " UNION ALL ".join(
            f"SELECT '{table}', (SELECT count(*) FROM (SELECT FROM \"{table}\" LIMIT {_MANY}) AS few)"
            for table in self._sequences
        )
        with self._engine.begin() as connection:
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
                restarts = ", ".join(
                    f"setval('{sequence}', 1, false)" for sequence in self._sequences.values() if sequence
                )
                deletes = "".join(f'DELETE FROM "{table}"; ' for table in filled)
                connection.exec_driver_sql(f"SET LOCAL session_replication_role = replica; {deletes}SELECT {restarts}")
            elif filled:
                names = ", ".join(f'"{table}"' for table in filled)
                connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")

    def drop(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
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
