"""Money: US dollars in whole cents, months of the calendar, shares of a period. Exact until it is rounded once."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from fractions import Fraction

# Rates are kept in basis points: 1,900 is 19 %.
BASIS = 10_000
_MICROSECOND = timedelta(microseconds=1)


def half_up(amount: Fraction) -> int:
    """Return the nearest whole number; a half goes up, away from zero (product rule 9.3)."""
    return (1 if amount >= 0 else -1) * int(abs(amount) + Fraction(1, 2))


def share(cents: int, part: timedelta, whole: timedelta) -> int:
    """Return that part of an amount for a whole, to the second, half-up to the cent."""
    return half_up(cents * fraction(part, whole))


def fraction(part: timedelta, whole: timedelta) -> Fraction:
    """Return part / whole, exactly; nothing below none of it or above all of it."""
    exact = Fraction(part // _MICROSECOND, whole // _MICROSECOND)
    return min(max(exact, Fraction(0)), Fraction(1))


def tax_on(cents: int, basis_points: int) -> int:
    """Return the tax on a net amount, half-up to the cent."""
    return half_up(Fraction(cents * basis_points, BASIS))


def next_month(start: datetime, anchor: int) -> datetime:
    """Return the same time on the day `anchor` (1 to 31) of the next month, clamped to that month's end (UTC)."""
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    return start.replace(year=year, month=month, day=min(anchor, calendar.monthrange(year, month)[1]))


def dollars(cents: int) -> str:
    """Return an amount as it reads: "$1,234.56", "−$29.00"."""
    sign, amount = ("−" if cents < 0 else ""), abs(cents)
    return f"{sign}${amount // 100:,}.{amount % 100:02}"


def percent(basis_points: int) -> str:
    """Return a rate as it reads: "19 %", "7.75 %"."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}".rstrip("0") + " %" if rest else f"{whole} %"
