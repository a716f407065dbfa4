"""The mail conversation of a lead, and the token by which an answer finds it."""

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade():
    with op.batch_alter_table("leads") as leads:
        leads.add_column(sa.Column("thread", sa.String(40), nullable=True))
    leads = sa.table("leads", sa.column("id", Id), sa.column("thread", sa.String(40)))
    connection = op.get_bind()
    for number in connection.scalars(sa.select(leads.c.id)).all():
        connection.execute(leads.update().where(leads.c.id == number).values(thread=secrets.token_hex(16)))
    with op.batch_alter_table("leads") as leads:
        leads.alter_column("thread", existing_type=sa.String(40), nullable=False)
        leads.create_unique_constraint("uq_leads_thread", ["thread"])
    op.create_table(
        "lead_mails",
        sa.Column("lead_id", Id, nullable=False),
        sa.Column("way", sa.String(40), nullable=False),
        sa.Column("person_id", Id, nullable=True),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("message_id", sa.String(255), nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("source", Body, nullable=False),
        sa.Column("html", Body, nullable=False),
        sa.Column("quoted", Body, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name="fk_lead_mails_lead_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_lead_mails_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lead_mails"),
        sa.UniqueConstraint("lead_id", "message_id", name="uq_lead_mails_lead_id_message_id"),
    )
    op.create_index("ix_lead_mails_lead_id", "lead_mails", ["lead_id"])


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM messages WHERE kind IN ('lead_message', 'lead_answered')")
    op.execute("DELETE FROM events WHERE kind IN ('lead.wrote', 'lead.answered')")
    op.drop_table("lead_mails")
    with op.batch_alter_table("leads") as leads:
        leads.drop_constraint("uq_leads_thread", type_="unique")
        leads.drop_column("thread")
