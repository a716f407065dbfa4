"""The embedded gateway: which cards it takes, that a key is charged once, and what it does when it fails."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateways.payments_sandbox import CARDS, SandboxPayments
from models.outside import CardDetails, Unanswered, Verdict

pytestmark = pytest.mark.plain

BACK = "/console/x/payments/y"


def details(number: str = "4242424242424242") -> CardDetails:
    return CardDetails(number, 4, 2031, "123", "Ann Ode")


@pytest.fixture
def gateway(tmp_path: Path) -> SandboxPayments:
    return SandboxPayments(tmp_path / "sandbox.sqlite")


def saved(gateway: SandboxPayments, number: str = "4242424242424242", key: str = "k1") -> str:
    answer = gateway.save_card("lumen", details(number), key=key, back=BACK)
    assert answer.card is not None
    return answer.card.token


def charge(gateway: SandboxPayments, card: str, key: str = "c1", cents: int = 2900, **more: bool) -> Verdict:
    present = more.get("present", True)
    return gateway.charge("lumen", card, cents, key=key, back=BACK, present=present).verdict


def test_a_test_card_is_saved_and_charged_once_for_a_key(gateway: SandboxPayments) -> None:
    card = saved(gateway)
    assert saved(gateway) == card
    for _ in range(3):
        assert charge(gateway, card) is Verdict.DONE
    assert gateway.charged("lumen") == [("lumen", "charge", 2900)]
    assert charge(gateway, card, "c2", 100) is Verdict.DONE
    assert gateway.charged() == [("lumen", "charge", 2900), ("lumen", "charge", 100)]


@pytest.mark.parametrize("number", ["4111111111111111", "4532015112830366", "42", "4242424242424241"])
def test_every_other_number_is_refused_and_kept_nowhere(gateway: SandboxPayments, number: str) -> None:
    answer = gateway.save_card("lumen", details(number), key="k", back=BACK)
    assert (answer.verdict, answer.reason) == (Verdict.DECLINED, "not_a_test_card")
    assert number.encode() not in gateway.path.read_bytes()


@pytest.mark.parametrize("number", CARDS)
def test_no_number_is_stored(gateway: SandboxPayments, number: str) -> None:
    gateway.save_card("lumen", details(number), key="k", back=BACK)
    with sqlite3.connect(gateway.path) as db:
        dump = "\n".join(db.iterdump())
    assert number not in dump
    assert number[:8] not in dump


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("4000000000000002", "card_declined"),
        ("4000000000000069", "expired_card"),
        ("4000000000000127", "incorrect_cvc"),
        ("4000000000000119", "processing_error"),
    ],
)
def test_cards_that_banks_decline_when_they_are_saved(gateway: SandboxPayments, number: str, reason: str) -> None:
    answer = gateway.save_card("lumen", details(number), key="k", back=BACK)
    assert (answer.verdict, answer.reason, answer.card) == (Verdict.DECLINED, reason, None)


def test_cards_that_are_saved_and_not_charged(gateway: SandboxPayments) -> None:
    for number, reason in (("4000000000000341", "card_declined"), ("4000000000009995", "insufficient_funds")):
        card = saved(gateway, number, number)
        answer = gateway.charge("lumen", card, 500, key=f"{number}c", back=BACK, present=True)
        assert (answer.verdict, answer.reason) == (Verdict.DECLINED, reason)
    assert gateway.charged() == []


def test_a_bank_asks_and_is_answered_once(gateway: SandboxPayments) -> None:
    asked = gateway.save_card("lumen", details("4000002760003184"), key="k", back=BACK)
    assert (asked.verdict, asked.url, asked.card) == (Verdict.ASKS, f"{BACK}/bank", None)
    gateway.answer_bank("k", confirmed=True)
    there = gateway.look("lumen", "k")
    assert there is not None
    assert there.card is not None
    assert charge(gateway, there.card.token, present=True) is Verdict.ASKS
    assert gateway.charged() == []
    gateway.answer_bank("c1", confirmed=False)
    gateway.answer_bank("c1", confirmed=True)
    refused = gateway.look("lumen", "c1")
    assert refused is not None
    assert (refused.verdict, refused.reason) == (Verdict.DECLINED, "authentication_failed")
    # Nobody is there to be asked at a renewal.
    alone = gateway.charge("lumen", there.card.token, 500, key="c2", back=BACK, present=False)
    assert (alone.verdict, alone.reason) == (Verdict.DECLINED, "authentication_required")


def test_what_waits_for_the_bank_can_be_cancelled_and_what_is_decided_cannot(gateway: SandboxPayments) -> None:
    gateway.save_card("lumen", details("4000002500003155"), key="k", back=BACK)
    assert gateway.cancel("lumen", "k").verdict is Verdict.CANCELED
    gateway.answer_bank("k", confirmed=True)
    there = gateway.look("lumen", "k")
    assert there is not None
    assert there.verdict is Verdict.CANCELED
    card = saved(gateway)
    charge(gateway, card)
    assert gateway.cancel("lumen", "c1").verdict is Verdict.DONE


def test_no_more_goes_back_than_came(gateway: SandboxPayments) -> None:
    charge(gateway, saved(gateway))
    assert gateway.refund("lumen", "c1", 2000, key="r1").verdict is Verdict.DONE
    assert gateway.refund("lumen", "c1", 2000, key="r1").verdict is Verdict.DONE
    assert gateway.refund("lumen", "c1", 901, key="r2").verdict is Verdict.DECLINED
    assert gateway.refund("lumen", "c1", 900, key="r3").verdict is Verdict.DONE
    assert gateway.refund("lumen", "none", 1, key="r4").verdict is Verdict.DECLINED
    assert [cents for _, kind, cents in gateway.charged() if kind == "refund"] == [2000, 900]


def test_a_lost_answer_is_found_by_its_key_and_a_call_that_never_arrived_is_not(gateway: SandboxPayments) -> None:
    card = saved(gateway)
    gateway.break_down("answer lost")
    with pytest.raises(Unanswered):
        charge(gateway, card)
    there = gateway.look("lumen", "c1")
    assert there is not None
    assert there.verdict is Verdict.DONE
    assert charge(gateway, card) is Verdict.DONE
    assert len(gateway.charged()) == 1
    gateway.break_down("down")
    with pytest.raises(Unanswered):
        charge(gateway, card, "c2")
    assert gateway.look("lumen", "c2") is None


def test_a_forgotten_card_and_somebody_elses_are_not_charged(gateway: SandboxPayments) -> None:
    card = saved(gateway)
    other = gateway.charge("northwind", card, 500, key="n", back=BACK, present=True)
    assert other.verdict is Verdict.DECLINED
    gateway.forget(card)
    gateway.forget(card)
    assert charge(gateway, card, "later") is Verdict.DECLINED


def test_a_card_does_not_show_itself() -> None:
    assert "4242" not in repr(details())
    assert "123" not in str(details())
