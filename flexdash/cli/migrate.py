"""`flexdash migrate`: brings the database to the present schema."""

import alembic.command
import click
from flask import current_app
from flask.cli import with_appcontext
from flask_migrate import Migrate

from config import PROJECT_DIR
from flexdash.extensions import db


@click.command("migrate")
@with_appcontext
def command() -> None:
    """Bring the database to the present schema. Safe to repeat."""
    upgrade_database()
    click.echo("The database has the present schema.")


def upgrade_database() -> None:
    """Run the migrations that the current app's database lacks; raises what the database raises."""
    migrate = Migrate(current_app._get_current_object(), db)  # here, for only apps with pages have it from the start
    config = migrate.get_config(str(PROJECT_DIR / "migrations"))
    alembic.command.upgrade(config, "head")
