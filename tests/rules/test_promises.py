"""The promise: cases with known answers, laws that hold for every calendar, and a slow count that must agree."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from models.base import Refused
from models.calendars import DEFAULT, Hours
from models.catalogue import Target
from models.explanations import MOST_SHOWN, Kind, explain
from models.promises import Pause, due, used

pytestmark = pytest.mark.plain

BERLIN = ZoneInfo("Europe/Berlin")
NINE_TO_FIVE = (((540, 1020),),) * 5 + ((), ())
WHOLE = (((0, 1440),),) * 7
ZERO, MINUTE, HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours_in(zone: str, week: tuple[tuple[tuple[int, int], ...], ...] = NINE_TO_FIVE, *holidays: str) -> Hours:
    return Hours(ZoneInfo(zone), week, {date.fromisoformat(day): f"Holiday {day}" for day in holidays})


BUSINESS = hours_in("Europe/Berlin")


# --- cases with answers


@pytest.mark.parametrize(
    ("start", "target", "hours", "expected"),
    [
        ("2027-03-26 15:30", Target(240, False), BUSINESS, "2027-03-29 10:30"),
        ("2027-10-29 14:30", Target(240, False), BUSINESS, "2027-11-01 11:30"),
        ("2027-03-12 21:30", Target(60, False), hours_in("America/New_York"), "2027-03-15 13:30"),
        ("2027-03-27 23:30", Target(480, True), BUSINESS, "2027-03-28 07:30"),
        ("2027-03-27 23:30", Target(480, False), hours_in("Europe/Berlin", WHOLE), "2027-03-28 07:30"),
        ("2027-10-30 22:30", Target(480, True), BUSINESS, "2027-10-31 06:30"),
        ("2027-10-30 22:30", Target(480, False), hours_in("Europe/Berlin", WHOLE), "2027-10-31 06:30"),
        (
            "2027-10-02 14:00",
            Target(120, False),
            hours_in("Australia/Lord_Howe", (((0, 1380),),) * 7),
            "2027-10-02 16:00",
        ),
        ("2028-02-28 16:00", Target(480, False), hours_in("UTC"), "2028-02-29 16:00"),
        # Exactly at closing time counts from the next morning; a second before, that second counts.
        ("2027-06-01 17:00", Target(60, False), hours_in("UTC"), "2027-06-02 10:00"),
        ("2027-06-01 16:59:59", Target(60, False), hours_in("UTC"), "2027-06-02 09:59:59"),
        ("2027-06-01 16:00", Target(60, False), hours_in("UTC"), "2027-06-01 17:00"),
        ("2027-06-01 09:00", Target(60, False), hours_in("UTC"), "2027-06-01 10:00"),
        ("2027-06-01 03:00", Target(60, False), hours_in("UTC"), "2027-06-01 10:00"),
        # On a holiday, and on one that takes the whole week.
        ("2027-06-01 11:00", Target(60, False), hours_in("UTC", NINE_TO_FIVE, "2027-06-01"), "2027-06-02 10:00"),
        (
            "2027-06-01 11:00",
            Target(60, False),
            hours_in("UTC", NINE_TO_FIVE, *(f"2027-06-{day:02}" for day in range(1, 8))),
            "2027-06-08 10:00",
        ),
        ("2027-06-01 11:00", Target(60, True), hours_in("UTC", NINE_TO_FIVE, "2027-06-01"), "2027-06-01 12:00"),
        # The default hours, as a customer in Berlin sees them: Tuesday 15:18 to Wednesday 14:18.
        ("2026-11-24 14:18", Target(480, False), Hours(BERLIN), "2026-11-25 13:18"),
    ],
)
def test_due(start: str, target: Target, hours: Hours, expected: str) -> None:
    assert due(at(start), target, hours) == at(expected)
    assert used(at(start), at(expected), target, hours) == timedelta(minutes=target.minutes)


def test_a_pause_moves_due_by_the_open_time_that_it_covers() -> None:
    start, hours = at("2027-06-04 14:00"), hours_in("UTC")  # Friday
    pause = (at("2027-06-04 16:00"), at("2027-06-07 10:00"))
    assert due(start, Target(240, False), hours) == at("2027-06-07 10:00")
    assert due(start, Target(240, False), hours, [pause]) == at("2027-06-07 12:00")


def test_nothing_is_due_while_a_pause_lasts_unless_it_was_before() -> None:
    start, target = at("2027-06-04 10:00"), Target(60, False)
    assert due(start, target, hours_in("UTC"), [(at("2027-06-04 10:59"), None)]) is None
    assert due(start, target, hours_in("UTC"), [(at("2027-06-04 11:00"), None)]) == at("2027-06-04 11:00")
    assert due(start, target, hours_in("UTC"), [(start, None)]) is None


def test_overlapping_pauses_count_once() -> None:
    start, target = at("2027-06-04 10:00"), Target(60, True)
    pauses = [
        (at("2027-06-04 10:40"), at("2027-06-04 11:30")),
        (at("2027-06-04 10:10"), at("2027-06-04 11:00")),
        (at("2027-06-04 10:20"), at("2027-06-04 10:30")),
    ]
    assert due(start, target, DEFAULT, pauses) == at("2027-06-04 12:20")


def test_a_calendar_of_holidays_is_refused_and_does_not_loop() -> None:
    days = [(date(2027, 1, 1) + timedelta(days=day)).isoformat() for day in range(4000)]
    with pytest.raises(Refused, match="too little open time"):
        due(at("2027-01-04 09:00"), Target(60, False), hours_in("UTC", NINE_TO_FIVE, *days))
    with pytest.raises(Refused, match="too little open time"):
        due(at("2027-01-04 09:00"), Target(60, False), Hours(BERLIN, ((),) * 7))


# --- laws

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "America/St_Johns",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/Nuuk",
    "Pacific/Kiritimati",
    "Europe/Dublin",
]


@st.composite
def weeks(draw: st.DrawFn) -> tuple[tuple[tuple[int, int], ...], ...]:
    days = []
    for _ in range(7):
        edges = sorted(draw(st.sets(st.integers(0, 1440), max_size=4)))
        days.append(tuple(zip(edges[::2], edges[1::2], strict=False)))
    # Sparse weeks have cases of their own; here they would only be slow.
    assume(sum(end - start for day in days for start, end in day) >= 240)
    return tuple(days)


@st.composite
def calendars(draw: st.DrawFn) -> Hours:
    holidays = draw(st.sets(st.dates(date(2027, 1, 1), date(2027, 12, 31)), max_size=12))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    return Hours(zone, draw(st.just(NINE_TO_FIVE) | weeks()), dict.fromkeys(holidays, "Fair"))


STARTS = st.datetimes(datetime(2027, 1, 1), datetime(2027, 12, 20)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
# Clocks change in these weeks, in one zone or another.
CHANGES = st.tuples(
    st.sampled_from(["2027-03-12", "2027-03-26", "2027-04-02", "2027-09-03", "2027-10-01", "2027-10-29", "2027-11-05"]),
    st.integers(0, 4 * 1440),
).map(lambda pair: at(pair[0]) + pair[1] * MINUTE)
TARGETS = st.builds(Target, st.integers(1, 1440), st.booleans())


@st.composite
def pauses_after(draw: st.DrawFn, start: datetime) -> list[Pause]:
    pairs = draw(st.lists(st.tuples(st.integers(-600, 6000), st.integers(0, 3000)), max_size=3))
    return [(start + after * MINUTE, start + (after + length) * MINUTE) for after, length in pairs]


@st.composite
def situations(draw: st.DrawFn) -> tuple[datetime, Target, Hours, list[Pause]]:
    start = draw(STARTS | CHANGES)
    return start, draw(TARGETS), draw(calendars()), draw(pauses_after(start))


laws = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@laws
@given(situations())
def test_due_is_where_the_target_is_used_up(situation: tuple[datetime, Target, Hours, list[Pause]]) -> None:
    start, target, hours, pauses = situation
    length, end = timedelta(minutes=target.minutes), due(start, target, hours, pauses)
    assert end is not None
    assert end >= start + length
    assert used(start, end, target, hours, pauses) == length
    assert used(start, end - timedelta(microseconds=1), target, hours, pauses) < length


@laws
@given(situations(), st.timedeltas(ZERO, timedelta(days=20)), st.integers(0, 600))
def test_later_or_longer_is_never_due_earlier(
    situation: tuple[datetime, Target, Hours, list[Pause]], later: timedelta, more: int
) -> None:
    start, target, hours, pauses = situation
    end = due(start, target, hours, pauses)
    after = due(start + later, target, hours, pauses)
    longer = due(start, Target(target.minutes + more, target.around_the_clock), hours, pauses)
    assert end is not None
    assert after is not None
    assert longer is not None
    assert end <= after
    assert end + more * MINUTE <= longer
    # Business hours are never quicker than any hours.
    quick = due(start, Target(target.minutes, around_the_clock=True), hours, pauses)
    assert quick is not None
    assert quick <= end


@laws
@given(situations(), st.data())
def test_a_pause_never_makes_due_earlier(
    situation: tuple[datetime, Target, Hours, list[Pause]], data: st.DataObject
) -> None:
    start, target, hours, pauses = situation
    end = due(start, target, hours, pauses)
    more = due(start, target, hours, [*pauses, *data.draw(pauses_after(start))])
    assert end is not None
    assert more is not None
    assert end <= more


@laws
@given(situations(), st.sampled_from(ZONES))
@example(  # a calendar open for a few minutes a day: hundreds of segments
    (at("2027-03-01 09:00"), Target(1440, False), Hours(BERLIN, (((600, 610),),) * 7), []), "UTC"
)
@example(  # it ends in the hour that the reader's clocks show twice
    (at("2027-11-06 19:00"), Target(600, True), Hours(BERLIN), []), "America/New_York"
)
def test_the_explanation_adds_up(situation: tuple[datetime, Target, Hours, list[Pause]], reader: str) -> None:
    start, target, hours, pauses = situation
    why = explain(start, target, hours, pauses, start, ZoneInfo(reader))
    assert why.due == due(start, target, hours, pauses)
    for segments in (why.segments, why.shown):
        assert sum((one.length for one in segments if one.counted), ZERO) == timedelta(minutes=target.minutes)
        # In UTC: an hour that a zone shows twice is never equal to the same moment of another zone (PEP 495).
        assert segments[0].start.astimezone(UTC) == start
        assert segments[-1].end.astimezone(UTC) == why.due
        for before, after in pairwise(segments):
            assert before.end == after.start
        assert all(one.length > ZERO and one.label and str(one.start.tzinfo) == reader for one in segments)
    assert 1 <= len(why.shown) <= MOST_SHOWN
    if len(why.segments) <= MOST_SHOWN:
        assert why.shown == why.segments
    assert sum(bar.width for bar in why.bars) == pytest.approx(100, abs=0.1)


def slowly(start: datetime, target: Target, hours: Hours, pauses: Sequence[Pause]) -> datetime:
    """Count minute by minute, by looking at the wall clock."""
    left, now = target.minutes, start
    while left:
        local = now.astimezone(hours.zone)
        reading = local.hour * 60 + local.minute
        is_open = target.around_the_clock or (
            local.date() not in hours.holidays
            and any(opens <= reading < closes for opens, closes in hours.week[local.weekday()])
        )
        paused = any(begin <= now < end for begin, end in pauses if end is not None)
        left -= is_open and not paused
        now += MINUTE
    return now


@settings(laws, max_examples=80)
@given(CHANGES, st.builds(Target, st.integers(1, 400), st.booleans()), calendars(), st.data())
def test_a_slow_count_agrees(start: datetime, target: Target, hours: Hours, data: st.DataObject) -> None:
    pauses = data.draw(pauses_after(start))
    assert due(start, target, hours, pauses) == slowly(start, target, hours, pauses)


# --- the explanation in words


def test_the_explanation_names_days_nights_and_weekends() -> None:
    start = at("2026-11-24 14:18")
    why = explain(start, Target(480, False), Hours(BERLIN), [], start, BERLIN)
    assert [(one.label, one.length) for one in why.segments] == [
        ("Today", timedelta(hours=2, minutes=42)),
        ("Night", timedelta(hours=15)),
        ("Wednesday", timedelta(hours=5, minutes=18)),
    ]


def test_the_explanation_names_holidays_breaks_and_pauses() -> None:
    week = (((540, 720), (780, 1080)),) * 5 + ((), ())
    hours = Hours(BERLIN, week, {date(2026, 11, 26): "Founders’ Day"})
    start = at("2026-11-25 10:00")  # Wednesday, 11:00 in Berlin
    pause = (at("2026-11-27 09:00"), at("2026-11-27 09:30"))
    why = explain(start, Target(600, False), hours, [pause], start, BERLIN)
    assert [one.label for one in why.segments] == [
        "Today",
        "Break",
        "Today",
        "Holiday: Founders’ Day",
        "Friday",
        "Paused",
        "Friday",
        "Break",
        "Friday",
    ]
    # Seven fit: the breaks go first.
    assert [one.label for one in why.shown] == [
        "Today",
        "Holiday: Founders’ Day",
        "Friday",
        "Paused",
        "Friday",
        "Break",
        "Friday",
    ]


def test_far_days_are_dates_and_the_longest_way_is_short() -> None:
    start = at("2027-06-04 10:00")
    why = explain(
        start, Target(1440, False), Hours(ZoneInfo("UTC"), ((), (), (), (), ((600, 720),), (), ())), [], start, BERLIN
    )
    assert len(why.segments) == 23
    assert [one.label for one in why.shown[-2:]] == ["Closed", "Fri 20 Aug"]
    assert len(why.shown) <= MOST_SHOWN


def test_a_lasting_pause_is_explained_up_to_now() -> None:
    start, now = at("2027-06-01 10:00"), at("2027-06-01 15:00")
    why = explain(start, Target(240, False), hours_in("UTC"), [(at("2027-06-01 11:00"), None)], now, ZoneInfo("UTC"))
    assert why.due is None
    assert [(one.kind, one.length) for one in why.segments] == [(Kind.COUNTED, HOUR), (Kind.PAUSED, 4 * HOUR)]
