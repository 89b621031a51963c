"""The migrations make exactly the tables that the models describe, on the database under test."""

from alembic import command
from flask import Flask
from sqlalchemy import inspect

from config import PROJECT_DIR
from flexdash.extensions import db


def test_no_migration_is_missing(app: Flask) -> None:
    config = app.extensions["migrate"].migrate.get_config(str(PROJECT_DIR / "migrations"))
    command.check(config)  # raises, naming what differs, when a model was changed without a migration


def test_every_model_has_its_table(app: Flask) -> None:
    assert set(db.metadata.tables) <= set(inspect(db.engine).get_table_names())
