"""Tags of tickets, and indexes for what narrows the desk's queues."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES = (
    ("ix_tickets_plan_active_due", ["plan", "active", "due_order", "severity", "updated_at", "id"]),
    ("ix_tickets_severity_active_due", ["severity", "active", "due_order", "updated_at", "id"]),
)


def upgrade():
    op.create_table(
        "tags",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tags"),
        sa.UniqueConstraint("name", name="uq_tags_name"),
    )
    op.create_table(
        "ticket_tags",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("tag_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ticket_tags_ticket_id"),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name="fk_ticket_tags_tag_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_tags"),
        sa.UniqueConstraint("ticket_id", "tag_id", name="uq_ticket_tags_ticket_id_tag_id"),
    )
    op.create_index("ix_ticket_tags_tag_id_ticket_id", "ticket_tags", ["tag_id", "ticket_id"])
    for name, columns in INDEXES:
        op.create_index(name, "tickets", columns)
    # Those who could have a ticket, by name: of all who have an account, they are few.
    op.create_index("ix_people_staff_role_active_name_id", "people", ["staff_role", "active", "name", "id"])
    op.drop_index("ix_people_staff_role", "people")


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM events WHERE kind = 'ticket.tagged'")
    op.create_index("ix_people_staff_role", "people", ["staff_role"])
    op.drop_index("ix_people_staff_role_active_name_id", "people")
    for name, _columns in INDEXES:
        op.drop_index(name, "tickets")
    op.drop_table("ticket_tags")
    op.drop_table("tags")
