"""What waits for a person at a store, and its last cancellation, are found by indexes of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

IS_OPEN = "state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"
INDEXES = {
    "ix_orders_acknowledgement_refused_of_workspace": (
        "orders",
        ["workspace_id", "id"],
        f"acknowledgement = 'refused' AND {IS_OPEN}",
    ),
    "ix_orders_invoice_waiting_of_store": ("orders", ["store_id", "id"], "is_invoice_waiting"),
    "ix_orders_has_conflict_of_store": ("orders", ["store_id", "id"], "has_conflict"),
    "ix_order_steps_failed_of_store": ("order_steps", ["store_id", "order_id"], "state = 'failed'"),
    "ix_order_steps_cancellations_of_store": ("order_steps", ["store_id", "made_at"], "kind = 'cancel'"),
}


def upgrade():
    for name, (table, columns, condition) in INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade():
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table_name=table)
