"""An upload keeps which waiting file it took the place of."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("uploads", sa.Column("took_place_of_id", sa.Integer(), nullable=True))


def downgrade():
    op.drop_column("uploads", "took_place_of_id")
