"""Whom an event was about, and the indexes of the audit log and of the registers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

INDEXES = (
    ("events", ("kind", "at", "id")),
    ("events", ("actor_id", "at", "id")),
    ("events", ("person_id", "at", "id")),
    ("events", ("organization_id", "at", "id")),
    ("people", ("name", "id")),
    ("organizations", ("name", "id")),
    ("organizations", ("calendar_id",)),
    ("response_targets", ("calendar_id", "met_at")),
)


def name_of(table, columns):
    return f"ix_{table}_{'_'.join(columns)}"


def upgrade():
    with op.batch_alter_table("announcements") as announcements:
        announcements.add_column(
            sa.Column("plans", sa.String(80), nullable=False, server_default="basic standard enterprise premium")
        )
    with op.batch_alter_table("announcements") as announcements:
        announcements.alter_column("plans", existing_type=sa.String(80), server_default=None)
    with op.batch_alter_table("events") as events:
        events.add_column(sa.Column("person_id", Id, nullable=True))
        events.create_foreign_key("fk_events_person_id", "people", ["person_id"], ["id"])
    for table, columns in INDEXES:
        op.create_index(name_of(table, columns), table, list(columns))


def downgrade():
    with op.batch_alter_table("announcements") as announcements:
        announcements.drop_column("plans")
    mysql = op.get_bind().dialect.name in {"mysql", "mariadb"}
    for table, columns in reversed(INDEXES):
        if mysql and columns[0].endswith("_id"):
            # There a foreign key needs an index; it made its own, which went when this one came.
            op.create_index(f"fk_{table}_{columns[0]}", table, [columns[0]])
        op.drop_index(name_of(table, columns), table_name=table)
    with op.batch_alter_table("events") as events:
        events.drop_constraint("fk_events_person_id", type_="foreignkey")
        events.drop_column("person_id")
