"""When a renewal that was declined is charged again by itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    # Those that are unpaid already keep the last day that they were told, and nobody charges them by surprise.
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.add_column(sa.Column("retry_at", Instant, nullable=True))


def downgrade():
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.drop_column("retry_at")
