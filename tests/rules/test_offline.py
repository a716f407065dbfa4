"""Money that came without a card: recorded once, it gives what a charge would, and waits for the next transfer."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import databases
import pytest
from factories import AURORA, Town, now
from ledger import START, Ledger
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from models import endings, offline
from models.base import Refused
from models.cards import Card
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.invoices import InvoiceKind, InvoiceLine
from models.letters import facts_of
from models.organizations import Organization
from models.outbox import Letter, Message
from models.payments import Busy, Payment, PaymentKind, PaymentState
from models.people import Person
from models.subscriptions import OFFLINE_GRACE, Standing

STANDARD, ENTERPRISE = PlanName.STANDARD, PlanName.ENTERPRISE
WORDS = "Bank transfer 2026-1128, received on 31 Jan 2026"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def letters(ledger: Ledger) -> list[Letter]:
    return [message.kind for message in ledger.rows(Message)]


def test_a_transfer_gives_plan_invoice_and_mail(ledger: Ledger) -> None:
    ledger.record("enterprise")
    assert ledger.plan == "enterprise"
    (invoice,) = ledger.invoices()
    assert (invoice.total, invoice.card) == (69_900, WORDS)
    (payment,) = ledger.rows(Payment)
    assert (payment.kind, payment.state, payment.card_id) == (PaymentKind.UPGRADE, PaymentState.PAID, None)
    assert [message.recipient for message in ledger.rows(Message)] == ["owner@lumen.example"]
    assert ledger.gateway.charged("lumen-retail") == []
    (event,) = ledger.rows(Event, Event.kind == EventKind.PAYMENT_RECORDED)
    assert (event.data, event.actor_id) == ({"words": WORDS, "cents": 69_900}, ledger.seller)


def test_its_renewal_waits_for_a_transfer_and_charges_no_card(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.record("enterprise")
    moved = ledger.moved()
    ledger.at = ledger.subscription().period_end
    ledger.work()
    running = ledger.subscription()
    assert (running.standing, running.pays_offline, running.retry_at) == (Standing.PAST_DUE, True, None)
    assert running.last_day_at == running.period_end + OFFLINE_GRACE
    assert (ledger.moved(), ledger.plan) == (moved, "enterprise")
    (told,) = ledger.rows(Message, Message.kind == Letter.PAYMENT_FAILED)
    assert told.data["reason"] == "offline"
    ledger.step(days=20)
    ledger.record()
    assert ledger.subscription().standing is Standing.ACTIVE
    assert ledger.rows(Payment)[-1].kind is PaymentKind.RENEWAL
    assert ledger.moved() == moved + 69_900


def test_a_transfer_that_never_comes_ends_the_plan_after_thirty_days(ledger: Ledger) -> None:
    ledger.record("enterprise")
    end = ledger.at = ledger.subscription().period_end
    ledger.work()
    ledger.at = end + timedelta(days=29)
    ledger.work()
    assert ledger.plan == "enterprise"
    ledger.at = end + OFFLINE_GRACE
    ledger.work()
    assert ledger.plan == "basic"


def test_who_pays_by_card_again_is_charged_again(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.record("enterprise")
    ledger.step(days=31)
    ledger.work()
    assert ledger.pay() is PaymentState.PAID
    assert not ledger.subscription().pays_offline
    before = len(ledger.gateway.charged("lumen-retail"))
    ledger.step(days=31)
    ledger.work()
    assert len(ledger.gateway.charged("lumen-retail")) == before + 1
    assert ledger.plan == "enterprise"


def test_a_failed_renewal_by_card_can_be_paid_by_transfer(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    gone = update(Card).values(removed_at=START, default_for=None)
    ledger.do(lambda session, _, __: session.execute(gone))
    ledger.step(days=31)
    ledger.work()
    assert ledger.subscription().standing is Standing.PAST_DUE
    ledger.record("arrears")
    assert ledger.subscription().standing is Standing.ACTIVE
    assert ledger.invoices()[-1].card.startswith("Bank transfer")


def test_what_a_contract_gives_back_of_a_transfer_waits_for_an_administrator(ledger: Ledger) -> None:
    ledger.record("enterprise")
    ledger.step(days=10)
    ledger.contract()
    ledger.work()
    refund = ledger.rows(Payment, Payment.kind == PaymentKind.REFUND)[0]
    assert (refund.state, refund.reason) == (PaymentState.DECLINED, "offline")
    assert ledger.plan == "premium"
    assert [one.kind for one in ledger.invoices()] == [InvoiceKind.INVOICE]


def test_it_is_told_a_fortnight_ahead_once_each_period(ledger: Ledger) -> None:
    ledger.record("enterprise")
    for _ in range(2):
        end = ledger.subscription().period_end
        ledger.at = end - timedelta(days=15)
        assert ledger.do(lambda session, _, __: endings.tell_endings(session, ledger.at)) == 0
        ledger.at = end - timedelta(days=13)
        assert ledger.do(lambda session, _, __: endings.tell_endings(session, ledger.at)) == 1
        ledger.step(days=3)
        assert ledger.do(lambda session, _, __: endings.tell_endings(session, ledger.at)) == 0
        ledger.at = end
        ledger.work()
        ledger.record()
    told = [message.data for message in ledger.rows(Message, Message.kind == Letter.ENDS_SOON)]
    assert [(data["what"], data["on"]) for data in told] == [("offline", "2026-02-28"), ("offline", "2026-03-31")]


def test_a_lower_plan_that_is_to_begin_is_told_with_its_price(ledger: Ledger) -> None:
    ledger.record("enterprise")
    ledger.downgrade(PlanName.STANDARD)
    ledger.at = ledger.subscription().period_end - timedelta(days=13)
    assert ledger.do(lambda session, _, __: endings.tell_endings(session, ledger.at)) == 1
    (letter,) = ledger.rows(Message, Message.kind == Letter.ENDS_SOON)
    assert (letter.data["card"], letter.data["plan"]) == ("$29.00", "standard")
    known = ledger.do(lambda session, _, __: facts_of(session.merge(letter), session, "https://help.example"))
    assert known["plan"] == "Standard"


@pytest.fixture
def ahead(ledger: Ledger) -> Ledger:
    """A plan paid by transfer, and the transfer for its next period, which came ten days before that begins."""
    ledger.record("enterprise")
    ledger.at = ledger.subscription().period_end - timedelta(days=15)
    with pytest.raises(Refused, match="Nothing of that kind can be paid now"):
        ledger.record(offline.NEXT)
    ledger.step(days=5)
    ledger.record(offline.NEXT)
    return ledger


def test_a_transfer_that_comes_before_its_period_begins_it_in_time(ahead: Ledger) -> None:
    before = ahead.subscription()
    assert (before.standing, ahead.moved(), ahead.invoiced()) == (Standing.ACTIVE, 139_800, 139_800)
    assert before.period_start == START, "the running period goes on as it was"
    assert [line.starts_at for line in ahead.rows(InvoiceLine)] == [START, before.period_end]
    assert ahead.do(lambda session, _, __: endings.tell_endings(session, ahead.at)) == 0, "nobody is asked again"
    with pytest.raises(Refused, match="Nothing of that kind can be paid now"):
        ahead.record(offline.NEXT)
    ahead.at = before.period_end
    ahead.work()
    running = ahead.subscription()
    assert (running.standing, running.period_start, running.last_day_at) == (
        Standing.ACTIVE,
        before.period_end,
        None,
    )
    assert [term.period_start for term in ahead.terms()] == [START, before.period_end]
    assert (Letter.PAYMENT_FAILED in letters(ahead), len(ahead.invoices()), ahead.moved()) == (False, 2, 139_800)
    ahead.at = running.period_end
    ahead.work()
    assert ahead.subscription().standing is Standing.PAST_DUE, "it was one period’s money"


@pytest.mark.parametrize("why", ["downgrade", "contract"])
def test_what_was_paid_ahead_for_another_plan_waits_to_be_given_back(ahead: Ledger, why: str) -> None:
    if why == "contract":
        ahead.contract()
    else:
        ahead.downgrade(PlanName.BASIC)
    ahead.at = ahead.subscription().period_end
    ahead.work()
    assert ahead.plan == ("premium" if why == "contract" else "basic")
    refunds = ahead.rows(Payment, Payment.kind == PaymentKind.REFUND)
    assert [one.state for one in refunds] == [PaymentState.DECLINED] * len(refunds)
    assert 69_900 in [one.cents for one in refunds]


def test_an_upgrade_after_a_transfer_came_ahead_is_for_the_running_period(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.downgrade(PlanName.BASIC)
    ledger.step(days=28)
    ledger.work()
    ledger.record("standard")
    ledger.at = ledger.subscription().period_end - timedelta(days=10)
    ledger.record(offline.NEXT)
    assert ledger.advance(ledger.begin(ENTERPRISE, saved=True)) is PaymentState.PAID
    ledger.at = ledger.subscription().period_end
    ledger.work()
    (refund,) = ledger.rows(Payment, Payment.kind == PaymentKind.REFUND)
    assert (refund.cents, refund.reason) == (2_900, "offline")
    assert (ledger.plan, ledger.subscription().standing) == ("enterprise", Standing.ACTIVE)
    assert ledger.moved() == ledger.invoiced()


def test_what_cannot_be_recorded_is_refused_and_leaves_nothing(ledger: Ledger) -> None:
    came = offline.Came(offline.Method.ORDER, "PO 7", START.date(), "69900")

    def record(what: str = "enterprise", came: offline.Came = came, quoted_at: datetime = START) -> None:
        def verb(session: Session, house: Organization, _: Person) -> None:
            seller = session.get_one(Person, ledger.seller)
            offline.record_payment(house, seller, what, came, quoted_at=quoted_at, now=START)

        ledger.do(verb)

    for field, refused in (
        ("what", lambda: record("premium")),
        ("what", lambda: record("arrears")),
        ("what", lambda: record("basic")),
        ("", lambda: record("standard", replace(came, shown="0"))),
        ("", lambda: record(came=replace(came, shown="69901"))),
        ("reference", lambda: record(came=replace(came, reference=" "))),
        ("reference", lambda: record(came=replace(came, reference="x" * 61))),
        ("received", lambda: record(came=replace(came, received=date(2026, 2, 1)))),
        ("received", lambda: record(came=replace(came, received=date(2025, 1, 1)))),
        ("", lambda: record(quoted_at=START - timedelta(minutes=31))),
        ("", lambda: record(quoted_at=START + timedelta(minutes=1))),
    ):
        with pytest.raises(Refused) as told:
            refused()
        assert told.value.field == field, told.value
    assert ledger.rows(Payment) == []
    ledger.begin(STANDARD)
    with pytest.raises(Busy):
        record()
    assert ledger.plan == "basic"


@pytest.mark.skipif(databases.server() is None, reason="SQLite's one writer holds its lock from the start of each post")
def test_two_administrators_record_one_transfer_once(town: Town) -> None:
    """Both have the page open, and press the button at the same moment."""
    at, start, done = now(), threading.Barrier(2), []

    def run() -> None:
        with Session(town.engine) as session:
            house = session.scalars(select(Organization).where(Organization.slug == AURORA)).one()
            actor = session.scalars(select(Person).where(Person.email == "admin@support.example")).one()
            came = offline.Came(offline.Method.ORDER, "PO 7", at.date(), "69900")
            start.wait(10)
            with suppress(Refused, DBAPIError, StaleDataError):
                offline.record_payment(house, actor, "enterprise", came, quoted_at=at, now=at)
                session.commit()
                done.append(1)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert done == [1]
    assert town.count(Payment, Payment.offline != "") == 1
