"""Who comes back from Amazon for a draft that was discarded meanwhile is told so: the trip outlives the draft."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("authorization_attempts", schema=None) as batch_op:
        batch_op.alter_column("store_id", existing_type=sa.Integer(), nullable=True)


def downgrade():
    op.execute("DELETE FROM authorization_attempts WHERE store_id IS NULL")
    with op.batch_alter_table("authorization_attempts", schema=None) as batch_op:
        batch_op.alter_column("store_id", existing_type=sa.Integer(), nullable=False)
