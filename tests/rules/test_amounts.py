"""What is shown, confirmed and charged is one amount, and one that a card can be charged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from ledger import Ledger

from models.base import Refused
from models.catalogue import PlanName
from models.invoices import InvoiceLine, LineKind
from models.outbox import Letter, Message
from models.payments import PaymentState

BASIC, STANDARD, ENTERPRISE, _ = PlanName


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def lines(ledger: Ledger) -> list[tuple[LineKind, int]]:
    return [(line.kind, line.cents) for line in ledger.rows(InvoiceLine)]


def test_a_price_is_held_for_half_an_hour_and_no_longer(ledger: Ledger) -> None:
    shown = ledger.price(ENTERPRISE)
    ledger.step(minutes=31)
    with pytest.raises(Refused, match="worked out anew"):
        ledger.begin(ENTERPRISE, price=shown)
    with pytest.raises(Refused, match="worked out anew"):
        ledger.begin(ENTERPRISE, price=replace(shown, at=ledger.at + timedelta(minutes=1)))
    ledger.begin(ENTERPRISE, price=replace(shown, at=ledger.at - timedelta(minutes=29)))


@pytest.mark.parametrize("change", ["tax", "charges"])
def test_what_is_confirmed_is_what_is_charged(ledger: Ledger, change: str) -> None:
    """Between the page and the button the tax is set, or the month's cloud charges come."""
    ledger.at = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.buy(STANDARD)
    ledger.at = datetime(2026, 4, 1, tzinfo=UTC)
    ledger.work()
    ledger.at = datetime(2026, 5, 1, tzinfo=UTC)
    ledger.work()
    ledger.step(days=3)
    shown, before = ledger.price(ENTERPRISE), ledger.moved()
    if change == "tax":
        ledger.tax(1900)
    else:
        ledger.charge(date(2026, 4, 1), 612_080)
    with pytest.raises(Refused, match="worked out anew"):
        ledger.begin(ENTERPRISE, saved=True, price=shown)
    assert (ledger.plan, ledger.moved()) == ("standard", before)
    anew = ledger.price(ENTERPRISE)
    assert anew.cents > shown.cents
    assert ledger.advance(ledger.begin(ENTERPRISE, saved=True, price=anew)) is PaymentState.PAID
    assert ledger.moved() == before + anew.cents


def test_what_is_too_little_for_a_card_is_waived(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.buy(STANDARD)
    ledger.at = ledger.subscription().period_end
    ledger.work()
    ledger.at = ledger.subscription().period_end - timedelta(minutes=20)
    before = ledger.moved()
    assert ledger.advance(ledger.begin(ENTERPRISE, saved=True)) is PaymentState.PAID
    assert ledger.plan == "enterprise"
    assert lines(ledger)[-1] == (LineKind.CREDIT, -31)
    ledger.downgrade(BASIC)
    ledger.work()
    assert (ledger.moved(), ledger.invoices()[-1].total) == (before, 0)


def test_too_little_usage_of_a_plan_that_ended_is_waived_and_not_owed(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.buy(ENTERPRISE)
    ledger.downgrade(BASIC)
    ledger.step(days=31)
    ledger.work()
    # 20 % of $3,495.05 are a cent more than the floor.
    ledger.charge(date(2026, 3, 1), 349_505)
    ledger.work()
    assert lines(ledger)[-2:] == [(LineKind.USAGE, 1), (LineKind.CREDIT, -1)]
    assert (ledger.moved(), ledger.subscription().owed_since) == (69_900, None)
    assert Letter.PAYMENT_FAILED not in [message.kind for message in ledger.rows(Message)]
