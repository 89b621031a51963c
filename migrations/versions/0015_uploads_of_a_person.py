"""The list of uploads finds who uploaded, and what, by an index."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_uploads_uploaded_by_id_id", "uploads", ["uploaded_by_id", "id"], unique=False)
    op.create_index("ix_uploads_uploaded_by_id_seller_id", "uploads", ["uploaded_by_id", "seller_id"], unique=False)


def downgrade():
    op.drop_index("ix_uploads_uploaded_by_id_seller_id", table_name="uploads")
    op.drop_index("ix_uploads_uploaded_by_id_id", table_name="uploads")
