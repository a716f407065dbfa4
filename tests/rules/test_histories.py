"""What an organization had on a day: plan, price, card and contract, by what was written down then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from ledger import DECLINES, Ledger
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.cards import Card, add_card, cards_of, remove_card
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.histories import Then, had, history_of
from models.outside import CardFacts
from models.subscriptions import GRACE

DAY = timedelta(days=1)
MASTER = CardFacts("tok_master", "Mastercard", "4444", 4, 2099)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path)
    yield made
    made.engine.dispose()


def then(ledger: Ledger, at: datetime) -> Then:
    found = ledger.do(lambda _, house, __: had(house, at))
    assert isinstance(found, Then)
    return found


def test_each_change_is_found_by_its_day(ledger: Ledger) -> None:
    start = ledger.at
    ledger.step(days=3)
    ledger.buy(PlanName.STANDARD)
    bought = ledger.at
    free_until = ledger.subscription().period_end
    ledger.at = free_until
    ledger.work()
    renewed = ledger.at
    ledger.step(days=4)
    ledger.type(ledger.begin(PlanName.ENTERPRISE), "5555555555554444")
    upgraded = ledger.at
    ledger.step(days=2)
    ledger.contract()
    signed = ledger.at
    visa, master = "Visa ending 4242", "Mastercard ending 4444"
    assert then(ledger, start).plan is PlanName.BASIC
    free = then(ledger, bought + DAY)
    assert (free.plan, free.floor_cents, free.card) == (PlanName.STANDARD, 0, visa)
    paid = then(ledger, renewed + DAY)
    assert (paid.plan, paid.floor_cents, paid.percent, paid.card) == (PlanName.STANDARD, 2900, 10, visa)
    more = then(ledger, upgraded + DAY)
    assert (more.plan, more.floor_cents, more.percent, more.card) == (PlanName.ENTERPRISE, 69900, 20, master)
    assert more.period_end == ledger.subscription().period_end
    last = then(ledger, signed)
    assert (last.plan, last.floor_cents, last.contract) == (PlanName.PREMIUM, None, (signed.date(), date(2099, 1, 1)))
    assert then(ledger, bought - timedelta(seconds=1)).plan is PlanName.BASIC


def test_what_nobody_ever_changed_is_as_it_is(ledger: Ledger) -> None:
    assert then(ledger, ledger.at) == Then(ledger.at, PlanName.BASIC)
    assert ledger.buy(PlanName.ENTERPRISE) is not None
    assert then(ledger, ledger.at - DAY).plan is PlanName.BASIC


def test_days_of_grace_have_the_plan_and_nothing_paid(ledger: Ledger) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    end = ledger.subscription().period_end
    ledger.do(lambda session, _, __: [setattr(card, "month", 1) for card in session.query(Card)])
    ledger.do(lambda session, _, __: [setattr(card, "year", 2020) for card in session.query(Card)])
    ledger.at = end
    ledger.work()
    unpaid = then(ledger, end + DAY)
    assert (unpaid.plan, unpaid.floor_cents, unpaid.card) == (PlanName.ENTERPRISE, None, "")
    ledger.at = end + GRACE
    ledger.work()
    assert then(ledger, end + GRACE).plan is PlanName.BASIC


def test_the_default_card_of_a_day_is_not_the_card_that_paid(ledger: Ledger) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    bought = ledger.at
    ledger.step(days=3)
    ledger.do(lambda _, house, actor: add_card(house, actor.id, MASTER, default=True, now=ledger.at))
    changed = ledger.at
    ledger.step(days=3)
    ledger.do(lambda _, house, actor: remove_card(house, actor, cards_of(house)[0], renews=False, now=ledger.at))
    visa, master = "Visa ending 4242", "Mastercard ending 4444"
    assert [then(ledger, at).default for at in (bought, changed, ledger.at)] == [visa, master, visa]
    assert then(ledger, changed).card == visa
    assert then(ledger, bought - DAY).default == ""


def told(ledger: Ledger, *, bills: bool) -> list[str]:
    changes, _ = ledger.do(lambda _, house, __: history_of(house, 1, 25, bills=bills))
    return [change.words for change in changes if "failed" in change.words or "not paid" in change.words]


def test_what_failed_names_its_plan_and_to_who_sees_bills_the_reason(ledger: Ledger) -> None:
    ledger.buy(PlanName.ENTERPRISE, DECLINES)
    assert told(ledger, bills=True) == ["Upgrade to Enterprise failed: $699.00. The bank declined this card."]
    assert told(ledger, bills=False) == ["Upgrade to Enterprise failed"]
    ledger.do(lambda session, _, __: forget_plan(session))
    assert told(ledger, bills=False) == ["Upgrade failed"], "as it was written down before plans were"


def forget_plan(session: Session) -> None:
    for event in session.scalars(select(Event).where(Event.kind == EventKind.PAYMENT_FAILED)):
        event.data = {name: fact for name, fact in event.data.items() if name != "plan"}


def test_a_renewal_that_failed_names_its_plan(ledger: Ledger) -> None:
    ledger.record("enterprise")
    ledger.at = ledger.subscription().period_end
    ledger.work()
    assert told(ledger, bills=True) == ["Renewal of Enterprise not paid yet: $699.00"]
    assert told(ledger, bills=False) == ["Renewal of Enterprise not paid yet"]
