"""A held-back push says of how many quantities nobody knows what Amazon shows; a run leads to what it left out."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("zero_brakes", sa.Column("n_unknown", sa.Integer(), server_default="0", nullable=False))
    op.add_column("sync_run_items", sa.Column("left_out", sa.String(length=40), nullable=True))
    op.add_column("sync_run_items", sa.Column("hub_id", sa.Integer(), nullable=True))


def downgrade():
    for column in ("hub_id", "left_out"):
        op.drop_column("sync_run_items", column)
    op.drop_column("zero_brakes", "n_unknown")
