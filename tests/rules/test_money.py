"""Money: rounding, shares of a period, months of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import dollars, fraction, half_up, next_month, percent, share, tax_on

pytestmark = pytest.mark.plain

moments = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("amount", "cents"),
    [("0.5", 1), ("0.49", 0), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.5", -3), ("-2.49", -2), ("0", 0)],
)
def test_a_half_goes_up_away_from_zero(amount: str, cents: int) -> None:
    assert half_up(Fraction(amount)) == cents


@pytest.mark.parametrize(
    ("start", "anchor", "then"),
    [
        ("2026-01-31", 31, "2026-02-28"),
        ("2026-02-28", 31, "2026-03-31"),
        ("2028-01-30", 30, "2028-02-29"),
        ("2026-12-15", 15, "2027-01-15"),
        ("2026-04-30", 31, "2026-05-31"),
    ],
)
def test_the_same_day_each_month_clamped_to_its_end(start: str, anchor: int, then: str) -> None:
    at = datetime.fromisoformat(f"{start}T09:30:15+00:00")
    assert next_month(at, anchor) == datetime.fromisoformat(f"{then}T09:30:15+00:00")


@given(moments)
def test_periods_come_back_to_the_day_where_they_began(start: datetime) -> None:
    at = start
    for _ in range(48):
        later = next_month(at, start.day)
        assert timedelta(days=28) <= later - at <= timedelta(days=31)
        at = later
    # After four years every day of the calendar has come again, 29 February too.
    assert at == start.replace(year=start.year + 4)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_is_never_more_than_the_whole_and_the_parts_make_the_whole(cents: int, part: int, whole: int) -> None:
    length, some = timedelta(seconds=whole), timedelta(seconds=min(part, whole))
    assert 0 <= share(cents, some, length) <= cents
    assert abs(share(cents, some, length) + share(cents, length - some, length) - cents) <= 1
    assert fraction(length * 2, length) == 1


def test_a_share_is_counted_to_the_second() -> None:
    month = timedelta(days=30)
    assert share(2900, timedelta(days=15), month) == 1450
    assert share(69900, timedelta(days=10, seconds=1), month) == 23300
    assert share(69900, timedelta(days=10, minutes=1), month) == 23302
    assert share(69900, month - timedelta(seconds=1), month) == 69900
    assert share(69900, month - timedelta(seconds=60), month) == 69898


def test_tax_is_rounded_half_up() -> None:
    assert tax_on(2900, 1900) == 551
    assert tax_on(50, 100) == 1
    assert tax_on(49, 100) == 0
    assert tax_on(-2900, 1900) == -551


def test_amounts_and_rates_as_they_read() -> None:
    assert [dollars(cents) for cents in (0, 5, 2900, 123456789, -862)] == [
        "$0.00", "$0.05", "$29.00", "$1,234,567.89", "−$8.62",
    ]  # fmt: skip
    assert [percent(points) for points in (0, 1900, 775, 750, 1)] == ["0 %", "19 %", "7.75 %", "7.5 %", "0.01 %"]
