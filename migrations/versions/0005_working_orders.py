"""Working orders: steps at Amazon, packages, documents, conflicts, batches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "saved_filters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("filters", sa.String(length=500), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_saved_filters_user_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_saved_filters_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_filters")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_saved_filters_user_id_name")),
    )
    op.create_table(
        "work_batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("asked_by_id", sa.Integer(), nullable=True),
        sa.Column("asked_by_name", sa.String(length=100), nullable=False),
        sa.Column("seller_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_token", sa.String(length=32), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("n_done", sa.Integer(), nullable=False),
        sa.Column("n_refused", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["asked_by_id"], ["users.id"], name=op.f("fk_work_batches_asked_by_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_work_batches_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_batches")),
    )
    with op.batch_alter_table("work_batches", schema=None) as batch_op:
        batch_op.create_index(
            "ix_work_batches_to_do",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state IN ('waiting', 'running')"),
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
        )
        batch_op.create_index("ix_work_batches_workspace_id_id", ["workspace_id", "id"], unique=False)

    op.create_table(
        "order_conflicts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("sentence", sa.String(length=500), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_name", sa.String(length=100), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_conflicts_order_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_order_conflicts_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_conflicts")),
    )
    with op.batch_alter_table("order_conflicts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_order_conflicts_open",
            ["workspace_id", "id"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )
        batch_op.create_index("ix_order_conflicts_order_id", ["order_id"], unique=False)

    op.create_table(
        "order_documents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("package_id", sa.String(length=40), nullable=False),
        sa.Column("content_type", sa.String(length=60), nullable=False),
        sa.Column("n_bytes", sa.Integer(), nullable=False),
        sa.Column("content_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_documents_order_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_order_documents_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_documents")),
    )
    with op.batch_alter_table("order_documents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_documents_order_id"), ["order_id"], unique=False)

    op.create_table(
        "order_packages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.String(length=40), nullable=False),
        sa.Column("length_cm", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("width_cm", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("height_cm", sa.Numeric().with_variant(sa.String(40), "sqlite"), nullable=True),
        sa.Column("weight_g", sa.Integer(), nullable=True),
        sa.Column("lines", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("is_at_amazon", sa.Boolean(), nullable=False),
        sa.Column("shipping_option_id", sa.String(length=200), nullable=False),
        sa.Column("carrier_name", sa.String(length=100), nullable=False),
        sa.Column("tracking_number", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_packages_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_packages")),
        sa.UniqueConstraint("order_id", "package_id", name=op.f("uq_order_packages_order_id_package_id")),
    )
    with op.batch_alter_table("order_packages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_packages_tracking_number"), ["tracking_number"], unique=False)

    op.create_table(
        "order_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=False),
        sa.Column("error_sentence", sa.String(length=500), nullable=False),
        sa.Column("detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("asked_by_name", sa.String(length=100), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_steps_order_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_order_steps_store_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_order_steps_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_steps")),
        sa.UniqueConstraint("order_id", "kind", name=op.f("uq_order_steps_order_id_kind")),
    )
    with op.batch_alter_table("order_steps", schema=None) as batch_op:
        batch_op.create_index(
            "ix_order_steps_failed",
            ["workspace_id", "order_id"],
            unique=False,
            sqlite_where=sa.text("state = 'failed'"),
            postgresql_where=sa.text("state = 'failed'"),
        )
        batch_op.create_index(
            "ix_order_steps_waiting",
            ["store_id", "order_id"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "work_batch_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=True),
        sa.Column("sentence", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["work_batches.id"], name=op.f("fk_work_batch_items_batch_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_work_batch_items_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_batch_items")),
        sa.UniqueConstraint("batch_id", "order_id", name=op.f("uq_work_batch_items_batch_id_order_id")),
    )
    with op.batch_alter_table("work_batch_items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_work_batch_items_order_id"), ["order_id"], unique=False)

    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("picked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("packed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("moved_by", sa.String(length=100), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(
            sa.Column("invoice_requirement", sa.String(length=20), nullable=False, server_default=sa.text("''"))
        )
        batch_op.add_column(
            sa.Column("invoice_status", sa.String(length=20), nullable=False, server_default=sa.text("''"))
        )
        batch_op.add_column(sa.Column("is_invoice_waiting", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("cancellation", sa.String(40), nullable=False, server_default=sa.text("'none'")))
        batch_op.add_column(
            sa.Column("cancellation_message", sa.String(length=500), nullable=False, server_default=sa.text("''"))
        )
        batch_op.create_index(
            "ix_orders_has_conflict",
            ["workspace_id", "id"],
            unique=False,
            sqlite_where=sa.text("has_conflict"),
            postgresql_where=sa.text("has_conflict"),
        )
        batch_op.create_index(
            "ix_orders_invoice_waiting",
            ["workspace_id", "id"],
            unique=False,
            sqlite_where=sa.text("is_invoice_waiting"),
            postgresql_where=sa.text("is_invoice_waiting"),
        )
        batch_op.add_column(sa.Column("buyer_deleted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_orders_delivered_at_with_buyer",
            ["delivered_at"],
            unique=False,
            sqlite_where=sa.text("buyer_deleted_at IS NULL AND delivered_at IS NOT NULL"),
            postgresql_where=sa.text("buyer_deleted_at IS NULL AND delivered_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_orders_cancelled_at_with_buyer",
            ["cancelled_at"],
            unique=False,
            sqlite_where=sa.text("buyer_deleted_at IS NULL AND cancelled_at IS NOT NULL"),
            postgresql_where=sa.text("buyer_deleted_at IS NULL AND cancelled_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_orders_shipped_at_with_buyer",
            ["shipped_at"],
            unique=False,
            sqlite_where=sa.text("buyer_deleted_at IS NULL AND shipped_at IS NOT NULL"),
            postgresql_where=sa.text("buyer_deleted_at IS NULL AND shipped_at IS NOT NULL"),
        )

    with op.batch_alter_table("quarantined_shipments", schema=None) as batch_op:
        batch_op.alter_column("payload_encrypted", existing_type=sa.LargeBinary(), nullable=True)

    # What is here already: when it left and arrived is not known, but not later than its last change.
    op.execute("UPDATE orders SET delivered_at = changed_at WHERE state = 'Delivered'")
    op.execute("UPDATE orders SET shipped_at = changed_at WHERE state IN ('Shipped', 'Delivered')")
    op.execute(
        "INSERT INTO order_conflicts (workspace_id, order_id, event, sentence, made_at, closed_by_name, note) "
        "SELECT workspace_id, id, 'cancelled on Amazon', "
        "'Amazon cancelled it, but here it was ' || state || ' already.', changed_at, '', '' "
        "FROM orders WHERE has_conflict"
    )


def downgrade():
    op.execute("DELETE FROM quarantined_shipments WHERE payload_encrypted IS NULL")
    with op.batch_alter_table("quarantined_shipments", schema=None) as batch_op:
        batch_op.alter_column("payload_encrypted", existing_type=sa.LargeBinary(), nullable=False)

    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_orders_invoice_waiting",
            sqlite_where=sa.text("is_invoice_waiting"),
            postgresql_where=sa.text("is_invoice_waiting"),
        )
        batch_op.drop_index(
            "ix_orders_has_conflict", sqlite_where=sa.text("has_conflict"), postgresql_where=sa.text("has_conflict")
        )
        batch_op.drop_index(
            "ix_orders_delivered_at_with_buyer",
            sqlite_where=sa.text("buyer_deleted_at IS NULL AND delivered_at IS NOT NULL"),
            postgresql_where=sa.text("buyer_deleted_at IS NULL AND delivered_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_orders_cancelled_at_with_buyer",
            sqlite_where=sa.text("buyer_deleted_at IS NULL AND cancelled_at IS NOT NULL"),
            postgresql_where=sa.text("buyer_deleted_at IS NULL AND cancelled_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_orders_shipped_at_with_buyer",
            sqlite_where=sa.text("buyer_deleted_at IS NULL AND shipped_at IS NOT NULL"),
            postgresql_where=sa.text("buyer_deleted_at IS NULL AND shipped_at IS NOT NULL"),
        )
        batch_op.drop_column("buyer_deleted_at")
        batch_op.drop_column("cancellation_message")
        batch_op.drop_column("cancellation")
        batch_op.drop_column("is_invoice_waiting")
        batch_op.drop_column("invoice_status")
        batch_op.drop_column("invoice_requirement")
        batch_op.drop_column("moved_by")
        batch_op.drop_column("delivered_at")
        batch_op.drop_column("shipped_at")
        batch_op.drop_column("ready_at")
        batch_op.drop_column("packed_at")
        batch_op.drop_column("picked_at")

    with op.batch_alter_table("work_batch_items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_work_batch_items_order_id"))

    op.drop_table("work_batch_items")
    with op.batch_alter_table("order_steps", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_order_steps_waiting",
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.drop_index(
            "ix_order_steps_failed",
            sqlite_where=sa.text("state = 'failed'"),
            postgresql_where=sa.text("state = 'failed'"),
        )

    op.drop_table("order_steps")
    with op.batch_alter_table("order_packages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_order_packages_tracking_number"))

    op.drop_table("order_packages")
    with op.batch_alter_table("order_documents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_order_documents_order_id"))

    op.drop_table("order_documents")
    with op.batch_alter_table("order_conflicts", schema=None) as batch_op:
        batch_op.drop_index("ix_order_conflicts_order_id")
        batch_op.drop_index(
            "ix_order_conflicts_open",
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("order_conflicts")
    with op.batch_alter_table("work_batches", schema=None) as batch_op:
        batch_op.drop_index("ix_work_batches_workspace_id_id")
        batch_op.drop_index(
            "ix_work_batches_to_do",
            sqlite_where=sa.text("state IN ('waiting', 'running')"),
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
        )

    op.drop_table("work_batches")
    op.drop_table("saved_filters")
