"""The history of business hours: promises are counted by what held at each time; each knows up to which it was counted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
# What no change of hours moves any more.
SETTLED = 2_000_000_000


def upgrade():
    op.create_table(
        "calendar_versions",
        sa.Column("calendar_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("from_at", Instant, nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("hours", sa.JSON(), nullable=False),
        sa.Column("holidays", sa.JSON(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendars.id"], name="fk_calendar_versions_calendar_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_versions"),
        sa.UniqueConstraint("calendar_id", "number", name="uq_calendar_versions_calendar_id_number"),
    )
    op.create_table(
        "breaches",
        sa.Column("target_id", Id, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["response_targets.id"], name="fk_breaches_target_id"),
        sa.PrimaryKeyConstraint("id", name="pk_breaches"),
        sa.UniqueConstraint("target_id", name="uq_breaches_target_id"),
    )
    op.add_column("calendars", sa.Column("hours_version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("response_targets", sa.Column("hours_version", sa.Integer(), nullable=False, server_default="1"))
    _add_rises()
    op.execute(
        sa.text(
            f"UPDATE response_targets SET hours_version = {SETTLED} WHERE around_the_clock = :yes OR ticket_id IN "
            "(SELECT id FROM tickets WHERE state = 'closed')"
        ).bindparams(yes=True)
    )
    _write_breaches()
    with op.batch_alter_table("calendars") as batch:
        batch.alter_column("hours_version", existing_type=sa.Integer(), existing_nullable=False, server_default=None)
    with op.batch_alter_table("response_targets") as batch:
        batch.alter_column("hours_version", existing_type=sa.Integer(), existing_nullable=False, server_default=None)
        batch.alter_column("rises", existing_type=sa.JSON(), nullable=False)
    # The new index first: the foreign key on calendar_id needs one at any time.
    op.create_index(
        "ix_response_targets_calendar_id_met_at_hours_version",
        "response_targets",
        ["calendar_id", "met_at", "hours_version"],
    )
    op.drop_index("ix_response_targets_calendar_id_met_at", "response_targets")


def _add_rises():
    """MySQL takes no default for JSON: the column may be empty until every row has its own."""
    op.add_column("response_targets", sa.Column("rises", sa.JSON(), nullable=True))
    op.execute("UPDATE response_targets SET rises = '[]'")


def _write_breaches():
    """A miss that is on a timeline already is not announced again."""
    op.execute(
        sa.text(
            "INSERT INTO breaches (target_id, at) SELECT t.id, MIN(e.at) FROM response_targets t JOIN events e ON "
            "e.ticket_id = t.ticket_id AND e.kind = 'promise.missed' AND e.at >= t.started_at WHERE t.cycle = "
            "(SELECT MAX(l.cycle) FROM response_targets l WHERE l.ticket_id = t.ticket_id) GROUP BY t.id"
        )
    )


def downgrade():
    op.create_index("ix_response_targets_calendar_id_met_at", "response_targets", ["calendar_id", "met_at"])
    op.drop_index("ix_response_targets_calendar_id_met_at_hours_version", "response_targets")
    with op.batch_alter_table("response_targets") as batch:
        batch.drop_column("hours_version")
        batch.drop_column("rises")
    with op.batch_alter_table("calendars") as batch:
        batch.drop_column("hours_version")
    op.drop_table("breaches")
    op.drop_table("calendar_versions")
