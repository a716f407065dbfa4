"""Money that goes back at Stripe: it may be under way for days, and come back after it was done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from ledger import Ledger
from sqlalchemy.orm import Session
from stripe_double import TriedStripe

from models import collecting, outcomes
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.invoices import InvoiceKind
from models.organizations import Organization
from models.outbox import Letter, Message
from models.outside import Unanswered
from models.payments import Payment, PaymentKind, PaymentState
from models.people import Person
from models.permissions import Role


@pytest.fixture
def stripe() -> TriedStripe:
    there = TriedStripe()
    there.double.forget_all()
    return there


@pytest.fixture
def ledger(tmp_path: Path, stripe: TriedStripe) -> Ledger:
    """A contract begins on the first day of a plan that was paid: all of it goes back."""
    made = Ledger(tmp_path, gateway=stripe)
    made.do(lambda session, _, __: setattr(session.get_one(Person, made.seller), "staff_role", Role.ADMINISTRATOR))
    made.buy(PlanName.ENTERPRISE)
    made.contract()
    return made


def refund(ledger: Ledger) -> Payment:
    (found,) = ledger.rows(Payment, Payment.kind == PaymentKind.REFUND)
    assert isinstance(found, Payment)
    return found


def hear(ledger: Ledger, number: int = 1) -> bool:
    key = f"{refund(ledger).public_id}:refund"
    return collecting.heard(ledger.sessions, ledger.gateway, f"evt_{number}", key, ledger)


def notes(ledger: Ledger) -> int:
    return sum(paper.kind is InvoiceKind.CREDIT_NOTE for paper in ledger.invoices())


def told(ledger: Ledger) -> int:
    return len(ledger.rows(Message, Message.kind == Letter.REFUND_FAILED))


def test_one_that_is_under_way_stays_open_and_is_asked_about_now_and_then(ledger: Ledger, stripe: TriedStripe) -> None:
    stripe.double.refunds_are = "pending"
    for _ in range(6):
        ledger.work()
        assert (refund(ledger).state, notes(ledger)) == (PaymentState.PENDING, 0)
        ledger.at = refund(ledger).next_at
    ledger.work()
    assert refund(ledger).next_at == ledger.at + timedelta(hours=1)
    stripe.double.refunds_are = "succeeded"
    assert hear(ledger), "its event tells at once"
    assert (refund(ledger).state, notes(ledger), told(ledger)) == (PaymentState.PAID, 1, 0)


def test_one_that_comes_back_after_it_was_done_waits_for_an_administrator(ledger: Ledger, stripe: TriedStripe) -> None:
    ledger.work()
    assert (refund(ledger).state, notes(ledger)) == (PaymentState.PAID, 1)
    hear(ledger, 1)
    assert (refund(ledger).state, told(ledger)) == (PaymentState.PAID, 0)
    ledger.step(days=6)
    stripe.double.refunds_are = "failed"
    stripe.double.down = 2
    with pytest.raises(Unanswered):
        hear(ledger, 2)
    for event in (2, 2, 3):
        hear(ledger, event)
    assert (refund(ledger).state, refund(ledger).reason) == (PaymentState.DECLINED, "refund_failed")
    assert (notes(ledger), told(ledger)) == (1, 1)

    number = refund(ledger).id

    def pay_back(session: Session, _: Organization, __: Person) -> str:
        mine = session.get_one(Payment, number)
        return outcomes.paid_back_by_hand(mine, session.get_one(Person, ledger.seller), now=ledger.at).number

    assert ledger.do(pay_back) == "CN-1"
    assert (refund(ledger).state, notes(ledger)) == (PaymentState.PAID, 1)
    assert len(ledger.rows(Event, Event.kind == EventKind.REFUNDED_BY_HAND)) == 1
    hear(ledger, 4)
    assert (refund(ledger).state, told(ledger)) == (PaymentState.PAID, 1), "by hand it stays paid back"
