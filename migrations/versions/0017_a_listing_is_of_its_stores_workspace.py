"""A listing is of its store's workspace, by the database's word: one foreign key in place of two."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_index("ix_stores_workspace_id_id", table_name="stores")
    op.create_index("ix_stores_workspace_id_id", "stores", ["workspace_id", "id"], unique=True)
    with op.batch_alter_table("listings", schema=None) as batch_op:
        batch_op.drop_constraint("fk_listings_workspace_id", type_="foreignkey")
        batch_op.drop_constraint("fk_listings_store_id", type_="foreignkey")
        batch_op.create_foreign_key(
            "fk_listings_workspace_id_store_id", "stores", ["workspace_id", "store_id"], ["workspace_id", "id"]
        )


def downgrade():
    with op.batch_alter_table("listings", schema=None) as batch_op:
        batch_op.drop_constraint("fk_listings_workspace_id_store_id", type_="foreignkey")
        batch_op.create_foreign_key("fk_listings_store_id", "stores", ["store_id"], ["id"])
        batch_op.create_foreign_key("fk_listings_workspace_id", "workspaces", ["workspace_id"], ["id"])
    op.drop_index("ix_stores_workspace_id_id", table_name="stores")
    op.create_index("ix_stores_workspace_id_id", "stores", ["workspace_id", "id"], unique=False)
