"""A held-back push says of how many quantities nobody knows what Amazon shows."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("zero_brakes", sa.Column("n_unknown", sa.Integer(), server_default="0", nullable=False))


def downgrade():
    op.drop_column("zero_brakes", "n_unknown")
