"""What customers say of the help, and indexes by which a report counts a month without reading all years."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

INDEXES = (
    ("ix_response_targets_started_at_id", "response_targets", ["started_at", "id"]),
    ("ix_tickets_created_at_id", "tickets", ["created_at", "id"]),
    ("ix_tickets_resolved_at_id", "tickets", ["resolved_at", "id"]),
)


def upgrade():
    op.create_table(
        "ratings",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("person_id", Id, nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("words", Body, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_ratings_person_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ratings_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ratings"),
        sa.UniqueConstraint("ticket_id", name="uq_ratings_ticket_id"),
    )
    op.create_index("ix_ratings_at", "ratings", ["at"])
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade():
    for name, table, _columns in reversed(INDEXES):
        op.drop_index(name, table)
    op.drop_table("ratings")
