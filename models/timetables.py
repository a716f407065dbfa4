"""Business hours as they changed: a promise is counted by the hours that held at each time.

What was counted under former hours therefore stays as it was, and follows from stored facts at any later time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from operator import itemgetter
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, bindparam, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, read, session_of
from models.calendars import DEFAULT, HOURS, Calendar, Hours, Span, as_hours, hours_from, spans

# The version of hours that a promise has counted which no change of hours moves any more.
SETTLED = 2_000_000_000
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class CalendarVersion(Model):
    """The hours of a calendar from an instant on. A calendar whose hours never changed has none."""

    __tablename__ = "calendar_versions"
    __table_args__ = (UniqueConstraint("calendar_id", "number"),)

    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendars.id", ondelete="CASCADE"))
    number: Mapped[int]
    from_at: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64))
    hours: Mapped[list[Any]]
    # Pairs of an ISO date and the holiday's name.
    holidays: Mapped[list[Any]]


@dataclass(frozen=True)
class Timetable:
    """Hours, each with the instant (UTC) from which they hold, in order; the first ones held before theirs as well."""

    steps: tuple[tuple[datetime, Hours], ...]

    @property
    def present(self) -> Hours:
        """The hours that hold now."""
        return self.steps[-1][1]

    @property
    def version(self) -> int:
        """The number of the present hours."""
        return self.present.version

    def at(self, moment: datetime) -> Hours:
        """Return the hours that held then."""
        return next((hours for begin, hours in reversed(self.steps) if begin <= moment), self.steps[0][1])

    def known(self, version: int) -> Timetable:
        """Return the hours without those that came after the version: what was answered then is counted by no other."""
        return Timetable(tuple(step for step in self.steps if step[1].version <= version) or self.steps[:1])

    def changes(self) -> list[datetime]:
        """Return when hours gave way to others."""
        return [begin for begin, _ in self.steps[1:]]


# What a promise may be counted by.
AnyHours = Hours | Timetable


def open_times(hours: AnyHours, start: datetime, until: datetime | None = None) -> Iterator[Span]:
    """Yield the open times as `calendars.spans` does, each part by the hours that held then."""
    if isinstance(hours, Hours):
        yield from spans(hours, start, until)
        return
    for (_, held), (end, _) in pairwise(hours.steps):
        stop = end if until is None else min(end, until)
        if start < stop:
            yield from spans(held, start, stop)
            start = stop
    if until is None or start < until:
        yield from spans(hours.present, start, until)


def timetable_for(session: Session, calendar_id: int | None, since: datetime) -> Timetable:
    """Return the hours of the calendar with that key from `since` on; without a key, the default ones.

    One statement for a calendar whose hours never changed, two for others.
    """
    if calendar_id is None:
        return Timetable(((EVER, DEFAULT),))
    rows = read(session, HOURS, calendar=calendar_id).all()
    changed = hours_from(rows).version > 1
    return timetable_from(rows, read(session, SINCE, calendar=calendar_id, since=since).all() if changed else [])


def timetable_from(rows: Sequence[Any], versions: Sequence[Any]) -> Timetable:
    """Return the hours that the rows of `HOURS` and of `SINCE` say; without any, the default ones."""
    if not versions:
        return Timetable(((EVER, hours_from(rows)),))
    held = sorted(versions, key=_NUMBER)
    return Timetable(tuple((from_at, _as_hours(*hours)) for from_at, *hours in held))


# Tables, not classes: the statement reads plain values.
_VERSIONS = CalendarVersion.__table__
_OLD = _VERSIONS.alias("old")
_FIRST = (
    select(func.coalesce(func.max(_OLD.c.number), 0))
    .where(_OLD.c.calendar_id == bindparam("calendar"), _OLD.c.from_at <= bindparam("since"))
    .scalar_subquery()
)
SINCE = select(
    _VERSIONS.c.from_at, _VERSIONS.c.zone, _VERSIONS.c.hours, _VERSIONS.c.holidays, _VERSIONS.c.number
).where(_VERSIONS.c.calendar_id == bindparam("calendar"), _VERSIONS.c.number >= _FIRST)
_NUMBER = itemgetter(4)


def _as_hours(zone: str, hours: list[Any], holidays: list[Any], number: int) -> Hours:
    return as_hours(zone, hours, {date.fromisoformat(day): name for day, name in holidays}, number)


def keep(calendar: Calendar, before: Hours, after: Hours, *, now: datetime) -> None:
    """Write down that the calendar's hours change now; a clock that was set back makes no change before the last."""
    session = session_of(calendar)
    last = session.scalar(select(func.max(CalendarVersion.from_at)).where(CalendarVersion.calendar_id == calendar.id))
    if last is None:
        session.add(_version(calendar, before, EVER))
    calendar.hours_version += 1
    session.add(_version(calendar, after, now if last is None else max(now, last)))
    session.flush()


def _version(calendar: Calendar, hours: Hours, from_at: datetime) -> CalendarVersion:
    return CalendarVersion(
        calendar_id=calendar.id,
        number=calendar.hours_version,
        from_at=from_at,
        zone=hours.zone.key,
        hours=stored(hours),
        holidays=[[day.isoformat(), name] for day, name in sorted(hours.holidays.items())],
    )


def stored(hours: Hours) -> list[list[list[str]]]:
    """Return the weekly hours as they are kept: seven lists of ["09:00", "18:00"]."""
    return [[[_clock(start), _clock(end)] for start, end in day] for day in hours.week]


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
