"""What a reply's consequences depend on: asked of the database together, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from models.attachments import WAITING_FILES
from models.base import session_of
from models.calendars import HOURS
from models.events import Event
from models.notices import Reader, audience_in, audience_question
from models.people import Person
from models.search import entries_in, entries_question
from models.tickets import Ticket
from models.timetables import SINCE, Timetable, timetable_from
from models.together import Questions, ask_together


@dataclass(frozen=True)
class Known:
    """Whether others did something, whether files wait, what is in the search index, the hours, and the audience."""

    others: bool
    files: bool
    entries: set[str]
    hours: Timetable
    people: tuple[Sequence[Any], ...]

    def audience(self, ticket: Ticket, actor: Person) -> list[Reader]:
        """Return who gets mail, the ticket being in the hands in which it is by now."""
        return audience_in(self.people, ticket, actor)


def known_of(
    ticket: Ticket, actor: Person, *, place: str = "", key: str = "", seen: int = 0, followers: bool = False
) -> Known:
    """Return it in one statement.

    The files are those of the actor's draft at the place under the form's key; `others` are asked for after the event
    with the id `seen`; and mail goes to agents who follow as well, where `followers` says so.
    """
    calendar, since = _counted_by(ticket)
    session = session_of(ticket)
    found = ask_together(
        session,
        _questions(entries_question(session), members=ticket.organization_id is not None, followers=followers),
        ticket=ticket.id,
        organization=ticket.organization_id,
        calendar=calendar,
        since=since,
        person=actor.id,
        place=place,
        key=key,
        seen=seen,
    )
    return Known(
        others=bool(found["others"]),
        files=bool(found["files"]),
        entries=entries_in(found["entries"]),
        hours=timetable_from(found["hours"], found["changes"]),
        people=tuple(found["audience"]),
    )


@cache
def _questions(entries: Select[*tuple[Any, ...]], *, members: bool, followers: bool) -> Questions:
    return (
        ("others", _OTHERS),
        ("files", WAITING_FILES),
        ("entries", entries),
        ("hours", HOURS),
        ("changes", SINCE),
        ("audience", audience_question(members=members, followers=followers)),
    )


_OTHERS = (
    select(func.max(Event.id))
    .where(Event.ticket_id == bindparam("ticket"), Event.id > bindparam("seen"), Event.actor_id != bindparam("person"))
    .having(func.count() > 0)
)


def _counted_by(ticket: Ticket) -> tuple[int | None, datetime]:
    """Return the calendar by which the promise is counted once the reply is there, and since when its hours matter."""
    target = ticket.target
    if target is not None and target.met_at is None:
        return target.calendar_id, target.started_at
    # A reply that opens the request again begins a promise by the organization's present hours.
    return (ticket.organization.calendar_id if ticket.organization else None), ticket.updated_at
