"""The shipments of a workspace that wait in quarantine are found by an index of these few."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        "ix_quarantined_shipments_waiting",
        "quarantined_shipments",
        ["workspace_id", "id"],
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def downgrade():
    op.drop_index("ix_quarantined_shipments_waiting", table_name="quarantined_shipments")
