"""Saved views of the desk's queues."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "saved_views",
        sa.Column("author_id", Id, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["people.id"], name="fk_saved_views_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_saved_views"),
        sa.UniqueConstraint("author_id", "name", name="uq_saved_views_author_id_name"),
    )
    op.create_index("ix_saved_views_shared_name_id", "saved_views", ["shared", "name", "id"])


def downgrade():
    op.drop_table("saved_views")
