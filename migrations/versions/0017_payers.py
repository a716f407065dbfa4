"""What a gateway calls each organization that pays, and which of its events have arrived."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "payers",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("gateway", sa.String(20), nullable=False),
        sa.Column("token", sa.String(80), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_payers_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payers"),
        sa.UniqueConstraint("organization_id", "gateway", name="uq_payers_organization_id_gateway"),
    )
    op.create_table(
        "gateway_events",
        sa.Column("gateway", sa.String(20), nullable=False),
        sa.Column("event", sa.String(120), nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_events"),
        sa.UniqueConstraint("gateway", "event", name="uq_gateway_events_gateway_event"),
    )
    op.create_index("ix_gateway_events_received_at", "gateway_events", ["received_at"])


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM events WHERE kind = 'card.updated'")
    op.drop_table("gateway_events")
    op.drop_table("payers")
