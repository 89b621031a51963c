"""What the dashboard orders and counts by: freshness, hours of orders and calls, days of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

IS_AT_REST = "(status IN ('draft', 'disconnected') OR NOT (is_order_sync_on OR is_inventory_sync_on))"
STALE_AFTER_MINUTES = {"order_pull": 45, "inventory_push": 90}  # moved on by each run that goes well


def _index(name, table, columns, where=None):
    partial = {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)} if where else {}
    op.create_index(name, table, columns, unique=False, **partial)


def upgrade():
    op.add_column("sync_states", sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=True))
    since = "coalesce(last_success_at, on_since)"
    for sync, minutes in STALE_AFTER_MINUTES.items():
        if op.get_bind().dialect.name == "sqlite":
            moment = f"strftime('%Y-%m-%d %H:%M:%f000', {since}, '+{minutes} minutes')"
        else:
            moment = f"{since} + interval '{minutes} minutes'"
        op.execute(f"UPDATE sync_states SET fresh_until = {moment} WHERE sync = '{sync}' AND next_due_at IS NOT NULL")  # noqa: S608
    _index(
        "ix_sync_states_freshness",
        "sync_states",
        ["workspace_id", "fresh_until", "id", "sync"],
        "fresh_until IS NOT NULL",
    )
    for owner in ("workspace", "store"):
        _index(
            f"ix_sync_runs_ended_of_{owner}",
            "sync_runs",
            [f"{owner}_id", "state", "finished_at"],
            "finished_at IS NOT NULL",
        )
    _index("ix_orders_workspace_id_imported_at", "orders", ["workspace_id", "imported_at", "store_id"])
    _index("ix_orders_workspace_id_store_id_imported_at", "orders", ["workspace_id", "store_id", "imported_at"])
    _index("ix_stores_workspace_id_id", "stores", ["workspace_id", "id"])
    _index("ix_stores_workspace_id_name_id", "stores", ["workspace_id", "name", "id"])
    _index("ix_stores_refused", "stores", ["workspace_id", "name", "id"], "status = 'needs_reauthorization'")
    _index("ix_stores_at_rest", "stores", ["workspace_id", "name", "id"], IS_AT_REST)


def downgrade():
    for table, names in {
        "stores": (
            "ix_stores_at_rest",
            "ix_stores_refused",
            "ix_stores_workspace_id_name_id",
            "ix_stores_workspace_id_id",
        ),
        "orders": ("ix_orders_workspace_id_store_id_imported_at", "ix_orders_workspace_id_imported_at"),
        "sync_runs": ("ix_sync_runs_ended_of_store", "ix_sync_runs_ended_of_workspace"),
        "sync_states": ("ix_sync_states_freshness",),
    }.items():
        for name in names:
            op.drop_index(name, table_name=table)
    op.drop_column("sync_states", "fresh_until")
