"""Technical texts that wait for a plan: for which organization's, and since when."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    with op.batch_alter_table("drafts") as drafts:
        drafts.add_column(sa.Column("waits_for_id", Id, nullable=True))
        drafts.add_column(sa.Column("waits_since", Instant, nullable=True))
        drafts.create_foreign_key("fk_drafts_waits_for_id", "organizations", ["waits_for_id"], ["id"])
    op.create_index("ix_drafts_waits_for_id", "drafts", ["waits_for_id"])


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM messages WHERE kind = 'draft_ready'")
    op.execute("UPDATE messages SET event_id = NULL WHERE event_id IN (SELECT id FROM events WHERE kind = 'ticket.waited')")
    op.execute("DELETE FROM events WHERE kind = 'ticket.waited'")
    with op.batch_alter_table("drafts") as drafts:
        drafts.drop_constraint("fk_drafts_waits_for_id", type_="foreignkey")
    op.drop_index("ix_drafts_waits_for_id", "drafts")
    with op.batch_alter_table("drafts") as drafts:
        drafts.drop_column("waits_since")
        drafts.drop_column("waits_for_id")
