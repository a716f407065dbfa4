"""Holidays out of an iCalendar file (RFC 5545): whole days of events, also those that come again each year.

A parser of our own: five properties are read, and a library would bring two more packages for those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from models.base import Refused
from models.prose import cleaned

BYTES_MOST = 256 * 1024
DAYS_MOST = 400
# An event that lasts longer is no holiday.
LENGTH_MOST = timedelta(days=31)
# Yearly events are written down for this year and so many more.
YEARS_AHEAD = 3
FAULTS_MOST = 20
LAST_YEAR = 2200

_PROPERTY = re.compile(r"([A-Za-z-]+)((?:;[^:\"]*(?:\"[^\"]*\"[^:\"]*)*)?):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """The days found, in order, each once; and what was left out: the number of the line, and why."""

    days: tuple[tuple[date, str], ...]
    faults: tuple[tuple[int, str], ...]


def holidays_in(content: bytes, today: date) -> Found:
    """Return the holidays of an iCalendar file; those that ended before `today`'s year are left out.

    Raises Refused for what is no such file, or is larger than 256 KB. What cannot be read of it is a fault.
    """
    if not content:
        raise Refused("Choose an iCalendar file (.ics).", "file")
    if len(content) > BYTES_MOST:
        raise Refused(f"The file is larger than {BYTES_MOST // 1024} KB. Choose one with holidays alone.", "file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("The file is not text in UTF-8. Save it as an iCalendar file (.ics).", "file") from None
    lines = list(_unfolded(text))
    if not lines or lines[0][1].strip().upper() != "BEGIN:VCALENDAR":
        raise Refused("This is no iCalendar file: it does not begin with BEGIN:VCALENDAR.", "file")
    days: dict[date, str] = {}
    faults: list[tuple[int, str]] = []
    for number, event in _events(lines, faults):
        try:
            found, name = list(_days(event, today)), _name(event)
        except ValueError as reason:
            faults.append((number, str(reason)))
            continue
        for day in found:
            days.setdefault(day, name)
    if len(days) > DAYS_MOST:
        raise Refused(f"The file names {len(days)} days, and {DAYS_MOST} fit. Choose one with fewer years.", "file")
    if not days and not faults:
        raise Refused("There is no whole day from this year on in the file.", "file")
    return Found(tuple(sorted(days.items())), tuple(faults[:FAULTS_MOST]))


def written_days(text: str) -> list[tuple[date, str]]:
    """Return days that are written one a line, "2027-01-01 New Year"; raises Refused naming the first bad line."""
    days: dict[date, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        written, _, name = line.strip().partition(" ")
        try:
            day = date.fromisoformat(written) if len(written) == 10 else None
        except ValueError:
            day = None
        if day is None or not 2000 <= day.year <= LAST_YEAR or not name.strip():
            raise Refused(f"Line {number} is not a day and a name, for example 2027-01-01 New Year.", "days")
        if len(name.strip()) > 100:
            raise Refused(f"Shorten the name in line {number} to 100 characters.", "days")
        days.setdefault(day, cleaned(name).strip())
    if not days:
        raise Refused("There is no day to add.", "days")
    if len(days) > DAYS_MOST:
        raise Refused(f"These are {len(days)} days, and {DAYS_MOST} fit. Take some out.", "days")
    return sorted(days.items())


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Yield the content lines with their numbers: one that begins with a space goes on with the line before."""
    number, whole = 0, ""
    for at, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if line[:1] in {" ", "\t"} and number:
            whole += line[1:]
            continue
        if whole:
            yield number, whole
        number, whole = at, line
    if whole:
        yield number, whole


Event = dict[str, tuple[str, str]]


def _events(lines: list[tuple[int, str]], faults: list[tuple[int, str]]) -> Iterator[tuple[int, Event]]:
    """Yield each event with the number of its first line: its properties, each as parameters and value."""
    event: Event | None = None
    begin, inner = 0, 0
    for number, line in lines:
        found = _PROPERTY.fullmatch(line)
        if found is None:
            faults.append((number, "This line is no property and its value."))
            continue
        name, parameters, value = found[1].upper(), found[2].upper(), found[3]
        if (name, value.strip().upper()) == ("BEGIN", "VEVENT"):
            event, begin, inner = {}, number, 0
        elif event is not None and name == "BEGIN":
            inner += 1
        elif event is not None and name == "END" and inner:
            inner -= 1
        elif event is not None and name == "END":
            yield begin, event
            event = None
        elif event is not None and not inner and name == "EXDATE":
            # It may come several times.
            event[name] = (parameters, f"{_value(event, name)},{value}")
        elif event is not None and not inner:
            event.setdefault(name, (parameters, value))
    if event is not None:
        faults.append((begin, "This event does not end."))


def _name(event: Event) -> str:
    _, written = event.get("SUMMARY", ("", ""))
    plain = re.sub(r"\\(.)", lambda found: " " if found[1] in "nN" else found[1], written)
    name = " ".join(cleaned(plain).split())
    if not name:
        raise ValueError("This event has no name (SUMMARY).")
    return name[:100].strip()


def _days(event: Event, today: date) -> Iterator[date]:
    start = _day(event, "DTSTART")
    if start.year > LAST_YEAR or _value(event, "STATUS").upper() == "CANCELLED":
        return
    end = _day(event, "DTEND") if "DTEND" in event else start + timedelta(days=1)
    if not timedelta(0) < end - start <= LENGTH_MOST:
        raise ValueError("This event ends before it begins, or lasts longer than 31 days.")
    left_out = {_as_day(written.strip()[:8]) for written in _value(event, "EXDATE").split(",") if written.strip()}
    for year in _years(event, start, today):
        try:
            first = start.replace(year=year)
        except ValueError:
            continue  # the 29th of February, in a year that has none
        if first in left_out:
            continue
        for passed in range((end - start).days):
            day = first + timedelta(days=passed)
            if today.year <= day.year <= LAST_YEAR:
                yield day


def _value(event: Event, name: str) -> str:
    return event.get(name, ("", ""))[1].strip()


def _years(event: Event, start: date, today: date) -> Sequence[int]:
    """Return the years in which the event takes place, none of those whose days are all over."""
    if "RRULE" not in event:
        return [start.year]
    rule = dict(part.partition("=")[::2] for part in event["RRULE"][1].strip().upper().split(";"))
    plain = {"FREQ", "UNTIL", "COUNT", "INTERVAL", "BYMONTH", "BYMONTHDAY", "WKST"}
    same = rule.get("BYMONTH", str(start.month)), rule.get("BYMONTHDAY", str(start.day))
    numbers = [rule.get("INTERVAL", "1"), rule.get("COUNT", "1")]
    understood = rule.get("FREQ") == "YEARLY" and set(rule) <= plain and same == (str(start.month), str(start.day))
    if not understood or not all(re.fullmatch("[1-9][0-9]{0,3}", number) for number in numbers):
        raise ValueError("This event comes again by a rule that is not read here: only plainly yearly ones are.")
    last = today.year + YEARS_AHEAD
    if "UNTIL" in rule:
        last = min(last, _as_day(rule["UNTIL"][:8]).year)
    years = range(start.year, last + 1, int(numbers[0]))
    if "COUNT" in rule:
        years = years[: int(rule["COUNT"])]
    # One that began in December may last into this year.
    over = max(0, today.year - 1 - start.year)
    return years[-(-over // years.step) :]


def _day(event: Event, name: str) -> date:
    parameters, value = event.get(name, ("", ""))
    if not value:
        raise ValueError(f"This event has no day ({name}).")
    if "T" in value.upper() and "VALUE=DATE" not in parameters.replace("VALUE=DATE-TIME", ""):
        raise ValueError("This event has a time of day: holidays are whole days.")
    return _as_day(value.strip())


def _as_day(written: str) -> date:
    if not re.fullmatch("[0-9]{8}", written):
        raise ValueError(f"“{written[:20]}” is no day.")
    try:
        return date(int(written[:4]), int(written[4:6]), int(written[6:]))
    except ValueError:
        raise ValueError(f"“{written}” is no day.") from None
