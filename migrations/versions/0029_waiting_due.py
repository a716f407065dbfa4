"""No copy of a due time on a request that waits for its customer: what was late before that stood on top of the desk."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
NEVER = datetime(9999, 12, 31)  # noqa: DTZ001 (as it is kept: without a zone)


def upgrade():
    tickets = sa.table(
        "tickets",
        sa.column("state", sa.String(40)),
        sa.column("due_at", Instant),
        sa.column("due_order", Instant),
    )
    waits = (tickets.c.state == "waiting") & tickets.c.due_at.is_not(None)
    op.execute(tickets.update().where(waits).values(due_at=None, due_order=NEVER))


def downgrade():
    # The program before this copies the due time again when the request moves.
    pass
