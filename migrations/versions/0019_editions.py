"""Versions of the catalogue that are made in the administration."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "catalogue_editions",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("effective", sa.Date(), nullable=True),
        sa.Column("author_id", Id, nullable=False),
        sa.Column("changed_at", Instant, nullable=False),
        sa.Column("published_at", Instant, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["people.id"], name="fk_catalogue_editions_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_catalogue_editions"),
        sa.UniqueConstraint("name", name="uq_catalogue_editions_name"),
        sa.UniqueConstraint("effective", name="uq_catalogue_editions_effective"),
    )


def downgrade():
    # The program before this knows no terms but those of its files: what was promised by others could not be explained.
    begun = op.get_bind().execute(sa.text("SELECT COUNT(*) FROM tickets JOIN catalogue_editions ON name = catalogue_version"))
    if begun.scalar():
        raise RuntimeError("Requests were filed under versions of the catalogue that only this program knows.")
    op.execute("DELETE FROM events WHERE kind LIKE 'catalogue.%'")
    op.drop_table("catalogue_editions")
