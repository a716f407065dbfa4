"""Prices against a count of another kind: decimals and seconds, for any moment, charge and rate of tax."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from ledger import Ledger

from models.catalogue import PlanName
from models.invoices import LineKind
from models.organizations import Organization
from models.quotes import Quote, quote_renewal, quote_upgrade
from models.subscriptions import Subscription, live_subscription

pytestmark = pytest.mark.plain

BASIC, STANDARD, ENTERPRISE, PREMIUM = PlanName
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
WHOLE = 31 * 86_400


def cents(exact: Decimal) -> int:
    """Round half-up to the cent, away from zero."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def running(house: Organization) -> Subscription:
    found = live_subscription(house)
    assert found is not None
    return found


@contextmanager
def second_month_of_standard() -> Iterator[Ledger]:
    """A company whose free month ends when March begins, and which has paid for March."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder), MARCH - timedelta(days=28))
        ledger.buy(STANDARD)
        ledger.step(days=28)
        ledger.work()
        yield ledger
        ledger.engine.dispose()


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(used=st.integers(0, WHOLE - 1) | st.integers(WHOLE - 3600, WHOLE - 1), rate=st.integers(0, 10_000))
@example(used=WHOLE - 1200, rate=0)
@example(used=WHOLE - 2000, rate=0)
@example(used=WHOLE - 1900, rate=1900)
def test_an_upgrade_costs_the_rest_of_the_new_floor_less_the_rest_of_the_old_one(used: int, rate: int) -> None:
    with second_month_of_standard() as ledger:
        ledger.tax(rate)
        at = MARCH + timedelta(seconds=used)
        quote: Quote = ledger.do(lambda _, house, __: quote_upgrade(house, ENTERPRISE, at=at))
        rest = Decimal(WHOLE - used) / WHOLE
        old, new = cents(2900 * rest), cents(69900 * rest)
        lines, net, tax = (
            [(LineKind.CREDIT, -old), (LineKind.PLAN, new)],
            new - old,
            cents(Decimal(new - old) * rate / 10_000),
        )
        if 0 < net + tax < 50:
            lines, net, tax = [*lines, (LineKind.CREDIT, -net)], 0, 0
        assert [(line.kind, line.cents) for line in quote.lines] == lines
        assert (quote.tax, quote.total) == (tax, net + tax)
        assert quote.period_end == datetime(2026, 4, 1, tzinfo=UTC)


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(charged=st.integers(0, 5_000_000), used=st.integers(0, WHOLE - 1) | st.none())
def test_usage_is_what_the_percentage_comes_to_beyond_the_floor(charged: int, used: int | None) -> None:
    """`used` are the seconds of March on Standard before an upgrade to Enterprise; None without one."""
    with second_month_of_standard() as ledger:
        share = Decimal(WHOLE if used is None else used) / WHOLE
        if used is not None:
            ledger.at = MARCH + timedelta(seconds=used)
            ledger.buy(ENTERPRISE)
        ledger.charge(date(2026, 3, 1), charged)
        quote: Quote = ledger.do(lambda _, house, __: quote_renewal(running(house)))
        parts = [
            cents(max(Decimal(0), share * (Decimal(charged) / 10 - 2900))),
            cents(max(Decimal(0), (1 - share) * (Decimal(charged) / 5 - 69900))),
        ]
        assert [line.cents for line in quote.lines if line.kind is LineKind.USAGE] == [part for part in parts if part]
        assert quote.subtotal == (2900 if used is None else 69900) + sum(parts)
