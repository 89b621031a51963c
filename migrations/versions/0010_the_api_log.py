"""The API log: how each call ended, what was sent, what Amazon answered, and the indexes its pages are read by."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BY = {
    "ix_api_calls_workspace_id_started_at_id": ["workspace_id", "started_at", "id"],
    "ix_api_calls_workspace_id_outcome_started_at_id": ["workspace_id", "outcome", "started_at", "id"],
    "ix_api_calls_workspace_id_operation_started_at_id": ["workspace_id", "operation", "started_at", "id"],
    "ix_api_calls_store_id_started_at_id": ["store_id", "started_at", "id"],
    "ix_api_calls_store_id_outcome_started_at_id": ["store_id", "outcome", "started_at", "id"],
    "ix_api_calls_store_id_operation_started_at_id": ["store_id", "operation", "started_at", "id"],
    "ix_api_calls_run_id_id": ["run_id", "id"],
}
WHERE = {"amazon_request_id": "amazon_request_id <> ''", "sku_code": "sku_code IS NOT NULL"}
REPLACED = {
    "ix_api_calls_workspace_id_id": ["workspace_id", "id"],
    "ix_api_calls_store_id": ["store_id"],
    "ix_api_calls_run_id": ["run_id"],
}


def upgrade():
    with op.batch_alter_table("api_calls", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sku_code", sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("outcome", sa.String(40), nullable=False, server_default=sa.text("'success'")))
        batch_op.add_column(sa.Column("sent", sa.Text(), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column("answered", sa.Text(), nullable=False, server_default=sa.text("''")))
    # What is here already: as a call made today would be told apart.
    op.execute(
        "UPDATE api_calls SET outcome = CASE WHEN is_throttled THEN 'throttled' WHEN status IS NULL THEN 'no_answer' "
        "WHEN status >= 500 OR status < 400 THEN 'fault' ELSE 'refused' END "
        "WHERE is_throttled OR status IS NULL OR error_message <> '' OR error_code <> ''"
    )
    with op.batch_alter_table("api_calls", schema=None) as batch_op:
        for name in REPLACED:
            batch_op.drop_index(name)
        for name, columns in BY.items():
            batch_op.create_index(name, columns, unique=False)
        for column, condition in WHERE.items():
            batch_op.create_index(
                f"ix_api_calls_{column}",
                [column],
                unique=False,
                sqlite_where=sa.text(condition),
                postgresql_where=sa.text(condition),
            )


def downgrade():
    with op.batch_alter_table("api_calls", schema=None) as batch_op:
        for name in (*BY, *(f"ix_api_calls_{column}" for column in WHERE)):
            batch_op.drop_index(name)
        for name, columns in REPLACED.items():
            batch_op.create_index(name, columns, unique=False)
        for column in ("answered", "sent", "outcome", "sku_code"):
            batch_op.drop_column(column)
