"""Tags: words by which agents sort tickets. Customers see none of them, nor that there are any."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, UniqueConstraint, bindparam, delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, Refused, read, session_of
from models.events import EventKind, record
from models.people import Person
from models.tickets import Ticket

NAME_MOST = 40
PER_TICKET = 20
# So many are offered where one is typed.
OFFERED_MOST = 200
_APART = re.compile(r"[\s,#]+")


class Tag(Model):
    """A tag that some ticket has or had."""

    __tablename__ = "tags"

    name: Mapped[str] = mapped_column(String(NAME_MOST), unique=True)


class TicketTag(Model):
    """That a ticket has a tag."""

    __tablename__ = "ticket_tags"
    __table_args__ = (UniqueConstraint("ticket_id", "tag_id"), Index(None, "tag_id", "ticket_id"))

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id"))


def tag_name(written: str) -> str:
    """Return the tag that is meant: without case and width, its words joined; "" for what has no word."""
    plain = unicodedata.normalize("NFKC", written).casefold()
    return "-".join(filter(None, _APART.split(plain)))


def add_tag(ticket: Ticket, actor: Person, written: str, *, now: datetime) -> str:
    """Give the ticket the tag and return its name; nothing changes for a ticket that has it.

    Raises Refused for a tag without a word, one that is too long, and one too many.
    """
    name, session = _checked(written), session_of(ticket)
    there = tags_of(session, [ticket.id]).get(ticket.id, [])
    if name in there:
        return name
    if len(there) >= PER_TICKET:
        raise Refused(f"A ticket has {PER_TICKET} tags at most. Take one off first.", "tag")
    mine = select(Tag.id).where(Tag.name == name)
    if session.scalar(mine) is None:
        # Somebody else may be the first to use it at the same time.
        with suppress(IntegrityError), session.begin_nested():
            session.add(Tag(name=name))
    session.add(TicketTag(ticket_id=ticket.id, tag_id=session.scalars(mine).one()))
    _note(ticket, actor, now, added=name)
    return name


def remove_tag(ticket: Ticket, actor: Person, written: str, *, now: datetime) -> str:
    """Take the tag off the ticket and return its name; nothing changes for a ticket that has it not."""
    name = _checked(written)
    tag = select(Tag.id).where(Tag.name == name).scalar_subquery()
    gone = delete(TicketTag).where(TicketTag.ticket_id == ticket.id, TicketTag.tag_id == tag)
    if session_of(ticket).execute(gone).rowcount:  # type: ignore[attr-defined]
        _note(ticket, actor, now, removed=name)
    return name


def _checked(written: str) -> str:
    name = tag_name(written)
    if not name:
        raise Refused("Write a tag, for example slow-query.", "tag")
    if len(name) > NAME_MOST:
        raise Refused(f"Shorten the tag to {NAME_MOST} characters.", "tag")
    return name


def _note(ticket: Ticket, actor: Person, now: datetime, **what: Any) -> None:  # noqa: ANN401 (facts of any JSON type)
    # The ticket does not move up in its customer's list: nothing that they see has happened.
    record(
        session_of(ticket),
        EventKind.TICKET_TAGGED,
        now=now,
        actor_id=actor.id,
        ticket_id=ticket.id,
        organization_id=ticket.organization_id,
        internal=True,
        **what,
    )


def carry_tags(ticket: Ticket, into: Ticket) -> None:
    """Give the other ticket the tags of this one as well."""
    session = session_of(ticket)
    there = select(TicketTag.tag_id).where(TicketTag.ticket_id == into.id)
    mine = select(TicketTag.tag_id).where(TicketTag.ticket_id == ticket.id, TicketTag.tag_id.not_in(there))
    session.add_all([TicketTag(ticket_id=into.id, tag_id=number) for number in session.scalars(mine).all()])


def tags_of(session: Session, ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the tags of the tickets with these ids, by name; one statement, none without ids."""
    found: dict[int, list[str]] = {}
    if ids:
        for number, name in read(session, _TAGS_OF, ids=ids):
            found.setdefault(number, []).append(name)
    return found


_TAGS_OF = (
    select(TicketTag.ticket_id, Tag.name)
    .join(Tag, Tag.id == TicketTag.tag_id)
    .where(TicketTag.ticket_id.in_(bindparam("ids", expanding=True)))
    .order_by(Tag.name)
)


# The ticket's tags first, then those that other tickets have, as many as are offered.
_MINE = exists().where(TicketTag.tag_id == Tag.id, TicketTag.ticket_id == bindparam("ticket")).label("mine")
_USED = exists().where(TicketTag.tag_id == Tag.id)
_KNOWN = select(Tag.name, _MINE).where(_USED).order_by(_MINE.desc(), Tag.name).limit(OFFERED_MOST).subquery()
TAGS = select(_KNOWN.c.name, _KNOWN.c.mine)


def tagged(name: str) -> ColumnElement[bool]:
    """Return the condition that a ticket has the tag."""
    tag = select(Tag.id).where(Tag.name == name).scalar_subquery()
    return Ticket.id.in_(select(TicketTag.ticket_id).where(TicketTag.tag_id == tag))
