"""Cards, payments, subscriptions, terms, invoices and the rate of tax."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "tax_rates",
        sa.Column("basis_points", sa.Integer(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("set_by", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["people.id"], name="fk_tax_rates_set_by"),
        sa.PrimaryKeyConstraint("id", name="pk_tax_rates"),
    )
    op.create_table(
        "cards",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("token", sa.String(length=120), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("added_by", Id, nullable=False),
        sa.Column("added_at", Instant, nullable=False),
        sa.Column("removed_at", Instant, nullable=True),
        sa.Column("forgotten_at", Instant, nullable=True),
        sa.Column("default_for", Id, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["added_by"], ["people.id"], name="fk_cards_added_by"),
        sa.ForeignKeyConstraint(["default_for"], ["organizations.id"], name="fk_cards_default_for"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_cards_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cards"),
        sa.UniqueConstraint("default_for", name="uq_cards_default_for"),
        sa.UniqueConstraint("token", name="uq_cards_token"),
    )
    op.create_index("ix_cards_organization_id_removed_at", "cards", ["organization_id", "removed_at"])

    op.create_table(
        "subscriptions",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("standing", sa.String(40), nullable=False),
        sa.Column("anchor", sa.Integer(), nullable=False),
        sa.Column("period_start", Instant, nullable=False),
        sa.Column("period_end", Instant, nullable=False),
        sa.Column("floor_cents", sa.BigInteger(), nullable=False),
        sa.Column("pending_plan", sa.String(40), nullable=True),
        sa.Column("last_day_at", Instant, nullable=True),
        sa.Column("owed_since", Instant, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_subscriptions_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
        sa.UniqueConstraint("organization_id", name="uq_subscriptions_organization_id"),
    )
    op.create_index("ix_subscriptions_standing_period_end", "subscriptions", ["standing", "period_end"])

    op.create_table(
        "payments",
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("open_for", Id, nullable=True),
        sa.Column("plan", sa.String(40), nullable=True),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("quote", sa.JSON(), nullable=False),
        sa.Column("card_id", Id, nullable=True),
        sa.Column("replaces_id", Id, nullable=True),
        sa.Column("actor_id", Id, nullable=True),
        sa.Column("refund_of", Id, nullable=True),
        sa.Column("asks", sa.String(length=20), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("next_at", Instant, nullable=False),
        sa.Column("settled_at", Instant, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["people.id"], name="fk_payments_actor_id"),
        sa.ForeignKeyConstraint(["card_id"], ["cards.id"], name="fk_payments_card_id"),
        sa.ForeignKeyConstraint(["open_for"], ["organizations.id"], name="fk_payments_open_for"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_payments_organization_id"),
        sa.ForeignKeyConstraint(["refund_of"], ["payments.id"], name="fk_payments_refund_of"),
        sa.ForeignKeyConstraint(["replaces_id"], ["cards.id"], name="fk_payments_replaces_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.UniqueConstraint("open_for", name="uq_payments_open_for"),
        sa.UniqueConstraint("public_id", name="uq_payments_public_id"),
    )
    op.create_index("ix_payments_organization_id_created_at_id", "payments", ["organization_id", "created_at", "id"])
    op.create_index("ix_payments_state_next_at", "payments", ["state", "next_at"])

    op.create_table(
        "invoices",
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("payment_id", Id, nullable=False),
        sa.Column("bill_to", sa.String(length=200), nullable=False),
        sa.Column("card", sa.String(length=60), nullable=False),
        sa.Column("issued_at", Instant, nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("tax_basis_points", sa.Integer(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_invoices_organization_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_invoices_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
        sa.UniqueConstraint("number", name="uq_invoices_number"),
        sa.UniqueConstraint("payment_id", name="uq_invoices_payment_id"),
    )
    op.create_index("ix_invoices_organization_id_issued_at_id", "invoices", ["organization_id", "issued_at", "id"])

    op.create_table(
        "terms",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("catalogue", sa.String(length=20), nullable=False),
        sa.Column("floor_cents", sa.BigInteger(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("starts_at", Instant, nullable=False),
        sa.Column("ends_at", Instant, nullable=False),
        sa.Column("period_start", Instant, nullable=False),
        sa.Column("period_end", Instant, nullable=False),
        sa.Column("payment_id", Id, nullable=True),
        sa.Column("settled_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_terms_organization_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_terms_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_terms"),
    )
    op.create_index("ix_terms_organization_id_starts_at", "terms", ["organization_id", "starts_at"])
    op.create_index("ix_terms_settled_at_period_end", "terms", ["settled_at", "period_end"])

    op.create_table(
        "invoice_lines",
        sa.Column("invoice_id", Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("words", sa.String(length=300), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", Instant, nullable=False),
        sa.Column("ends_at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_invoice_lines_invoice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invoice_lines"),
    )
    op.create_index("ix_invoice_lines_invoice_id_position", "invoice_lines", ["invoice_id", "position"])

    carry_over()
    with op.batch_alter_table("organizations") as organizations:
        organizations.create_index("ix_organizations_contract_end", ["contract_end"])
        organizations.drop_column("renews_at")
        organizations.drop_column("card")


def carry_over():
    """Turn what stood on the organizations into subscriptions: who has no card yet is asked for one at the renewal."""
    connection = op.get_bind()
    organizations = sa.table("organizations", sa.column("id"), sa.column("plan"), sa.column("renews_at", Instant))
    subscriptions = sa.table(
        "subscriptions",
        *(sa.column(name) for name in ("organization_id", "plan", "standing", "anchor", "floor_cents", "revision")),
        *(sa.column(name, Instant) for name in ("period_start", "period_end")),
    )
    terms = sa.table(
        "terms",
        *(sa.column(name) for name in ("organization_id", "plan", "catalogue", "floor_cents", "percent")),
        *(sa.column(name, Instant) for name in ("starts_at", "ends_at", "period_start", "period_end", "settled_at")),
    )
    # Floors in cents and percentages of the only catalogue until now.
    prices = {"standard": (2900, 10), "enterprise": (69900, 20)}
    renewing = sa.select(organizations).where(organizations.c.renews_at.is_not(None))
    for organization, plan, end in connection.execute(renewing).all():
        if plan not in prices:
            continue
        year, month = (end.year - 1, 12) if end.month == 1 else (end.year, end.month - 1)
        start = end.replace(year=year, month=month, day=min(end.day, 28))
        floor, percent = prices[plan]
        period = {"organization_id": organization, "plan": plan, "period_start": start, "period_end": end}
        facts = {"standing": "active", "anchor": end.day, "floor_cents": floor, "revision": 1}
        connection.execute(subscriptions.insert().values(**period, **facts))
        # Usage until here is nobody's debt: it was never announced.
        counted = {
            "catalogue": "2026-01",
            "floor_cents": floor,
            "percent": percent,
            "settled_at": datetime.now(UTC).replace(tzinfo=None),
        }
        connection.execute(terms.insert().values(**period, **counted, starts_at=start, ends_at=end))


def downgrade():
    with op.batch_alter_table("organizations") as organizations:
        organizations.add_column(sa.Column("card", sa.String(length=40), nullable=False, server_default=""))
        organizations.add_column(sa.Column("renews_at", Instant, nullable=True))
        organizations.drop_index("ix_organizations_contract_end")
    with op.batch_alter_table("organizations") as organizations:
        organizations.alter_column("card", server_default=None)
    op.execute(
        "UPDATE organizations SET renews_at = (SELECT period_end FROM subscriptions "
        "WHERE subscriptions.organization_id = organizations.id AND standing = 'active')"
    )
    for table in ("invoice_lines", "terms", "invoices", "payments", "subscriptions", "cards", "tax_rates"):
        op.drop_table(table)
