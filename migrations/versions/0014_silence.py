"""Since when a request waits for its customer in silence, and how often they were reminded."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    with op.batch_alter_table("tickets") as tickets:
        tickets.add_column(sa.Column("quiet_since", Instant, nullable=True))
        tickets.add_column(sa.Column("nudges", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("nudges", existing_type=sa.Integer(), existing_nullable=False, server_default=None)
        tickets.create_index("ix_tickets_nudges_quiet_since", ["nudges", "quiet_since"])
    op.execute("UPDATE tickets SET quiet_since = updated_at WHERE state = 'waiting'")


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM events WHERE kind IN ('ticket.reminded', 'ticket.hold')")
    op.execute("DELETE FROM messages WHERE kind = 'ticket_reminder'")
    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_index("ix_tickets_nudges_quiet_since")
        tickets.drop_column("nudges")
        tickets.drop_column("quiet_since")
