"""PostgreSQL counts the large tables again once two in a hundred rows are new, so that it knows larger stores."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLES = ("orders", "order_lines", "listings", "stock_levels", "published_stock", "upload_rows")


def upgrade():
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} SET (autovacuum_analyze_scale_factor = 0.02)")


def downgrade():
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} RESET (autovacuum_analyze_scale_factor)")
