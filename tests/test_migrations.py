"""The migrations make exactly the tables that the models describe, on the database under test."""

import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from config import PROJECT_DIR, load_settings
from flexdash import create_app
from flexdash.extensions import db

RELEASED = "0005"  # the newest migration of the version before


def test_no_migration_is_missing(app: Flask) -> None:
    config = app.extensions["migrate"].migrate.get_config(str(PROJECT_DIR / "migrations"))
    command.check(config)  # raises, naming what differs, when a model was changed without a migration


def test_every_model_has_its_table(app: Flask) -> None:
    assert set(db.metadata.tables) <= set(inspect(db.engine).get_table_names())


def test_a_sqlite_database_of_the_version_before_is_brought_up_with_its_rows(tmp_path: Path) -> None:
    """SQLite alters some things by making a table anew, which rows that point at it do not allow: none may need it."""
    app = create_app(load_settings({"FLEXDASH_ENV": "testing", "DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR"}))
    folder = str(PROJECT_DIR / "migrations")
    with app.app_context():
        upgrade(directory=folder, revision=RELEASED)
        db.session.remove()
        with sqlite3.connect(tmp_path / "flexdash.db") as connection:
            own = {"workspace_id": 1, "store_id": 1}
            _insert(connection, "workspaces")
            _insert(connection, "sellers", workspace_id=1)
            _insert(connection, "stores", workspace_id=1, seller_id=1, status="connected")
            _insert(connection, "listings", sku_code="TEE", price_state="none", **own)
            _insert(connection, "orders", state="New Order", acknowledgement="done", **own)
            _insert(connection, "sync_runs", sync="order_pull", state="succeeded", trigger="schedule", **own)
            _insert(connection, "sync_attempts", run_id=1, outcome="failed")
            _insert(connection, "order_events", order_id=1, run_id=1)
            _insert(connection, "api_calls", run_id=1, is_throttled=1, **own)
            _insert(connection, "work_batches", workspace_id=1, action="pick", state="waiting", seller_ids="[1]")
            _insert(connection, "work_batch_items", batch_id=1, order_id=1)
        connection.close()
        upgrade(directory=folder)
        run_id, outcome = db.session.execute(text("SELECT run_id, outcome FROM api_calls")).one()
        batch = db.session.execute(text("SELECT * FROM work_batches")).mappings().one()
        listed = db.session.execute(text("SELECT id, store_id, sku_code FROM listings")).one()
        db.session.remove()
        downgrade(directory=folder, revision=RELEASED)
        n_listings = db.session.scalar(text("SELECT count(*) FROM listings"))
        n_items = db.session.scalar(text("SELECT count(*) FROM work_batch_items JOIN work_batches ON batch_id = 1"))
        db.session.remove()
        db.engine.dispose()
    assert (run_id, outcome) == (1, "throttled")
    assert (batch["state"], batch["n_attempts"]) == ("waiting", 0)
    assert "seller_ids" not in batch
    assert n_items == 1
    assert tuple(listed) == (1, 1, "TEE")
    assert n_listings == 1


def test_a_sqlite_database_goes_back_to_the_version_before(tmp_path: Path) -> None:
    app = create_app(load_settings({"FLEXDASH_ENV": "testing", "DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR"}))
    folder = str(PROJECT_DIR / "migrations")
    with app.app_context():
        upgrade(directory=folder)
        downgrade(directory=folder, revision=RELEASED)
        tables = set(inspect(db.engine).get_table_names())
        upgrade(directory=folder)
        db.session.remove()
        db.engine.dispose()
    assert not tables & {"alarms", "access_events", "run_sheets"}


def _insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    """Insert row 1 with something harmless in each column that must have a value."""
    for _, name, kind, is_needed, default, is_key in connection.execute(f"PRAGMA table_info({table})").fetchall():
        if is_needed and default is None and not is_key and name not in values:
            values[name] = {"DATETIME": "2026-01-01 00:00:00", "JSON": "[]"}.get(kind, "x" if "CHAR" in kind else 0)
    values["id"] = 1
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))
