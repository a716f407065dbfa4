"""The rate of tax: set by an administrator, on invoices from then on."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import Town
from sqlalchemy import select

from models.events import Event, EventKind
from models.invoices import TaxRate, tax_rate


def test_an_administrator_sets_the_rate(town: Town, sign_in: SignIn) -> None:
    admin = sign_in("admin@support.example")
    assert admin.get("/admin/tax").find("/admin/tax")[0].value_of("rate") == "0"
    page = admin.submit("/admin/tax", rate="7,75 %")
    assert "carry 7.75 % tax" in page.at("flash")
    with town.open() as session:
        assert tax_rate(session) == 775
    events = town.scalars(select(Event).where(Event.kind == EventKind.TAX_CHANGED))
    assert [(e.data["before"], e.data["after"]) for e in events] == [("0 %", "7.75 %")]
    assert page.find("/admin/tax")[0].value_of("rate") == "7.75"
    admin.submit("/admin/tax", rate="7.75")
    assert town.count(TaxRate) == 1


@pytest.mark.parametrize("rate", ["", "-1", "100.01", "nineteen", "1.234", "1e2", "١٩"])
def test_what_is_no_rate_is_refused_and_given_back(town: Town, sign_in: SignIn, rate: str) -> None:
    admin = sign_in("admin@support.example")
    admin.get("/admin/tax")
    page = admin.submit("/admin/tax", rate=rate, status=422)
    assert page.errors == ["Enter a rate from 0 to 100, for example 19 or 7.75."]
    assert page.find("/admin/tax")[0].value_of("rate") == rate
    assert town.count(TaxRate) == 0


def test_a_second_administrator_who_was_quicker_is_seen(town: Town, sign_in: SignIn) -> None:
    first, second = sign_in("admin@support.example"), sign_in("admin@support.example")
    first.get("/admin/tax")
    second.get("/admin/tax")
    second.submit("/admin/tax", rate="19")
    page = first.submit("/admin/tax", rate="20", status=409)
    assert "the rate is 19 % now" in page.errors[0]
    first.submit("/admin/tax", rate="20")
    with town.open() as session:
        assert tax_rate(session) == 2000
