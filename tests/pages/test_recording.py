"""The page on which an administrator records a transfer or a purchase order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, Town, now
from page import Browser
from sqlalchemy import select
from time_machine import travel

from models.invoices import Invoice
from models.organizations import Organization
from models.payments import Payment
from models.subscriptions import Subscription

RECORD = f"/admin/organizations/{AURORA}/payment"
GIVEN = {"what": "enterprise", "method": "purchase-order", "reference": "PO-7731"}


@pytest.fixture
def administrator(town: Town, sign_in: SignIn) -> Browser:
    browser = sign_in("admin@support.example")
    browser.get(f"{RECORD}?for=enterprise")
    return browser


def plan(town: Town) -> str:
    return str(town.scalars(select(Organization.plan).where(Organization.slug == AURORA))[0])


def test_it_shows_what_can_be_paid_and_records_it(administrator: Browser, town: Town, sign_in: SignIn) -> None:
    assert "First month" in administrator.get(RECORD).main or "first month free" in administrator.get(RECORD).main
    page = administrator.get(f"{RECORD}?for=enterprise")
    assert "Total$699.00" in page.main
    page = administrator.submit(RECORD, **GIVEN)
    assert "$699.00 recorded. Aurora Games has the Enterprise plan." in page.text
    assert "recorded a payment" in page.main
    (invoice,) = town.scalars(select(Invoice).where(Invoice.bill_to == "Aurora Games"))
    assert invoice.card.startswith("Purchase order PO-7731, received on ")
    owner = sign_in("owner@aurora.example")
    assert "by bank transfer or purchase order" in owner.get(f"/console/{AURORA}/support").main
    assert "Purchase order PO-7731" in owner.get(f"/console/{AURORA}/invoices/{invoice.number}").main
    assert "paid with Purchase order PO-7731" in owner.get(f"/console/{AURORA}/history").main


def test_a_transfer_for_the_next_period_is_recorded_before_it_begins(
    administrator: Browser, town: Town, sign_in: SignIn
) -> None:
    administrator.submit(RECORD, **GIVEN)
    (end,) = town.scalars(select(Subscription.period_end).join(Organization).where(Organization.slug == AURORA))
    with travel(end - timedelta(days=10), tick=False):
        admin = sign_in("admin@support.example")
        page = admin.get(RECORD)
        assert f"Renewal of Enterprise, from {end.day} " in page.main
        page = admin.submit(RECORD, method="transfer", reference="2026-12")
        assert "$699.00 recorded: the next period of Aurora Games is paid." in page.at("flash")
        owner = sign_in("owner@aurora.example")
        assert ", and is paid" in owner.get(f"/console/{AURORA}/support").main
        assert "Nothing can be paid now" in admin.get(RECORD).main


def test_sent_twice_it_is_recorded_once(administrator: Browser, town: Town) -> None:
    form, button = administrator.get(f"{RECORD}?for=enterprise").find(RECORD)
    entries = form.entries(button, GIVEN)
    assert [administrator.post(RECORD, entries, token="").status for _ in range(2)] == [303, 303]
    assert town.count(Payment, Payment.offline != "") == 1


def test_where_a_renewal_is_owed_only_that_is_offered(administrator: Browser, town: Town) -> None:
    page = administrator.get(f"/admin/organizations/{LUMEN}/payment")
    path = f"/admin/organizations/{LUMEN}/payment"
    assert page.find(path)[0].value_of("what") == "enterprise"
    administrator.get(f"{RECORD}?for=enterprise")
    administrator.submit(RECORD, **GIVEN)
    page = administrator.get(RECORD)
    assert "Nothing can be paid now" in page.main
    assert not [form for form in page.forms if form.has("reference")]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"what": "premium"}, "Nothing of that kind can be paid now. Choose what was paid."),
        ({"what": "arrears"}, "Nothing of that kind can be paid now. Choose what was paid."),
        ({"method": "cash"}, "Choose one from the list."),
        ({"reference": " "}, "Enter the reference of the transfer or the number of the order."),
        ({"reference": "x" * 61}, "Shorten the reference to 60 characters."),
        ({"received": "yesterday"}, "Write the day as year, month and day, for example 2026-11-25."),
        ({"received": ""}, "Choose the day on which it came."),
        ({"received": "9999-12-31"}, "Choose a year between 2000 and 2200."),
        ({"received": "2199-12-31"}, "Enter the day on which it came: today or an earlier one, within a year."),
        ({"quote": "forged"}, "The price was worked out anew. Check it, and confirm once more."),
    ],
)
def test_what_cannot_be_is_said_and_keeps_the_rest(
    administrator: Browser, town: Town, given: dict[str, str], error: str
) -> None:
    entries = {"key": "k" * 20, "received": now().date().isoformat(), **GIVEN}
    quote = administrator.page.find(RECORD)[0].value_of("quote") if administrator.page else ""
    page = administrator.post(RECORD, entries | {"quote": quote} | given)
    assert page.status == 422
    assert page.errors == [error]
    assert page.find(RECORD)[0].value_of("reference") == (given.get("reference", GIVEN["reference"]).strip())
    assert (plan(town), town.count(Payment, Payment.offline != "")) == ("basic", 0)


def test_a_day_long_past_can_be_recorded(administrator: Browser, town: Town) -> None:
    administrator.get(f"{RECORD}?for=enterprise")
    before = (now() - timedelta(days=40)).date().isoformat()
    administrator.submit(RECORD, **GIVEN, received=before)
    assert plan(town) == "enterprise"
