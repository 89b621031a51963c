"""Orders asked for by hand, and what a store and Amazon have otherwise."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "differences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("seller_flex_hub_id", sa.String(length=36), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("here", sa.String(length=100), nullable=False),
        sa.Column("there", sa.String(length=100), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_name", sa.String(length=100), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_differences_order_id")),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_differences_run_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_differences_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_differences_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differences")),
        sa.UniqueConstraint(
            "store_id",
            "kind",
            "subject",
            "seller_flex_hub_id",
            name=op.f("uq_differences_store_id_kind_subject_seller_flex_hub_id"),
        ),
    )
    with op.batch_alter_table("differences", schema=None) as batch_op:
        batch_op.create_index(
            "ix_differences_open",
            ["store_id", "kind", "id"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_differences_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_differences_run_id"), ["run_id"], unique=False)
        batch_op.create_index("ix_differences_store_id_id", ["store_id", "id"], unique=False)

    op.create_table(
        "recoveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("asked_by_name", sa.String(length=100), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("n_ids", sa.Integer(), nullable=False),
        sa.Column("reached_leg", sa.Integer(), nullable=False),
        sa.Column("page_token", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_recoveries_run_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_recoveries_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_recoveries_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recoveries")),
    )
    with op.batch_alter_table("recoveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recoveries_run_id"), ["run_id"], unique=False)
        batch_op.create_index("ix_recoveries_store_id_id", ["store_id", "id"], unique=False)

    op.create_table(
        "recovery_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recovery_id", sa.Integer(), nullable=False),
        sa.Column("amazon_id", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=True),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("sentence", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_recovery_items_order_id")),
        sa.ForeignKeyConstraint(["recovery_id"], ["recoveries.id"], name=op.f("fk_recovery_items_recovery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_items")),
        sa.UniqueConstraint("recovery_id", "amazon_id", name=op.f("uq_recovery_items_recovery_id_amazon_id")),
    )
    with op.batch_alter_table("recovery_items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recovery_items_order_id"), ["order_id"], unique=False)
        batch_op.create_index("ix_recovery_items_recovery_id_id", ["recovery_id", "id"], unique=False)
        batch_op.create_index(
            "ix_recovery_items_recovery_id_outcome_id", ["recovery_id", "outcome", "id"], unique=False
        )


def downgrade():
    with op.batch_alter_table("recovery_items", schema=None) as batch_op:
        batch_op.drop_index("ix_recovery_items_recovery_id_outcome_id")
        batch_op.drop_index("ix_recovery_items_recovery_id_id")
        batch_op.drop_index(batch_op.f("ix_recovery_items_order_id"))

    op.drop_table("recovery_items")
    with op.batch_alter_table("recoveries", schema=None) as batch_op:
        batch_op.drop_index("ix_recoveries_store_id_id")
        batch_op.drop_index(batch_op.f("ix_recoveries_run_id"))

    op.drop_table("recoveries")
    with op.batch_alter_table("differences", schema=None) as batch_op:
        batch_op.drop_index("ix_differences_store_id_id")
        batch_op.drop_index(batch_op.f("ix_differences_run_id"))
        batch_op.drop_index(batch_op.f("ix_differences_order_id"))
        batch_op.drop_index(
            "ix_differences_open",
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("differences")
