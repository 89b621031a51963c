"""How often an action on many orders was tried, so that one that cannot be finished is given up."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


# Not in batch mode: SQLite would make the table anew, which the rows that point at it do not allow.


def upgrade():
    op.add_column("work_batches", sa.Column("n_attempts", sa.Integer(), nullable=False, server_default="0"))


def downgrade():
    op.drop_column("work_batches", "n_attempts")
