"""A declined renewal: charged again on days 1, 3, 5 and 7 with a letter each, then Basic; a hard decline is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ledger import Ledger
from sqlalchemy.orm import Session

from gateways.payments_sandbox import SandboxPayments
from models import checkout, dunning
from models.cards import Card, add_card
from models.catalogue import PlanName
from models.organizations import Organization
from models.outbox import Letter, Message
from models.outside import CardFacts, GatewayAnswer, Verdict
from models.payments import Payment, PaymentKind, PaymentState
from models.people import Person
from models.subscriptions import GRACE, RETRIES, Standing

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def declined(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A paid plan whose card has no money from now on."""
    ledger.buy(PlanName.ENTERPRISE)
    refuse(monkeypatch, "insufficient_funds")
    ledger.at = ledger.subscription().period_end
    ledger.work()
    return ledger


def refuse(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    answer = GatewayAnswer(Verdict.DECLINED, "", reason)
    monkeypatch.setattr(SandboxPayments, "charge", lambda *_, **__: answer)


def letters(ledger: Ledger) -> list[Message]:
    return ledger.rows(Message, Message.kind == Letter.PAYMENT_FAILED)


def tried(ledger: Ledger) -> int:
    return len(ledger.rows(Payment, Payment.kind == PaymentKind.RENEWAL))


def test_it_is_tried_on_four_days_with_a_letter_each_and_then_it_is_basic(declined: Ledger) -> None:
    end = declined.subscription().period_end
    assert (tried(declined), len(letters(declined))) == (1, 1)
    for number, later in enumerate(RETRIES, start=2):
        declined.at = end + later - HOUR
        declined.work()
        assert tried(declined) == number - 1
        declined.at = end + later
        declined.work()
        declined.work()
        assert (tried(declined), len(letters(declined))) == (number, number)
        assert declined.subscription().standing is Standing.PAST_DUE
    retries = [message.data["retry"] for message in letters(declined)]
    assert retries == [*((end + later).isoformat() for later in RETRIES), ""]
    assert {message.data["last_day"] for message in letters(declined)} == {(end + GRACE).isoformat()}
    declined.at = end + GRACE
    declined.work()
    assert (declined.plan, declined.subscription().retry_at) == ("basic", None)
    assert len(declined.gateway.charged()) == 1


def test_one_that_succeeds_makes_the_period_what_it_would_have_been(
    declined: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = declined.subscription().period_end
    monkeypatch.undo()
    declined.at = end + 3 * DAY
    declined.work()
    running = declined.subscription()
    assert (running.standing, running.period_start, running.retry_at) == (Standing.ACTIVE, end, None)
    assert [cents for _, _, cents in declined.gateway.charged()] == [69900, 69900]
    declined.at = end + 7 * DAY
    declined.work()
    assert len(declined.gateway.charged()) == 2


@pytest.mark.parametrize("reason", ["stolen_card", "authentication_required", "expired_card"])
def test_a_hard_decline_is_not_tried_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    refuse(monkeypatch, reason)
    end = ledger.at = ledger.subscription().period_end
    for later in (timedelta(), *RETRIES):
        ledger.at = end + later
        ledger.work()
    assert (tried(ledger), len(letters(ledger)), ledger.subscription().retry_at) == (1, 1, None)
    assert letters(ledger)[0].data["retry"] == ""
    # Who comes with another card pays, and keeps the plan.
    monkeypatch.undo()
    assert ledger.pay() is PaymentState.PAID
    assert ledger.subscription().standing is Standing.ACTIVE


def good_again(ledger: Ledger, how: str) -> None:
    """Let the default card become good, or another one be it."""
    first, facts = ledger.rows(Card)[0], CardFacts("another", "Visa", "1111", 4, ledger.at.year + 4)

    def verb(session: Session, house: Organization, owner: Person) -> None:
        if how == "renewed by its bank":
            dunning.hear_of_card(session, first.token, replace(facts, token=first.token), now=ledger.at)
        elif how == "gone at the gateway":
            add_card(house, owner.id, facts, default=False, now=ledger.at)
            dunning.hear_of_card(session, first.token, None, now=ledger.at)
        else:
            other = add_card(house, owner.id, facts, default=False, now=ledger.at)
            assert dunning.use_card(house, owner, other, now=ledger.at)

    if how == "replaced":
        asked = {"replaces": first.id, "now": ledger.at}
        begun = ledger.do(lambda _, house, owner: checkout.begin_saving(house, owner, **asked))
        assert ledger.type(begun.public_id) is PaymentState.PAID
    else:
        ledger.do(verb)


@pytest.mark.parametrize("how", ["renewed by its bank", "gone at the gateway", "another default", "replaced"])
def test_a_card_that_has_become_good_is_charged_at_once_even_after_a_hard_decline(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    refuse(monkeypatch, "expired_card")
    end = ledger.at = ledger.subscription().period_end
    ledger.work()
    assert (ledger.subscription().standing, ledger.subscription().retry_at) == (Standing.PAST_DUE, None)
    monkeypatch.setattr(SandboxPayments, "charge", lambda *_, **__: GatewayAnswer(Verdict.DONE, "ch"))
    ledger.step(days=2)
    ledger.work()
    assert tried(ledger) == 1
    good_again(ledger, how)
    ledger.work()
    running = ledger.subscription()
    assert (tried(ledger), running.standing, running.period_start) == (2, Standing.ACTIVE, end)


def test_a_card_that_is_over_gives_way_to_one_that_is_typed_while_a_renewal_is_due(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    ledger.do(lambda session, _, __: setattr(session.query(Card).one(), "year", ledger.at.year - 1))
    ledger.at = ledger.subscription().period_end
    ledger.work()
    assert ledger.rows(Payment)[-1].reason == "expired_card"
    begun = ledger.do(lambda _, house, owner: checkout.begin_saving(house, owner, replaces=None, now=ledger.at))
    ledger.type(begun.public_id)
    ledger.work()
    assert ledger.subscription().standing is Standing.ACTIVE


def test_no_card_is_charged_for_a_plan_that_is_paid_by_transfer(ledger: Ledger) -> None:
    ledger.buy(PlanName.STANDARD)
    first = ledger.rows(Card)[0].id
    ledger.record("enterprise")
    ledger.at = ledger.subscription().period_end
    ledger.work()
    assert ledger.subscription().standing is Standing.PAST_DUE
    begun = ledger.do(lambda _, house, owner: checkout.begin_saving(house, owner, replaces=first, now=ledger.at))
    ledger.type(begun.public_id)
    ledger.work()
    assert (ledger.subscription().retry_at, tried(ledger)) == (None, 1)


def test_a_worker_that_was_down_tries_once_and_one_that_was_down_for_long_ends_it(declined: Ledger) -> None:
    end = declined.subscription().period_end
    declined.at = end + 6 * DAY
    declined.work()
    assert (tried(declined), declined.subscription().retry_at) == (2, end + 7 * DAY)
    declined.at = end + 30 * DAY
    declined.work()
    assert (tried(declined), declined.plan) == (2, "basic")


@pytest.mark.parametrize("days", [1, 5, 20, 70])
def test_the_days_of_grace_begin_with_the_first_try_of_a_worker_that_was_down(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    refuse(monkeypatch, "insufficient_funds")
    first = ledger.at = ledger.subscription().period_end + days * DAY
    ledger.work()
    assert (tried(ledger), ledger.plan) == (1, "enterprise")
    assert (ledger.subscription().last_day_at, ledger.subscription().retry_at) == (first + GRACE, first + DAY)
    for later in RETRIES:
        ledger.at = first + later
        ledger.work()
    assert (tried(ledger), len(letters(ledger)), ledger.plan) == (5, 5, "enterprise")
    assert {message.data["last_day"] for message in letters(ledger)} == {(first + GRACE).isoformat()}
    ledger.at = first + GRACE
    ledger.work()
    assert ledger.plan == "basic"


def test_who_pays_by_hand_and_fails_gets_no_letter(declined: Ledger) -> None:
    before = declined.subscription().retry_at
    assert declined.pay() is PaymentState.DECLINED
    assert (len(letters(declined)), declined.subscription().retry_at) == (1, before)


def test_a_card_that_is_gone_is_not_tried(ledger: Ledger) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    ledger.do(lambda session, _, __: setattr(session.query(Card).one(), "default_for", None))
    ledger.at = ledger.subscription().period_end
    ledger.work()
    assert ledger.rows(Payment)[-1].reason == "no_card"
    assert ledger.subscription().retry_at is None
