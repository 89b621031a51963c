"""The one SQLite file that outlives the program. Everything answered is committed before the answer leaves."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists shipments (
    seq integer primary key, id text not null unique, seller_id text not null, location_id text not null,
    marketplace_id text not null, channel_name text not null, status text not null, updated_ms integer not null,
    odd text, effects text not null, body blob not null);
create table if not exists stock (
    seller_id text not null, location_id text not null, sku_code text not null, channel_name text not null,
    n_units integer not null, sequence_number integer not null,
    primary key (seller_id, location_id, sku_code, channel_name)) without rowid;
create table if not exists listings (
    seller_id text not null, sku_code text not null, attributes text not null, changed_ms integer not null,
    pending text not null, primary key (seller_id, sku_code));
create table if not exists removed_listings (
    seller_id text not null, sku_code text not null, primary key (seller_id, sku_code)) without rowid;
create table if not exists feed_documents (
    id text primary key, seller_id text not null, content_type text not null, is_gzip integer not null, content blob);
create table if not exists feeds (
    id text primary key, seller_id text not null, document_id text not null, marketplace_ids text not null,
    fate text not null, created_ms integer not null, status text not null, started_ms integer, ended_ms integer,
    report_id text);
create table if not exists returns (
    seq integer primary key, id text not null unique, seller_id text not null, shipment_id text not null,
    location_id text not null, status text not null, created_ms integer not null, updated_ms integer not null,
    odd text, body blob not null);
create table if not exists codes (
    code text primary key, seller_id text not null, client_id text not null, redirect_uri text not null,
    expires_at real not null, is_used integer not null default 0) without rowid;
create table if not exists grants (
    refresh_token text primary key, seller_id text not null, client_id text not null,
    expires_at real not null, is_revoked integer not null default 0) without rowid;
create table if not exists access_tokens (
    token text primary key, refresh_token text not null, seller_id text not null, expires_at real not null,
    is_revoked integer not null default 0) without rowid;
"""
TABLES = (
    "shipments",
    "stock",
    "listings",
    "removed_listings",
    "feed_documents",
    "feeds",
    "returns",
    "codes",
    "grants",
    "access_tokens",
)


class Database:
    """A connection shared by all threads under one lock. `path=None` keeps everything in memory."""

    def __init__(self, path: Path | None):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=10
        )
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")  # safe against kill -9, and fast
        self._connection.executescript(SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Holds the lock; commits when the block ends well. Nested blocks join the outermost one."""
        with self.lock:
            if self._depth:
                yield self._connection
                return
            self._connection.execute("begin immediate")
            self._depth = 1
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("rollback")
                raise
            else:
                self._connection.execute("commit")
            finally:
                self._depth = 0

    def rows(self, sql: str, *values: Any) -> list[tuple]:
        """All rows of a query."""
        with self.lock:
            return self._connection.execute(sql, values).fetchall()

    def get(self, name: str, default: Any = None) -> Any:
        """A kept value of the `meta` table, decoded from JSON."""
        found = self.rows("select value from meta where name = ?", name)
        return json.loads(found[0][0]) if found else default

    def put(self, name: str, value: Any) -> None:
        """Keeps a JSON-able value in the `meta` table."""
        with self.transaction() as connection:
            connection.execute("insert or replace into meta values (?, ?)", (name, json.dumps(value)))

    def clear(self) -> None:
        """Empties every table of the world, but keeps the `meta` values."""
        with self.transaction() as connection:
            for table in TABLES:
                connection.execute(f"delete from {table}")  # noqa: S608 - names from the tuple above

    def close(self) -> None:
        """Closes the file; nothing may be asked afterwards."""
        with self.lock:
            self._connection.close()
