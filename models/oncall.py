"""On-call: who is called at night, and the calls about a new S1 until somebody says that they have seen it.

A request that becomes an S1 without a first reply gets a moment from which it is called about (`tickets.call_at`). The
worker calls where the organization's business hours are over, every ten minutes, until an agent acknowledges it or
answers; what is called about once goes on being called about when the day begins.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Model, NotFound, Refused, session_of
from models.calendars import hours_for
from models.catalogue import Severity
from models.events import Event, EventKind, record
from models.hooks import Topic, queue_hook
from models.notices import note_event, post
from models.numbers import hold
from models.outbox import Letter
from models.paging import Paging
from models.people import Person
from models.permissions import Role
from models.tickets import ACTIVE, Ticket
from models.timetables import open_times

EVERY = timedelta(minutes=10)
LONGEST = timedelta(days=92)
BATCH = 50


class Duty(Model):
    """A period in which an agent is on call."""

    __tablename__ = "duties"
    __table_args__ = (Index(None, "ends_at", "begins_at"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    set_by: Mapped[int] = mapped_column(ForeignKey("people.id"))

    person: Mapped[Person] = relationship(foreign_keys=[person_id], lazy="joined", innerjoin=True)


class Call(Model):
    """That those on call were told of a request for the nth time since it was filed."""

    __tablename__ = "calls"
    # Whatever two workers do, each call goes out once.
    __table_args__ = (UniqueConstraint("ticket_id", "nth"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    nth: Mapped[int]
    at: Mapped[datetime]


def begin_calls(ticket: Ticket, *, now: datetime) -> None:
    """Let those on call be told of the request from now on if it is an S1 that waits for its first reply."""
    target = ticket.target
    ticket.call_at = now if ticket.severity is Severity.S1 and target is not None and target.met_at is None else None


def call_due(session: Session, now: datetime) -> int:
    """Call about at most fifty requests whose time has come; return how many were looked at."""
    hold(session, "chores")
    due = select(Ticket).where(Ticket.call_at <= now).order_by(Ticket.call_at, Ticket.id).limit(BATCH)
    tickets = session.scalars(due).unique().all()
    if not tickets:
        return 0
    awake = on_call(session, now)
    for ticket in tickets:
        _call(session, ticket, awake, now=now)
    session.flush()
    return len(tickets)


def _call(session: Session, ticket: Ticket, awake: list[Person], *, now: datetime) -> None:
    target = ticket.target
    if ticket.state not in ACTIVE or ticket.severity is not Severity.S1 or target is None or target.met_at is not None:
        ticket.call_at = None
        return
    before = _calls_since(session, ticket, target.started_at)
    closing = None if before else _closing(session, ticket, now)
    if closing is not None:
        # By day the queue is looked at; if nobody has answered when the day ends, it is night.
        ticket.call_at = closing
        return
    # From now, not from when it was due: a worker that was down makes no ten calls at once.
    ticket.call_at = now + EVERY
    if not awake:
        return
    last = session.scalar(select(func.max(Call.nth)).where(Call.ticket_id == ticket.id)) or 0
    session.add(Call(ticket_id=ticket.id, nth=last + 1, at=now))
    session.flush()
    post(ticket, awake, Letter.ON_CALL, now=now, actor=None, nth=before + 1)
    queue_hook(
        session,
        Topic.ON_CALL,
        "oncall.alert",
        {
            "ticket": ticket.key,
            "severity": ticket.severity.value,
            "organization": ticket.organization.name if ticket.organization else "",
            "filed_at": ticket.created_at.isoformat(),
            "due_at": target.due_at.isoformat() if target.due_at else None,
            "call": before + 1,
            "on_call": [person.email for person in awake],
        },
        give_up_at=now + EVERY,
        now=now,
    )


def _calls_since(session: Session, ticket: Ticket, start: datetime) -> int:
    """Return how often the request was called about since it became an S1 that waits: `begin_calls` began anew then."""
    changed = (Event.ticket_id == ticket.id) & (Event.kind == EventKind.TICKET_SEVERITY)
    last = session.scalar(select(func.max(Event.at)).where(changed))
    since = max(start, last) if last is not None else start
    mine = (Call.ticket_id == ticket.id) & (Call.at >= since)
    return session.scalar(select(func.count(Call.id)).where(mine)) or 0


def _closing(session: Session, ticket: Ticket, now: datetime) -> datetime | None:
    """Return when the business hours end that run now; None outside of them."""
    hours = hours_for(session, ticket.organization.calendar_id if ticket.organization else None)
    opens, closes = next(open_times(hours, now), (None, None))
    return closes if opens is not None and opens <= now else None


def acknowledge(ticket: Ticket, actor: Person, *, now: datetime) -> None:
    """Say that somebody has seen the request: the calls stop, its customers read who, and it is no first reply.

    Raises Refused where nobody is called about it.
    """
    if ticket.call_at is None:
        raise Refused("Nobody is called about this request any more: the timeline says why.")
    ticket.call_at = None
    note_event(ticket, actor, EventKind.TICKET_ACKNOWLEDGED, now=now)


def on_call(session: Session, now: datetime) -> list[Person]:
    """Return the active agents who are on call at the moment, each once, by name."""
    there = select(Person).join(Duty, Duty.person_id == Person.id)
    there = there.where(Duty.ends_at > now, Duty.begins_at <= now, Person.active, Person.staff_role == Role.AGENT)
    return list({person.id: person for person in session.scalars(there.order_by(Person.name, Person.id))}.values())


def duties(session: Session, page: int, size: int, *, now: datetime) -> tuple[list[Duty], Paging]:
    """Return a page of the periods that are not over, the one that ends first on top."""
    there = Duty.ends_at > now
    total = session.scalar(select(func.count(Duty.id)).where(there)) or 0
    page = max(1, min(page, -(-total // size)))
    rows = session.scalars(
        select(Duty).where(there).order_by(Duty.ends_at, Duty.begins_at, Duty.id).offset((page - 1) * size).limit(size)
    ).all()
    return list(rows), Paging(page, size, len(rows), total, lambda n: f"/desk/duty?page={n}")


def add_duty(actor: Person, person: Person, begins_at: datetime, ends_at: datetime, *, now: datetime) -> Duty:
    """Put an agent on call for the period. Periods may overlap: everybody who is on call is called.

    Raises Refused for who is no active agent, and for a period that is over, ends before it begins, or is longer than a
    quarter of a year.
    """
    if person.staff_role is not Role.AGENT or not person.active:
        raise Refused("Choose one of the support agents.", "person")
    if ends_at <= begins_at:
        raise Refused("The end must be later than the beginning.", "ends")
    if ends_at <= now:
        raise Refused("This period is over. Choose a later end.", "ends")
    if ends_at - begins_at > LONGEST:
        raise Refused("Choose a period of 92 days at most.", "ends")
    duty = Duty(person_id=person.id, person=person, begins_at=begins_at, ends_at=ends_at, set_by=actor.id)
    session_of(actor).add(duty)
    _note(actor, duty, EventKind.ON_CALL_SET, now=now)
    return duty


def end_duty(actor: Person, duty: Duty, *, now: datetime) -> None:
    """Take a period off the list; it was never there."""
    _note(actor, duty, EventKind.ON_CALL_ENDED, now=now)
    session_of(actor).delete(duty)


def _note(actor: Person, duty: Duty, kind: EventKind, *, now: datetime) -> None:
    record(
        session_of(actor),
        kind,
        now=now,
        actor_id=actor.id,
        person_id=duty.person_id,
        begins=duty.begins_at.isoformat(),
        ends=duty.ends_at.isoformat(),
    )


def duty_of(session: Session, number: int) -> Duty:
    """Return the period with that key; raises NotFound."""
    found = session.get(Duty, number)
    if found is None:
        raise NotFound
    return found
