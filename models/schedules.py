"""What an administrator does with calendars of business hours, and what that does to promises that run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from models.base import NotFound, Refused, session_of
from models.calendars import Calendar, Holiday, Hours, check_hours, hours_of
from models.events import EventKind, record
from models.organizations import Organization
from models.people import Person
from models.promises import ResponseTarget
from models.recounting import progress_of, recount_at_once
from models.timetables import keep, stored

Week = Sequence[Sequence[Sequence[str]]]

# With an hour a week and no more holidays than these, every target comes due within the ten years that are counted.
LEAST_MINUTES = 60
HOLIDAYS_MOST = 400
LISTED = 200


@dataclass(frozen=True)
class Row:
    """A calendar in the list: its hours in words, and how many organizations use it."""

    calendar: Calendar
    words: str
    organizations: int


def calendars(session: Session, page: int, size: int) -> tuple[list[Row], int]:
    """Return a page of calendars by name, and how many there are; four statements."""
    total = session.scalar(select(func.count(Calendar.id))) or 0
    query = select(Calendar).options(selectinload(Calendar.holidays)).order_by(Calendar.name, Calendar.id)
    rows = session.scalars(query.offset((page - 1) * size).limit(size)).all()
    used = select(Organization.calendar_id, func.count()).where(Organization.calendar_id.in_([c.id for c in rows]))
    counts = {row[0]: row[1] for row in session.execute(used.group_by(Organization.calendar_id))}
    return [Row(one, hours_of(one).words, counts.get(one.id, 0)) for one in rows], total


def calendar_of(session: Session, number: int) -> Calendar:
    """Return the calendar with that key, its holidays read; raises NotFound."""
    found = session.get(Calendar, number, options=[selectinload(Calendar.holidays)])
    if found is None:
        raise NotFound
    return found


def users_of(calendar: Calendar) -> Sequence[Organization]:
    """Return the organizations that use the calendar, by name (two hundred at most)."""
    theirs = select(Organization).where(Organization.calendar_id == calendar.id).order_by(Organization.name)
    return session_of(calendar).scalars(theirs.limit(LISTED)).all()


def create(session: Session, actor: Person, name: str, zone: str, week: Week, *, now: datetime) -> Calendar:
    """Make a calendar without holidays and return it. Raises Refused naming the field that is wrong."""
    hours = _checked(name, zone, week)
    calendar = Calendar(name=name, zone=zone, hours=stored(hours), holidays=[])
    session.add(calendar)
    session.flush()
    _note(calendar, actor, EventKind.CALENDAR_CREATED, now=now, zone=zone, hours=hours.words)
    return calendar


def change(calendar: Calendar, actor: Person, name: str, zone: str, week: Week, *, now: datetime) -> int:
    """Set name, zone and weekly hours; return how many running promises count on by the new ones from now.

    Raises Refused naming the field that is wrong.
    """
    new, old = _checked(name, zone, week), hours_of(calendar)
    before = {"name": calendar.name, "zone": calendar.zone, "hours": old.words}
    after = {"name": name, "zone": zone, "hours": new.words}
    same = (zone, stored(new)) == (calendar.zone, stored(old))
    if same and name == calendar.name:
        return 0
    calendar.name, calendar.zone, calendar.hours = name, zone, stored(new)
    changed = [part for part in before if before[part] != after[part]]
    moved = 0 if same else _take_up(calendar, old, now=now)
    _note(
        calendar,
        actor,
        EventKind.CALENDAR_CHANGED,
        now=now,
        before={part: before[part] for part in changed},
        after={part: after[part] for part in changed},
        running=moved,
    )
    return moved


def add_holiday(calendar: Calendar, actor: Person, day: date, name: str, *, now: datetime) -> int:
    """Close the calendar on a day; return how many promises run by it. Raises Refused."""
    with_holiday(calendar, day, name)
    old = hours_of(calendar)
    calendar.holidays.append(Holiday(date=day, name=name))
    moved = _take_up(calendar, old, now=now)
    _note(calendar, actor, EventKind.HOLIDAY_ADDED, now=now, entry=name, date=day.isoformat(), running=moved)
    return moved


def with_holiday(calendar: Calendar, day: date, name: str) -> Hours:
    """Return the hours that the calendar would have with the holiday. Raises Refused as `add_holiday` does."""
    if not name:
        raise Refused("Enter the name of the holiday.", "holiday")
    if any(holiday.date == day for holiday in calendar.holidays):
        raise Refused("This day is a holiday already.", "date")
    if len(calendar.holidays) >= HOLIDAYS_MOST:
        raise Refused(f"A calendar holds at most {HOLIDAYS_MOST} holidays. Remove past ones first.", "date")
    return _with(calendar, [(day, name)])


def with_holidays(calendar: Calendar, days: Sequence[tuple[date, str]]) -> Hours:
    """Return the hours that the calendar would have with all of them. Raises Refused as `add_holidays` does."""
    fresh = fresh_days(calendar, days)
    if len(calendar.holidays) + len(fresh) > HOLIDAYS_MOST:
        raise Refused(f"A calendar holds at most {HOLIDAYS_MOST} holidays. Remove past ones first.", "days")
    return _with(calendar, fresh)


def without_holiday(calendar: Calendar, number: int) -> tuple[Holiday, Hours]:
    """Return the holiday with that key, and the hours that the calendar would have without. Raises NotFound."""
    holiday = _holiday(calendar, number)
    hours = hours_of(calendar)
    return holiday, replace(hours, holidays={day: name for day, name in hours.holidays.items() if day != holiday.date})


def _with(calendar: Calendar, days: Sequence[tuple[date, str]]) -> Hours:
    hours = hours_of(calendar)
    return replace(hours, holidays={**hours.holidays, **dict(days)})


def fresh_days(calendar: Calendar, days: Sequence[tuple[date, str]]) -> list[tuple[date, str]]:
    """Return those of the days that are no holiday of the calendar yet."""
    there = {holiday.date for holiday in calendar.holidays}
    return [(day, name) for day, name in days if day not in there]


def add_holidays(calendar: Calendar, actor: Person, days: Sequence[tuple[date, str]], *, now: datetime) -> int:
    """Close the calendar on all of the days that are no holiday yet and return how many; all or, if Refused, none."""
    with_holidays(calendar, days)
    fresh = fresh_days(calendar, days)
    if fresh:
        old = hours_of(calendar)
        calendar.holidays.extend(Holiday(date=day, name=name) for day, name in fresh)
        running = _take_up(calendar, old, now=now)
        dates = [day.isoformat() for day, _ in fresh]
        facts = {"entry": f"{len(fresh)} days", "date": dates[0], "days": dates, "running": running}
        _note(calendar, actor, EventKind.HOLIDAY_ADDED, now=now, **facts)
    return len(fresh)


def proposed(calendar: Calendar, name: str, zone: str, week: Week) -> Hours:
    """Return the hours that the change would give, its holidays included. Raises Refused as `change` does."""
    return replace(_checked(name, zone, week), holidays=hours_of(calendar).holidays)


def remove_holiday(calendar: Calendar, actor: Person, number: int, *, now: datetime) -> int:
    """Open the calendar on that holiday as on other days; return as above. Raises NotFound."""
    holiday, old = _holiday(calendar, number), hours_of(calendar)
    calendar.holidays.remove(holiday)
    moved = _take_up(calendar, old, now=now)
    day = holiday.date.isoformat()
    _note(calendar, actor, EventKind.HOLIDAY_REMOVED, now=now, entry=holiday.name, date=day, running=moved)
    return moved


def _holiday(calendar: Calendar, number: int) -> Holiday:
    holiday = next((one for one in calendar.holidays if one.id == number), None)
    if holiday is None:
        raise NotFound
    return holiday


def delete(calendar: Calendar, actor: Person, *, now: datetime) -> None:
    """Delete a calendar that nothing names. Raises Refused when an organization or a promise does."""
    session = session_of(calendar)
    if users_of(calendar):
        raise Refused("Organizations use this calendar. Give them another one first.")
    if session.scalar(select(ResponseTarget.id).where(ResponseTarget.calendar_id == calendar.id).limit(1)) is not None:
        raise Refused("First replies were promised by this calendar, so it stays: their explanations need it.")
    _note(calendar, actor, EventKind.CALENDAR_DELETED, now=now)
    session.delete(calendar)


def _checked(name: str, zone: str, week: Week) -> Hours:
    if not name:
        raise Refused("Enter a name for the calendar.", "name")
    hours = check_hours(zone, week)
    if sum(end - start for day in hours.week for start, end in day) < LEAST_MINUTES:
        raise Refused("Open at least one hour in the week: otherwise no target could come due.", "hours")
    return hours


def _take_up(calendar: Calendar, old: Hours, *, now: datetime) -> int:
    """Let the calendar's new hours hold from now on; return how many promises run by it.

    What was counted until now stays. Few promises are counted again in the transaction of the change, many by the
    worker: until then whatever happens to one counts it by the new hours first.
    """
    session_of(calendar).flush()
    keep(calendar, old, hours_of(calendar), now=now)
    recount_at_once(calendar)
    return progress_of(calendar).total


def _note(calendar: Calendar, actor: Person, kind: EventKind, *, now: datetime, **data: object) -> None:
    record(session_of(calendar), kind, now=now, actor_id=actor.id, calendar=calendar.name, **data)  # type: ignore[arg-type]
