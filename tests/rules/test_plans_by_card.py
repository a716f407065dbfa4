"""Buying, renewing, giving up and losing a plan: each rule with its figures to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from ledger import ASKS, DECLINES, FINE, START, Ledger
from sqlalchemy import select

from models.base import Refused
from models.cards import Card
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.invoices import InvoiceKind, InvoiceLine, LineKind
from models.outbox import Letter, Message
from models.payments import Busy, Payment, PaymentKind, PaymentState
from models.quotes import month_of, quote_upgrade
from models.subscriptions import GRACE, Standing

BASIC, STANDARD, ENTERPRISE, PREMIUM = PlanName


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def lines(ledger: Ledger) -> list[tuple[LineKind, int]]:
    return [(line.kind, line.cents) for line in ledger.rows(InvoiceLine)]


def letters(ledger: Ledger) -> list[Letter]:
    return [message.kind for message in ledger.rows(Message)]


def test_the_first_standard_is_free_for_its_first_month_and_counts_as_paid(ledger: Ledger) -> None:
    assert ledger.buy(STANDARD) is PaymentState.PAID
    assert ledger.plan == "standard"
    assert ledger.moved() == 0
    (invoice,) = ledger.invoices()
    assert (invoice.number, invoice.total, invoice.card) == ("INV-1", 0, "Visa ending 4242")
    running = ledger.subscription()
    assert (running.period_start, running.period_end, running.anchor) == (
        START,
        datetime(2026, 2, 28, 9, 30, tzinfo=UTC),
        31,
    )
    assert letters(ledger) == [Letter.PAYMENT_RECEIPT]
    # The month after, the floor is charged, on the same day as far as the month has it.
    ledger.charge(date(2026, 1, 1), 90_000)
    ledger.step(days=28)
    ledger.work()
    assert ledger.moved() == 2900
    assert ledger.subscription().period_end == datetime(2026, 3, 31, 9, 30, tzinfo=UTC)
    assert [kind for kind, _ in lines(ledger)] == [LineKind.PLAN, LineKind.PLAN], "a free month has no usage"


def test_a_later_standard_and_enterprise_are_charged_at_once(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.downgrade(BASIC)
    ledger.step(days=28)
    ledger.work()
    assert (ledger.plan, ledger.moved()) == ("basic", 0)
    assert ledger.buy(STANDARD) is PaymentState.PAID
    assert ledger.moved() == 2900


def test_an_upgrade_within_a_period_credits_the_old_floor_and_charges_the_new_one_to_the_second(
    ledger: Ledger,
) -> None:
    ledger.buy(STANDARD)
    ledger.step(days=28)
    ledger.work()
    ledger.step(days=10, hours=5, seconds=17)
    ledger.tax(1900)
    rest = datetime(2026, 3, 31, 9, 30, tzinfo=UTC) - ledger.at
    whole = timedelta(days=31)
    credit, charge = (round(cents * rest / whole) for cents in (2900, 69900))
    assert ledger.buy(ENTERPRISE) is PaymentState.PAID
    assert lines(ledger)[-2:] == [(LineKind.CREDIT, -credit), (LineKind.PLAN, charge)]
    paper = ledger.invoices()[-1]
    assert (paper.subtotal, paper.tax) == (charge - credit, round((charge - credit) * 0.19))
    assert ledger.moved() == 2900 + paper.total == ledger.invoiced()
    assert ledger.subscription().period_end == datetime(2026, 3, 31, 9, 30, tzinfo=UTC), "the period stays"


def test_from_a_free_month_nothing_is_credited(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.step(days=14)
    ledger.buy(ENTERPRISE)
    assert lines(ledger)[-2:] == [(LineKind.CREDIT, 0), (LineKind.PLAN, 34950)]


def test_usage_is_what_the_percentage_comes_to_beyond_the_floor_on_the_next_invoice(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.buy(ENTERPRISE)
    ledger.charge(date(2026, 3, 1), 612_080)
    ledger.step(days=31)
    ledger.work()
    # 20 % of $6,120.80 is $1,224.16, less the floor of $699.
    assert lines(ledger)[-2:] == [(LineKind.PLAN, 69900), (LineKind.USAGE, 52516)]
    ledger.charge(date(2026, 4, 1), 300_000)
    ledger.step(days=30)
    ledger.work()
    # 20 % of $3,000 is below the floor: nothing but the floor.
    assert lines(ledger)[-1] == (LineKind.PLAN, 69900)
    assert ledger.moved() == 3 * 69900 + 52516 == ledger.invoiced()


def test_charges_that_come_late_are_on_the_invoice_after(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 3, 10, tzinfo=UTC)
    ledger.buy(ENTERPRISE)
    ledger.step(days=31)
    ledger.work()
    assert [kind for kind, _ in lines(ledger)] == [LineKind.PLAN] * 2
    ledger.charge(date(2026, 3, 1), 612_080)
    ledger.step(days=30)
    ledger.work()
    assert (LineKind.USAGE, 52516) in lines(ledger)
    ledger.step(days=31)
    ledger.work()
    assert [kind for kind, _ in lines(ledger)].count(LineKind.USAGE) == 1


def test_each_plan_has_its_share_of_a_months_usage(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 4, 1, tzinfo=UTC)
    ledger.buy(STANDARD)
    ledger.at = datetime(2026, 5, 1, tzinfo=UTC)
    ledger.work()
    ledger.charge(date(2026, 5, 1), 1_000_000)
    ledger.at = datetime(2026, 5, 16, 12, tzinfo=UTC)
    ledger.buy(ENTERPRISE)
    ledger.at = datetime(2026, 6, 1, tzinfo=UTC)
    ledger.work()
    # Half of (10 % of $10,000 less $29), and half of (20 % less $699).
    assert [cents for kind, cents in lines(ledger) if kind is LineKind.USAGE] == [48550, 65050]


def test_every_month_counts_for_one_period_whatever_day_it_begins_on(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 8, 31, 23, 59, tzinfo=UTC)
    ledger.buy(ENTERPRISE)
    for _ in range(12):
        ledger.at = ledger.subscription().period_end
        ledger.work()
    months = [month_of(term) for term in ledger.terms()]
    assert months == sorted(set(months))
    assert len(months) == 13


def test_nothing_changes_when_the_card_is_declined(ledger: Ledger) -> None:
    assert ledger.buy(ENTERPRISE, DECLINES) is PaymentState.DECLINED
    assert (ledger.plan, ledger.moved(), ledger.invoices(), ledger.terms()) == ("basic", 0, [], [])
    assert ledger.rows(Card, Card.removed_at.is_(None)) == [], "a card that did not pay is not kept"
    assert [event.kind for event in ledger.rows(Event)][-2:] == [EventKind.PAYMENT_FAILED, EventKind.CARD_REMOVED]
    assert ledger.buy(ENTERPRISE) is PaymentState.PAID


def test_the_bank_may_ask_and_an_hour_later_it_is_over(ledger: Ledger) -> None:
    key = ledger.begin(ENTERPRISE)
    assert ledger.type(key, ASKS) is PaymentState.ASKING
    assert ledger.answer(key) is PaymentState.ASKING, "first for the card, then for the charge"
    assert ledger.plan == "basic"
    ledger.step(minutes=59)
    ledger.work()
    assert ledger.payment(key).state is PaymentState.ASKING
    ledger.step(minutes=1)
    ledger.work()
    assert ledger.payment(key).state is PaymentState.EXPIRED
    ledger.gateway.answer_bank(f"{key}:charge", confirmed=True)
    ledger.work()
    assert (ledger.plan, ledger.moved()) == ("basic", 0)
    key = ledger.begin(ENTERPRISE)
    ledger.type(key, ASKS)
    ledger.answer(key)
    assert ledger.answer(key) is PaymentState.PAID
    assert (ledger.plan, ledger.moved()) == ("enterprise", 69900)


def test_an_answer_that_is_lost_is_found_again_and_charged_once(ledger: Ledger) -> None:
    for fault in ("answer lost", "down"):
        key = ledger.begin(ENTERPRISE)
        ledger.gateway.break_down(fault, 1)
        assert ledger.type(key) is PaymentState.PENDING
        ledger.step(minutes=5)
        ledger.work()
        if fault == "answer lost":
            assert ledger.payment(key).state is PaymentState.PAID
            assert (ledger.plan, ledger.moved(), len(ledger.invoices())) == ("enterprise", 69900, 1)
            ledger.contract()
            ledger.work()
            ledger.do(lambda _, house, __: setattr(house, "plan", "basic"))
        else:
            assert ledger.payment(key).state is PaymentState.ABANDONED, "the card never arrived"
            assert ledger.plan == "basic"


def test_a_charge_whose_answer_is_lost_is_not_made_again(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    key = ledger.begin(ENTERPRISE, saved=True)
    ledger.gateway.break_down("answer lost")
    assert ledger.advance(key) is PaymentState.PENDING
    assert ledger.plan == "standard"
    with pytest.raises(Busy):
        ledger.begin(ENTERPRISE, saved=True)
    with pytest.raises(Busy):
        ledger.downgrade(BASIC)
    ledger.step(minutes=5)
    ledger.work()
    assert (ledger.plan, ledger.moved()) == ("enterprise", 69900)


@pytest.mark.parametrize("plan", [BASIC, PREMIUM])
def test_what_is_not_sold_by_card_cannot_be_bought(ledger: Ledger, plan: PlanName) -> None:
    with pytest.raises(Refused):
        ledger.do(lambda _, house, __: quote_upgrade(house, plan, at=ledger.at))


def test_a_downgrade_begins_when_the_period_ends_and_can_be_taken_back(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    ledger.downgrade(STANDARD)
    ledger.downgrade(STANDARD)
    assert (ledger.plan, ledger.subscription().pending_plan) == ("enterprise", STANDARD)
    ledger.keep()
    assert ledger.subscription().pending_plan is None
    with pytest.raises(Refused):
        ledger.keep()
    ledger.downgrade(STANDARD)
    ledger.step(days=27)
    ledger.work()
    assert ledger.plan == "enterprise"
    ledger.step(days=1)
    ledger.work()
    assert ledger.plan == "standard"
    assert letters(ledger).count(Letter.PLAN_PENDING) == 2
    assert letters(ledger).count(Letter.PLAN_CHANGED) == 1


def test_an_upgrade_clears_a_pending_downgrade(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.downgrade(BASIC)
    assert ledger.buy(ENTERPRISE) is PaymentState.PAID
    assert ledger.subscription().pending_plan is None
    ledger.step(days=28)
    ledger.work()
    assert ledger.plan == "enterprise"


def test_the_usage_of_a_plan_that_ended_is_charged_when_it_is_known(ledger: Ledger) -> None:
    ledger.at = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.buy(ENTERPRISE)
    ledger.downgrade(BASIC)
    ledger.step(days=31)
    ledger.work()
    assert (ledger.plan, ledger.moved()) == ("basic", 69900)
    ledger.charge(date(2026, 3, 1), 612_080)
    ledger.work()
    assert ledger.moved() == 69900 + 52516
    ledger.step(days=60)
    ledger.work()
    assert ledger.moved() == 69900 + 52516


def test_a_renewal_that_fails_leaves_days_of_grace_and_then_basic(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    token = ledger.rows(Card)[0].token
    ledger.gateway.forget(token)
    end = ledger.subscription().period_end
    ledger.at = end
    ledger.work()
    ledger.work()
    assert (ledger.plan, ledger.subscription().standing) == ("enterprise", Standing.PAST_DUE)
    assert ledger.subscription().last_day_at == end + GRACE
    assert letters(ledger).count(Letter.PAYMENT_FAILED) == 1
    with pytest.raises(Refused, match="not paid"):
        ledger.downgrade(STANDARD)
    ledger.at = end + GRACE - timedelta(seconds=1)
    ledger.work()
    assert ledger.plan == "enterprise"
    ledger.step(seconds=1)
    ledger.work()
    assert (ledger.plan, ledger.subscription().standing) == ("basic", Standing.ENDED)
    assert ledger.moved() == 69900 == ledger.invoiced()


def test_an_unpaid_renewal_is_paid_with_another_card_and_the_period_is_as_it_would_have_been(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    ledger.gateway.forget(ledger.rows(Card)[0].token)
    end = ledger.subscription().period_end
    ledger.at = end
    ledger.work()
    ledger.step(days=3)
    assert ledger.pay() is PaymentState.DECLINED
    with pytest.raises(Refused):
        ledger.buy(ENTERPRISE)
    ledger.do(lambda _, house, owner: _new_default(ledger, house, owner))
    assert ledger.pay() is PaymentState.PAID
    running = ledger.subscription()
    assert (running.standing, running.last_day_at, running.period_start) == (Standing.ACTIVE, None, end)
    with pytest.raises(Refused, match="Nothing is owed"):
        ledger.pay()


def _new_default(ledger: Ledger, house: object, owner: object) -> None:
    from models.cards import add_card
    from models.outside import CardDetails

    details = CardDetails(FINE, 1, 2031, "123", "x")
    answer = ledger.gateway.save_card("lumen-retail", details, key="another", back="")
    assert answer.card is not None
    add_card(house, owner.id, answer.card, default=True, now=ledger.at)  # type: ignore[arg-type,attr-defined]


def test_a_contract_gives_back_what_is_unused_to_the_charges_that_paid_for_it(ledger: Ledger) -> None:
    ledger.tax(1000)
    ledger.at = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.buy(STANDARD)
    ledger.at = datetime(2026, 4, 1, tzinfo=UTC)
    ledger.work()
    ledger.step(hours=12)
    ledger.buy(ENTERPRISE)
    ledger.step(hours=12)
    paid = ledger.moved()
    ledger.contract()
    assert ledger.plan == "premium"
    ledger.work()
    unused = round(69900 * 29 / 30)
    notes = [paper for paper in ledger.invoices() if paper.kind is InvoiceKind.CREDIT_NOTE]
    assert sum(-note.subtotal for note in notes) == unused
    assert [note.number for note in notes] == ["CN-1", "CN-2"], "an upgrade was charged less what had been paid"
    assert paid - ledger.moved() == sum(-note.total for note in notes)
    assert abs(paid - ledger.moved() - unused * 1.1) <= 2
    assert ledger.moved() == ledger.invoiced()
    refunds = ledger.rows(Payment, Payment.kind == PaymentKind.REFUND)
    assert [one.state for one in refunds] == [PaymentState.PAID] * 2
    with pytest.raises(Refused, match="contract"):
        ledger.begin(ENTERPRISE)


def test_no_contract_begins_while_somebody_pays(ledger: Ledger) -> None:
    ledger.begin(ENTERPRISE)
    with pytest.raises(Busy):
        ledger.contract()
    assert ledger.plan == "basic"


def test_a_clock_that_steps_over_months_brings_each_period_once(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    ledger.step(days=110)
    ledger.work()
    periods = [(term.period_start, term.period_end) for term in ledger.terms()]
    assert len(periods) == 4
    assert all(before[1] == after[0] for before, after in pairwise(periods))
    assert ledger.moved() == 4 * 69900
    ledger.step(hours=-5)
    ledger.work()
    assert ledger.moved() == 4 * 69900
    assert (
        ledger.do(lambda session, _, __: session.scalar(select(Event.id).where(Event.kind == EventKind.PLAN_LAPSED)))
        is None
    )
