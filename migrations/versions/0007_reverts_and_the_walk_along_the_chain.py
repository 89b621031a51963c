"""Which row of the Configuration Log took back which, and how far its verification by the clock has come."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "config_reverts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reverted_sequence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_config_reverts_workspace_id")),
        sa.PrimaryKeyConstraint("workspace_id", "sequence", name=op.f("pk_config_reverts")),
    )
    with op.batch_alter_table("config_reverts", schema=None) as batch_op:
        batch_op.create_index("ix_config_reverts_reverted", ["workspace_id", "reverted_sequence"], unique=False)
    with op.batch_alter_table("config_chain_heads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fully_verified_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("walk_sequence", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("walk_hash", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("walk_is_full", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade():
    with op.batch_alter_table("config_chain_heads", schema=None) as batch_op:
        batch_op.drop_column("walk_is_full")
        batch_op.drop_column("walk_hash")
        batch_op.drop_column("walk_sequence")
        batch_op.drop_column("fully_verified_at")
    op.drop_table("config_reverts")
