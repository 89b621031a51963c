"""What FlexDash asks of its database beyond plain statements."""

from flask import Flask
from sqlalchemy import text

from flexdash.database import joining_whole_tables
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
