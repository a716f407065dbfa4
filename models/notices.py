"""What a change of a ticket leaves behind: its event, and the mail to those who take part."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select

from models.base import session_of
from models.events import Event, EventKind, record
from models.organizations import Membership
from models.outbox import Letter, queue
from models.people import Person
from models.tickets import Comment, Ticket, participants_of


def note_event(ticket: Ticket, actor: Person | None, kind: EventKind, *, now: datetime, **data: object) -> Event:
    """Record a change of the ticket; `internal=True` among the data hides it from customers."""
    ticket.updated_at = now
    event = record(
        session_of(ticket),
        kind,
        now=now,
        actor_id=actor.id if actor else None,
        ticket_id=ticket.id,
        organization_id=ticket.organization_id,
        **data,  # type: ignore[arg-type]
    )
    session_of(ticket).flush()
    return event


def tell(ticket: Ticket, actor: Person, letter: Letter, *, now: datetime, comment: Comment | None = None) -> None:
    for person in _audience(ticket, actor):
        post_to(ticket, person, letter, now=now, actor=actor, comment=comment)


def post_to(
    ticket: Ticket,
    person: Person,
    letter: Letter,
    *,
    now: datetime,
    actor: Person | None = None,
    comment: Comment | None = None,
) -> None:
    session = session_of(ticket)
    cause = session.scalar(select(func.max(Event.id)).where(Event.ticket_id == ticket.id, Event.internal.is_(False)))
    queue(
        session,
        letter,
        to=person,
        now=now,
        ticket_id=ticket.id,
        event_id=cause,
        actor=actor.name if actor else "",
        comment=comment.id if comment else None,
        state=ticket.state.value,
        severity=ticket.severity.value,
    )


def _audience(ticket: Ticket, actor: Person | None) -> Iterable[Person]:
    """Return who gets mail: participants who may still see the ticket and its agent, without the one who acted."""
    people = participants_of(ticket)
    if ticket.organization_id is not None:
        members = select(Membership.person_id).where(
            Membership.organization_id == ticket.organization_id,
            Membership.person_id.in_([person.id for person in people]),
        )
        still = set(session_of(ticket).scalars(members))
        people = [person for person in people if person.id in still]
    if ticket.assignee is not None and ticket.assignee not in people:
        people.append(ticket.assignee)
    return [p for p in people if p.active and (actor is None or p.id != actor.id)]
