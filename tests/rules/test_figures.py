"""Figures of the business: each counted from what was written down, to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from ledger import Ledger
from sqlalchemy import update

from models.cards import Card
from models.catalogue import PlanName
from models.figures import Dunning, Figures, FirstTouch, Move, figures, sheet_of
from models.leads import Enquiry, Lead, Stage, submit
from models.organizations import Organization
from models.payments import PaymentState
from models.people import Person
from models.periods import Month

STANDARD, ENTERPRISE, PREMIUM = PlanName.STANDARD, PlanName.ENTERPRISE, PlanName.PREMIUM
JAN, FEB, MARCH = (Month(2026, number) for number in (1, 2, 3))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def found(ledger: Ledger, months: int = 12) -> Figures:
    seen = ledger.do(lambda session, _, __: figures(session, months, now=ledger.at))
    assert isinstance(seen, Figures)
    return seen


def drop_cards(ledger: Ledger) -> None:
    ledger.do(lambda session, _, __: session.execute(update(Card).values(removed_at=ledger.at, default_for=None)))


def test_plans_and_what_a_month_brings(ledger: Ledger) -> None:
    assert found(ledger).organizations == {PlanName.BASIC: 1}
    ledger.buy(STANDARD)
    assert found(ledger).recurring == {STANDARD: 0}, "a free month brings nothing yet"
    ledger.step(days=31)
    ledger.work()
    assert found(ledger).recurring == {STANDARD: 2_900}
    assert found(ledger).organizations == {STANDARD: 1}
    ledger.contract()
    ledger.do(lambda _, house, __: setattr(house, "contract_cents", 420_000))
    assert found(ledger).recurring == {PREMIUM: 420_000}
    assert found(ledger).recurring_total == 420_000


def test_invoices_add_up_month_by_month_less_what_went_back(ledger: Ledger) -> None:
    ledger.tax(1900)
    ledger.buy(ENTERPRISE)
    ledger.step(days=28)
    ledger.work()
    ledger.step(days=1)
    ledger.contract()
    ledger.work()
    seen = found(ledger)
    assert seen.invoiced[JAN, ENTERPRISE] == 69_900
    assert seen.invoiced[FEB, ENTERPRISE] == 69_900
    assert seen.invoiced_in(MARCH) == sum(one.subtotal for one in ledger.invoices() if one.issued_at.month == 3) < 0
    assert sum(seen.invoiced.values()) == sum(one.subtotal for one in ledger.invoices())


def test_ups_and_downs_are_counted_in_their_months(ledger: Ledger) -> None:
    ledger.buy(STANDARD)
    ledger.buy(ENTERPRISE)
    ledger.downgrade(STANDARD)
    ledger.step(days=29)
    ledger.work()
    seen = found(ledger)
    assert (seen.moves[JAN, Move.UPGRADED], seen.moves[MARCH, Move.DOWNGRADED]) == (2, 1)
    ledger.contract()
    assert found(ledger).moves[MARCH, Move.PREMIUM] == 1


def test_a_failed_renewal_counts_once_and_is_recovered_when_it_is_paid(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    drop_cards(ledger)
    ledger.step(days=28)
    ledger.work()
    for _ in range(3):
        ledger.step(days=1)
        ledger.work()
    assert found(ledger).dunning == {FEB: Dunning(1, 0)}
    assert found(ledger).dunning[FEB].percent == 0
    ledger.record()
    assert found(ledger).dunning == {FEB: Dunning(1, 1)}
    assert found(ledger).dunning[FEB].percent == 100


def test_who_lost_the_plan_and_bought_it_anew_was_not_recovered(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    drop_cards(ledger)
    ledger.step(days=28)
    ledger.work()
    ledger.step(days=9)
    ledger.work()
    assert ledger.plan == "basic"
    assert ledger.buy(ENTERPRISE) is PaymentState.PAID
    ledger.step(days=31)
    ledger.work()
    seen = found(ledger)
    assert seen.dunning == {FEB: Dunning(1, 0)}
    assert seen.moves[MARCH, Move.LAPSED] == 1


def test_who_pays_by_transfer_has_not_failed(ledger: Ledger) -> None:
    ledger.record("enterprise")
    ledger.step(days=31)
    ledger.work()
    assert found(ledger).dunning == {}


def lead(ledger: Ledger, at: datetime) -> None:
    def send(session: object, house: Organization, owner: Person) -> None:
        submit(house, owner, Enquiry("Ann", "ann@x.example", "X", "", "Premium", ""), now=at)

    ledger.do(send)


def test_the_pipeline_by_stage_and_age_and_first_touches(ledger: Ledger) -> None:
    start = ledger.at
    lead(ledger, start)

    def change(**values: object) -> None:
        ledger.do(lambda session, _, __: session.execute(update(Lead).values(**values)))

    for days, at in ((0, 0), (8, 1), (31, 2), (91, 3)):
        ledger.at = start + timedelta(days=days)
        assert found(ledger).pipeline == {(Stage.NEW, at): 1}
    assert found(ledger).touches == {JAN: FirstTouch(0, 1)}
    change(first_touch_at=start + timedelta(hours=1))
    assert found(ledger).touches == {JAN: FirstTouch(1, 0)}
    change(first_touch_at=start + timedelta(days=20))
    assert found(ledger).touches == {JAN: FirstTouch(0, 1)}
    change(stage=Stage.SPAM)
    assert (found(ledger).touches, found(ledger).pipeline) == ({}, {})


def test_only_the_months_that_were_asked_for(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    ledger.at = datetime(2026, 8, 1, tzinfo=UTC)
    assert [month.written for month in found(ledger, 6).months][::5] == ["2026-03", "2026-08"]
    assert found(ledger, 6).invoiced == {}
    assert found(ledger, 12).invoiced == {(JAN, ENTERPRISE): 69_900}
    assert found(ledger, 6).moves == {}


def test_the_sheet_says_every_figure(ledger: Ledger) -> None:
    ledger.buy(ENTERPRISE)
    lines = [line for batch in sheet_of(found(ledger, 6)) for line in batch]
    assert ("Organizations", "now", "Enterprise", 1) in lines
    assert ("Recurring a month", "now", "Enterprise", "699.00") in lines
    assert ("Invoiced", "2026-01", "Enterprise", "699.00") in lines
    assert ("Upgrades", "2026-01", "", 1) in lines
    assert sum(1 for line in lines if line[0] == "Renewals that failed") == 6
    assert date(2026, 1, 31) == ledger.at.date()
