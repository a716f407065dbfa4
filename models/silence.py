"""Requests whose customer is silent: two reminders, then Resolved; on hold until a day, nothing happens before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from models.base import Refused
from models.conversations import move
from models.events import EventKind, record
from models.notices import audience_of, note_event, post
from models.numbers import hold
from models.outbox import Letter
from models.people import Person
from models.tickets import Ticket, TicketState

BATCH = 100
LONGEST = timedelta(days=365)


@dataclass(frozen=True)
class Patience:
    """How long a request waits for its customer: to the first reminder, to the second, and to its end."""

    first: timedelta
    second: timedelta
    end: timedelta

    @property
    def steps(self) -> tuple[timedelta, ...]:
        """How long each step comes after the one before it: what is late moves the rest, and nothing comes at once."""
        return tuple(later - earlier for earlier, later in pairwise((timedelta(), self.first, self.second, self.end)))


def nudge(session: Session, now: datetime, patience: Patience) -> int:
    """Remind the customers of at most a hundred silent requests, or resolve those; return how many.

    Two workers do it one after the other, and each step is counted from the one before: neither two of them, nor a
    clock that steps, nor a worker that was down sends two reminders at once.
    """
    hold(session, "chores")
    steps = patience.steps
    over = or_(*((Ticket.nudges == n) & (Ticket.quiet_since <= now - step) for n, step in enumerate(steps)))
    silent = select(Ticket).where(Ticket.state == TicketState.WAITING, over)
    tickets = session.scalars(silent.order_by(Ticket.quiet_since, Ticket.id).limit(BATCH)).all()
    for ticket in tickets:
        if ticket.nudges < len(steps) - 1:
            _remind(ticket, session, ends=now + sum(steps[ticket.nudges + 1 :], timedelta()), now=now)
        else:
            move(ticket, None, TicketState.RESOLVED, now=now)
            post(ticket, audience_of(ticket, None), Letter.TICKET_STATE, now=now, actor=None)
    session.flush()
    return len(tickets)


def _remind(ticket: Ticket, session: Session, *, ends: datetime, now: datetime) -> None:
    ticket.nudges += 1
    ticket.quiet_since = now
    # Nobody did anything: the request does not move up in anybody's list.
    record(
        session,
        EventKind.TICKET_REMINDED,
        now=now,
        ticket_id=ticket.id,
        organization_id=ticket.organization_id,
        number=ticket.nudges,
    )
    customers = [reader for reader in audience_of(ticket, None) if reader.id != ticket.assignee_id]
    post(ticket, customers, Letter.TICKET_REMINDER, now=now, actor=None, ends=ends.isoformat())


def hold_until(ticket: Ticket, actor: Person, day: date | None, zone: ZoneInfo, *, now: datetime) -> None:
    """Let nothing happen to a waiting request before the day begins in the zone; None ends the hold.

    From then on the silence is counted anew. Raises Refused for a request that does not wait for its customer, for a
    day that has begun, and for one more than a year away.
    """
    if ticket.state is not TicketState.WAITING:
        raise Refused("Only a request that waits for its customer can be on hold.", "day")
    if day is None:
        if ticket.held_until(now) is None:
            return
        ticket.quiet_since, ticket.nudges = now, 0
        note_event(ticket, actor, EventKind.TICKET_HOLD, now=now, until="")
        return
    begin = datetime.combine(day, time(), zone)
    if begin <= now:
        raise Refused("Choose a day that has not begun yet, tomorrow at the earliest.", "day")
    if begin > now + LONGEST:
        raise Refused("Choose a day within a year.", "day")
    if ticket.quiet_since != begin:
        ticket.quiet_since, ticket.nudges = begin, 0
        note_event(ticket, actor, EventKind.TICKET_HOLD, now=now, until=day.isoformat())
