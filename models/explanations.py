"""Why a promise is due when it is: the time from start to due, cut into what counts and what does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from models.base import Labelled
from models.calendars import Hours, Span
from models.catalogue import Target
from models.promises import ZERO, Pause, counted, reached
from models.timetables import AnyHours
from models.wording import DAY, MONTHS, WEEKDAYS, day

# What fits beside a form, and can be taken in at a glance.
MOST_SHOWN = 7
# The width of an uncounted time in the bar, in percent: a weekend as wide as it is long would leave no room for work.
GAP_WIDTH = 8.0


class Kind(Labelled):
    """What a segment is; the uncounted ones from the least telling to the most."""

    COUNTED = "counted", "Counted"
    BREAK = "break", "Break"
    NIGHT = "night", "Night"
    CLOSED = "closed", "Closed"
    WEEKEND = "weekend", "Weekend"
    HOLIDAY = "holiday", "Holiday"
    PAUSED = "paused", "Paused"


@dataclass(frozen=True)
class Segment:
    """A part of the way from start to due; `start` and `end` are in the reader's zone.

    `length` is the time that counts in a counted segment, which may enclose nights, else the time that passes.
    """

    kind: Kind
    label: str
    start: datetime
    end: datetime
    length: timedelta

    @property
    def counted(self) -> bool:
        """Whether the clock runs."""
        return self.kind is Kind.COUNTED


@dataclass(frozen=True)
class Bar:
    """A segment as a piece of a bar that is 100 wide."""

    segment: Segment
    x: float
    width: float


@dataclass(frozen=True)
class Explanation:
    """When a promise is due (UTC; None while paused), every segment, and at most seven that show the same in short.

    In both, the lengths of the counted segments add up to the target, or to what was used before the pause.
    """

    due: datetime | None
    segments: tuple[Segment, ...]
    shown: tuple[Segment, ...]

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The shown segments as a bar: counted ones as wide as they are long, the others narrow."""
        gaps = sum(not segment.counted for segment in self.shown)
        whole = sum((segment.length for segment in self.shown if segment.counted), ZERO)
        room, gap = (100 - GAP_WIDTH * gaps, GAP_WIDTH) if whole else (0.0, 100 / max(gaps, 1))
        bars: list[Bar] = []
        x = 0.0
        for segment in self.shown:
            width = room * (segment.length / whole) if segment.counted else gap
            bars.append(Bar(segment, round(x, 2), round(width, 2)))
            x += width
        return tuple(bars)


def explain(
    start: datetime,
    target: Target,
    hours: AnyHours,
    pauses: Sequence[Pause],
    now: datetime,
    zone: ZoneInfo,
    *,
    less: timedelta = ZERO,
) -> Explanation:
    """Return the way from `start` to the due moment for a reader in `zone`; while paused, to the pause and on to `now`.

    Instants are aware; a pause is a pair of them, its end None while it lasts. `less` was counted before the start.
    Raises Refused as `promises.due` does.
    """
    at = reached(start, timedelta(minutes=target.minutes) - less, target, hours, pauses)
    today = now.astimezone(zone).date()
    segments: list[Segment] = []
    cursor = start.astimezone(UTC)
    for lower, upper in _joined(counted(start, target, hours, pauses, at)):
        segments += _gaps(cursor, lower, hours, pauses, zone)
        segments += _days(lower, upper, today, zone)
        cursor = upper
    if at is None:
        lasting = min(begin for begin, end in pauses if end is None)
        segments += _gaps(cursor, max(now, lasting, cursor).astimezone(UTC), hours, pauses, zone)
    return Explanation(at, tuple(segments), tuple(_collapsed(segments, today)))


def _joined(pieces: Iterable[Span]) -> list[Span]:
    """Join pieces that touch: the calendar yields them day by day of UTC, which is nothing to a reader."""
    joined: list[Span] = []
    for lower, upper in pieces:
        if joined and joined[-1][1] == lower:
            joined[-1] = joined[-1][0], upper
        else:
            joined.append((lower, upper))
    return joined


def _days(lower: datetime, upper: datetime, today: date, zone: ZoneInfo) -> list[Segment]:
    """Cut counted time at the reader's midnights, one segment a day."""
    segments = []
    while lower < upper:
        on = lower.astimezone(zone).date()
        midnight = datetime.combine(on + DAY, time.min, zone).astimezone(UTC)
        end = min(upper, midnight) if midnight > lower else upper
        segments.append(_segment(Kind.COUNTED, _day(on, today), lower, end, zone))
        lower = end
    return segments


def _gaps(lower: datetime, upper: datetime, hours: AnyHours, pauses: Sequence[Pause], zone: ZoneInfo) -> list[Segment]:
    """Cut time that does not count into pauses and closed times."""
    segments = []
    for begin, end in sorted((begin, end or upper) for begin, end in pauses):
        if begin < upper and end > max(begin, lower):
            if begin > lower:
                segments += _shut(lower, begin, hours, zone)
                lower = begin
            segments.append(_segment(Kind.PAUSED, Kind.PAUSED.label, lower, min(end, upper), zone))
            lower = min(end, upper)
    if lower < upper:
        segments += _shut(lower, upper, hours, zone)
    return segments


def _shut(lower: datetime, upper: datetime, hours: AnyHours, zone: ZoneInfo) -> list[Segment]:
    """Name a closed time, each part by the hours that held then; parts of one name are one."""
    if isinstance(hours, Hours):
        return [_closed(lower, upper, hours, zone)]
    segments: list[Segment] = []
    cuts = [lower, *(at for at in hours.changes() if lower < at < upper), upper]
    for begin, end in pairwise(cuts):
        part = _closed(begin, end, hours.at(begin), zone)
        if segments and segments[-1].label == part.label:
            part = _segment(part.kind, part.label, segments.pop().start, end, zone)
        segments.append(part)
    return segments


def _closed(lower: datetime, upper: datetime, hours: Hours, zone: ZoneInfo) -> Segment:
    """Name a time outside business hours by the most telling reason, as the calendar's own zone sees it."""
    first, last = lower.astimezone(hours.zone), (upper - timedelta(microseconds=1)).astimezone(hours.zone)
    days = [first.date() + number * DAY for number in range((last.date() - first.date()).days + 1)]
    names = list(dict.fromkeys(hours.holidays[on] for on in days if on in hours.holidays and hours.week[on.weekday()]))
    idle = {on.weekday() for on in days if not hours.week[on.weekday()]}
    if names:
        kind, label = Kind.HOLIDAY, f"Holiday: {', '.join(names)}"
    elif idle:
        # Friday is part of the weekend where Sunday is not.
        kind = Kind.WEEKEND if idle <= {4, 5, 6} else Kind.CLOSED
        label = kind.label
    else:
        reading = first.hour * 60 + first.minute
        within = len(days) == 1 and any(closes <= reading for _, closes in hours.on(days[0]))
        after = any(opens > reading for opens, _ in hours.on(days[0]))
        kind = Kind.BREAK if within and after else Kind.NIGHT
        label = kind.label
    return _segment(kind, label, lower, upper, zone)


def _segment(kind: Kind, label: str, lower: datetime, upper: datetime, zone: ZoneInfo) -> Segment:
    return Segment(kind, label, lower.astimezone(zone), upper.astimezone(zone), upper - lower)


def _collapsed(segments: list[Segment], today: date) -> list[Segment]:
    """Join segments until few enough are left to show, the least telling gaps first."""
    for kind in list(Kind)[1:]:
        segments = _joined_over(segments, kind, today)
    return segments


def _joined_over(segments: list[Segment], kind: Kind, today: date) -> list[Segment]:
    """Join counted segments over the gaps of one kind, from the left, as long as there are too many."""
    last_resort = kind is Kind.PAUSED
    done: list[Segment] = []
    excess = len(segments) - MOST_SHOWN
    for segment in segments:
        before = done[-1] if done else None
        if excess <= 0 or before is None:
            done.append(segment)
        elif segment.counted and before.counted:
            done[-1] = _union(before, segment, today)
            excess -= 1
        elif segment.counted and len(done) > 1 and done[-2].counted and (before.kind is kind or last_resort):
            done[-2:] = [_union(done[-2], segment, today)]
            excess -= 2
        elif last_resort and not segment.counted and not before.counted:
            telling = max(before, segment, key=lambda one: list(Kind).index(one.kind))
            length = before.length + segment.length
            done[-1] = Segment(telling.kind, telling.label, before.start, segment.end, length)
            excess -= 1
        else:
            done.append(segment)
    return done


def _union(first: Segment, last: Segment, today: date) -> Segment:
    """Join two counted segments: "Thu–Fri"; what lies between them does not count."""
    begin, end = first.start.date(), (last.end.astimezone(UTC) - timedelta(microseconds=1)).astimezone(last.end.tzinfo)
    label = _days_label(begin, end.date(), today)
    return Segment(Kind.COUNTED, label, first.start, last.end, first.length + last.length)


def _day(on: date, today: date) -> str:
    """Return "Today", the weekday while that is clear, else the date."""
    if on == today:
        return "Today"
    return WEEKDAYS[on.weekday()] if abs(on - today) < 7 * DAY else day(on, today)


def _days_label(first: date, last: date, today: date) -> str:
    if first == last:
        return _day(first, today)
    if max(abs(first - today), abs(last - today)) < 7 * DAY:
        return "–".join("Today" if on == today else WEEKDAYS[on.weekday()][:3] for on in (first, last))
    return "–".join(f"{on.day} {MONTHS[on.month - 1]}" for on in (first, last))
