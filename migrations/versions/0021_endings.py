"""Which endings of free months, cards and contracts were told."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "endings_told",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_endings_told_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_endings_told"),
        sa.UniqueConstraint("organization_id", "kind", "day", name="uq_endings_told_organization_id_kind_day"),
    )


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM messages WHERE kind = 'ends_soon'")
    op.drop_table("endings_told")
