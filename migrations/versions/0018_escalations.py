"""Escalations, duty managers, the on-call list with its calls, and webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    with op.batch_alter_table("people") as people:
        people.add_column(sa.Column("duty_manager", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("people") as people:
        people.alter_column("duty_manager", existing_type=sa.Boolean(), existing_nullable=False, server_default=None)
    with op.batch_alter_table("tickets") as tickets:
        tickets.add_column(sa.Column("escalated_at", Instant, nullable=True))
        tickets.add_column(sa.Column("call_at", Instant, nullable=True))
    op.create_index("ix_tickets_escalated_at", "tickets", ["escalated_at"])
    op.create_index("ix_tickets_call_at", "tickets", ["call_at"])
    op.create_table(
        "escalations",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("by_id", Id, nullable=False),
        sa.Column("reason", Body, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("ended_by", Id, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_escalations_ticket_id"),
        sa.ForeignKeyConstraint(["by_id"], ["people.id"], name="fk_escalations_by_id"),
        sa.ForeignKeyConstraint(["ended_by"], ["people.id"], name="fk_escalations_ended_by"),
        sa.PrimaryKeyConstraint("id", name="pk_escalations"),
        sa.UniqueConstraint("ticket_id", "nth", name="uq_escalations_ticket_id_nth"),
    )
    op.create_table(
        "duties",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("begins_at", Instant, nullable=False),
        sa.Column("ends_at", Instant, nullable=False),
        sa.Column("set_by", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_duties_person_id"),
        sa.ForeignKeyConstraint(["set_by"], ["people.id"], name="fk_duties_set_by"),
        sa.PrimaryKeyConstraint("id", name="pk_duties"),
    )
    op.create_index("ix_duties_ends_at_begins_at", "duties", ["ends_at", "begins_at"])
    op.create_table(
        "calls",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_calls_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.UniqueConstraint("ticket_id", "nth", name="uq_calls_ticket_id_nth"),
    )
    op.create_table(
        "hooks",
        sa.Column("public_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Instant, nullable=True),
        sa.Column("give_up_at", Instant, nullable=False),
        sa.Column("lease", sa.String(40), nullable=True),
        sa.Column("leased_until", Instant, nullable=True),
        sa.Column("delivered_at", Instant, nullable=True),
        sa.Column("last_error", sa.String(500), nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hooks"),
        sa.UniqueConstraint("public_id", name="uq_hooks_public_id"),
    )
    op.create_index("ix_hooks_next_at", "hooks", ["next_at"])
    op.create_index("ix_hooks_created_at_id", "hooks", ["created_at", "id"])


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM messages WHERE kind IN ('ticket_escalated', 'ticket_taken_up', 'on_call', 'promise_raised')")
    kinds = ("ticket.escalated", "ticket.taken-up", "ticket.escalation-withdrawn", "ticket.acknowledged",
             "person.duty-manager", "person.on-call", "person.off-call")  # fmt: skip
    named = ", ".join(f"'{kind}'" for kind in kinds)
    op.execute(f"UPDATE messages SET event_id = NULL WHERE event_id IN (SELECT id FROM events WHERE kind IN ({named}))")
    op.execute(f"DELETE FROM events WHERE kind IN ({named})")
    for table in ("hooks", "calls", "duties", "escalations"):
        op.drop_table(table)
    op.drop_index("ix_tickets_call_at", "tickets")
    op.drop_index("ix_tickets_escalated_at", "tickets")
    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_column("call_at")
        tickets.drop_column("escalated_at")
    with op.batch_alter_table("people") as people:
        people.drop_column("duty_manager")
