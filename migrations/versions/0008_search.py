"""The search index, and the columns and indexes by which lists of any length are read in their order."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

DUE = ["due_order", "severity", "updated_at", "id"]
NEW = {
    "ix_tickets_organization_id_active_updated_at_id": ["organization_id", "active", "updated_at", "id"],
    "ix_tickets_organization_id_state_updated_at_id": ["organization_id", "state", "updated_at", "id"],
    "ix_tickets_organization_id_updated_at_id": ["organization_id", "updated_at", "id"],
    "ix_tickets_organization_id_severity_updated_at_id": ["organization_id", "severity", "updated_at", "id"],
    "ix_tickets_organization_id_created_at_id": ["organization_id", "created_at", "id"],
    "ix_tickets_opener_id_updated_at_id": ["opener_id", "updated_at", "id"],
    "ix_tickets_active_due_order_severity_updated_at_id": ["active", *DUE],
    "ix_tickets_door_active_due": ["door", "active", *DUE],
    "ix_tickets_state_due_order_severity_updated_at_id": ["state", *DUE],
    "ix_tickets_assignee_active_due": ["assignee_id", "active", *DUE],
    "ix_tickets_active_updated_at_id": ["active", "updated_at", "id"],
}
OLD = {
    "ix_tickets_organization_id_state_updated_at": ["organization_id", "state", "updated_at"],
    "ix_tickets_opener_id_updated_at": ["opener_id", "updated_at"],
    "ix_tickets_state_due_at": ["state", "due_at"],
    "ix_tickets_assignee_id_state_due_at": ["assignee_id", "state", "due_at"],
    "ix_tickets_updated_at": ["updated_at"],
}
INDEX = {
    "sqlite": (
        "CREATE VIRTUAL TABLE ticket_index USING fts5(terms, detail='none', tokenize=\"ascii tokenchars '._-@:/'\")",
    ),
    "postgresql": (
        "CREATE TABLE ticket_index (ticket_id BIGINT CONSTRAINT pk_ticket_index PRIMARY KEY, terms TSVECTOR NOT NULL)",
        "CREATE INDEX ix_ticket_index_terms ON ticket_index USING gin (terms) WITH (fastupdate = off)",
    ),
}
PLAIN = (
    "CREATE TABLE ticket_index (term VARCHAR(82) NOT NULL, ticket_id BIGINT NOT NULL, CONSTRAINT pk_ticket_index "
    "PRIMARY KEY (term, ticket_id), INDEX ix_ticket_index_ticket_id (ticket_id)) "
    "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
)


def upgrade():
    never = sa.text("'9999-12-31 00:00:00'")
    with op.batch_alter_table("tickets") as tickets:
        tickets.add_column(sa.Column("due_order", Instant, nullable=False, server_default=never))
        tickets.add_column(sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()))
    tickets = sa.table(
        "tickets", sa.column("state"), sa.column("active"), sa.column("due_at"), sa.column("due_order")
    )
    op.execute(sa.update(tickets).where(tickets.c.state.in_(["resolved", "closed"])).values(active=sa.false()))
    op.execute(sa.update(tickets).where(tickets.c.due_at.is_not(None)).values(due_order=tickets.c.due_at))
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("due_order", existing_type=Instant, existing_nullable=False, server_default=None)
        tickets.alter_column("active", existing_type=sa.Boolean(), existing_nullable=False, server_default=None)
        # What can be found is written anew from the messages when this has run: see `flask index`.
        tickets.drop_column("search_text")
    for name, columns in NEW.items():
        op.create_index(name, "tickets", columns)
    for name in OLD:
        op.drop_index(name, table_name="tickets")
    for statement in INDEX.get(op.get_bind().dialect.name, PLAIN):
        op.get_bind().exec_driver_sql(statement)


def downgrade():
    for name, columns in OLD.items():
        op.create_index(name, "tickets", columns)
    for name in NEW:
        op.drop_index(name, table_name="tickets")
    with op.batch_alter_table("tickets") as tickets:
        tickets.add_column(sa.Column("search_text", Body, nullable=True))
    # What an older program finds by words are then the summaries alone, until a request is answered.
    op.execute("UPDATE tickets SET search_text = lower(summary)")
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("search_text", existing_type=Body, nullable=False)
        tickets.drop_column("active")
        tickets.drop_column("due_order")
    op.get_bind().exec_driver_sql("DROP TABLE ticket_index")
