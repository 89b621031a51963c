"""The access log's rows lead to the SKU that they are about."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("access_events", sa.Column("sku_code", sa.String(length=100), nullable=True))
    op.add_column("access_events", sa.Column("stock_level_id", sa.Integer(), nullable=True))


def downgrade():
    for column in ("stock_level_id", "sku_code"):
        op.drop_column("access_events", column)
