"""What is append-only cannot be emptied at once, and an upload keeps why it was applied."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# PostgreSQL fires no row trigger for TRUNCATE; SQLite has no such statement.
APPEND_ONLY = {
    "config_events": "the Configuration Log is append-only",
    "access_events": "the access log is append-only",
    "stock_movements": "the stock ledger is append-only",
}


def upgrade():
    reason = sa.Column("applied_reason", sa.String(length=300), nullable=False, server_default=sa.text("''"))
    op.add_column("uploads", reason)
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, words in APPEND_ONLY.items():
        op.execute(
            f"""CREATE OR REPLACE FUNCTION {table}_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{words}'; END $$"""
        )
        op.execute(
            f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_no_truncate()"""
        )


def downgrade():
    op.drop_column("uploads", "applied_reason")
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
        op.execute(f"DROP FUNCTION {table}_no_truncate()")
