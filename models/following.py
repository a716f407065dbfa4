"""Following: an agent gets mail about a ticket that is somebody else's, and a colleague who is named in a note does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from sqlalchemy import ForeignKey, Index, UniqueConstraint, bindparam, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, session_of
from models.people import Person
from models.permissions import Role
from models.tickets import Ticket


class Follower(Model):
    """An agent who follows a ticket."""

    __tablename__ = "followers"
    __table_args__ = (UniqueConstraint("person_id", "ticket_id"), Index(None, "ticket_id"))

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))


def follow(ticket: Ticket, actor: Person) -> None:
    """Let the agent get mail for each reply of the customer and each note; nothing changes for whoever does already."""
    session = session_of(ticket)
    there = select(Follower.id).where(Follower.ticket_id == ticket.id, Follower.person_id == actor.id)
    if session.scalar(there) is None:
        session.add(Follower(ticket_id=ticket.id, person_id=actor.id))
        session.flush()


def unfollow(ticket: Ticket, actor: Person) -> None:
    """End that; nothing changes for whoever does not follow."""
    gone = delete(Follower).where(Follower.ticket_id == ticket.id, Follower.person_id == actor.id)
    session_of(ticket).execute(gone)


def readers_of_notes(ticket: Ticket, but: Sequence[Person] = ()) -> list[Person]:
    """Return the active agents who get mail for a note: the assignee and those who follow, each once."""
    followers = session_of(ticket).scalars(_FOLLOWERS, {"ticket": ticket.id})
    readers = dict.fromkeys([*([ticket.assignee] if ticket.assignee else []), *followers])
    return [one for one in readers if one.active and one.staff_role is Role.AGENT and one not in but]


FOLLOWING = (
    select(Follower.person_id.label("person"))
    .join(Person, Person.id == Follower.person_id)
    .where(Follower.ticket_id == bindparam("ticket"), Person.active, Person.staff_role == Role.AGENT)
)
_FOLLOWERS = (
    select(Person)
    .join(Follower, Follower.person_id == Person.id)
    .where(Follower.ticket_id == bindparam("ticket"))
    .order_by(Follower.id)
)

_TAG = re.compile(r"(<[^>]*>)")
# What is quoted, code or a link names nobody.
_QUIET = ("pre", "code", "a", "blockquote")


def marked(html: str, people: Sequence[Person]) -> tuple[str, list[Person]]:
    """Return a note's sanitised HTML with every mention in bold, and whom it mentions, each once.

    A mention is an @ at the beginning of a word with the name of one of the people behind it, or the part of their
    address before its @; case does not matter. Anything else stays text.
    """
    handles: dict[str, Person] = {}
    for person in people:
        for handle in (person.name, person.email_folded.partition("@")[0]):
            handles.setdefault(escape(handle).casefold(), person)
    if not handles:
        return html, []
    longest = sorted(handles, key=len, reverse=True)
    named = re.compile(rf"(?<![\w@.])@({'|'.join(map(re.escape, longest))})(?![\w@]|[.-]\w)", re.IGNORECASE)
    mentioned: dict[int, Person] = {}

    def mark(found: re.Match[str]) -> str:
        person = handles.get(found[1].casefold())
        if person is None:
            return found[0]
        mentioned[person.id] = person
        return f"<strong>@{escape(person.name)}</strong>"

    pieces, depth = [], 0
    for piece in _TAG.split(html):
        if piece.startswith("<"):
            name = re.match(r"</?([a-z0-9]+)", piece)
            if name is not None and name[1] in _QUIET:
                depth += -1 if piece.startswith("</") else 1
            pieces.append(piece)
        else:
            pieces.append(piece if depth else named.sub(mark, piece))
    return "".join(pieces), list(mentioned.values())
