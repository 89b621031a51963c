"""What is append-only cannot be emptied at once either: PostgreSQL fires no row trigger for TRUNCATE."""

from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None

# With their own words for a person; SQLite has no TRUNCATE, and fires the row triggers however a table is emptied.
APPEND_ONLY = {
    "config_events": "the Configuration Log is append-only",
    "access_events": "the access log is append-only",
    "stock_movements": "the stock ledger is append-only",
}


def upgrade():
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
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
        op.execute(f"DROP FUNCTION {table}_no_truncate()")
