"""How times, lengths and sizes read: plain English, no locale of the machine, no seconds, nothing negative."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

# strftime would follow the locale of whoever starts the server.
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The other names in the database are aliases and fixed offsets, which no one means when they say where they are.
REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def moment(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Return a point in time in the reader's zone: "Wed 25 Nov, 14:18", "Today, 14:18"; another year is named.

    `at` and `now` are aware.
    """
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    clock = f"{local.hour:02}:{local.minute:02}"
    if local.date() == today:
        return f"Today, {clock}"
    if local.date() == today - DAY:
        return f"Yesterday, {clock}"
    return f"{day(local.date(), today)}, {clock}"


def dated(at: datetime, zone: ZoneInfo) -> str:
    """Return a point in time for paper, which is read on another day: "Wed 25 Nov 2026, 14:18". `at` is aware."""
    local = at.astimezone(zone)
    return f"{WEEKDAYS[local.weekday()][:3]} {local.day} {MONTHS[local.month - 1]} {local.year}, {local:%H:%M}"


def stamp(at: datetime, zone_name: str, now: datetime | None = None) -> str:
    """Return a moment as a letter states it: "Wed 25 Nov, 14:18", never "Today", since nobody knows when it is read.

    `at` is aware, `zone_name` an IANA zone; a year other than that of `now` (or of `at`) is named.
    """
    local = at.astimezone(zone(zone_name))
    return f"{day(local.date(), (now or at).astimezone(local.tzinfo).date())}, {local:%H:%M}"


def inside(words: str) -> str:
    """Return words of a moment as they stand inside a sentence: "today, 14:18"."""
    return words[0].lower() + words[1:] if words.startswith(("Today", "Yesterday", "Tomorrow", "Just")) else words


def ago(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Return how long ago `at` was: "38 min ago", "4 h ago", then "Fri 20 Nov", "12 Nov", "12 Nov 2025".

    Both are aware; the days are those of the reader's zone. A moment that is still to come, as clocks of two machines
    may differ, reads "just now".
    """
    past = now - at
    if past < MINUTE:
        return "just now"
    if past < HOUR:
        return f"{past // MINUTE} min ago"
    if past < DAY:
        return f"{past // HOUR} h ago"
    local, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    if local.year != today.year:
        return f"{local.day} {MONTHS[local.month - 1]} {local.year}"
    return day(local, today) if today - local < 7 * DAY else f"{local.day} {MONTHS[local.month - 1]}"


def day(on: date, today: date) -> str:
    """Return a date as "Wed 25 Nov"; a year other than that of `today` is named."""
    year = "" if on.year == today.year else f" {on.year}"
    return f"{WEEKDAYS[on.weekday()][:3]} {on.day} {MONTHS[on.month - 1]}{year}"


def duration(length: timedelta) -> str:
    """Return a length of calendar time, rounded down: "under 1 min", "22 min", "1 h 05 min", "2 days 3 h"."""
    if length < DAY:
        return hours(length)
    days, rest = divmod(length, DAY)
    words = "1 day" if days == 1 else f"{days} days"
    return f"{words} {rest // HOUR} h" if rest >= HOUR else words


def exactly(length: timedelta) -> str:
    """Return a length of counted time to the second, for sums: "4 h 16 min 30 s", "12 h"."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    parts = ((minutes // 60, "h"), (minutes % 60, "min"), (seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def hours(length: timedelta) -> str:
    """Return a length of counted time, rounded down: "22 min", "1 h 05 min", "24 h".

    It never speaks of days, since a day of business hours is not a day.
    """
    if length < MINUTE:
        return "under 1 min"
    whole, rest = divmod(length, HOUR)
    minutes = rest // MINUTE
    if not whole:
        return f"{minutes} min"
    return f"{whole} h {minutes:02} min" if minutes else f"{whole} h"


def size(count: int) -> str:
    """Return a number of bytes as "1 byte", "412 KB", "38 MB", "1.5 GB".

    It rounds up, so that a file just over a limit of 25 MB does not read "25 MB".
    """
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    kilobytes = -(-count // 1024)
    if kilobytes < 1024:
        return f"{kilobytes} KB"
    megabytes = -(-count // 1024**2)
    if megabytes < 1024:
        return f"{megabytes} MB"
    tenths = -(-count * 10 // 1024**3)
    return f"{tenths // 10} GB" if tenths % 10 == 0 else f"{tenths / 10:.1f} GB"


def utc(at: datetime) -> str:
    """Return an aware moment for a `datetime` attribute: "2026-11-25T13:18:00Z"."""
    return f"{at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """Return the IANA zones that a person may choose, sorted, UTC first."""
    named = sorted(name for name in available_timezones() if name.split("/")[0] in REGIONS and "/" in name)
    return ("UTC", *named)


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name, or UTC when there is none: a page must not fail over an old profile."""
    return known_zone(name) or ZoneInfo("UTC")


def known_zone(name: str) -> ZoneInfo | None:
    """Return the IANA zone of that name, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name that is a folder, a path or no text at all raises each of these.
        return None
