"""Leads of sales, and contracts that set a plan."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "leads",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("open_for", Id, nullable=True),
        sa.Column("sender_id", Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("company", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("need", sa.String(length=5000), nullable=False),
        sa.Column("contact_time", sa.String(length=200), nullable=False),
        sa.Column("search_text", Body, nullable=False),
        sa.Column("stage", sa.String(40), nullable=False),
        sa.Column("owner_id", Id, nullable=True),
        sa.Column("next_step", sa.String(length=200), nullable=False),
        sa.Column("next_on", sa.Date(), nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("sent_at", Instant, nullable=False),
        sa.Column("worked_at", Instant, nullable=True),
        sa.Column("closed_at", Instant, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["open_for"], ["organizations.id"], name="fk_leads_open_for"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_leads_organization_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["people.id"], name="fk_leads_owner_id"),
        sa.ForeignKeyConstraint(["sender_id"], ["people.id"], name="fk_leads_sender_id"),
        sa.PrimaryKeyConstraint("id", name="pk_leads"),
        sa.UniqueConstraint("key", name="uq_leads_key"),
        sa.UniqueConstraint("open_for", name="uq_leads_open_for"),
    )
    op.create_index("ix_leads_organization_id", "leads", ["organization_id"])
    op.create_index("ix_leads_stage_next_on", "leads", ["stage", "next_on"])

    op.create_table(
        "lead_notes",
        sa.Column("lead_id", Id, nullable=False),
        sa.Column("author_id", Id, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("source", sa.String(length=5000), nullable=False),
        sa.Column("html", Body, nullable=False),
        sa.Column("renderer", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["people.id"], name="fk_lead_notes_author_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name="fk_lead_notes_lead_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lead_notes"),
    )
    op.create_index("ix_lead_notes_lead_id", "lead_notes", ["lead_id"])

    with op.batch_alter_table("organizations") as organizations:
        organizations.add_column(sa.Column("contract_start", sa.Date(), nullable=True))
        organizations.add_column(sa.Column("contract_end", sa.Date(), nullable=True))
        organizations.add_column(sa.Column("contract_note", sa.String(length=2000), nullable=True))
        organizations.add_column(sa.Column("account_manager", sa.String(length=120), nullable=True))

    with op.batch_alter_table("events") as events:
        events.add_column(sa.Column("lead_id", Id, nullable=True))
        events.create_foreign_key("fk_events_lead_id", "leads", ["lead_id"], ["id"])
        events.create_index("ix_events_lead_id_at_id", ["lead_id", "at", "id"])


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM messages WHERE kind IN ('lead_received', 'lead_alert')")
    op.execute("DELETE FROM events WHERE kind LIKE 'lead.%' OR kind = 'organization.contract'")
    with op.batch_alter_table("events") as events:
        events.drop_constraint("fk_events_lead_id", type_="foreignkey")
        events.drop_index("ix_events_lead_id_at_id")
        events.drop_column("lead_id")
    with op.batch_alter_table("organizations") as organizations:
        organizations.drop_column("account_manager")
        organizations.drop_column("contract_note")
        organizations.drop_column("contract_end")
        organizations.drop_column("contract_start")
    op.drop_table("lead_notes")
    op.drop_table("leads")
