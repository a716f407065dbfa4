"""A gateway that says what nobody expects: one payment that it breaks keeps no other one waiting."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger import HOUSE, Ledger
from stripe_double import TriedStripe

from models import checkout, collecting
from models.cards import Card
from models.catalogue import PlanName
from models.payments import LEFT, Payer, Payment, PaymentState
from models.subscriptions import Standing

STANDARD, ENTERPRISE = PlanName.STANDARD, PlanName.ENTERPRISE


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture
def moved_on(tmp_path: Path) -> Ledger:
    """A plan that was bought with one account of Stripe's, and a portal that has the keys of another one now."""
    stripe = TriedStripe()
    stripe.double.forget_all()
    ledger = Ledger(tmp_path, gateway=stripe)
    ledger.buy(STANDARD)
    stripe.double.forget_all()
    return ledger


def test_who_types_a_card_is_enrolled_anew_with_another_account_of_the_gateways(moved_on: Ledger) -> None:
    before = moved_on.rows(Payer)[0].token
    saved = moved_on.begin(ENTERPRISE, saved=True)
    assert moved_on.advance(saved) is PaymentState.DECLINED
    assert "does not know this card any more. Nothing was charged." in moved_on.payment(saved).words
    assert moved_on.buy(ENTERPRISE) is PaymentState.PAID
    assert moved_on.plan == "enterprise"
    assert [one.token == before for one in moved_on.rows(Payer)] == [False]


def test_a_renewal_that_no_gateway_knows_the_card_of_is_declined_for_good(moved_on: Ledger) -> None:
    moved_on.at = moved_on.subscription().period_end
    moved_on.work()
    running = moved_on.subscription()
    assert (running.standing, running.retry_at) == (Standing.PAST_DUE, None)
    assert moved_on.rows(Payment)[-1].reason == "resource_missing"


def saving(ledger: Ledger) -> str:
    begun = ledger.do(lambda _, house, owner: checkout.begin_saving(house, owner, replaces=None, now=ledger.at))
    return str(begun.public_id)


def break_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Let the gateway say of one call what no code of ours understands."""
    real = ledger.gateway.look

    def look(payer: str, key: str) -> Any:
        if key.startswith(broken):
            raise KeyError("strange")
        return real(payer, key)

    monkeypatch.setattr(ledger.gateway, "look", look)


def test_one_payment_that_breaks_is_put_off_and_stops_no_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = saving(ledger), saving(ledger)
    break_one(ledger, monkeypatch, first)
    ledger.step(minutes=2)
    assert collecting.advance_due(ledger.sessions, ledger.gateway, ledger) == 2
    assert ledger.payment(second).state is PaymentState.ABANDONED
    broken = ledger.payment(first)
    assert (broken.state, broken.attempts) == (PaymentState.PENDING, 1)
    assert broken.next_at > ledger.at
    assert f"Payment {first} cannot be worked on." in caplog.text


def test_one_card_that_breaks_keeps_no_other_from_being_forgotten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = saving(ledger), saving(ledger)
    for key in (first, second):
        collecting.abandon(ledger.sessions, ledger.gateway, key, ledger)
    break_one(ledger, monkeypatch, first)
    ledger.step(minutes=2)
    assert collecting.forget_left(ledger.sessions, ledger.gateway, ledger) == 2
    assert (ledger.payment(first).asks, ledger.payment(second).asks) == (LEFT, "")
    assert ledger.payment(first).next_at == ledger.at + timedelta(minutes=1)

    for _ in range(2):
        assert ledger.type(saving(ledger)) is PaymentState.PAID
    ledger.do(lambda session, _, __: session.query(Card).update({"removed_at": ledger.at, "default_for": None}))
    one, real = ledger.rows(Card)[0], ledger.gateway.forget

    def forget(token: str) -> None:
        if token == one.token:
            raise KeyError("strange")
        real(token)

    monkeypatch.setattr(ledger.gateway, "forget", forget)
    assert collecting.forget_removed(ledger.sessions, ledger.gateway, ledger) == 1
    assert f"Card {one.id} cannot be forgotten." in caplog.text
    assert ledger.gateway.charged(HOUSE) == []
