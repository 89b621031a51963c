"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The database itself refuses to change the Configuration Log.
APPEND_ONLY = {
    "sqlite": [
        """CREATE TRIGGER config_events_no_update BEFORE UPDATE ON config_events
        BEGIN SELECT RAISE(ABORT, 'the Configuration Log is append-only'); END""",
        """CREATE TRIGGER config_events_no_delete BEFORE DELETE ON config_events
        BEGIN SELECT RAISE(ABORT, 'the Configuration Log is append-only'); END""",
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION config_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the Configuration Log is append-only'; END $$""",
        """CREATE TRIGGER config_events_append_only BEFORE UPDATE OR DELETE ON config_events
        FOR EACH ROW EXECUTE FUNCTION config_events_append_only()""",
    ],
}


def upgrade():
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
        sa.UniqueConstraint("name", name=op.f("uq_workspaces_name")),
    )
    op.create_table(
        "config_chain_heads",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_sequence", sa.Integer(), nullable=False),
        sa.Column("verified_fault", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_config_chain_heads_workspace_id")),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_config_chain_heads")),
    )
    op.create_table(
        "hubs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("country_code", sa.String(length=2), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_hubs_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hubs")),
        sa.UniqueConstraint("workspace_id", "code", name=op.f("uq_hubs_workspace_id_code")),
    )
    op.create_table(
        "sellers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_sellers_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sellers")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_sellers_workspace_id_name")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_limited_to_sellers", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_sign_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_users_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_users_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "skus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("seller_id", sa.Integer(), nullable=False),
        sa.Column("sku_code", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_skus_seller_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_skus_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skus")),
        sa.UniqueConstraint("seller_id", "sku_code", name=op.f("uq_skus_seller_id_sku_code")),
    )
    with op.batch_alter_table("skus", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_skus_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "stores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("seller_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("country_code", sa.String(length=2), nullable=False),
        sa.Column("marketplace_id", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("amazon_selling_partner_id", sa.String(length=40), nullable=True),
        sa.Column("refresh_token_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("authorized_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("authorization_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reauthorization_reason", sa.String(length=500), nullable=False),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disconnected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_order_sync_on", sa.Boolean(), nullable=False),
        sa.Column("is_inventory_sync_on", sa.Boolean(), nullable=False),
        sa.Column("is_automated_cancellation_on", sa.Boolean(), nullable=False),
        sa.Column("settings_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f("fk_stores_created_by_id")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_stores_seller_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_stores_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stores")),
    )
    with op.batch_alter_table("stores", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stores_seller_id"), ["seller_id"], unique=False)
        batch_op.create_index("ix_stores_workspace_id_seller_id", ["workspace_id", "seller_id"], unique=False)
        batch_op.create_index(
            "uq_stores_live_account",
            ["workspace_id", "amazon_selling_partner_id", "marketplace_id"],
            unique=True,
            sqlite_where=sa.text("status IN ('connected', 'needs_reauthorization')"),
            postgresql_where=sa.text("status IN ('connected', 'needs_reauthorization')"),
        )

    op.create_table(
        "user_sellers",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("seller_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seller_id"], ["sellers.id"], name=op.f("fk_user_sellers_seller_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_sellers_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "seller_id", name=op.f("pk_user_sellers")),
    )
    op.create_table(
        "user_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_sessions_token_hash")),
    )
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_user_sessions_user_id"), ["user_id"], unique=False)

    op.create_table(
        "authorization_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("user_session_id", sa.Integer(), nullable=False),
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_authorization_attempts_store_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_authorization_attempts_user_id")),
        sa.ForeignKeyConstraint(
            ["user_session_id"], ["user_sessions.id"], name=op.f("fk_authorization_attempts_user_session_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_authorization_attempts_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorization_attempts")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_authorization_attempts_state_hash")),
    )
    with op.batch_alter_table("authorization_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_authorization_attempts_reference"), ["reference"], unique=False)
        batch_op.create_index(batch_op.f("ix_authorization_attempts_store_id"), ["store_id"], unique=False)

    op.create_table(
        "config_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("section", sa.String(40), nullable=False),
        sa.Column("seller_id", sa.Integer(), nullable=True),
        sa.Column("store_id", sa.Integer(), nullable=True),
        sa.Column("sentence", sa.String(length=500), nullable=False),
        sa.Column("old_value", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("new_value", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_config_events_actor_id")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_config_events_seller_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_config_events_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_config_events_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_events")),
        sa.UniqueConstraint("workspace_id", "sequence", name=op.f("uq_config_events_workspace_id_sequence")),
    )
    with op.batch_alter_table("config_events", schema=None) as batch_op:
        batch_op.create_index("ix_config_events_actor", ["workspace_id", "actor_id", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_config_events_newest", ["workspace_id", "occurred_at", "id"], unique=False)
        batch_op.create_index(
            "ix_config_events_section", ["workspace_id", "section", "occurred_at", "id"], unique=False
        )
        batch_op.create_index("ix_config_events_store", ["workspace_id", "store_id", "occurred_at", "id"], unique=False)
        batch_op.create_index(
            "ix_config_events_workspace_id_store_id_section_sequence",
            ["workspace_id", "store_id", "section", "sequence"],
            unique=False,
        )

    op.create_table(
        "hub_mappings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.Integer(), nullable=False),
        sa.Column("seller_flex_hub_id", sa.String(length=36), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verify_result", sa.String(40), nullable=True),
        sa.Column("verify_message", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["hub_id"], ["hubs.id"], name=op.f("fk_hub_mappings_hub_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_hub_mappings_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_mappings")),
        sa.UniqueConstraint("store_id", "hub_id", name=op.f("uq_hub_mappings_store_id_hub_id")),
        sa.UniqueConstraint("store_id", "seller_flex_hub_id", name=op.f("uq_hub_mappings_store_id_seller_flex_hub_id")),
    )
    with op.batch_alter_table("hub_mappings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hub_mappings_hub_id"), ["hub_id"], unique=False)

    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("amazon_shipment_id", sa.String(length=100), nullable=False),
        sa.Column("amazon_order_id", sa.String(length=100), nullable=False),
        sa.Column("seller_flex_hub_id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("acknowledgement", sa.String(40), nullable=False),
        sa.Column("acknowledgement_message", sa.String(length=500), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amazon_status", sa.String(length=60), nullable=False),
        sa.Column("amazon_sub_status", sa.String(length=60), nullable=False),
        sa.Column("amazon_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amazon_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ship_by_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n_units", sa.Integer(), nullable=False),
        sa.Column("n_lines", sa.Integer(), nullable=False),
        sa.Column("total", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("shipment_type", sa.String(length=30), nullable=False),
        sa.Column("payment_method", sa.String(length=30), nullable=False),
        sa.Column("priority", sa.String(length=30), nullable=False),
        sa.Column("processing_source", sa.String(length=40), nullable=False),
        sa.Column("rejectable_statuses", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("buyer_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by", sa.String(length=40), nullable=False),
        sa.Column("cancellation_reason", sa.String(length=300), nullable=False),
        sa.Column("has_conflict", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["hub_id"], ["hubs.id"], name=op.f("fk_orders_hub_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_orders_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_orders_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("store_id", "amazon_shipment_id", name=op.f("uq_orders_store_id_amazon_shipment_id")),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(
            "ix_orders_on_hold",
            ["store_id", "seller_flex_hub_id"],
            unique=False,
            sqlite_where=sa.text("state = 'On Hold'"),
            postgresql_where=sa.text("state = 'On Hold'"),
        )
        batch_op.create_index(
            "ix_orders_open_by_deadline",
            ["workspace_id", "ship_by_at", "id"],
            unique=False,
            sqlite_where=sa.text("state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"),
            postgresql_where=sa.text("state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"),
        )
        batch_op.create_index(
            "ix_orders_to_acknowledge",
            ["store_id", "id"],
            unique=False,
            sqlite_where=sa.text("acknowledgement = 'pending'"),
            postgresql_where=sa.text("acknowledgement = 'pending'"),
        )
        batch_op.create_index(
            "ix_orders_workspace_id_amazon_order_id", ["workspace_id", "amazon_order_id"], unique=False
        )
        batch_op.create_index(
            "ix_orders_workspace_id_amazon_shipment_id", ["workspace_id", "amazon_shipment_id"], unique=False
        )
        batch_op.create_index("ix_orders_workspace_id_hub_id_id", ["workspace_id", "hub_id", "id"], unique=False)
        batch_op.create_index("ix_orders_workspace_id_id", ["workspace_id", "id"], unique=False)
        batch_op.create_index("ix_orders_workspace_id_state_id", ["workspace_id", "state", "id"], unique=False)
        batch_op.create_index("ix_orders_workspace_id_store_id_id", ["workspace_id", "store_id", "id"], unique=False)

    op.create_table(
        "sync_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("sync", sa.String(40), nullable=False),
        sa.Column("slot_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trigger", sa.String(40), nullable=False),
        sa.Column("requested_by_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("attempt_token", sa.String(length=32), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress", sa.String(length=200), nullable=False),
        sa.Column("n_pages", sa.Integer(), nullable=False),
        sa.Column("n_fetched", sa.Integer(), nullable=False),
        sa.Column("n_created", sa.Integer(), nullable=False),
        sa.Column("n_held", sa.Integer(), nullable=False),
        sa.Column("n_updated", sa.Integer(), nullable=False),
        sa.Column("n_skipped", sa.Integer(), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("n_acknowledged", sa.Integer(), nullable=False),
        sa.Column("n_api_calls", sa.Integer(), nullable=False),
        sa.Column("n_throttled", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=False),
        sa.Column("error_sentence", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["requested_by_id"], ["users.id"], name=op.f("fk_sync_runs_requested_by_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_sync_runs_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_sync_runs_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
        sa.UniqueConstraint("store_id", "sync", "slot_at", name=op.f("uq_sync_runs_store_id_sync_slot_at")),
    )
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_sync_runs_open",
            ["heartbeat_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )
        batch_op.create_index("ix_sync_runs_store_id_id", ["store_id", "id"], unique=False)
        batch_op.create_index("ix_sync_runs_workspace_id_id", ["workspace_id", "id"], unique=False)
        batch_op.create_index(
            "ix_sync_runs_workspace_id_queued_at_id", ["workspace_id", "queued_at", "id"], unique=False
        )
        batch_op.create_index("ix_sync_runs_workspace_id_state_id", ["workspace_id", "state", "id"], unique=False)
        batch_op.create_index(
            "uq_sync_runs_one_at_a_time",
            ["store_id", "sync"],
            unique=True,
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )

    op.create_table(
        "sync_states",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("sync", sa.String(40), nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("on_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_sync_states_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_sync_states_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_states")),
        sa.UniqueConstraint("store_id", "sync", name=op.f("uq_sync_states_store_id_sync")),
    )
    with op.batch_alter_table("sync_states", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_states_next_due_at"), ["next_due_at"], unique=False)

    op.create_table(
        "api_calls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("amazon_shipment_id", sa.String(length=100), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operation", sa.String(length=60), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("waited_ms", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("is_throttled", sa.Boolean(), nullable=False),
        sa.Column("amazon_request_id", sa.String(length=100), nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_api_calls_run_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_api_calls_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_api_calls_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_calls")),
    )
    with op.batch_alter_table("api_calls", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_calls_amazon_shipment_id"), ["amazon_shipment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_calls_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_calls_store_id"), ["store_id"], unique=False)
        batch_op.create_index("ix_api_calls_workspace_id_id", ["workspace_id", "id"], unique=False)

    op.create_table(
        "order_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("sentence", sa.String(length=500), nullable=False),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_order_id")),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_order_events_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
    )
    with op.batch_alter_table("order_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_events_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_events_run_id"), ["run_id"], unique=False)

    op.create_table(
        "order_holds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_holds_order_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_order_holds_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_holds")),
        sa.UniqueConstraint("order_id", "reason", name=op.f("uq_order_holds_order_id_reason")),
    )
    with op.batch_alter_table("order_holds", schema=None) as batch_op:
        batch_op.create_index(
            "ix_order_holds_workspace_id_reason_order_id", ["workspace_id", "reason", "order_id"], unique=False
        )

    op.create_table(
        "order_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("amazon_line_id", sa.String(length=100), nullable=False),
        sa.Column("sku_code", sa.String(length=100), nullable=False),
        sa.Column("n_units", sa.Integer(), nullable=False),
        sa.Column("item_total", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("tax_total", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("total", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("charges", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("compliance", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
    )
    with op.batch_alter_table("order_lines", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_lines_order_id"), ["order_id"], unique=False)
        batch_op.create_index("ix_order_lines_sku_code_order_id", ["sku_code", "order_id"], unique=False)

    op.create_table(
        "quarantined_shipments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("amazon_shipment_id", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("error_sentence", sa.String(length=500), nullable=False),
        sa.Column("payload_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n_times_seen", sa.Integer(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_quarantined_shipments_run_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_quarantined_shipments_store_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_quarantined_shipments_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_shipments")),
        sa.UniqueConstraint(
            "store_id", "amazon_shipment_id", name=op.f("uq_quarantined_shipments_store_id_amazon_shipment_id")
        ),
    )
    with op.batch_alter_table("quarantined_shipments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quarantined_shipments_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_quarantined_shipments_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "sync_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("attempt_token", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=False),
        sa.Column("error_sentence", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_attempts_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_attempts")),
    )
    with op.batch_alter_table("sync_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_attempts_run_id"), ["run_id"], unique=False)

    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


def downgrade():
    with op.batch_alter_table("sync_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sync_attempts_run_id"))

    op.drop_table("sync_attempts")
    with op.batch_alter_table("quarantined_shipments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarantined_shipments_workspace_id"))
        batch_op.drop_index(batch_op.f("ix_quarantined_shipments_run_id"))

    op.drop_table("quarantined_shipments")
    with op.batch_alter_table("order_lines", schema=None) as batch_op:
        batch_op.drop_index("ix_order_lines_sku_code_order_id")
        batch_op.drop_index(batch_op.f("ix_order_lines_order_id"))

    op.drop_table("order_lines")
    with op.batch_alter_table("order_holds", schema=None) as batch_op:
        batch_op.drop_index("ix_order_holds_workspace_id_reason_order_id")

    op.drop_table("order_holds")
    with op.batch_alter_table("order_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_order_events_run_id"))
        batch_op.drop_index(batch_op.f("ix_order_events_order_id"))

    op.drop_table("order_events")
    with op.batch_alter_table("api_calls", schema=None) as batch_op:
        batch_op.drop_index("ix_api_calls_workspace_id_id")
        batch_op.drop_index(batch_op.f("ix_api_calls_store_id"))
        batch_op.drop_index(batch_op.f("ix_api_calls_run_id"))
        batch_op.drop_index(batch_op.f("ix_api_calls_amazon_shipment_id"))

    op.drop_table("api_calls")
    with op.batch_alter_table("sync_states", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sync_states_next_due_at"))

    op.drop_table("sync_states")
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_sync_runs_one_at_a_time",
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )
        batch_op.drop_index("ix_sync_runs_workspace_id_state_id")
        batch_op.drop_index("ix_sync_runs_workspace_id_queued_at_id")
        batch_op.drop_index("ix_sync_runs_workspace_id_id")
        batch_op.drop_index("ix_sync_runs_store_id_id")
        batch_op.drop_index(
            "ix_sync_runs_open",
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )

    op.drop_table("sync_runs")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index("ix_orders_workspace_id_store_id_id")
        batch_op.drop_index("ix_orders_workspace_id_state_id")
        batch_op.drop_index("ix_orders_workspace_id_id")
        batch_op.drop_index("ix_orders_workspace_id_hub_id_id")
        batch_op.drop_index("ix_orders_workspace_id_amazon_shipment_id")
        batch_op.drop_index("ix_orders_workspace_id_amazon_order_id")
        batch_op.drop_index(
            "ix_orders_to_acknowledge",
            sqlite_where=sa.text("acknowledgement = 'pending'"),
            postgresql_where=sa.text("acknowledgement = 'pending'"),
        )
        batch_op.drop_index(
            "ix_orders_open_by_deadline",
            sqlite_where=sa.text("state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"),
            postgresql_where=sa.text("state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"),
        )
        batch_op.drop_index(
            "ix_orders_on_hold",
            sqlite_where=sa.text("state = 'On Hold'"),
            postgresql_where=sa.text("state = 'On Hold'"),
        )

    op.drop_table("orders")
    with op.batch_alter_table("hub_mappings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_hub_mappings_hub_id"))

    op.drop_table("hub_mappings")
    with op.batch_alter_table("config_events", schema=None) as batch_op:
        batch_op.drop_index("ix_config_events_workspace_id_store_id_section_sequence")
        batch_op.drop_index("ix_config_events_store")
        batch_op.drop_index("ix_config_events_section")
        batch_op.drop_index("ix_config_events_newest")
        batch_op.drop_index("ix_config_events_actor")

    op.drop_table("config_events")
    with op.batch_alter_table("authorization_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authorization_attempts_store_id"))
        batch_op.drop_index(batch_op.f("ix_authorization_attempts_reference"))

    op.drop_table("authorization_attempts")
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_user_sessions_user_id"))

    op.drop_table("user_sessions")
    op.drop_table("user_sellers")
    with op.batch_alter_table("stores", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_stores_live_account",
            sqlite_where=sa.text("status IN ('connected', 'needs_reauthorization')"),
            postgresql_where=sa.text("status IN ('connected', 'needs_reauthorization')"),
        )
        batch_op.drop_index("ix_stores_workspace_id_seller_id")
        batch_op.drop_index(batch_op.f("ix_stores_seller_id"))

    op.drop_table("stores")
    with op.batch_alter_table("skus", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_skus_workspace_id"))

    op.drop_table("skus")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_users_workspace_id"))

    op.drop_table("users")
    op.drop_table("sellers")
    op.drop_table("hubs")
    op.drop_table("config_chain_heads")
    op.drop_table("workspaces")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION config_events_append_only()")
