"""What must not go unseen: the Configuration Log is verified whole each day; acknowledgements that Amazon refused."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

IS_ACKNOWLEDGEMENT_REFUSED = (
    "acknowledgement = 'refused' AND state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"
)


def upgrade():
    with op.batch_alter_table("config_chain_heads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("known_sequence", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("known_hash", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("walk_began_at", sa.DateTime(timezone=True), nullable=True))
    # Where the walk had come is a link that was found in order. From here on each walk begins with the first row.
    op.execute(
        "UPDATE config_chain_heads SET known_sequence = walk_sequence, known_hash = walk_hash, walk_sequence = 0, "
        "walk_hash = '' WHERE walk_sequence > 0"
    )
    with op.batch_alter_table("config_chain_heads", schema=None) as batch_op:
        batch_op.drop_column("walk_is_full")
        batch_op.drop_column("fully_verified_at")
    op.create_index(
        "ix_orders_acknowledgement_refused",
        "orders",
        ["store_id", "id"],
        unique=False,
        sqlite_where=sa.text(IS_ACKNOWLEDGEMENT_REFUSED),
        postgresql_where=sa.text(IS_ACKNOWLEDGEMENT_REFUSED),
    )


def downgrade():
    op.drop_index("ix_orders_acknowledgement_refused", table_name="orders")
    with op.batch_alter_table("config_chain_heads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fully_verified_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("walk_is_full", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute("UPDATE config_chain_heads SET walk_sequence = 0, walk_hash = ''")
    with op.batch_alter_table("config_chain_heads", schema=None) as batch_op:
        batch_op.drop_column("walk_began_at")
        batch_op.drop_column("known_hash")
        batch_op.drop_column("known_sequence")
