"""What FlexDash asks of its database beyond plain statements."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from flexdash.database import joining_whole_tables, transaction
from flexdash.extensions import db
from tests.support.databases import is_postgres


def test_whole_tables_are_joined_by_hashing_within_the_block_alone(app: Flask) -> None:
    """What PostgreSQL guesses of tables that were filled a moment ago must not decide; SQLite needs no help."""
    with joining_whole_tables():
        inside = _may_loop()
    assert (inside, _may_loop()) == ((False, True) if is_postgres() else (True, True))


def _may_loop() -> bool:
    if not is_postgres():
        return db.session.scalar(text("SELECT 1")) == 1
    return db.session.scalar(text("SHOW enable_nestloop")) == "on"


@pytest.mark.parametrize("table", ["config_events", "access_events", "stock_movements"])
def test_what_is_append_only_cannot_be_emptied_at_once(app: Flask, table: str) -> None:
    """SQLite has no such statement; its row triggers see every way to delete."""
    with (
        pytest.raises(DatabaseError, match="append-only" if is_postgres() else "syntax error"),
        transaction() as session,
    ):
        session.execute(text(f"TRUNCATE {table} CASCADE"))


def test_postgresql_compiles_no_statement(app: Flask) -> None:
    """It would take up to a second of a page, each time, for what is read in some hundredths."""
    if is_postgres():
        assert db.session.scalar(text("SHOW jit")) == "off"
