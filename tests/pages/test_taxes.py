"""The rate of tax: set by an administrator, on invoices from then on."""

from __future__ import annotations

import re

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, Town
from sqlalchemy import select

from extensions import outside
from models.events import Event, EventKind
from models.invoices import TaxRate, tax_rate
from models.organizations import Organization

CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "04/31", "card_code": "913", "holder": "Maya Okafor"}


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


@pytest.mark.parametrize("saved", [True, False])
def test_a_price_that_changed_since_the_page_was_shown_is_shown_anew(town: Town, sign_in: SignIn, saved: bool) -> None:
    email, slug = ("billing@lumen.example", LUMEN) if saved else ("owner@aurora.example", AURORA)
    browser, admin = sign_in(email), sign_in("admin@support.example")
    path = f"/console/{slug}/upgrade/enterprise"
    post = path if saved else f"{path}/card"
    browser.get(post)
    admin.get("/admin/tax")
    admin.submit("/admin/tax", rate="19")
    typed = {} if saved else CARD
    page = browser.submit(post, status=422, **typed)
    assert "What is due was worked out anew: $" in page.errors[0]
    assert "Tax, 19 %" in page.main
    assert (charged(slug), plan(town, slug)) == ([], "standard" if saved else "basic")
    shown = re.search(r"Total due now\$([0-9.]+)", page.main)
    assert shown is not None
    browser.submit(post, **typed)
    assert charged(slug) == [round(float(shown[1]) * 100)]
    assert plan(town, slug) == "enterprise"


def charged(slug: str) -> list[int]:
    there = outside().sandbox
    assert there is not None
    return [cents for _, _, cents in there.charged(slug)]


def plan(town: Town, slug: str) -> str:
    return str(town.scalars(select(Organization.plan).where(Organization.slug == slug))[0])
