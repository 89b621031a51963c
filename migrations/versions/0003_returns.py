"""Returns: what Amazon tells of them, the locations they are read for, and those that could not be read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "return_locations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.String(length=100), nullable=False),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_return_locations_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_locations")),
        sa.UniqueConstraint("store_id", "location_id", name=op.f("uq_return_locations_store_id_location_id")),
    )
    op.create_table(
        "amazon_returns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("amazon_return_id", sa.String(length=100), nullable=False),
        sa.Column("amazon_status", sa.String(length=60), nullable=False),
        sa.Column("return_type", sa.String(length=60), nullable=False),
        sa.Column("return_sub_type", sa.String(length=60), nullable=False),
        sa.Column("sku_code", sa.String(length=100), nullable=False),
        sa.Column("channel_sku", sa.String(length=100), nullable=False),
        sa.Column("n_units", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("rma_id", sa.String(length=100), nullable=False),
        sa.Column("invoice_id", sa.String(length=100), nullable=False),
        sa.Column("amazon_shipment_id", sa.String(length=100), nullable=False),
        sa.Column("channel_shipment_id", sa.String(length=100), nullable=False),
        sa.Column("amazon_order_id", sa.String(length=100), nullable=False),
        sa.Column("exchange_order_id", sa.String(length=100), nullable=False),
        sa.Column("return_location_id", sa.String(length=100), nullable=False),
        sa.Column("fulfillment_location_id", sa.String(length=100), nullable=False),
        sa.Column("amazon_merchant_id", sa.String(length=100), nullable=False),
        sa.Column("marketplace_name", sa.String(length=60), nullable=False),
        sa.Column("channel_name", sa.String(length=60), nullable=False),
        sa.Column("carrier", sa.String(length=60), nullable=False),
        sa.Column("tracking_id", sa.String(length=100), nullable=False),
        sa.Column("outbound_carrier", sa.String(length=60), nullable=False),
        sa.Column("outbound_tracking_id", sa.String(length=100), nullable=False),
        sa.Column("earlier_trackings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("delivery_mode", sa.String(length=60), nullable=False),
        sa.Column("otp_valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amazon_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amazon_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("picked_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_unlisted", sa.Boolean(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_amazon_returns_order_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_amazon_returns_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_amazon_returns_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_amazon_returns")),
        sa.UniqueConstraint("store_id", "amazon_return_id", name=op.f("uq_amazon_returns_store_id_amazon_return_id")),
    )
    with op.batch_alter_table("amazon_returns", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_amazon_returns_order_id"), ["order_id"], unique=False)
        batch_op.create_index(
            "ix_amazon_returns_store_id_location_id", ["store_id", "return_location_id"], unique=False
        )
        batch_op.create_index(
            "ix_amazon_returns_unlisted",
            ["store_id", "read_at"],
            unique=False,
            sqlite_where=sa.text("is_unlisted"),
            postgresql_where=sa.text("is_unlisted"),
        )
        batch_op.create_index(
            "ix_amazon_returns_without_order",
            ["store_id", "id"],
            unique=False,
            sqlite_where=sa.text("order_id IS NULL"),
            postgresql_where=sa.text("order_id IS NULL"),
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_amazon_order_id", ["workspace_id", "amazon_order_id"], unique=False
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_amazon_return_id", ["workspace_id", "amazon_return_id"], unique=False
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_amazon_shipment_id", ["workspace_id", "amazon_shipment_id"], unique=False
        )
        batch_op.create_index("ix_amazon_returns_workspace_id_id", ["workspace_id", "id"], unique=False)
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_sku_code_id", ["workspace_id", "sku_code", "id"], unique=False
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_status_id", ["workspace_id", "amazon_status", "id"], unique=False
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_store_id_id", ["workspace_id", "store_id", "id"], unique=False
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_store_id_status_id",
            ["workspace_id", "store_id", "amazon_status", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_amazon_returns_workspace_id_tracking_id", ["workspace_id", "tracking_id"], unique=False
        )

    op.create_table(
        "quarantined_returns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("amazon_return_id", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("error_sentence", sa.String(length=500), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n_times_seen", sa.Integer(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_quarantined_returns_run_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_quarantined_returns_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_quarantined_returns_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_returns")),
        sa.UniqueConstraint(
            "store_id", "amazon_return_id", name=op.f("uq_quarantined_returns_store_id_amazon_return_id")
        ),
    )
    with op.batch_alter_table("quarantined_returns", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quarantined_returns_run_id"), ["run_id"], unique=False)
        batch_op.create_index(
            "ix_quarantined_returns_waiting",
            ["store_id", "last_seen_at"],
            unique=False,
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_quarantined_returns_workspace_id"), ["workspace_id"], unique=False)


def downgrade():
    with op.batch_alter_table("quarantined_returns", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarantined_returns_workspace_id"))
        batch_op.drop_index(
            "ix_quarantined_returns_waiting",
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_quarantined_returns_run_id"))

    op.drop_table("quarantined_returns")
    with op.batch_alter_table("amazon_returns", schema=None) as batch_op:
        batch_op.drop_index("ix_amazon_returns_workspace_id_tracking_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_store_id_status_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_store_id_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_status_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_sku_code_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_amazon_shipment_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_amazon_return_id")
        batch_op.drop_index("ix_amazon_returns_workspace_id_amazon_order_id")
        batch_op.drop_index(
            "ix_amazon_returns_without_order",
            sqlite_where=sa.text("order_id IS NULL"),
            postgresql_where=sa.text("order_id IS NULL"),
        )
        batch_op.drop_index(
            "ix_amazon_returns_unlisted", sqlite_where=sa.text("is_unlisted"), postgresql_where=sa.text("is_unlisted")
        )
        batch_op.drop_index("ix_amazon_returns_store_id_location_id")
        batch_op.drop_index(batch_op.f("ix_amazon_returns_order_id"))

    op.drop_table("amazon_returns")
    op.drop_table("return_locations")
