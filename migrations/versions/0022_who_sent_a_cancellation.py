"""Who sent a cancellation to Amazon later is told from who cancelled the order, in timelines from before too."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        "UPDATE order_events SET kind = 'cancellation_sent' WHERE kind = 'cancelled'"
        " AND sentence LIKE '% sent the cancellation to Amazon.'"
    )


def downgrade():
    op.execute("UPDATE order_events SET kind = 'cancelled' WHERE kind = 'cancellation_sent'")
