"""The full account of a promise: what was promised, by which hours, what stopped or changed it, and how it adds up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select

from models.base import read, session_of
from models.calendars import Calendar, Hours
from models.catalogue import Target
from models.events import Event, EventKind
from models.explanations import Explanation, Segment, explain
from models.promises import ZERO, ResponseTarget, Result
from models.tickets import Ticket
from models.timelines import promise_change
from models.timetables import Timetable, timetable_for
from models.wording import day

_CHANGES = (EventKind.TICKET_SEVERITY, EventKind.PROMISE_RAISED)
# More changes of one promise than this are read on the timeline.
CHANGES_MOST = 50
HOLIDAYS_NAMED = 3


@dataclass(frozen=True)
class Change:
    """What changed how the promise is counted, and when."""

    at: datetime
    words: str


@dataclass(frozen=True)
class Account:
    """A promise explained in full; times of segments are in the reader's zone, all others in UTC.

    `start` and `way` are what decides the due time: the promise's own, or those of a plan that was upgraded meanwhile.
    `counted` is the sum of the counted segments. `carried` was counted by hours that are not known any more.
    """

    target: ResponseTarget
    start: datetime
    way: Target
    calendar: str
    hours: Hours
    explanation: Explanation
    counted: timedelta
    carried: timedelta
    pauses: tuple[tuple[datetime, datetime | None], ...]
    changes: tuple[Change, ...]
    earlier: tuple[tuple[int, Result], ...]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Every part of the way from start to due, in order."""
        return self.explanation.segments


def account_of(ticket: Ticket, now: datetime, zone: ZoneInfo) -> Account | None:
    """Return the account of the ticket's present promise for a reader in `zone`; None where nothing is promised.

    Four statements at most.
    """
    target, session = ticket.target, session_of(ticket)
    if target is None:
        return None
    hours = timetable_for(session, target.calendar_id, target.started_at)
    if target.met_at is not None:
        hours = hours.known(target.hours_version)
    start, way = target.way(now, hours)
    name = session.scalar(select(Calendar.name).where(Calendar.id == target.calendar_id))
    explanation = way_of(target, hours, now, zone)
    return Account(
        target=target,
        start=start,
        way=way,
        # The name of a customer's calendar is the administrator's own word for it.
        calendar=name or "Monday to Friday",
        hours=hours.present,
        explanation=explanation,
        counted=sum((one.length for one in explanation.segments if one.counted), ZERO),
        carried=_carried(target, way),
        pauses=tuple(target.all_pauses()),
        changes=_changes(ticket, target, hours, min(now, target.met_at or now)),
        earlier=tuple((past.cycle, past.result) for past in ticket.targets[:-1]),
    )


def way_of(target: ResponseTarget, hours: Timetable, now: datetime, zone: ZoneInfo) -> Explanation:
    """Return the way to the due time of a promise, of the target that decides it."""
    if target.met_at is not None:
        hours = hours.known(target.hours_version)
    start, way = target.way(now, hours)
    carried = _carried(target, way)
    if carried and target.carried_at is not None:
        return explain(target.carried_at, way, hours, target.all_pauses(), now, zone, less=carried)
    return explain(start, way, hours, target.all_pauses(), now, zone)


def _carried(target: ResponseTarget, way: Target) -> timedelta:
    if target.carried_at is None or way.around_the_clock or way != target.target:
        return ZERO
    return timedelta(microseconds=target.carried_microseconds)


def _changes(ticket: Ticket, target: ResponseTarget, hours: Timetable, until: datetime) -> tuple[Change, ...]:
    given = {"ticket": ticket.id, "since": target.started_at, "until": until}
    rows = read(session_of(ticket), _EVENTS, **given).all()
    found = [Change(row.at, promise_change(row)) for row in rows]
    if not target.around_the_clock:
        steps = [(at, old, new) for (_, old), (at, new) in pairwise(hours.steps) if target.started_at < at <= until]
        found += [Change(at, words) for at, old, new in steps for words in _hours_changed(old, new, at)]
    return tuple(sorted(found, key=lambda change: change.at)[-CHANGES_MOST:])


def _hours_changed(old: Hours, new: Hours, at: datetime) -> Iterator[str]:
    """Yield what is other in the new hours, in words: the week or the zone, holidays that came or went."""
    if (old.week, old.zone) != (new.week, new.zone):
        yield f"Business hours changed to {new.words} ({new.zone.key})"
    today = at.astimezone(new.zone).date()
    for words, more, less in (("Holidays added", new, old), ("Holidays removed", old, new)):
        days = sorted(set(more.holidays) - set(less.holidays))
        named = [f"{more.holidays[on]}, {day(on, today)}" for on in days[:HOLIDAYS_NAMED]]
        rest = [f"and {len(days) - HOLIDAYS_NAMED} more"] if len(days) > HOLIDAYS_NAMED else []
        if days:
            yield f"{words if days[1:] else words.replace('days', 'day')}: {'; '.join([*named, *rest])}"


_EVENTS = (
    select(Event.kind, Event.at, Event.data)
    .where(
        Event.ticket_id == bindparam("ticket"),
        Event.kind.in_(_CHANGES),
        Event.at >= bindparam("since"),
        Event.at <= bindparam("until"),
        Event.internal.is_(False),
    )
    .order_by(Event.at, Event.id)
    .limit(CHANGES_MOST)
)
