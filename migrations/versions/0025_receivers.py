"""Receivers of webhooks that an administrator names."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "hook_endpoints",
        sa.Column("public_id", sa.String(40), nullable=False),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("topics", sa.JSON(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("renewed_at", Instant, nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("created_by", Id, nullable=False),
        sa.Column("removed_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["people.id"], name="fk_hook_endpoints_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_hook_endpoints"),
        sa.UniqueConstraint("public_id", name="uq_hook_endpoints_public_id"),
    )
    with op.batch_alter_table("hooks") as hooks:
        hooks.add_column(sa.Column("endpoint_id", Id, nullable=True))
        hooks.create_foreign_key("fk_hooks_endpoint_id", "hook_endpoints", ["endpoint_id"], ["id"])
    op.create_index("ix_hooks_endpoint_id_created_at_id", "hooks", ["endpoint_id", "created_at", "id"])


def downgrade():
    # The program before this would send what waits for a named receiver to that of the settings.
    op.execute("DELETE FROM hooks WHERE endpoint_id IS NOT NULL")
    op.execute("DELETE FROM events WHERE kind IN ('webhook.added', 'webhook.removed', 'webhook.secret')")
    with op.batch_alter_table("hooks") as hooks:
        hooks.drop_constraint("fk_hooks_endpoint_id", type_="foreignkey")
    op.drop_index("ix_hooks_endpoint_id_created_at_id", "hooks")
    with op.batch_alter_table("hooks") as hooks:
        hooks.drop_column("endpoint_id")
    op.drop_table("hook_endpoints")
