"""How Alembic meets the app: the app's engine, the models' metadata, one transaction per migration."""

from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import JSON

import flexdash.models  # noqa: F401 - importing the tables puts them into the metadata
from flexdash.extensions import db
from flexdash.models.types import Choice, ExactDecimal, UtcDateTime


def plain_type(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """Write our column types as the database types they stand for: a migration must outlive the models."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Choice):
        return f"sa.String({item.impl.length})"
    if kind == "type" and isinstance(item, ExactDecimal):
        return 'sa.Numeric().with_variant(sa.String(40), "sqlite")'
    if kind == "type" and isinstance(item, JSON):
        autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def run() -> None:
    """Run the migrations on the app's own engine."""
    with db.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            transaction_per_migration=True,
            render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by making it anew
            render_item=plain_type,
            compare_type=False,  # our column types are decorators, which compare as always different
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("FlexDash migrates a database it can reach; writing SQL files is not supported.")
assert current_app, "run this through `flask db` or `make run`"
run()
