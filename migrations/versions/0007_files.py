"""In whose room a file counts, and the marks of files that are about to be deleted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "doomed_files",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_doomed_files"),
        sa.UniqueConstraint("name", name="uq_doomed_files_name"),
    )
    with op.batch_alter_table("attachments") as attachments:
        attachments.add_column(sa.Column("organization_id", Id, nullable=True))
        attachments.create_foreign_key(
            "fk_attachments_organization_id", "organizations", ["organization_id"], ["id"]
        )
    attachments, tickets = (
        sa.table(name, sa.column("id", Id), sa.column("organization_id", Id), sa.column("ticket_id", Id))
        for name in ("attachments", "tickets")
    )
    owner = sa.select(tickets.c.organization_id).where(tickets.c.id == attachments.c.ticket_id).scalar_subquery()
    op.execute(attachments.update().where(attachments.c.ticket_id.is_not(None)).values(organization_id=owner))
    op.create_index("ix_attachments_organization_id_length", "attachments", ["organization_id", "length"])


def downgrade():
    with op.batch_alter_table("attachments") as attachments:
        # The key before its index, which MySQL would not let go otherwise.
        attachments.drop_constraint("fk_attachments_organization_id", type_="foreignkey")
        attachments.drop_index("ix_attachments_organization_id_length")
        attachments.drop_column("organization_id")
    op.drop_table("doomed_files")
