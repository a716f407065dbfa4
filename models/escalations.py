"""Escalations: a request whose promise is in danger, told to the agents who can do something about it.

A customer may escalate after a missed promise, or after half of it has passed for S1 and S2; an agent at any time. One
stands at a time: it is taken up, withdrawn, or over with the request. What happened stays on both sides' timeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, Refused, session_of
from models.catalogue import Severity
from models.conversations import FINAL, timetable_of
from models.events import EventKind
from models.notices import audience_of, note_event, post
from models.outbox import Addressee, Letter
from models.people import Person, agents
from models.promises import Result
from models.tickets import Body, Ticket, TicketState

REASON_MOST = 1000
# Of a promise to these, half is enough.
GRAVE = frozenset({Severity.S1, Severity.S2})


class Escalation(Model):
    """That somebody has escalated a request, and how it ended."""

    __tablename__ = "escalations"
    # By its number nobody escalates twice, and the alert goes out once.
    __table_args__ = (UniqueConstraint("ticket_id", "nth"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    nth: Mapped[int]
    by_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    reason: Mapped[str] = mapped_column(Body)
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class Way(Labelled):
    """Whether a customer may escalate, and if not, why."""

    MISSED = "missed", "The first reply is late"
    HALF = "half", "Half of the promised time has passed"
    STANDS = "stands", "It is escalated"
    FINAL = "final", "It is closed"
    RESOLVED = "resolved", "It is resolved"
    NONE = "none", "Nothing is promised"
    KEPT = "kept", "The first reply came in time"
    PAUSED = "paused", "The clock stands"
    LATER = "later", "It is too early"


@dataclass(frozen=True)
class Chance:
    """Whether a customer may escalate now; `at` is from when on, where it is too early."""

    way: Way
    at: datetime | None = None

    @property
    def may(self) -> bool:
        """Whether now."""
        return self.way in {Way.MISSED, Way.HALF}


def chance_of(ticket: Ticket, *, now: datetime) -> Chance:
    """Return whether the request's customer may escalate it, by the promise of its present cycle."""
    target = ticket.target
    way = None
    if ticket.is_final(now):
        way = Way.FINAL
    elif ticket.state is TicketState.RESOLVED:
        way = Way.RESOLVED
    elif ticket.escalated_at is not None:
        way = Way.STANDS
    elif target is None:
        way = Way.NONE
    if way is not None or target is None:
        return Chance(way or Way.NONE)
    if target.result is Result.MISSED or (target.met_at is None and target.due_at is not None and target.due_at < now):
        return Chance(Way.MISSED)
    if target.met_at is not None:
        return Chance(Way.KEPT)
    at = target.half_at(timetable_of(ticket, target)) if ticket.severity in GRAVE else target.due_at
    if at is None:
        return Chance(Way.PAUSED)
    return Chance(Way.HALF) if ticket.severity in GRAVE and at <= now else Chance(Way.LATER, at)


def escalate(ticket: Ticket, actor: Person, reason: str, *, now: datetime, staff: bool = False) -> None:
    """Escalate the request and tell the duty managers once; without any, every agent.

    Raises Refused without a reason, for a request that is done or escalated already, and for a customer (not `staff`)
    who may not do so yet.
    """
    chance = chance_of(ticket, now=now)
    if chance.way is Way.FINAL:
        raise Refused(FINAL)
    if chance.way is Way.RESOLVED:
        raise Refused("This request is resolved. Reopen it first.")
    if chance.way is Way.STANDS:
        raise Refused("This request is escalated already.")
    if not staff and not chance.may:
        raise Refused("This request cannot be escalated now. This page says from when on, and what to do instead.")
    if not reason:
        raise Refused("Say why, for example “All writes fail, and our shop is closed since 14:20”.", "reason")
    session = session_of(ticket)
    before = session.scalar(select(func.max(Escalation.nth)).where(Escalation.ticket_id == ticket.id)) or 0
    row = Escalation(ticket_id=ticket.id, nth=before + 1, by_id=actor.id, reason=reason, at=now)
    session.add(row)
    ticket.escalated_at = now
    note_event(ticket, actor, EventKind.TICKET_ESCALATED, now=now, reason=reason)
    session.flush()
    told: list[Addressee] = [one for one in alerted(session, ticket) if one.id != actor.id]
    post(ticket, told, Letter.TICKET_ESCALATED, now=now, actor=actor, escalation=row.id)


def alerted(session: Session, ticket: Ticket) -> list[Person]:
    """Return whom an escalation alerts: the active duty managers, else all agents; and whoever has the ticket."""
    everybody = agents(session)
    found = [agent for agent in everybody if agent.duty_manager] or list(everybody)
    if ticket.assignee is not None and ticket.assignee.active and ticket.assignee not in found:
        found.append(ticket.assignee)
    return found


def take_up(ticket: Ticket, actor: Person, *, now: datetime) -> None:
    """End the escalation by looking after it; its customers read who does, by mail as well.

    It is no first reply, and moves no promise. Raises Refused where none stands: somebody was quicker.
    """
    _end(ticket, actor, EventKind.TICKET_TAKEN_UP, now=now)
    post(ticket, audience_of(ticket, actor), Letter.TICKET_TAKEN_UP, now=now, actor=actor)


def withdraw(ticket: Ticket, actor: Person, *, now: datetime) -> None:
    """Take the escalation back, as a customer. Raises Refused where none stands any more."""
    _end(ticket, actor, EventKind.TICKET_WITHDRAWN, now=now)


def _end(ticket: Ticket, actor: Person, kind: EventKind, *, now: datetime) -> None:
    if ticket.escalated_at is None:
        raise Refused("This escalation is over already: the timeline says how.")
    standing = standing_of(ticket)
    if standing is not None:
        standing.ended_at, standing.ended_by = now, actor.id
    ticket.escalated_at = None
    note_event(ticket, actor, kind, now=now)


def standing_of(ticket: Ticket) -> Escalation | None:
    """Return the latest escalation of the request; None when there was none."""
    mine = select(Escalation).where(Escalation.ticket_id == ticket.id)
    return session_of(ticket).scalars(mine.order_by(Escalation.nth.desc()).limit(1)).one_or_none()
