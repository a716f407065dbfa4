"""What a change of business hours would do to the promises that run, told before anybody confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, select

from models.base import read, session_of
from models.calendars import Calendar, Hours
from models.promises import ResponseTarget
from models.recounting import target_of
from models.tickets import ACTIVE, Ticket
from models.timetables import EVER, Timetable, timetable_for

# So many of the promises that are due next are counted while somebody waits for the page.
COUNTED_MOST = 1000
SHOWN_MOST = 10
SOON = timedelta(hours=1)


@dataclass(frozen=True)
class Moved:
    """A request whose first reply would be due at another time."""

    key: str
    before: datetime
    after: datetime


@dataclass(frozen=True)
class Effect:
    """Of the `counted` promises that are due next: how many come due earlier or later, and the first of those.

    `late` would be late at once, `soon` due within the hour and were not; `more` tells that others run as well.
    """

    counted: int
    earlier: int
    later: int
    late: int
    soon: int
    moved: Sequence[Moved]
    more: bool


_TARGETS = cast("Table", ResponseTarget.__table__)


def effect_of(calendar: Calendar, new: Hours, now: datetime) -> Effect:
    """Return what it would do if the calendar's hours became `new` at `now`; three statements, nothing is changed."""
    running = (
        select(_TARGETS, Ticket.key)
        .join(Ticket, Ticket.id == _TARGETS.c.ticket_id)
        .where(_TARGETS.c.calendar_id == calendar.id, _TARGETS.c.met_at.is_(None), _TARGETS.c.due_at >= now)
        .where(_TARGETS.c.around_the_clock.is_(False), Ticket.state.in_(ACTIVE))
        .order_by(_TARGETS.c.due_at, _TARGETS.c.id)
        .limit(COUNTED_MOST + 1)
    )
    rows = read(session_of(calendar), running).all()
    past = timetable_for(session_of(calendar), calendar.id, min((row.started_at for row in rows), default=now))
    begin = max(now, past.steps[-1][0], EVER)
    hours = Timetable((*past.steps, (begin, replace(new, version=past.version + 1))))
    moved, late, soon = [], 0, 0
    for row in rows[:COUNTED_MOST]:
        target = target_of(row)
        target.recount(past)
        before = target.due_at
        target.recount(hours)
        if before is None or target.due_at is None or before == target.due_at:
            continue
        moved.append(Moved(row.key, before, target.due_at))
        late += target.due_at < now <= before
        soon += now <= target.due_at < now + SOON <= before
    return Effect(
        counted=min(len(rows), COUNTED_MOST),
        earlier=sum(one.after < one.before for one in moved),
        later=sum(one.after > one.before for one in moved),
        late=late,
        soon=soon,
        moved=moved[:SHOWN_MOST],
        more=len(rows) > COUNTED_MOST,
    )
