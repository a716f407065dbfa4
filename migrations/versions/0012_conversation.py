"""The agent's conversation: replies that can be undone, macros, followers, and links between tickets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "held_replies",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("comment_id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("then", sa.String(40), nullable=True),
        sa.Column("take", sa.Boolean(), nullable=False),
        sa.Column("sent_at", Instant, nullable=False),
        sa.Column("until", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["comment_id"], ["comments.id"], name="fk_held_replies_comment_id"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_held_replies_event_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_held_replies_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_held_replies"),
        sa.UniqueConstraint("comment_id", name="uq_held_replies_comment_id"),
    )
    op.create_index("ix_held_replies_ticket_id", "held_replies", ["ticket_id"])
    op.create_index("ix_held_replies_until", "held_replies", ["until"])
    op.create_table(
        "macros",
        sa.Column("owner_id", Id, nullable=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("then", sa.String(40), nullable=True),
        sa.Column("take", sa.Boolean(), nullable=False),
        sa.Column("changed_at", Instant, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["people.id"], name="fk_macros_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_macros"),
    )
    op.create_index("ix_macros_owner_id_name", "macros", ["owner_id", "name"])
    op.create_index("ix_macros_name_id", "macros", ["name", "id"])
    op.create_table(
        "followers",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("person_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_followers_person_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_followers_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_followers"),
        sa.UniqueConstraint("person_id", "ticket_id", name="uq_followers_person_id_ticket_id"),
    )
    op.create_index("ix_followers_ticket_id", "followers", ["ticket_id"])
    op.create_table(
        "ticket_links",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("other_id", Id, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["other_id"], ["tickets.id"], name="fk_ticket_links_other_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ticket_links_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_links"),
        sa.UniqueConstraint("ticket_id", "other_id", "kind", name="uq_ticket_links_ticket_id_other_id_kind"),
    )
    op.create_index("ix_ticket_links_other_id", "ticket_links", ["other_id"])


def downgrade():
    # A reply that is still held stays an internal note: no customer has seen it.
    for table in ("ticket_links", "followers", "macros", "held_replies"):
        op.drop_table(table)
