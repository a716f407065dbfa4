"""Two who change one plan at the same moment: one comes first, and the other one sees what it did."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import databases
import pytest
from ledger import Ledger
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from models import changes, checkout, renewals
from models.base import Refused
from models.cards import Card
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.invoices import InvoiceKind
from models.organizations import Organization
from models.payments import Payment, PaymentKind, PaymentState
from models.people import Person
from models.quotes import quote_upgrade
from models.subscriptions import Standing

ENTERPRISE = PlanName.ENTERPRISE

Verb = Callable[[Ledger, Session, Organization, Person], Any]


class Shared(Ledger):
    """A ledger that two threads write to at once."""

    def _database(self, folder: Path) -> Engine:
        return databases.spare(folder / "ledger.sqlite")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Shared(tmp_path)


def at_once(ledger: Ledger, first: Verb, second: Verb) -> Any:
    """Do the second while the first is done and not yet committed; return what the second returned or was refused."""
    told: list[Any] = []

    def follow() -> None:
        try:
            told.append(ledger.do(lambda *who: second(ledger, *who)))
        except Refused as refused:
            told.append(refused)

    thread = threading.Thread(target=follow)
    with Session(ledger.engine) as session:
        who = session.get_one(Organization, ledger.house), session.get_one(Person, ledger.owner)
        first(ledger, session, *who)
        session.flush()
        thread.start()
        # Time to do what must not be done yet.
        thread.join(0.7)
        session.commit()
    thread.join(20)
    assert len(told) == 1
    return told[0]


def pay(ledger: Ledger, _: Session, house: Organization, owner: Person) -> str:
    due = checkout.arrears_of(house, now=ledger.at)
    return checkout.begin_arrears(house, owner, shown=str(due.total) if due else "", now=ledger.at).public_id


def end(ledger: Ledger, session: Session, *_: object) -> int:
    return renewals.end_unpaid(session, ledger.at)


def buy(ledger: Ledger, _: Session, house: Organization, owner: Person) -> str:
    price = checkout.Price(ledger.at, quote_upgrade(house, ENTERPRISE, at=ledger.at).total)
    return checkout.begin_upgrade(house, owner, ENTERPRISE, price=price, card=None, now=ledger.at).public_id


def contract(ledger: Ledger, _: Session, house: Organization, owner: Person) -> None:
    changes.start_contract(house, owner, now=ledger.at, start=ledger.at.date().isoformat(), end="2099-01-01")
    house.contract_start, house.contract_end = ledger.at.date(), date(2099, 1, 1)


@pytest.fixture
def last_moment(ledger: Ledger) -> Ledger:
    """A renewal that was not paid until the moment at which its plan ends; the card is good again."""
    ledger.buy(ENTERPRISE)
    gone = {"default_for": None}
    ledger.do(lambda session, _, __: session.query(Card).update(gone))
    ledger.at = ledger.subscription().period_end
    ledger.do(lambda session, _, __: renewals.begin_renewals(session, ledger.at))
    ledger.advance(ledger.rows(Payment)[-1].public_id)
    ledger.do(lambda session, house, __: session.query(Card).update({"default_for": house.id}))
    last = ledger.subscription().last_day_at
    assert last is not None
    ledger.at = last
    return ledger


def test_who_pays_at_the_last_moment_keeps_the_plan(last_moment: Ledger) -> None:
    before = last_moment.moved()
    at_once(last_moment, pay, end)
    assert last_moment.plan == "enterprise"
    last_moment.work()
    last_moment.advance(last_moment.rows(Payment)[-1].public_id)
    assert (last_moment.plan, last_moment.subscription().standing) == ("enterprise", Standing.ACTIVE)
    assert last_moment.moved() == before + 69_900 == last_moment.invoiced()


def test_who_pays_a_moment_too_late_is_told_and_not_charged(last_moment: Ledger) -> None:
    before = last_moment.moved()
    told = at_once(last_moment, end, pay)
    assert isinstance(told, Refused)
    last_moment.work()
    assert (last_moment.plan, last_moment.moved()) == ("basic", before)


def test_a_contract_waits_for_who_buys_at_the_same_moment(ledger: Ledger) -> None:
    told = at_once(ledger, buy, contract)
    assert isinstance(told, Refused)
    assert ledger.type(ledger.rows(Payment)[-1].public_id) is PaymentState.PAID
    assert ledger.plan == "enterprise"


def test_who_buys_at_the_same_moment_as_a_contract_begins_is_told_and_not_charged(ledger: Ledger) -> None:
    told = at_once(ledger, contract, buy)
    assert isinstance(told, Refused)
    assert (ledger.plan, ledger.rows(Payment)) == ("premium", [])


def test_a_contract_that_was_renewed_at_the_same_moment_goes_on(ledger: Ledger) -> None:
    ledger.do(lambda *who: contract(ledger, *who))
    ledger.do(lambda _, house, __: setattr(house, "contract_end", date(2026, 2, 28)))
    ledger.step(days=60)

    def renew(_: Ledger, session: Session, house: Organization, __: Person) -> None:
        session.get_one(Organization, house.id, with_for_update=True).contract_end = date(2027, 2, 28)

    at_once(ledger, renew, lambda _, session, *__: renewals.end_contracts(session, ledger.at))
    assert ledger.plan == "premium"
    assert ledger.rows(Event, Event.kind == EventKind.CONTRACT_ENDED) == []


def test_a_renewal_that_is_charged_although_its_plan_has_ended_gives_it_back(ledger: Ledger) -> None:
    """However it came to that: what is paid is given."""
    ledger.buy(ENTERPRISE)
    end = ledger.at = ledger.subscription().period_end
    ledger.do(lambda session, _, __: renewals.begin_renewals(session, ledger.at))

    def lapse(_: Session, house: Organization, __: Person) -> None:
        running = changes.live_subscription(house)
        assert running is not None
        running.standing, house.plan = Standing.ENDED, "basic"

    ledger.do(lapse)
    assert ledger.advance(ledger.rows(Payment)[-1].public_id) is PaymentState.PAID
    running = ledger.subscription()
    assert (ledger.plan, running.standing, running.period_start) == ("enterprise", Standing.ACTIVE, end)
    assert ledger.moved() == 2 * 69_900 == ledger.invoiced()


@pytest.mark.parametrize("what", ["upgrade", "renewal"])
def test_what_is_paid_while_a_contract_sets_the_plan_goes_back(ledger: Ledger, what: str) -> None:
    ledger.tax(1000)
    if what == "renewal":
        ledger.buy(ENTERPRISE)
        ledger.at = ledger.subscription().period_end
        ledger.do(lambda session, _, __: renewals.begin_renewals(session, ledger.at))
    else:
        ledger.begin(ENTERPRISE)
    key, before = ledger.rows(Payment)[-1].public_id, ledger.moved()

    def premium(_: Session, house: Organization, __: Person) -> None:
        running = changes.live_subscription(house)
        if running is not None:
            running.standing = Standing.ENDED
        house.plan, house.contract_start, house.contract_end = "premium", ledger.at.date(), date(2099, 1, 1)

    ledger.do(premium)
    assert (ledger.type(key) if what == "upgrade" else ledger.advance(key)) is PaymentState.PAID
    assert (ledger.plan, ledger.moved()) == ("premium", before + 76_890)
    ledger.work()
    assert (ledger.plan, ledger.moved()) == ("premium", before)
    assert ledger.moved() == ledger.invoiced()
    assert ledger.rows(Payment)[-1].kind is PaymentKind.REFUND
    assert ledger.invoices()[-1].kind is InvoiceKind.CREDIT_NOTE
