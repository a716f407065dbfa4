"""Cards at their limits: more than ten at once, and payments that are ended while a card is being saved."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger import ASKS, FINE, Ledger
from sqlalchemy.orm import Session

from models import checkout, collecting
from models.cards import CARDS_MOST, Card
from models.catalogue import PlanName
from models.outside import GatewayAnswer, Unanswered, Verdict
from models.payments import PaymentState

ENTERPRISE = PlanName.ENTERPRISE


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def kept(ledger: Ledger) -> int:
    """Return how many cards the gateway has."""
    with closing(sqlite3.connect(ledger.gateway.path)) as gateway:
        return int(gateway.execute("SELECT count(*) FROM cards WHERE gone = 0").fetchone()[0])


def forget(ledger: Ledger) -> None:
    """Do what the worker does about cards that nobody sees."""
    collecting.forget_left(ledger.sessions, ledger.gateway, ledger)
    collecting.forget_removed(ledger.sessions, ledger.gateway, ledger)


def saving(ledger: Ledger, replaces: int | None = None) -> str:
    begun = ledger.do(lambda _, house, owner: checkout.begin_saving(house, owner, replaces=replaces, now=ledger.at))
    return str(begun.public_id)


def test_cards_that_are_asked_for_together_are_never_more_than_ten(ledger: Ledger) -> None:
    keys = [saving(ledger) for _ in range(CARDS_MOST + 1)]
    upgrade = ledger.begin(ENTERPRISE)
    assert {ledger.type(key) for key in keys[:CARDS_MOST]} == {PaymentState.PAID}
    for key in (keys[-1], upgrade):
        assert ledger.type(key) is PaymentState.DECLINED
        assert "There are 10 cards already, which is the most" in ledger.payment(key).words
    assert (ledger.plan, ledger.moved(), kept(ledger)) == ("basic", 0, CARDS_MOST + 2)
    forget(ledger)
    assert kept(ledger) == len(ledger.rows(Card, Card.removed_at.is_(None))) == CARDS_MOST
    oldest = ledger.rows(Card)[0].id
    assert ledger.type(saving(ledger, replaces=oldest)) is PaymentState.PAID, "a card in another one’s place"
    assert len(ledger.rows(Card, Card.removed_at.is_(None))) == CARDS_MOST


@pytest.mark.parametrize("number", [FINE, ASKS])
@pytest.mark.parametrize("way", ["ended", "looked at"])
def test_a_card_that_is_saved_while_its_payment_is_ended_is_forgotten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, way: str, number: str
) -> None:
    key, real = ledger.begin(ENTERPRISE), ledger.gateway.save_card

    def slowly(*given: Any, **more: Any) -> GatewayAnswer:
        if way == "ended":
            collecting.abandon(ledger.sessions, ledger.gateway, key, ledger)
        else:
            ledger.advance(key)
        return real(*given, **more)

    monkeypatch.setattr(ledger.gateway, "save_card", slowly)
    assert ledger.type(key, number) is PaymentState.ABANDONED
    forget(ledger)
    assert kept(ledger) == 1, "nobody asks about a call that may still be made"
    ledger.step(minutes=2)
    ledger.gateway.break_down("down")
    forget(ledger)
    ledger.step(minutes=2)
    forget(ledger)
    # Where the bank was asked about the card, the question is withdrawn: that card was never saved.
    assert kept(ledger) == (0 if number == FINE else 1)
    look = ledger.gateway.look("lumen-retail", f"{key}:card")
    assert look is not None
    assert look.verdict is (Verdict.DONE if number == FINE else Verdict.CANCELED)
    assert (ledger.plan, ledger.moved(), ledger.rows(Card, Card.removed_at.is_(None))) == ("basic", 0, [])
    assert ledger.payment(key).asks == ""


def test_a_payment_whose_charge_began_meanwhile_is_not_ended(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    key, charge, opened = ledger.begin(ENTERPRISE), ledger.gateway.charge, 0

    def silently(*given: Any, **more: Any) -> GatewayAnswer:
        charge(*given, **more)
        raise Unanswered

    def sessions() -> Session:
        nonlocal opened
        opened += 1
        if opened == 2:
            # Between the look at the payment and its end the card is saved, and the charge is under way.
            ledger.type(key)
        return ledger.sessions()

    monkeypatch.setattr(ledger.gateway, "charge", silently)
    assert collecting.abandon(sessions, ledger.gateway, key, ledger) is PaymentState.PENDING
    monkeypatch.undo()
    ledger.step(minutes=2)
    ledger.work()
    assert (ledger.plan, ledger.moved()) == ("enterprise", 69900)
