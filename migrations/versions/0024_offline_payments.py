"""Payments that came without a card, and subscriptions that are paid so."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("payments") as payments:
        payments.add_column(sa.Column("offline", sa.String(160), nullable=False, server_default=""))
    with op.batch_alter_table("payments") as payments:
        payments.alter_column("offline", existing_type=sa.String(160), existing_nullable=False, server_default=None)
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.add_column(sa.Column("pays_offline", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.alter_column(
            "pays_offline", existing_type=sa.Boolean(), existing_nullable=False, server_default=None
        )


def downgrade():
    left = op.get_bind().scalar(
        sa.text("SELECT count(*) FROM subscriptions WHERE pays_offline AND standing <> 'ended'")
    )
    if left:
        raise RuntimeError(
            f"{left} plans are paid by transfer. The program before this would charge cards for them, and give money back "
            "through a gateway that never had it: end them first."
        )
    # What the program before this does not know it could not read. Who paid by transfer is asked for a card by it.
    op.execute("DELETE FROM events WHERE kind = 'payment.recorded'")
    op.execute("DELETE FROM endings_told WHERE kind = 'offline'")
    op.execute("DELETE FROM messages WHERE kind = 'ends_soon' AND state = 'waiting'")
    op.execute("UPDATE payments SET reason = 'no_card' WHERE reason = 'offline'")
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.drop_column("pays_offline")
    with op.batch_alter_table("payments") as payments:
        payments.drop_column("offline")
