"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Body = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade():
    op.create_table(
        "announcements",
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("body", sa.String(length=2000), nullable=False),
        sa.Column("tone", sa.String(40), nullable=False),
        sa.Column("starts_at", Instant, nullable=False),
        sa.Column("ends_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_announcements"),
    )
    op.create_index("ix_announcements_starts_at", "announcements", ["starts_at"])

    op.create_table(
        "calendars",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("hours", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calendars"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_counters"),
        sa.UniqueConstraint("name", name="uq_counters_name"),
    )
    op.create_table(
        "failures",
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failures"),
    )
    op.create_index("ix_failures_at", "failures", ["at"])
    op.create_index("ix_failures_scope_key_at", "failures", ["scope", "key", "at"])

    op.create_table(
        "list_entries",
        sa.Column("list", sa.String(40), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("retired_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_list_entries"),
        sa.UniqueConstraint("list", "label", name="uq_list_entries_list_label"),
    )
    op.create_table(
        "people",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("email_folded", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("staff_role", sa.String(40), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("theme", sa.String(40), nullable=False),
        sa.Column("page_size", sa.Integer(), nullable=False),
        sa.Column("shortcuts", sa.Boolean(), nullable=False),
        sa.Column("chosen_organization_id", sa.Integer(), nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("email_folded", name="uq_people_email_folded"),
    )
    op.create_index("ix_people_staff_role", "people", ["staff_role"])

    op.create_table(
        "drafts",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("place", sa.String(length=60), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_drafts_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_drafts"),
        sa.UniqueConstraint("person_id", "place", "key", name="uq_drafts_person_id_place_key"),
    )
    op.create_index("ix_drafts_updated_at", "drafts", ["updated_at"])

    op.create_table(
        "held_texts",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("person_id", Id, nullable=False),
        sa.Column("endpoint", sa.String(length=80), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_held_texts_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_held_texts"),
        sa.UniqueConstraint("key_hash", name="uq_held_texts_key_hash"),
    )
    op.create_index("ix_held_texts_expires_at", "held_texts", ["expires_at"])

    op.create_table(
        "holidays",
        sa.Column("calendar_id", Id, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["calendar_id"], ["calendars.id"], name="fk_holidays_calendar_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_holidays"),
        sa.UniqueConstraint("calendar_id", "date", name="uq_holidays_calendar_id_date"),
    )
    op.create_table(
        "one_time_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("person_id", Id, nullable=True),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_one_time_links_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_links"),
        sa.UniqueConstraint("token_hash", name="uq_one_time_links_token_hash"),
    )
    op.create_index("ix_one_time_links_person_id", "one_time_links", ["person_id"])

    op.create_table(
        "organizations",
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("plan", sa.String(length=20), nullable=False),
        sa.Column("plan_since", Instant, nullable=False),
        sa.Column("visibility", sa.String(40), nullable=False),
        sa.Column("calendar_id", Id, nullable=False),
        sa.Column("renews_at", Instant, nullable=True),
        sa.Column("card", sa.String(length=40), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["calendar_id"], ["calendars.id"], name="fk_organizations_calendar_id"),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
        sa.UniqueConstraint("slug", name="uq_organizations_slug"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_seen_at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_sign_ins_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
        sa.UniqueConstraint("token_hash", name="uq_sign_ins_token_hash"),
    )
    op.create_index("ix_sign_ins_person_id", "sign_ins", ["person_id"])

    op.create_table(
        "submissions",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("result", sa.String(length=200), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_submissions_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
        sa.UniqueConstraint("person_id", "key", name="uq_submissions_person_id_key"),
    )
    op.create_index("ix_submissions_at", "submissions", ["at"])

    op.create_table(
        "clusters",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("tier", sa.String(length=40), nullable=False),
        sa.Column("region", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=60), nullable=False),
        sa.Column("version", sa.String(length=60), nullable=False),
        sa.Column("deleted_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_clusters_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_clusters"),
    )
    op.create_index("ix_clusters_organization_id_name", "clusters", ["organization_id", "name"])

    op.create_table(
        "memberships",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_memberships_organization_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_memberships_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_memberships"),
        sa.UniqueConstraint("person_id", "organization_id", name="uq_memberships_person_id_organization_id"),
    )
    op.create_index("ix_memberships_organization_id", "memberships", ["organization_id"])

    op.create_table(
        "tickets",
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("door", sa.String(40), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("severity", sa.String(40), nullable=False),
        sa.Column("summary", sa.String(length=200), nullable=False),
        sa.Column("search_text", Body, nullable=False),
        sa.Column("organization_id", Id, nullable=True),
        sa.Column("cluster_id", Id, nullable=True),
        sa.Column("cluster_name", sa.String(length=200), nullable=False),
        sa.Column("environment", sa.String(length=60), nullable=False),
        sa.Column("components", sa.JSON(), nullable=False),
        sa.Column("version_affected", sa.String(length=60), nullable=False),
        sa.Column("confidential", sa.Boolean(), nullable=False),
        sa.Column("opener_id", Id, nullable=False),
        sa.Column("assignee_id", Id, nullable=True),
        sa.Column("follows_id", Id, nullable=True),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("catalogue_version", sa.String(length=20), nullable=False),
        sa.Column("thread", sa.String(length=40), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("resolved_at", Instant, nullable=True),
        sa.Column("closes_at", Instant, nullable=True),
        sa.Column("severity_asked", sa.String(length=4), nullable=False),
        sa.Column("due_at", Instant, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["assignee_id"], ["people.id"], name="fk_tickets_assignee_id"),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name="fk_tickets_cluster_id"),
        sa.ForeignKeyConstraint(["follows_id"], ["tickets.id"], name="fk_tickets_follows_id"),
        sa.ForeignKeyConstraint(["opener_id"], ["people.id"], name="fk_tickets_opener_id"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_tickets_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        sa.UniqueConstraint("key", name="uq_tickets_key"),
    )
    op.create_index("ix_tickets_assignee_id_state_due_at", "tickets", ["assignee_id", "state", "due_at"])
    op.create_index("ix_tickets_closes_at", "tickets", ["closes_at"])
    op.create_index("ix_tickets_follows_id", "tickets", ["follows_id"])
    op.create_index("ix_tickets_opener_id_updated_at", "tickets", ["opener_id", "updated_at"])
    op.create_index("ix_tickets_organization_id_state_updated_at", "tickets", ["organization_id", "state", "updated_at"])
    op.create_index("ix_tickets_state_due_at", "tickets", ["state", "due_at"])
    op.create_index("ix_tickets_updated_at", "tickets", ["updated_at"])

    op.create_table(
        "comments",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("author_id", Id, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("source", Body, nullable=False),
        sa.Column("html", Body, nullable=False),
        sa.Column("renderer", sa.Integer(), nullable=False),
        sa.Column("by_staff", sa.Boolean(), nullable=False),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["people.id"], name="fk_comments_author_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_comments_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
    )
    op.create_index("ix_comments_ticket_id_created_at_id", "comments", ["ticket_id", "created_at", "id"])

    op.create_table(
        "participants",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("person_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_participants_person_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_participants_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_participants"),
        sa.UniqueConstraint("person_id", "ticket_id", name="uq_participants_person_id_ticket_id"),
    )
    op.create_index("ix_participants_ticket_id", "participants", ["ticket_id"])

    op.create_table(
        "response_targets",
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("catalogue", sa.String(length=20), nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("severity", sa.String(40), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("around_the_clock", sa.Boolean(), nullable=False),
        sa.Column("calendar_id", Id, nullable=True),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("due_at", Instant, nullable=True),
        sa.Column("paused_at", Instant, nullable=True),
        sa.Column("pauses", sa.JSON(), nullable=False),
        sa.Column("met_at", Instant, nullable=True),
        sa.Column("counted_seconds", sa.Integer(), nullable=False),
        sa.Column("carried_at", Instant, nullable=True),
        sa.Column("carried_microseconds", sa.BigInteger(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["calendar_id"], ["calendars.id"], name="fk_response_targets_calendar_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_response_targets_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_response_targets"),
        sa.UniqueConstraint("ticket_id", "cycle", name="uq_response_targets_ticket_id_cycle"),
    )
    op.create_index("ix_response_targets_due_at", "response_targets", ["due_at"])

    op.create_table(
        "attachments",
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("uploader_id", Id, nullable=False),
        sa.Column("draft_id", Id, nullable=True),
        sa.Column("comment_id", Id, nullable=True),
        sa.Column("ticket_id", Id, nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("stored", sa.String(length=80), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.String(length=20), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["comment_id"], ["comments.id"], name="fk_attachments_comment_id"),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.id"], name="fk_attachments_draft_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_attachments_ticket_id"),
        sa.ForeignKeyConstraint(["uploader_id"], ["people.id"], name="fk_attachments_uploader_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attachments"),
        sa.UniqueConstraint("public_id", name="uq_attachments_public_id"),
    )
    op.create_index("ix_attachments_comment_id", "attachments", ["comment_id"])
    op.create_index("ix_attachments_draft_id", "attachments", ["draft_id"])
    op.create_index("ix_attachments_stored", "attachments", ["stored"])
    op.create_index("ix_attachments_ticket_id", "attachments", ["ticket_id"])

    op.create_table(
        "events",
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor_id", Id, nullable=True),
        sa.Column("ticket_id", Id, nullable=True),
        sa.Column("organization_id", Id, nullable=True),
        sa.Column("comment_id", Id, nullable=True),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["people.id"], name="fk_events_actor_id"),
        sa.ForeignKeyConstraint(["comment_id"], ["comments.id"], name="fk_events_comment_id"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_events_organization_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_events_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_at_id", "events", ["at", "id"])
    op.create_index("ix_events_ticket_id_at_id", "events", ["ticket_id", "at", "id"])

    op.create_table(
        "messages",
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("recipient_name", sa.String(length=200), nullable=False),
        sa.Column("person_id", Id, nullable=True),
        sa.Column("ticket_id", Id, nullable=True),
        sa.Column("event_id", Id, nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Instant, nullable=False),
        sa.Column("give_up_at", Instant, nullable=False),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("leased_until", Instant, nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("sent_at", Instant, nullable=True),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_messages_event_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_messages_person_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_messages_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("public_id", name="uq_messages_public_id"),
    )
    op.create_index("ix_messages_state_next_at", "messages", ["state", "next_at"])
    op.create_index("ix_messages_ticket_id", "messages", ["ticket_id"])

    op.create_table(
        "dismissals",
        sa.Column("person_id", Id, nullable=False),
        sa.Column("announcement_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"], ["announcements.id"], name="fk_dismissals_announcement_id"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_dismissals_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dismissals"),
        sa.UniqueConstraint("person_id", "announcement_id", name="uq_dismissals_person_id_announcement_id"),
    )


def downgrade():
    # An index goes with its table; MySQL would not let go of one that a foreign key still uses.
    op.drop_table("dismissals")
    op.drop_table("messages")
    op.drop_table("events")
    op.drop_table("attachments")
    op.drop_table("response_targets")
    op.drop_table("participants")
    op.drop_table("comments")
    op.drop_table("tickets")
    op.drop_table("memberships")
    op.drop_table("clusters")
    op.drop_table("submissions")
    op.drop_table("sign_ins")
    op.drop_table("organizations")
    op.drop_table("one_time_links")
    op.drop_table("holidays")
    op.drop_table("held_texts")
    op.drop_table("drafts")
    op.drop_table("people")
    op.drop_table("list_entries")
    op.drop_table("failures")
    op.drop_table("counters")
    op.drop_table("calendars")
    op.drop_table("announcements")
