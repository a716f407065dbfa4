"""What happened, by whom, when: one row feeds the timeline, the audit log and the notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
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
    LEAD_SUBMITTED = "lead.submitted", "asked for Premium"
    LEAD_UPDATED = "lead.updated", "sent the enquiry again"
    LEAD_STAGE = "lead.stage", "changed the stage"
    LEAD_OWNER = "lead.owner", "changed the owner"
    LEAD_NOTED = "lead.noted", "added a note"
    LEAD_STEP = "lead.step", "changed the next step"
    CONTRACT_STARTED = "organization.contract", "activated Premium by contract"
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


class Event(Model):
    """One thing that happened. Rows are only ever added."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "ticket_id", "at", "id"),
        Index(None, "lead_id", "at", "id"),
        Index(None, "at", "id"),
    )

    kind: Mapped[EventKind]
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"))
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("leads.id"))
    # The message that the event brought; the timeline reads its text from there.
    comment_id: Mapped[int | None] = mapped_column(ForeignKey("comments.id"))
    internal: Mapped[bool] = mapped_column(default=False)
    data: Mapped[dict[str, Any]]


def record(  # noqa: PLR0913 (each names one thing that an event is about)
    session: Session,
    kind: EventKind,
    *,
    now: datetime,
    actor_id: int | None = None,
    ticket_id: int | None = None,
    organization_id: int | None = None,
    lead_id: int | None = None,
    comment_id: int | None = None,
    internal: bool = False,
    **data: Any,  # noqa: ANN401 (facts of any JSON type)
) -> Event:
    """Write down what happened in the caller's transaction and return the row.

    `internal` keeps it from customers' timelines; `data` holds JSON facts, never secrets or message texts.
    """
    event = Event(
        kind=kind,
        at=now,
        actor_id=actor_id,
        ticket_id=ticket_id,
        organization_id=organization_id,
        lead_id=lead_id,
        comment_id=comment_id,
        internal=internal,
        data=data,
    )
    session.add(event)
    return event
