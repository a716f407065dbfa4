"""Monthly cloud charges."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "cloud_charges",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", Instant, nullable=False),
        sa.Column("invoiced_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_cloud_charges_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_cloud_charges"),
        sa.UniqueConstraint("organization_id", "month", name="uq_cloud_charges_organization_id_month"),
    )


def downgrade():
    op.drop_table("cloud_charges")
