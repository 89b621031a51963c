"""What became of each item of a sync run, and runs that take up only what an earlier one left."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

RUNS_BY = {
    "ix_sync_runs_workspace_id_sync_state_id": ["workspace_id", "sync", "state", "id"],
    "ix_sync_runs_workspace_id_sync_id": ["workspace_id", "sync", "id"],
    "ix_sync_runs_workspace_id_trigger_id": ["workspace_id", "trigger", "id"],
    "ix_sync_runs_store_id_state_id": ["store_id", "state", "id"],
}


def upgrade():
    op.create_table(
        "run_sheets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("fate", sa.String(40), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_run_sheets_run_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_run_sheets_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_sheets")),
    )
    with op.batch_alter_table("run_sheets", schema=None) as batch_op:
        batch_op.create_index("ix_run_sheets_run_id_id", ["run_id", "id"], unique=False)
        batch_op.create_index("ix_run_sheets_run_id_fate_id", ["run_id", "fate", "id"], unique=False)
        batch_op.create_index("ix_run_sheets_store_id_id", ["store_id", "id"], unique=False)
    # Inline, because SQLite would else make the table anew, which rows that point at it do not allow.
    op.execute(
        "ALTER TABLE sync_runs ADD COLUMN retry_of_id INTEGER "
        "CONSTRAINT fk_sync_runs_retry_of_id REFERENCES sync_runs (id)"
    )
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        batch_op.create_index("ix_sync_runs_retry_of_id", ["retry_of_id"], unique=False)
        for name, columns in RUNS_BY.items():
            batch_op.create_index(name, columns, unique=False)
    with op.batch_alter_table("sync_run_items", schema=None) as batch_op:
        batch_op.create_index("ix_sync_run_items_run_id_sku_code_id", ["run_id", "sku_code", "id"], unique=False)


def downgrade():
    with op.batch_alter_table("sync_run_items", schema=None) as batch_op:
        batch_op.drop_index("ix_sync_run_items_run_id_sku_code_id")
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        for name in RUNS_BY:
            batch_op.drop_index(name)
        batch_op.drop_index("ix_sync_runs_retry_of_id")
    op.execute("ALTER TABLE sync_runs DROP COLUMN retry_of_id")  # its constraint goes with it, on both
    op.drop_table("run_sheets")
