"""Business hours: which moments count for a promise, in an IANA zone, less the holidays.

The one rule: a moment is open when the wall clock of the zone shows a time within that day's hours. An hour that the
clocks skip is therefore never open, and one that they show twice is open twice; lengths are real elapsed time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, String, UniqueConstraint, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Model, Refused, read
from models.wording import DAY, WEEKDAYS, known_zone, zone

# From opening to closing, in minutes after local midnight; 1440 is the midnight that ends the day.
Interval = tuple[int, int]
Span = tuple[datetime, datetime]

DEFAULT_HOURS = [[["09:00", "18:00"]]] * 5 + [[], []]
DEFAULT_WEEK: tuple[tuple[Interval, ...], ...] = (((540, 1080),),) * 5 + ((), ())
# A promise that needs more days than this to come due is no promise.
MOST_DAYS = 3660
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Hours:
    """Weekly hours, Monday first, in a zone, and the local days that are holidays, with their names."""

    zone: ZoneInfo
    week: tuple[tuple[Interval, ...], ...] = DEFAULT_WEEK
    holidays: Mapping[date, str] = field(default_factory=dict)
    # Which of the calendar's hours these are, counted from 1; 0 for those of no calendar.
    version: int = field(default=0, compare=False)

    def on(self, day: date) -> tuple[Interval, ...]:
        """Return the open intervals of a local day: none on a holiday."""
        return () if day in self.holidays else self.week[day.weekday()]

    @property
    def words(self) -> str:
        """The weekly hours as they read: "09:00–18:00, Monday to Friday"."""
        runs: list[tuple[int, int]] = []
        for number, intervals in enumerate(self.week):
            if intervals and runs and runs[-1][1] == number - 1 and self.week[runs[-1][0]] == intervals:
                runs[-1] = (runs[-1][0], number)
            elif intervals:
                runs.append((number, number))
        return "; ".join(f"{_intervals(self.week[first])}, {_days(first, last)}" for first, last in runs)


DEFAULT = Hours(ZoneInfo("UTC"))
AROUND_THE_CLOCK = Hours(ZoneInfo("UTC"), (((0, 1440),),) * 7)


class Calendar(Model):
    """The business hours of an organization, or shared by several."""

    __tablename__ = "calendars"

    name: Mapped[str]
    zone: Mapped[str] = mapped_column(String(64))
    # Seven lists, Monday first, of ["09:00", "18:00"]; a break makes two of one.
    hours: Mapped[list[Any]]
    version: Mapped[int] = mapped_column(nullable=False)
    # How often the hours or the holidays have changed, and one: the number of the present ones in `timetables`.
    hours_version: Mapped[int] = mapped_column(default=1)
    holidays: Mapped[list[Holiday]] = relationship(order_by="Holiday.date", cascade="all, delete-orphan")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (SQLAlchemy reads it from the class)


class Holiday(Model):
    """A day on which a calendar has no open hour."""

    __tablename__ = "holidays"
    __table_args__ = (UniqueConstraint("calendar_id", "date"),)

    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendars.id", ondelete="CASCADE"))
    # A day of the calendar's zone.
    date: Mapped[date]
    name: Mapped[str]


def hours_of(calendar: Calendar | None) -> Hours:
    """Return the calendar's hours as a value; without a calendar, the default Monday to Friday 09:00–18:00 in UTC."""
    if calendar is None:
        return DEFAULT
    holidays = {holiday.date: holiday.name for holiday in calendar.holidays}
    return as_hours(calendar.zone, calendar.hours, holidays, calendar.hours_version or 1)


def as_hours(zone_name: str, hours: list[Any], holidays: dict[date, str], version: int) -> Hours:
    """Return stored hours as a value: seven lists of ["09:00", "18:00"], in a zone, less the holidays."""
    week = tuple(tuple((_minute(start), _minute(end)) for start, end in day) for day in hours)
    return Hours(zone(zone_name), week, holidays, version)


def hours_for(session: Session, calendar_id: int | None) -> Hours:
    """Return the hours of the calendar with that key, as the database has them; without a key, the default."""
    if calendar_id is None:
        return DEFAULT
    return hours_from(read(session, HOURS, calendar=calendar_id).all())


def hours_from(rows: Sequence[Any]) -> Hours:
    """Return the hours that the rows of `HOURS` say; without a row, the default."""
    if not rows:
        return DEFAULT
    zone_name, hours, version, _, _ = rows[0]
    return as_hours(zone_name, hours, {day: name for *_, day, name in sorted(rows, key=_day) if day}, version)


def _day(row: Sequence[Any]) -> date:
    return row[3] or date.min


# Tables, not classes: most pages ask, and none of them changes what it reads here.
_CALENDARS, _HOLIDAYS = Calendar.__table__, Holiday.__table__
HOURS = (
    select(_CALENDARS.c.zone, _CALENDARS.c.hours, _CALENDARS.c.hours_version, _HOLIDAYS.c.date, _HOLIDAYS.c.name)
    .outerjoin(_HOLIDAYS, _HOLIDAYS.c.calendar_id == _CALENDARS.c.id)
    .where(_CALENDARS.c.id == bindparam("calendar"))
)


def check_hours(zone_name: str, hours: Sequence[Sequence[Sequence[str]]]) -> Hours:
    """Return weekly hours (seven lists, Monday first, of "09:00" pairs; "24:00" may end a day) if they make sense.

    Raises Refused with the field `zone` or `hours` for an unknown zone, a time that is none, an end that is not after
    its start, intervals that overlap, and a week without any open hour, by which no promise would ever come due.
    """
    known = known_zone(zone_name)
    if known is None:
        raise Refused("Choose a time zone from the list, for example Europe/Berlin.", "zone")
    if len(hours) != 7:
        raise Refused("Give the hours of seven days, Monday first.", "hours")
    week = tuple(_checked(WEEKDAYS[number], day) for number, day in enumerate(hours))
    if not any(week):
        raise Refused("Open at least one hour in the week: without one, no target could ever come due.", "hours")
    return Hours(known, week)


def next_open_days(hours: Hours, first: date, most: int = 10) -> list[tuple[date, str]]:
    """Return the next working days from `first` on, a day of the calendar's zone, with their open hours in words."""
    found: list[tuple[date, str]] = []
    for passed in range(MOST_DAYS):
        day = first + passed * DAY
        if hours.on(day):
            found.append((day, _intervals(hours.on(day))))
        if len(found) == most:
            break
    return found


def spans(hours: Hours, start: datetime, until: datetime | None = None) -> Iterator[Span]:
    """Yield the open times from `start` on as pairs of UTC instants, in order and without overlap.

    It ends at `until`; without that it goes on for ten years, then raises Refused. Both are aware.
    """
    begin, end = _naive(start), None if until is None else _naive(until)
    for passed in range(MOST_DAYS):
        day = begin.date() + passed * DAY
        for first, last, offset in _stretches(hours.zone, day):
            local = {(first + offset).date(), (last + offset - SECOND).date()}
            for midnight in sorted(datetime.combine(on, time.min) for on in local):
                for opens, closes in hours.on(midnight.date()):
                    lower = max(midnight + timedelta(minutes=opens) - offset, first, begin)
                    upper = min(midnight + timedelta(minutes=closes) - offset, last)
                    upper = upper if end is None else min(upper, end)
                    if lower < upper:
                        yield lower.replace(tzinfo=UTC), upper.replace(tzinfo=UTC)
        if end is not None and datetime.combine(day, time.min) >= end:
            return
    if end is None:
        raise Refused("These business hours leave too little open time to promise anything. Change the calendar.")


@lru_cache(maxsize=8192)
def _stretches(zone: ZoneInfo, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Cut a UTC day where the zone changes its offset: (from, to, offset), in UTC without a zone."""
    first = datetime.combine(day, time.min)
    return tuple(_cut(zone, first, first + DAY))


def _cut(zone: ZoneInfo, first: datetime, last: datetime) -> list[tuple[datetime, datetime, timedelta]]:
    """Halve the time until each part has one offset; zones change theirs at whole seconds, and once a day at most."""
    offset = _offset(zone, first)
    if offset == _offset(zone, last - SECOND):
        return [(first, last, offset)]
    middle = first + (last - first) // (2 * SECOND) * SECOND
    left, right = _cut(zone, first, middle), _cut(zone, middle, last)
    if left[-1][2] == right[0][2]:
        return [*left[:-1], (left[-1][0], right[0][1], right[0][2]), *right[1:]]
    return [*left, *right]


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _naive(at: datetime) -> datetime:
    """Return an aware instant as UTC without a zone: arithmetic on it is elapsed time."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _checked(name: str, day: Sequence[Sequence[str]]) -> tuple[Interval, ...]:
    intervals: list[Interval] = []
    for pair in day:
        if len(pair) != 2 or not all(_is_time(written) for written in pair):
            raise Refused(f"Write the hours of {name} as from and to, for example 09:00 and 18:00.", "hours")
        start, end = _minute(pair[0]), _minute(pair[1])
        if end <= start:
            raise Refused(f"On {name}, {pair[1]} is not after {pair[0]}. End later, or at 24:00.", "hours")
        intervals.append((start, end))
    intervals.sort()
    if any(later[0] < earlier[1] for earlier, later in pairwise(intervals)):
        raise Refused(f"On {name}, two times overlap. Make them one.", "hours")
    return tuple(intervals)


def _is_time(written: object) -> bool:
    return isinstance(written, str) and re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", written) is not None


def _minute(written: str) -> int:
    hour, minute = written.split(":")
    return int(hour) * 60 + int(minute)


def _intervals(intervals: Sequence[Interval]) -> str:
    pairs = (f"{start // 60:02}:{start % 60:02}–{end // 60:02}:{end % 60:02}" for start, end in intervals)
    return " and ".join(pairs)


def _days(first: int, last: int) -> str:
    if (first, last) == (0, 6):
        return "every day"
    return WEEKDAYS[first] if first == last else f"{WEEKDAYS[first]} to {WEEKDAYS[last]}"
