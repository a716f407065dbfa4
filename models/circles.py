"""The people around a ticket at the desk: who could have it, takes part, follows, and is writing a reply just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, literal, select, union_all

from models.base import Instant, session_of
from models.drafts import SENT, Draft
from models.following import Follower
from models.organizations import CLUSTERS, ClusterLine
from models.people import Person
from models.permissions import Role
from models.ratings import Rating
from models.tags import TAGS
from models.tickets import Participant, Ticket
from models.together import ask_together

# A draft saves itself at least every eight seconds while somebody types: who has stopped for so long is gone.
WRITING_FOR = timedelta(seconds=60)
AGENTS_MOST, WRITERS_MOST = 200, 20


@dataclass(frozen=True)
class Circle:
    """Those around one ticket; `writers` are other agents who are writing to it."""

    agents: Sequence[Person]
    participants: Sequence[Person]
    followers: Sequence[Person]
    writers: Sequence[Person]


def circle_of(ticket: Ticket, actor: Person, *, now: datetime) -> Circle:
    """Return those around the ticket as the actor sees them; one statement."""
    given = {"ticket": ticket.id, "place": f"ticket:{ticket.key}", "me": actor.id, "since": now - WRITING_FOR}
    found: dict[str, list[Person]] = {"agent": [], "part": [], "follower": [], "writer": []}
    for person, kind, fields in session_of(ticket).execute(_CIRCLE, given).all():
        if person not in found[kind] and not (kind == "writer" and is_blank(fields)):
            found[kind].append(person)
    return Circle(found["agent"], found["part"], found["follower"], found["writer"])


def writers_of(ticket: Ticket, actor: Person, *, now: datetime) -> list[Person]:
    """Return the other agents who are writing to the ticket, by name: those whose draft changed within the minute."""
    given = {"place": f"ticket:{ticket.key}", "me": actor.id, "since": now - WRITING_FOR}
    rows = session_of(ticket).execute(_WRITERS, given)
    return list(dict.fromkeys(person for person, fields in rows.all() if not is_blank(fields)))


def is_blank(fields: object) -> bool:
    """Tell whether nothing is written: a draft is kept also when only another status is chosen, or a text deleted."""
    written = fields.get("body", []) if isinstance(fields, dict) else []
    return not any(str(text).strip() for text in written)


_WRITING = (
    (Draft.place == bindparam("place"))
    & (Draft.updated_at >= bindparam("since", type_=Instant))
    & (Draft.person_id != bindparam("me"))
    & ~SENT
)
_AGENT = (Person.staff_role == Role.AGENT) & Person.active
_WRITERS = (
    select(Person, Draft.fields)
    .join(Draft, Draft.person_id == Person.id)
    .where(_WRITING, _AGENT)
    .order_by(Person.name, Person.id)
    .limit(WRITERS_MOST)
)


def _circle() -> Select[Any]:
    """Return the statement: first ids, each kind from an index of its own, then the people.

    Agents and followers come by name, participants in the order in which they were added.
    """
    agents = select(Person.id).where(_AGENT).order_by(Person.name, Person.id).limit(AGENTS_MOST).subquery()
    writers = (
        select(Draft.person_id, Draft.id)
        .join(Person, Person.id == Draft.person_id)
        .where(_WRITING, _AGENT)
        .limit(WRITERS_MOST)
        .subquery()
    )
    of_ticket: BindParameter[int] = bindparam("ticket")
    ids = union_all(
        select(
            agents.c.id.label("person"),
            literal("agent").label("kind"),
            literal(0).label("place"),
            literal(0).label("draft"),
        ),
        select(Participant.person_id, literal("part"), Participant.id, literal(0)).where(
            Participant.ticket_id == of_ticket
        ),
        select(Follower.person_id, literal("follower"), literal(0), literal(0)).where(Follower.ticket_id == of_ticket),
        select(writers.c.person_id, literal("writer"), literal(0), writers.c.id),
    ).subquery()
    return (
        select(Person, ids.c.kind, Draft.fields)
        .join(ids, ids.c.person == Person.id)
        .outerjoin(Draft, Draft.id == ids.c.draft)
        .order_by(ids.c.place, Person.name, Person.id)
    )


_CIRCLE = _circle()


@dataclass(frozen=True)
class Beside:
    """What stands beside a ticket: its tags, others on offer, its organization's clusters, its rating."""

    tags: list[str]
    offered: list[str]
    clusters: list[ClusterLine]
    # Stars and words, where its customer has rated the help.
    rating: tuple[int, str] | None


def beside(ticket: Ticket) -> Beside:
    """Return it in one statement."""
    found = ask_together(session_of(ticket), _BESIDE, ticket=ticket.id, organization=ticket.organization_id)
    return Beside(
        tags=sorted(name for name, mine in found["tags"] if mine),
        offered=sorted(name for name, mine in found["tags"] if not mine),
        clusters=sorted((ClusterLine(*row) for row in found["clusters"]), key=lambda cluster: cluster.name),
        rating=next(((stars, words) for stars, words in found["rating"]), None),
    )


_RATING = select(Rating.stars, Rating.words).where(Rating.ticket_id == bindparam("ticket"))
_BESIDE = (("tags", TAGS), ("clusters", CLUSTERS), ("rating", _RATING))
