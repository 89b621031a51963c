"""A row of a file keeps what was stored when it was compared."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade():
    exact = sa.Numeric().with_variant(sa.String(40), "sqlite")
    op.add_column("upload_rows", sa.Column("seen_price", exact, nullable=True))
    op.add_column("upload_rows", sa.Column("seen_on_hand", sa.Integer(), nullable=True))


def downgrade():
    op.drop_column("upload_rows", "seen_on_hand")
    op.drop_column("upload_rows", "seen_price")
