"""Links between tickets: related ones, one merged into another, messages split off, and the way to the other end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    literal,
    select,
    union_all,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Labelled, Model, NotFound, Refused, read, session_of
from models.catalogue import Severity
from models.events import EventKind
from models.notices import note_event
from models.people import Person
from models.tickets import BY_DUE, Ticket, Tickets, TicketState

LINKS_MOST, OTHERS_MOST = 50, 5


class LinkKind(Labelled):
    """How a ticket is tied to the other one; the label reads from the first."""

    RELATED = "related", "Related to"
    MERGED = "merged", "Merged into"
    SPLIT = "split", "Split into"


class TicketLink(Model):
    """One link; of two related tickets the older one stands first."""

    __tablename__ = "ticket_links"
    __table_args__ = (UniqueConstraint("ticket_id", "other_id", "kind"), Index(None, "other_id"))

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    other_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    kind: Mapped[LinkKind]


@dataclass(frozen=True)
class Linked:
    """The other end of a link, in words."""

    relation: str
    key: str
    severity: Severity
    summary: str
    state: TicketState

    @property
    def related(self) -> bool:
        """Whether an agent made the link, and can take it off."""
        return self.relation == LinkKind.RELATED.label


@dataclass(frozen=True)
class Around:
    """What the desk shows around a ticket."""

    links: Sequence[Linked]
    others: Sequence[Linked]

    @property
    def merged_into(self) -> str:
        """The key of the ticket that this one was merged into, or none."""
        return next((link.key for link in self.links if link.relation == LinkKind.MERGED.label), "")


def around(ticket: Ticket, scope: Tickets) -> Around:
    """Return the ticket's links, and other active tickets of its organization, soonest due first; one statement."""
    given = {"ticket": ticket.id, "organization": ticket.organization_id, "follows": ticket.follows_id}
    rows = [(row.relation, Linked(*row[:5])) for row in read(scope.session, _around(scope.condition), **given)]
    links = [linked for relation, linked in rows if relation != _OTHER]
    return Around(links, [linked for relation, linked in rows if relation == _OTHER])


_OTHER = "other"


@lru_cache(maxsize=8)
def _around(condition: ColumnElement[bool]) -> Select[Any]:
    mine: BindParameter[int] = bindparam("ticket")
    table = TicketLink
    here, there = table.ticket_id == mine, table.other_id == mine
    ways = (
        (LinkKind.MERGED.label, table.other_id, and_(here, table.kind == LinkKind.MERGED)),
        ("Merged from", table.ticket_id, and_(there, table.kind == LinkKind.MERGED)),
        (LinkKind.SPLIT.label, table.other_id, and_(here, table.kind == LinkKind.SPLIT)),
        ("Split from", table.ticket_id, and_(there, table.kind == LinkKind.SPLIT)),
        (LinkKind.RELATED.label, table.other_id, and_(here, table.kind == LinkKind.RELATED)),
        (LinkKind.RELATED.label, table.ticket_id, and_(there, table.kind == LinkKind.RELATED)),
    )
    active = select(literal(_OTHER).label("relation"), Ticket.id.label("id")).where(
        Ticket.organization_id == bindparam("organization"), Ticket.id != mine, Ticket.active.is_(True), condition
    )
    others = active.order_by(*(getattr(Ticket, name) for name in BY_DUE)).limit(OTHERS_MOST).subquery()
    tied = [select(literal(words).label("relation"), end.label("id")).where(fits) for words, end, fits in ways]
    later = select(literal("Followed by").label("relation"), Ticket.id).where(Ticket.follows_id == mine)
    some = union_all(*tied, later).limit(LINKS_MOST).subquery()
    ids = union_all(select(some.c.relation, some.c.id), select(others.c.relation, others.c.id)).subquery()
    return (
        select(ids.c.relation, Ticket.key, Ticket.severity, Ticket.summary, Ticket.state)
        .join(ids, ids.c.id == Ticket.id)
        .where(condition)
        .order_by(*(getattr(Ticket, name) for name in BY_DUE))
    )


def merged_into(ticket: Ticket, scope: Tickets) -> str:
    """Return the key of the ticket that this one was merged into if it is in the scope; else nothing."""
    query = (
        select(Ticket.key)
        .join(TicketLink, TicketLink.other_id == Ticket.id)
        .where(TicketLink.ticket_id == ticket.id, TicketLink.kind == LinkKind.MERGED, scope.condition)
    )
    return scope.session.scalar(query.limit(1)) or ""


def keys_in(scope: Tickets, keys: Iterable[str]) -> set[str]:
    """Return those of the keys whose tickets are in the scope."""
    return set(scope.session.scalars(select(Ticket.key).where(Ticket.key.in_(list(keys)), scope.condition)))


def tie(ticket: Ticket, other: Ticket, kind: LinkKind) -> bool:
    """Write the link down and return whether it is new."""
    session = session_of(ticket)
    there = select(TicketLink.id).where(
        TicketLink.ticket_id == ticket.id, TicketLink.other_id == other.id, TicketLink.kind == kind
    )
    if session.scalar(there) is not None:
        return False
    session.add(TicketLink(ticket_id=ticket.id, other_id=other.id, kind=kind))
    session.flush()
    return True


def relate(ticket: Ticket, other: Ticket | None, actor: Person, *, now: datetime) -> None:
    """Link two tickets that have to do with each other; customers read of it where they see both.

    Raises Refused when there is no other one, or the link is there.
    """
    if other is None:
        raise Refused("There is no ticket with this number. Write it as TECH-1284.", "other")
    if other.id == ticket.id:
        raise Refused("This is the number of the ticket itself. Write that of the other one.", "other")
    first, second = sorted((ticket, other), key=lambda one: one.id)
    if not tie(first, second, LinkKind.RELATED):
        raise Refused(f"{other.key} is linked already.", "other")
    note_event(ticket, actor, EventKind.TICKET_LINKED, now=now, key=other.key)
    note_event(other, actor, EventKind.TICKET_LINKED, now=now, key=ticket.key)


def unrelate(ticket: Ticket, other: Ticket, actor: Person, *, now: datetime) -> None:
    """Take the link off. Raises NotFound when the two are not linked."""
    first, second = sorted((ticket, other), key=lambda one: one.id)
    gone = delete(TicketLink).where(
        TicketLink.ticket_id == first.id, TicketLink.other_id == second.id, TicketLink.kind == LinkKind.RELATED
    )
    if not session_of(ticket).execute(gone).rowcount:  # type: ignore[attr-defined]
        raise NotFound
    note_event(ticket, actor, EventKind.TICKET_UNLINKED, now=now, key=other.key)
    note_event(other, actor, EventKind.TICKET_UNLINKED, now=now, key=ticket.key)
