"""Whom invoices name and who issues them; how an invoice was paid, in words of any length."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
NEW = (("bill_address", 500), ("bill_tax_id", 60), ("seller", 500))


def upgrade():
    op.create_table(
        "billing_details",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("company", sa.String(200), nullable=False),
        sa.Column("address", sa.String(500), nullable=False),
        sa.Column("tax_id", sa.String(60), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_billing_details_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_billing_details"),
        sa.UniqueConstraint("organization_id", name="uq_billing_details_organization_id"),
    )
    op.create_table(
        "sellers",
        sa.Column("words", sa.String(500), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("set_by", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["people.id"], name="fk_sellers_set_by"),
        sa.PrimaryKeyConstraint("id", name="pk_sellers"),
    )
    with op.batch_alter_table("invoices") as invoices:
        for name, length in NEW:
            invoices.add_column(sa.Column(name, sa.String(length), nullable=False, server_default=""))
    with op.batch_alter_table("invoices") as invoices:
        for name, length in NEW:
            invoices.alter_column(name, existing_type=sa.String(length), existing_nullable=False, server_default=None)
        invoices.alter_column("card", existing_type=sa.String(60), type_=sa.String(160), existing_nullable=False)


def downgrade():
    # What the program before this does not know it could not read.
    op.execute("DELETE FROM events WHERE kind IN ('organization.billing', 'installation.seller')")
    op.execute("UPDATE invoices SET card = SUBSTR(card, 1, 60)")
    with op.batch_alter_table("invoices") as invoices:
        invoices.alter_column("card", existing_type=sa.String(160), type_=sa.String(60), existing_nullable=False)
        for name, _ in reversed(NEW):
            invoices.drop_column(name)
    op.drop_table("sellers")
    op.drop_table("billing_details")
