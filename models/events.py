"""What happened, by whom, when: one row feeds the timeline, the audit log and the notifications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model


class EventKind(Labelled):
    """What happened; the label is the sentence's verb in the audit log."""

    TICKET_FILED = "ticket.filed", "filed the request"
    TICKET_REPLIED = "ticket.replied", "replied"
    TICKET_NOTED = "ticket.noted", "added an internal note"
    TICKET_ASSIGNED = "ticket.assigned", "changed the assignee"
    TICKET_STATE = "ticket.state", "changed the status"
    TICKET_SEVERITY = "ticket.severity", "changed the severity"
    TICKET_SEVERITY_ASKED = "ticket.severity-asked", "asked to raise the severity"
    TICKET_PARTICIPANT = "ticket.participant", "changed the participants"
    TICKET_CONFIDENTIAL = "ticket.confidential", "changed who can see the request"
    TICKET_FOLLOWED_UP = "ticket.followed-up", "opened a follow-up"
    TICKET_REMINDED = "ticket.reminded", "reminded the customer"
    TICKET_ESCALATED = "ticket.escalated", "escalated the request"
    TICKET_TAKEN_UP = "ticket.taken-up", "took up the escalation"
    TICKET_WITHDRAWN = "ticket.escalation-withdrawn", "withdrew the escalation"
    TICKET_ACKNOWLEDGED = "ticket.acknowledged", "acknowledged the call"
    TICKET_HOLD = "ticket.hold", "changed until when it is on hold"
    TICKET_TAGGED = "ticket.tagged", "changed the tags"
    TICKET_RATED = "ticket.rated", "rated the help"
    TICKET_LINKED = "ticket.linked", "linked two requests"
    TICKET_UNLINKED = "ticket.unlinked", "took a link between two requests off"
    TICKET_MERGED = "ticket.merged", "merged the request into another"
    TICKET_MERGED_HERE = "ticket.merged-here", "merged another request into this one"
    TICKET_SPLIT = "ticket.split", "moved messages to a new request"
    TICKET_SPLIT_HERE = "ticket.split-here", "made a request of another one's messages"
    MACRO_CREATED = "macro.created", "wrote a shared macro"
    MACRO_CHANGED = "macro.changed", "changed a shared macro"
    MACRO_DELETED = "macro.deleted", "deleted a shared macro"
    TICKET_WAITED = "ticket.waited", "filed what had waited for a plan"
    TICKET_BLOCKED = "ticket.blocked", "was kept from a technical request by the plan"
    LEAD_SUBMITTED = "lead.submitted", "asked for Premium"
    LEAD_UPDATED = "lead.updated", "sent the enquiry again"
    LEAD_STAGE = "lead.stage", "changed the stage"
    LEAD_OWNER = "lead.owner", "changed the owner"
    LEAD_NOTED = "lead.noted", "added a note"
    LEAD_WROTE = "lead.wrote", "wrote to the customer"
    LEAD_ANSWERED = "lead.answered", "answered by mail"
    LEAD_RENEWED = "lead.renewed", "renewed the contract"
    LEAD_STEP = "lead.step", "changed the next step"
    CONTRACT_STARTED = "organization.contract", "activated Premium by contract"
    CONTRACT_RENEWED = "organization.contract-renewed", "renewed the contract"
    CONTRACT_ENDED = "organization.contract-ended", "ended the contract"
    PLAN_UPGRADED = "plan.upgraded", "upgraded the plan"
    PLAN_RENEWED = "plan.renewed", "renewed the plan"
    PLAN_PENDING = "plan.pending", "scheduled a downgrade"
    PLAN_KEPT = "plan.kept", "kept the plan"
    PLAN_DOWNGRADED = "plan.downgraded", "downgraded the plan"
    PLAN_LAPSED = "plan.lapsed", "ended the plan unpaid"
    PAYMENT_FAILED = "payment.failed", "failed to pay"
    PAYMENT_RECORDED = "payment.recorded", "recorded a payment"
    PAYMENT_ENDED = "payment.ended", "ended a payment"
    USAGE_PAID = "payment.usage", "paid for usage"
    REFUNDED = "payment.refunded", "got money back"
    REFUNDED_BY_HAND = "payment.refunded-by-hand", "paid money back by hand"
    CARD_ADDED = "card.added", "added a card"
    CARD_DEFAULT = "card.default", "changed the default card"
    CARD_UPDATED = "card.updated", "was told by the bank of a renewed card"
    CARD_REMOVED = "card.removed", "removed a card"
    BILLING_CHANGED = "organization.billing", "changed what invoices say"
    SELLER_CHANGED = "installation.seller", "changed who issues invoices"
    HOOK_ADDED = "webhook.added", "named a receiver of webhooks"
    HOOK_REMOVED = "webhook.removed", "removed a receiver of webhooks"
    HOOK_SECRET = "webhook.secret", "made a new secret for webhooks"
    TAX_CHANGED = "installation.tax", "changed the tax rate"
    PROMISE_RAISED = "promise.raised", "brought the first-reply target forward"
    PROMISE_MET = "promise.met", "met the first-reply target"
    PROMISE_MISSED = "promise.missed", "missed the first-reply target"
    SIGNED_IN = "person.signed-in", "signed in"
    SIGN_IN_FAILED = "person.sign-in-failed", "failed to sign in"
    SIGNED_OUT = "person.signed-out", "signed out"
    SIGN_IN_ENDED = "person.sign-in-ended", "ended a session"
    RESET_ASKED = "person.reset-asked", "asked for a new password"
    PASSWORD_CHANGED = "person.password-changed", "changed the password"
    PROFILE_CHANGED = "person.profile-changed", "changed the profile"
    ACCESS_DENIED = "person.denied", "was refused a page"
    SET_UP = "installation.set-up", "set up the installation"
    PERSON_ADDED = "person.added", "added a person"
    LINK_SENT = "person.link-sent", "sent a link to choose a password"
    STAFF_ROLE = "person.staff-role", "changed a staff role"
    DUTY_MANAGER = "person.duty-manager", "changed who is a duty manager"
    ON_CALL_SET = "person.on-call", "put an agent on call"
    ON_CALL_ENDED = "person.off-call", "took an agent off the on-call list"
    PERSON_DEACTIVATED = "person.deactivated", "deactivated an account"
    PERSON_REACTIVATED = "person.reactivated", "reactivated an account"
    SIGN_INS_ENDED = "person.sign-ins-ended", "ended all sessions of a person"
    ORGANIZATION_CHANGED = "organization.changed", "changed an organization"
    CATALOGUE_DRAFTED = "catalogue.drafted", "began a draft of the catalogue"
    CATALOGUE_CHANGED = "catalogue.changed", "changed a draft of the catalogue"
    CATALOGUE_DISCARDED = "catalogue.discarded", "discarded a draft of the catalogue"
    CATALOGUE_PUBLISHED = "catalogue.published", "published a version of the catalogue"
    ANNOUNCEMENT_CREATED = "announcement.created", "wrote an announcement"
    ANNOUNCEMENT_CHANGED = "announcement.changed", "changed an announcement"
    ANNOUNCEMENT_ENDED = "announcement.ended", "ended an announcement"
    ANNOUNCEMENT_DELETED = "announcement.deleted", "deleted an announcement"
    LIST_ADDED = "list.added", "added to a list"
    LIST_RENAMED = "list.renamed", "renamed an entry of a list"
    LIST_MOVED = "list.moved", "moved an entry of a list"
    LIST_RETIRED = "list.retired", "retired an entry of a list"
    LIST_RESTORED = "list.restored", "brought an entry of a list back"
    CALENDAR_CREATED = "calendar.created", "created a calendar"
    CALENDAR_CHANGED = "calendar.changed", "changed a calendar"
    CALENDAR_DELETED = "calendar.deleted", "deleted a calendar"
    HOLIDAY_ADDED = "calendar.holiday-added", "added a holiday"
    HOLIDAY_REMOVED = "calendar.holiday-removed", "removed a holiday"
    AUDIT_EXPORTED = "audit.exported", "exported the audit log"
    MEMBER_INVITED = "member.invited", "invited somebody"
    INVITATION_RESENT = "member.invited-again", "sent an invitation again"
    INVITATION_REVOKED = "member.invitation-revoked", "revoked an invitation"
    MEMBER_JOINED = "member.joined", "joined the organization"
    MEMBER_ROLE = "member.role", "changed the role of a member"
    MEMBER_REMOVED = "member.removed", "ended a membership"
    VISIBILITY_CHANGED = "organization.visibility", "changed who sees the requests"
    DIRECTORY_IMPORTED = "installation.directory-imported", "imported the directory"
    ORGANIZATION_IMPORTED = "organization.imported", "imported the organization"


class Event(Model):
    """One thing that happened. Rows are only ever added; that of a reply undone before it went out goes with it."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "ticket_id", "at", "id"),
        Index(None, "lead_id", "at", "id"),
        Index(None, "at", "id"),
        # One for each filter of the audit log, in its order.
        Index(None, "kind", "at", "id"),
        Index(None, "actor_id", "at", "id"),
        Index(None, "person_id", "at", "id"),
        Index(None, "organization_id", "at", "id"),
    )

    kind: Mapped[EventKind]
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    # Whom it was done to, if that is a person.
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"))
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("leads.id"))
    # The message that the event brought; the timeline reads its text from there.
    comment_id: Mapped[int | None] = mapped_column(ForeignKey("comments.id"))
    internal: Mapped[bool] = mapped_column(default=False)
    data: Mapped[dict[str, Any]]


@contextmanager
def gathered(session: Session) -> Iterator[None]:
    """Write what is recorded inside in one statement at the end; it causes no mail, which names what came before."""
    rows: list[dict[str, Any]] = []
    session.info["gathered"] = rows
    try:
        yield
    finally:
        del session.info["gathered"]
    if rows:
        session.execute(insert(Event), rows)


def record(  # noqa: PLR0913 (each names one thing that an event is about)
    session: Session,
    kind: EventKind,
    *,
    now: datetime,
    actor_id: int | None = None,
    person_id: int | None = None,
    ticket_id: int | None = None,
    organization_id: int | None = None,
    lead_id: int | None = None,
    comment_id: int | None = None,
    internal: bool = False,
    **data: Any,  # noqa: ANN401 (facts of any JSON type)
) -> Event:
    """Write down what happened in the caller's transaction and return the row, which has an id unless gathered.

    `internal` keeps it from customers' timelines; `data` holds JSON facts, never secrets or message texts.
    """
    facts: dict[str, Any] = {
        "kind": kind,
        "at": now,
        "actor_id": actor_id,
        "person_id": person_id,
        "ticket_id": ticket_id,
        "organization_id": organization_id,
        "lead_id": lead_id,
        "comment_id": comment_id,
        "internal": internal,
        "data": data,
    }
    event = Event(**facts)
    if (rows := session.info.get("gathered")) is not None:
        rows.append(facts)
        return event
    session.add(event)
    if ticket_id is not None and not internal:
        session.info["cause"] = event
    return event


def cause_of(session: Session, ticket_id: int) -> Event | None:
    """Return what customers saw happen to the ticket last in this transaction; None when nothing did."""
    event = session.info.get("cause")
    return event if event is not None and event in session and event.ticket_id == ticket_id else None


def record_many(
    session: Session, kind: EventKind, facts: dict[int, dict[str, Any]], *, now: datetime, actor_id: int | None = None
) -> None:
    """Write down the same kind of event for many organizations at once: by the key of each, its JSON facts."""
    same = {"kind": kind, "at": now, "actor_id": actor_id}
    rows = [same | {"organization_id": key, "data": data} for key, data in facts.items()]
    if rows:
        session.execute(insert(Event), rows)
