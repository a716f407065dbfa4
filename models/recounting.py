"""Promises that run are counted again after their calendar's hours have changed: in small transactions, by the worker.

Each promise knows the version of the hours that it was counted by. That is the work list and the position in one: what
is done is never done again, whoever is killed leaves what is whole, and a reply that comes before is measured rightly,
since every verb of a promise counts by the hours as they are known then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, bindparam, exists, func, select, update
from sqlalchemy.orm import Session

from models.base import read, session_of
from models.calendars import Calendar
from models.numbers import hold
from models.promises import ResponseTarget
from models.tickets import NEVER, OURS, Ticket
from models.timetables import SETTLED, timetable_for

# One transaction's worth: others wait for the write lock while it runs.
BATCH = 250
# So many are counted in the request that changes the hours; more are left to the worker.
AT_ONCE = 500

_TARGETS, _TICKETS = cast("Table", ResponseTarget.__table__), cast("Table", Ticket.__table__)
# What a due time follows from: to make an object of more would take as long as to count.
_FACTS = tuple(
    _TARGETS.c[name]
    for name in (
        "ticket_id",
        "minutes",
        "around_the_clock",
        "started_at",
        "due_at",
        "paused_at",
        "pauses",
        "met_at",
        "carried_at",
        "carried_microseconds",
        "hours_version",
        "rises",
    )
)
_NAMES = tuple(column.name for column in _FACTS)


@dataclass(frozen=True)
class Progress:
    """How many promises run by a calendar, and how many of them are counted by its present hours."""

    done: int
    total: int

    @property
    def complete(self) -> bool:
        """Whether nothing is left to count."""
        return self.done >= self.total


def unanswered(calendar: Calendar) -> ColumnElement[bool]:
    """Return the condition for promises that a change of the calendar's hours may move."""
    mine = (ResponseTarget.calendar_id == calendar.id) & ResponseTarget.met_at.is_(None)
    return mine & (ResponseTarget.hours_version < SETTLED)


def progress_of(calendar: Calendar) -> Progress:
    """Return how far the calendar's promises are counted; two statements, both answered by one index."""
    session = session_of(calendar)
    every = select(func.count()).select_from(ResponseTarget).where(unanswered(calendar))
    total = session.scalar(every) or 0
    if not total:
        return Progress(0, 0)
    left = session.scalar(every.where(ResponseTarget.hours_version < calendar.hours_version)) or 0
    return Progress(total - left, total)


def behind(session: Session) -> Sequence[int]:
    """Return the keys of calendars by whose present hours some promise is not counted yet."""
    waits = exists().where(
        ResponseTarget.calendar_id == Calendar.id,
        ResponseTarget.met_at.is_(None),
        ResponseTarget.hours_version < Calendar.hours_version,
    )
    return session.scalars(select(Calendar.id).where(waits).order_by(Calendar.id)).all()


def recount(session: Session, calendar_id: int, most: int = BATCH) -> int:
    """Count at most so many of the calendar's promises by its present hours and return how many; the caller commits.

    Two workers come one after the other, and nobody answers one of the requests meanwhile.
    """
    hold(session, "recount")
    tickets = _next(session, calendar_id, most)
    if not tickets:
        return 0
    if session.get_bind().dialect.name != "sqlite":
        # In the order in which others lock: the ticket first. The lock reads what was committed while it waited.
        session.execute(select(Ticket.id).where(Ticket.id.in_(tickets)).order_by(Ticket.id).with_for_update()).all()
    mine = select(*_FACTS, _TARGETS.c.id, _TICKETS.c.state).join(_TICKETS, _TICKETS.c.id == _TARGETS.c.ticket_id)
    query = mine.where(
        _TARGETS.c.ticket_id.in_(tickets), _TARGETS.c.met_at.is_(None), _TARGETS.c.hours_version < SETTLED
    )
    rows = read(session, query.with_for_update(of=_TARGETS)).all()
    hours = timetable_for(session, calendar_id, min((row.started_at for row in rows), default=NEVER))
    done, moved = [], []
    for row in rows:
        target = target_of(row)
        target.recount(hours)
        done.append({"of": row.id, "due": target.due_at, "version": target.hours_version})
        if row.state in OURS and target.due_at != row.due_at:
            moved.append({"of": row.ticket_id, "due": target.due_at, "order": target.due_at or NEVER})
    if done:
        session.connection().execute(_COUNTED, done)
    if moved:
        session.connection().execute(_COPIED, moved)
    return len(done)


def target_of(row: Any) -> ResponseTarget:  # noqa: ANN401 (a row with the table's columns)
    """Return what counts of a promise as an object of no session: what it works out changes nothing by itself."""
    return ResponseTarget(**{name: getattr(row, name) for name in _NAMES})


_NEXT = (
    select(_TARGETS.c.ticket_id)
    .where(
        _TARGETS.c.calendar_id == bindparam("calendar"),
        _TARGETS.c.met_at.is_(None),
        _TARGETS.c.hours_version < bindparam("version"),
    )
    .limit(bindparam("most"))
)
_COUNTED = (
    update(_TARGETS)
    .where(_TARGETS.c.id == bindparam("of"))
    .values(due_at=bindparam("due"), hours_version=bindparam("version"))
)
_COPIED = (
    update(_TICKETS)
    .where(_TICKETS.c.id == bindparam("of"))
    .values(due_at=bindparam("due"), due_order=bindparam("order"))
)


def _next(session: Session, calendar_id: int, most: int) -> list[int]:
    version = session.scalar(select(Calendar.hours_version).where(Calendar.id == calendar_id))
    rows = read(session, _NEXT, calendar=calendar_id, version=version or 0, most=most).all()
    return sorted({row.ticket_id for row in rows})


def recount_at_once(calendar: Calendar) -> int:
    """Count all of the calendar's promises where they are few; return how many are left to the worker."""
    session = session_of(calendar)
    session.flush()
    every = select(ResponseTarget.id).where(unanswered(calendar)).limit(AT_ONCE + 1)
    if len(session.scalars(every).all()) > AT_ONCE:
        progress = progress_of(calendar)
        return progress.total - progress.done
    while recount(session, calendar.id):
        pass
    # What the session holds of them is read afresh.
    for thing in list(session.identity_map.values()):
        if isinstance(thing, Ticket | ResponseTarget):
            session.expire(thing)
    return 0
