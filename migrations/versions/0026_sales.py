"""First touch, stalled leads, what a contract says, and the mornings on which sellers were reminded."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    with op.batch_alter_table("leads") as leads:
        leads.add_column(sa.Column("touched_at", Instant, nullable=True))
        leads.add_column(sa.Column("touch_by", Instant, nullable=True))
        leads.add_column(sa.Column("first_touch_at", Instant, nullable=True))
    # What anybody did last was written down; when somebody was in touch first was not, so no clock runs for these.
    op.execute(
        "UPDATE leads SET touched_at = CASE WHEN worked_at > sent_at THEN worked_at ELSE sent_at END, "
        "first_touch_at = worked_at"
    )
    with op.batch_alter_table("leads") as leads:
        leads.alter_column("touched_at", existing_type=Instant, nullable=False)
    op.create_index("ix_leads_stage_touched_at", "leads", ["stage", "touched_at"])
    op.create_index("ix_leads_created_at_id", "leads", ["created_at", "id"])
    with op.batch_alter_table("organizations") as organizations:
        organizations.add_column(sa.Column("contract_reference", sa.String(60), nullable=True))
        organizations.add_column(sa.Column("contract_cents", sa.BigInteger(), nullable=True))
    op.create_table(
        "sellers_reminded",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_sellers_reminded_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sellers_reminded"),
        sa.UniqueConstraint("person_id", "day", name="uq_sellers_reminded_person_id_day"),
    )


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM messages WHERE kind = 'lead_reminder'")
    op.execute("DELETE FROM events WHERE kind IN ('lead.renewed', 'organization.contract-renewed')")
    op.drop_table("sellers_reminded")
    with op.batch_alter_table("organizations") as organizations:
        organizations.drop_column("contract_cents")
        organizations.drop_column("contract_reference")
    op.drop_index("ix_leads_created_at_id", "leads")
    op.drop_index("ix_leads_stage_touched_at", "leads")
    with op.batch_alter_table("leads") as leads:
        for name in ("first_touch_at", "touch_by", "touched_at"):
            leads.drop_column(name)
