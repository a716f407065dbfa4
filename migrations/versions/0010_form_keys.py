"""The key of the form that a message came with: by it a message comes once, without a row beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("comments", sa.Column("form_key", sa.String(length=40), nullable=True))
    op.create_index("ix_comments_author_id_form_key", "comments", ["author_id", "form_key"], unique=True)


def downgrade():
    if op.get_bind().dialect.name == "mysql":
        # The foreign key on author_id needs an index, and has had this one.
        op.create_index("ix_comments_author_id", "comments", ["author_id"])
    op.drop_index("ix_comments_author_id_form_key", "comments")
    op.drop_column("comments", "form_key")
