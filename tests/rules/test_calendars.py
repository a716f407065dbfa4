"""Business hours: what a calendar may say, and which moments are open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import databases
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from models.base import Refused
from models.calendars import (
    AROUND_THE_CLOCK,
    DEFAULT,
    DEFAULT_HOURS,
    DEFAULT_WEEK,
    Calendar,
    Holiday,
    Hours,
    check_hours,
    hours_of,
    spans,
)

BERLIN = ZoneInfo("Europe/Berlin")
CLOSED: list[list[list[str]]] = [[], [], [], [], [], [], []]


def daily(*intervals: tuple[int, int], zone: ZoneInfo = BERLIN) -> Hours:
    return Hours(zone, (intervals,) * 7)


def open_times(hours: Hours, start: datetime, until: datetime) -> list[str]:
    joined: list[list[datetime]] = []
    for lower, upper in spans(hours, start, until):
        if joined and joined[-1][1] == lower:
            joined[-1][1] = upper
        else:
            joined.append([lower, upper])
    return [f"{lower:%d %H:%M}-{upper:%d %H:%M}" for lower, upper in joined]


def test_the_default_is_monday_to_friday_nine_to_six() -> None:
    assert DEFAULT.week == check_hours("UTC", DEFAULT_HOURS).week == DEFAULT_WEEK
    assert DEFAULT.words == "09:00–18:00, Monday to Friday"
    assert hours_of(None) is DEFAULT


def test_the_hours_in_words() -> None:
    week = (((540, 720), (780, 1080)),) * 3 + ((), ((540, 720),), (), ((0, 1440),))
    assert Hours(BERLIN, week).words == (
        "09:00–12:00 and 13:00–18:00, Monday to Wednesday; 09:00–12:00, Friday; 00:00–24:00, Sunday"
    )
    assert AROUND_THE_CLOCK.words == "00:00–24:00, every day"


@pytest.mark.parametrize(
    ("zone", "monday", "field", "message"),
    [
        ("Mars/Olympus", [["09:00", "18:00"]], "zone", "time zone"),
        ("", [["09:00", "18:00"]], "zone", "time zone"),
        ("UTC", [], "hours", "at least one hour"),
        ("UTC", [["18:00", "09:00"]], "hours", "On Monday, 09:00 is not after 18:00"),
        ("UTC", [["09:00", "09:00"]], "hours", "not after"),
        ("UTC", [["24:00", "24:00"]], "hours", "not after"),
        ("UTC", [["09:00", "13:00"], ["12:59", "18:00"]], "hours", "overlap"),
        ("UTC", [["13:00", "18:00"], ["09:00", "13:01"]], "hours", "overlap"),
        ("UTC", [["09:00", "24:01"]], "hours", "Write the hours of Monday"),
        ("UTC", [["9", "18:00"]], "hours", "Write the hours of Monday"),
        ("UTC", [["09:00\n", "18:00"]], "hours", "Write the hours of Monday"),
        ("UTC", [["٠٩:٠٠", "18:00"]], "hours", "Write the hours of Monday"),
        ("UTC", [["09:00"]], "hours", "Write the hours of Monday"),
    ],
)
def test_nonsense_is_refused(zone: str, monday: list[list[str]], field: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as refused:
        check_hours(zone, [monday, *CLOSED[1:]])
    assert refused.value.field == field


def test_a_week_has_seven_days() -> None:
    with pytest.raises(Refused, match="seven"):
        check_hours("UTC", [[["09:00", "18:00"]]] * 5)


def test_breaks_touching_intervals_and_midnight_are_fine() -> None:
    hours = check_hours("Asia/Kolkata", [[["12:00", "24:00"], ["00:00", "12:00"]], *CLOSED[1:]])
    assert hours.week[0] == ((0, 720), (720, 1440))


@pytest.mark.parametrize(
    ("hours", "start", "expected"),
    [
        # 28 March 2027: 02:00 to 03:00 does not exist in Berlin. 01:00 UTC is when it is skipped.
        (daily((150, 540)), datetime(2027, 3, 28, tzinfo=UTC), "28 01:00-28 07:00"),
        (daily((60, 150)), datetime(2027, 3, 28, tzinfo=UTC), "28 00:00-28 01:00"),
        (daily((120, 180), (600, 660)), datetime(2027, 3, 28, tzinfo=UTC), "28 08:00-28 09:00"),
        # 31 October 2027: 02:00 to 03:00 exists twice: the clock shows an open time twice.
        (daily((120, 180)), datetime(2027, 10, 31, tzinfo=UTC), "31 00:00-31 02:00"),
        (daily((60, 240)), datetime(2027, 10, 30, 22, tzinfo=UTC), "30 23:00-31 03:00"),
        # 5 September 2027 in Santiago has no midnight hour; 3 April 2027 has its last hour twice.
        (daily((0, 120), zone=ZoneInfo("America/Santiago")), datetime(2027, 9, 5, tzinfo=UTC), "05 04:00-05 05:00"),
        (
            daily((1380, 1440), zone=ZoneInfo("America/Santiago")),
            datetime(2027, 4, 3, 12, tzinfo=UTC),
            "04 02:00-04 04:00",
        ),
        # 30 December 2011 does not exist in Samoa.
        (daily((540, 600), zone=ZoneInfo("Pacific/Apia")), datetime(2011, 12, 29, 19, tzinfo=UTC), "29 19:00-29 20:00"),
    ],
)
def test_hours_that_the_clocks_skip_or_show_twice(hours: Hours, start: datetime, expected: str) -> None:
    assert open_times(hours, start, start + timedelta(hours=18)) == [expected]


def test_the_hour_twice_with_a_half_open_interval() -> None:
    start = datetime(2027, 10, 30, 22, tzinfo=UTC)
    assert open_times(daily((150, 210)), start, start + timedelta(hours=10)) == [
        "31 00:30-31 01:00",
        "31 01:30-31 02:30",
    ]


def test_holidays_are_days_of_the_calendars_zone() -> None:
    auckland = Hours(ZoneInfo("Pacific/Auckland"), (((0, 1440),),) * 7, {date(2027, 6, 7): "King's Birthday"})
    start = datetime(2027, 6, 6, tzinfo=UTC)
    assert open_times(auckland, start, start + timedelta(days=2)) == ["06 00:00-06 12:00", "07 12:00-08 00:00"]


def test_holidays_without_end_are_refused() -> None:
    first = date(2027, 1, 1)
    hours = Hours(BERLIN, DEFAULT_WEEK, {first + timedelta(days=day): "Strike" for day in range(4000)})
    with pytest.raises(Refused, match="too little open time"):
        next(spans(hours, datetime(2027, 1, 4, tzinfo=UTC)))
    assert list(spans(hours, datetime(2027, 1, 4, tzinfo=UTC), datetime(2029, 1, 4, tzinfo=UTC))) == []


def test_no_time_at_all_is_open_before_the_start() -> None:
    start = datetime(2027, 3, 1, tzinfo=UTC)
    assert list(spans(DEFAULT, start, start)) == []
    assert list(spans(DEFAULT, start, start - timedelta(days=9))) == []


def test_a_calendar_is_stored_and_read_back(tmp_path: Path) -> None:
    engine = databases.spare(tmp_path / "calendars.sqlite")
    with Session(engine) as session:
        holidays = [
            Holiday(date=date(2026, 12, 25), name="Christmas"),
            Holiday(date=date(2026, 5, 1), name="Labour Day"),
        ]
        session.add(Calendar(name="Berlin", zone="Europe/Berlin", hours=DEFAULT_HOURS, holidays=holidays))
        session.commit()
    with Session(engine, expire_on_commit=False) as session, Session(engine, expire_on_commit=False) as other:
        calendar = session.query(Calendar).one()
        assert len(calendar.holidays) == 2
        session.commit()
        copy = other.query(Calendar).one()
        other.commit()
        days = {date(2026, 5, 1): "Labour Day", date(2026, 12, 25): "Christmas"}
        assert hours_of(calendar) == Hours(BERLIN, DEFAULT_WEEK, days)
        calendar.name, copy.name = "First", "Second"
        session.commit()
        with pytest.raises(StaleDataError):
            other.commit()
        calendar.holidays.append(Holiday(date=date(2026, 12, 25), name="Again"))
        with pytest.raises(IntegrityError):
            session.commit()
    engine.dispose()
