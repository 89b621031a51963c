"""What the home page says: the cancellations that Amazon does not have, and plainly why a run failed."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

IS_CANCELLATION_OPEN = (
    "amazon_status NOT IN ('SHIPPED', 'DELIVERED', 'CANCELLED') AND (cancellation = 'not_sent' OR (cancellation = "
    "'refused' AND state NOT IN ('Shipped', 'Delivered') AND (state <> 'Cancelled' OR has_conflict)))"
)
OPEN_CANCELLATIONS_OF = ("workspace", "store")


def upgrade():
    for table in ("sync_runs", "sync_attempts"):
        detail = sa.Column("error_detail", sa.String(length=1000), nullable=False, server_default=sa.text("''"))
        op.add_column(table, detail)
    where = sa.text(IS_CANCELLATION_OPEN)
    for owner in OPEN_CANCELLATIONS_OF:
        op.create_index(
            f"ix_orders_open_cancellations_of_{owner}",
            "orders",
            [f"{owner}_id", "id"],
            unique=False,
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade():
    for owner in OPEN_CANCELLATIONS_OF:
        op.drop_index(f"ix_orders_open_cancellations_of_{owner}", table_name="orders")
    for table in ("sync_attempts", "sync_runs"):
        op.drop_column(table, "error_detail")
