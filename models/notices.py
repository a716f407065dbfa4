"""What a change of a ticket leaves behind: its event, and the mail to those who take part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select, union

from models.base import read, session_of
from models.events import Event, EventKind, cause_of, record
from models.following import FOLLOWING
from models.organizations import Membership
from models.outbox import Addressee, Letter, queue_all
from models.people import Person
from models.tickets import Comment, Participant, Ticket


def note_event(ticket: Ticket, actor: Person | None, kind: EventKind, *, now: datetime, **data: object) -> None:
    """Record a change of the ticket; `internal=True` among the data hides it from customers."""
    ticket.updated_at = now
    record(
        session_of(ticket),
        kind,
        now=now,
        actor_id=actor.id if actor else None,
        ticket_id=ticket.id,
        organization_id=ticket.organization_id,
        **data,  # type: ignore[arg-type]
    )


def tell(
    ticket: Ticket,
    actor: Person,
    letter: Letter,
    *,
    now: datetime,
    comment: Comment | None = None,
    followers: bool = False,
) -> None:
    """Queue mail about the ticket for everybody who takes part, but not for the one who acted."""
    audience = audience_of(ticket, actor, followers=followers)
    post(ticket, audience, letter, now=now, actor=actor, comment=comment)


def post_to(
    ticket: Ticket,
    person: Person,
    letter: Letter,
    *,
    now: datetime,
    actor: Person | None = None,
    comment: Comment | None = None,
    **more: object,
) -> None:
    """Queue one letter about the ticket, with the facts that it is written from; `more` holds those of its own."""
    post(ticket, [person], letter, now=now, actor=actor, comment=comment, **more)


def post(
    ticket: Ticket,
    people: Sequence[Addressee],
    letter: Letter,
    *,
    now: datetime,
    actor: Person | None,
    comment: Comment | None = None,
    **more: object,
) -> None:
    """Queue the same letter about the ticket for each of the people; `more` holds JSON facts of its own."""
    if not people:
        return
    session = session_of(ticket)
    session.flush()
    cause = cause_of(session, ticket.id)
    queue_all(
        session,
        letter,
        to=people,
        now=now,
        ticket_id=ticket.id,
        event_id=cause.id if cause else read(session, _LATEST, ticket=ticket.id).scalar(),
        actor=actor.name if actor else "",
        comment=comment.id if comment else None,
        state=ticket.state.value,
        severity=ticket.severity.value,
        **more,
    )


_LATEST = select(func.max(Event.id)).where(Event.ticket_id == bindparam("ticket"), Event.internal.is_(False))


class Reader(NamedTuple):
    """Somebody who gets mail about a ticket, as far as a letter needs them."""

    id: int
    email: str
    name: str
    active: bool


def audience_of(ticket: Ticket, actor: Person | None, *, followers: bool = False) -> list[Reader]:
    """Return who gets mail: participants who may still see the ticket and its agent, without the one who acted.

    With `followers` also the agents who follow it; one statement in any case.
    """
    asked = audience_question(members=ticket.organization_id is not None, followers=followers)
    given = {"ticket": ticket.id, "organization": ticket.organization_id}
    return audience_in(read(session_of(ticket), asked, **given).all(), ticket, actor)


def audience_in(rows: Iterable[Sequence[Any]], ticket: Ticket, actor: Person | None) -> list[Reader]:
    """Return the audience that the rows of `audience_question` say."""
    people = {reader.id: reader for reader in sorted(Reader(*row) for row in rows)}
    if ticket.assignee is not None:
        agent = ticket.assignee
        people[agent.id] = Reader(agent.id, agent.email, agent.name, agent.active)
    return [one for one in people.values() if one.active and (actor is None or one.id != actor.id)]


@cache
def audience_question(*, members: bool, followers: bool) -> Select[*tuple[Any, ...]]:
    """Select who gets mail about the request that the parameter `ticket` gives, as `audience_of` says.

    `members` says that it is of an organization, which the parameter `organization` gives.
    """
    taking = select(Participant.person_id.label("person")).where(Participant.ticket_id == bindparam("ticket"))
    if members:
        mine = Membership.organization_id == bindparam("organization")
        taking = taking.join(Membership, (Membership.person_id == Participant.person_id) & mine)
    # Joined, not "in": of a union of two, not every database makes use of an index that way.
    told = union(taking, FOLLOWING).subquery() if followers else taking.subquery()
    return select(Person.id, Person.email, Person.name, Person.active).join(told, told.c.person == Person.id)
