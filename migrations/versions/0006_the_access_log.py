"""The access log, which the database keeps from being changed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A row goes once it is older than a year, and never changes.
TRIGGERS = {
    "sqlite": [
        """CREATE TRIGGER access_events_no_update BEFORE UPDATE ON access_events
        BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END""",
        """CREATE TRIGGER access_events_no_delete BEFORE DELETE ON access_events
        WHEN OLD.occurred_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-365 days')
        BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END""",
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION access_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND OLD.occurred_at <= now() - interval '365 days' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'the access log is append-only';
        END $$""",
        """CREATE TRIGGER access_events_append_only BEFORE UPDATE OR DELETE ON access_events
        FOR EACH ROW EXECUTE FUNCTION access_events_append_only()""",
    ],
}


def upgrade():
    op.create_table(
        "access_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("sentence", sa.String(length=500), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("store_id", sa.Integer(), nullable=True),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_access_events_actor_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_access_events_order_id")),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_access_events_store_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_events_user_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_access_events_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_events")),
    )
    with op.batch_alter_table("access_events", schema=None) as batch_op:
        batch_op.create_index("ix_access_events_newest", ["workspace_id", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_access_events_kind", ["workspace_id", "kind", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_access_events_actor", ["workspace_id", "actor_id", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_access_events_occurred_at", ["occurred_at"], unique=False)
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    op.drop_table("access_events")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION access_events_append_only()")
