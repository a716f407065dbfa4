"""How times, lengths and sizes read."""

from __future__ import annotations

import locale
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import wording
from models.wording import exactly

pytestmark = pytest.mark.plain

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 14, 18, tzinfo=UTC)  # Tuesday, 15:18 in Berlin


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 11, 25, 13, 18, tzinfo=UTC), "Wed 25 Nov, 14:18"),
        (datetime(2026, 11, 24, 13, 18, tzinfo=UTC), "Today, 14:18"),
        (datetime(2026, 11, 24, 22, 59, tzinfo=UTC), "Today, 23:59"),
        (datetime(2026, 11, 24, 23, 0, tzinfo=UTC), "Wed 25 Nov, 00:00"),
        (datetime(2026, 11, 23, 13, 4, tzinfo=UTC), "Yesterday, 14:04"),
        (datetime(2027, 1, 4, 8, 0, tzinfo=UTC), "Mon 4 Jan 2027, 09:00"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Fri 1 Jan 2027, 00:30"),
    ],
)
def test_a_moment_reads_in_the_readers_zone(at: datetime, words: str) -> None:
    assert wording.moment(at, BERLIN, NOW) == words


def test_a_moment_on_paper_names_its_day_and_year() -> None:
    assert wording.dated(datetime(2026, 11, 24, 13, 18, tzinfo=UTC), BERLIN) == "Tue 24 Nov 2026, 14:18"


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=38, seconds=59), "38 min ago"),
        (timedelta(minutes=60), "1 h ago"),
        (timedelta(hours=4, minutes=59), "4 h ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=1), "Mon 23 Nov"),
        (timedelta(days=4), "Fri 20 Nov"),
        (timedelta(days=6), "Wed 18 Nov"),
        (timedelta(days=7), "17 Nov"),
        (timedelta(days=12), "12 Nov"),
        (timedelta(days=377), "12 Nov 2025"),
    ],
)
def test_ago_goes_from_minutes_to_the_date(past: timedelta, words: str) -> None:
    assert wording.ago(NOW - past, BERLIN, NOW) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(minutes=-22), "under 1 min"),
        (timedelta(0), "under 1 min"),
        (timedelta(seconds=59), "under 1 min"),
        (timedelta(minutes=22, seconds=59), "22 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=1, minutes=5), "1 h 05 min"),
        (timedelta(hours=3, minutes=10), "3 h 10 min"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=3, minutes=59), "2 days 3 h"),
    ],
)
def test_a_duration_has_no_seconds(length: timedelta, words: str) -> None:
    assert wording.duration(length) == words


def test_counted_time_never_speaks_of_days() -> None:
    assert wording.hours(timedelta(hours=24)) == "24 h"
    assert wording.hours(timedelta(hours=26, minutes=7)) == "26 h 07 min"


@given(st.timedeltas())
def test_no_length_reads_negative(length: timedelta) -> None:
    assert "-" not in wording.duration(length) + wording.hours(length)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (412 * 1024, "412 KB"),
        (38 * 1024**2, "38 MB"),
        (25 * 1024**2 + 1, "26 MB"),
        (1024**2 - 1, "1 MB"),
        (1024**3, "1 GB"),
        (3 * 1024**3 // 2, "1.5 GB"),
    ],
)
def test_a_size_rounds_up(count: int, words: str) -> None:
    assert wording.size(count) == words


def test_the_attribute_is_utc() -> None:
    assert wording.utc(datetime(2026, 11, 25, 14, 18, tzinfo=BERLIN)) == "2026-11-25T13:18:00Z"


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "Europe", "../../etc/passwd", "/etc/passwd", "a\0b", "\udcff", "x" * 500]
)
def test_an_unknown_zone_is_utc(name: str) -> None:
    assert wording.known_zone(name) is None
    assert wording.zone(name).key == "UTC"


def test_every_zone_on_offer_is_known() -> None:
    names = wording.zones()
    assert names[0] == "UTC"
    assert list(names[1:]) == sorted(names[1:])
    assert {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"} <= set(names)
    assert all(wording.known_zone(name) for name in names)


def test_the_machines_locale_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = locale.setlocale(locale.LC_TIME)
    others = [name for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8") if _settable(name)]
    try:
        for name in others:
            locale.setlocale(locale.LC_TIME, name)
            assert wording.moment(datetime(2026, 10, 7, 8, 0, tzinfo=UTC), BERLIN, NOW) == "Wed 7 Oct, 10:00"
    finally:
        locale.setlocale(locale.LC_TIME, before)


def _settable(name: str) -> bool:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_TIME, before)
    return True


def test_sums_are_told_to_the_second() -> None:
    lengths = {
        timedelta(hours=4, minutes=16, seconds=30): "4 h 16 min 30 s",
        timedelta(hours=12): "12 h",
        timedelta(days=2, seconds=1): "48 h 1 s",
        timedelta(0): "0 s",
    }
    assert {length: exactly(length) for length in lengths} == lengths
