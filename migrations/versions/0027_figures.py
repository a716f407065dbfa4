"""Indexes for the figures of the business."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_payments_kind_state_created_at", "payments", ["kind", "state", "created_at"])
    op.create_index("ix_invoices_issued_at", "invoices", ["issued_at"])
    op.create_index("ix_leads_closed_at", "leads", ["closed_at"])


def downgrade():
    op.drop_index("ix_leads_closed_at", "leads")
    op.drop_index("ix_invoices_issued_at", "invoices")
    op.drop_index("ix_payments_kind_state_created_at", "payments")
