"""The full account of a promise: what was promised, by which hours, what stopped or changed it, and how it adds up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
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

_CHANGES = (EventKind.TICKET_SEVERITY, EventKind.PROMISE_RAISED)
# More changes of one promise than this are read on the timeline.
CHANGES_MOST = 50


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
        left = way.minutes - carried // timedelta(minutes=1)
        return explain(
            target.carried_at, Target(max(left, 0), way.around_the_clock), hours, target.all_pauses(), now, zone
        )
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
        steps = [(at, held) for at, held in hours.steps if target.started_at < at <= until]
        found += [Change(at, f"Business hours changed to {held.words} ({held.zone.key})") for at, held in steps]
    return tuple(sorted(found, key=lambda change: change.at)[-CHANGES_MOST:])


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
