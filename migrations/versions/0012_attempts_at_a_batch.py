"""How often an action on many orders was tried; what its person could see goes, for that is asked anew at its work."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Not in batch mode: SQLite would make the table anew, which the rows that point at it do not allow.


def upgrade():
    op.add_column("work_batches", sa.Column("n_attempts", sa.Integer(), nullable=False, server_default="0"))
    op.drop_column("work_batches", "seller_ids")


def downgrade():
    seller_ids = sa.Column("seller_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
    op.add_column("work_batches", seller_ids)
    op.drop_column("work_batches", "n_attempts")
