"""Invitations, and since when somebody belongs to an organization."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "invitations",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("email_folded", sa.String(length=254), nullable=False),
        sa.Column("open_for", sa.String(length=290), nullable=True),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("invited_by", Id, nullable=False),
        sa.Column("message_id", Id, nullable=True),
        sa.Column("sent_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("closed_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["invited_by"], ["people.id"], name="fk_invitations_invited_by"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_invitations_message_id"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_invitations_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("open_for", name="uq_invitations_open_for"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
    )
    op.create_index("ix_invitations_organization_id_closed_at", "invitations", ["organization_id", "closed_at"])
    with op.batch_alter_table("memberships") as memberships:
        memberships.add_column(sa.Column("joined_at", Instant, nullable=True))


def downgrade():
    with op.batch_alter_table("memberships") as memberships:
        memberships.drop_column("joined_at")
    op.drop_table("invitations")
