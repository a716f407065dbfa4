"""Less, kept, unpaid; cards, invoices and history: the pages about a plan that is bought."""

from __future__ import annotations

from datetime import timedelta
from threading import Event as Gate

import pytest
from conftest import SignIn
from factories import AURORA, HARBOR, LUMEN, NORTHWIND, Town, now
from flask import Flask
from page import Browser, Page
from sqlalchemy import select
from time_machine import travel

import worker
from extensions import outside
from models.cards import Card
from models.catalogue import DoorName, PlanName, Severity
from models.invoices import Invoice
from models.organizations import Organization, Visibility
from models.purchases import VISA, buy
from models.subscriptions import Subscription, Term

BASE = f"/console/{LUMEN}"
CARD = {"card_number": "5555 5555 5555 4444", "card_expiry": "04/31", "card_code": "913", "holder": "Daniel Reyes"}
ASKS = "4000002500003155"


@pytest.fixture
def owner(town: Town, sign_in: SignIn) -> Browser:
    assert town
    return sign_in("owner@lumen.example")


def house(town: Town, slug: str = LUMEN) -> Organization:
    found: Organization = town.scalars(select(Organization).where(Organization.slug == slug))[0]
    return found


def cards(town: Town) -> list[Card]:
    mine = (Card.organization_id == house(town).id) & Card.removed_at.is_(None)
    return town.scalars(select(Card).where(mine).order_by(Card.id))


def add(owner: Browser, status: int | None = 200, path: str = "", **changed: str) -> Page:
    owner.get(f"{BASE}/cards/new{path}")
    return owner.submit(f"{BASE}/cards/new", status=status, **(CARD | changed))


def end_of(town: Town, slug: str = LUMEN) -> Subscription:
    found: Subscription = town.scalars(
        select(Subscription).where(Subscription.organization_id == house(town, slug).id)
    )[0]
    return found


def test_the_support_page_has_four_panes_with_the_exact_words(town: Town, sign_in: SignIn) -> None:
    for email, slug, buttons in (
        (
            "owner@aurora.example",
            AURORA,
            ["Current plan", "Upgrade", "Upgrade", "Contact Sales"],
        ),
        (
            "owner@lumen.example",
            LUMEN,
            ["Downgrade", "Current plan", "Upgrade", "Contact Sales"],
        ),
        (
            "owner@northwind.example",
            NORTHWIND,
            ["Downgrade", "Downgrade", "Current plan", "Contact Sales"],
        ),
        ("owner@harbor.example", HARBOR, ["Managed by contract"] * 3 + ["Current plan"]),
    ):
        page = sign_in(email).get(f"/console/{slug}/support")
        assert "holidays not counted" in page.main, "“without holidays” would say that the calendar has none"
        panes = [e for e in page.all("li") if "plan" in e.get("class", "").split()]
        assert [page.words(next(pane.iter("h3"))) for pane in panes] == ["Basic", "Standard", "Enterprise", "Premium"]
        for pane, button in zip(panes, buttons, strict=True):
            assert button in page.words(pane), (email, button)
        assert "Current Plan" in page.main
        tabs = page.all("nav", aria_label="Ways to more support")[0]
        assert [page.words(a) for a in tabs.iter("a")] == ["Upgrade", "Premium: Contact Sales"]


def test_everybody_reads_who_may_change_the_plan(sign_in: SignIn, town: Town) -> None:
    assert town
    for email, words in (
        ("owner@lumen.example", "Billing Of Lumen and Owner Of Lumen may change the plan."),
        ("billing@lumen.example", "Billing Of Lumen and Owner Of Lumen may change the plan."),
        (
            "member@lumen.example",
            "Ask Billing Of Lumen or Owner Of Lumen: they may change the plan of your organization.",
        ),
    ):
        assert words in sign_in(email).get(f"{BASE}/support").main


def test_a_reply_that_is_late_is_not_called_none(town: Town, sign_in: SignIn) -> None:
    town.file(severity=Severity.S2)
    with travel(now() + timedelta(days=9), tick=False):
        page = sign_in("owner@lumen.example").get(f"{BASE}/support")
    assert "1 reply is late, and first in our queue" in page.main
    assert "No reply is due" not in page.main


def test_the_premium_tab_is_a_link_to_contact_sales(owner: Browser) -> None:
    page = owner.get(f"{BASE}/support?tab=premium")
    assert f"{BASE}/contact-sales" in page.links()
    assert "30 minutes, day and night" in page.main


def test_a_downgrade_shows_what_is_lost_on_the_real_requests_and_begins_later(town: Town, owner: Browser) -> None:
    key = town.file(severity=Severity.S2, summary="Checkout fails")
    town.file(door=DoorName.BILLING, severity=Severity.S3, summary="An invoice")
    page = owner.get(f"{BASE}/downgrade/basic")
    assert page.h1 == "Downgrade to Basic"
    assert f"/requests/{key}" in page.links()
    assert "Checkout fails" in page.main
    assert "An invoice" not in page.main, "the billing door stays open"
    assert "Technical requests, unlimited" in page.main
    page = owner.submit(f"{BASE}/downgrade/basic")
    assert "Basic starts on" in page.at("flash")
    assert "Basic starts on" in page.main
    assert house(town).plan == "standard"
    again = owner.get(f"{BASE}/downgrade/basic").main
    assert "Back to Support" in again
    assert "Keep Standard" not in again, "only the button on the Support page takes it back"
    owner.get(f"{BASE}/support")
    page = owner.submit(f"{BASE}/keep-plan")
    assert "keeps the Standard plan" in page.at("flash")
    assert end_of(town).pending_plan is None
    assert "No change of the plan is scheduled" in owner.get(
        owner.post(f"{BASE}/keep-plan", {}).headers["Location"]
    ).at("flash")


def test_a_downgrade_counts_the_requests_that_its_reader_may_not_see(town: Town, sign_in: SignIn) -> None:
    town.set_house(LUMEN, visibility=Visibility.OWN)
    reader = sign_in("billing@lumen.example")
    assert "0 technical No technical request is open: nothing that runs is touched." in " ".join(
        reader.get(f"{BASE}/downgrade/basic").main.split()
    )
    secret = town.file(severity=Severity.S1, summary="The vault is open", confidential=True)
    town.file(severity=Severity.S2)
    town.file(severity=Severity.S2)
    page = reader.get(f"{BASE}/downgrade/basic")
    assert "3 technical: 1 S1, 2 S2" in page.main
    assert "3 that you may not see are open. They stay open and keep the terms" in page.main
    assert "nothing that runs is touched" not in page.main
    assert secret not in page.main
    assert "The vault is open" not in page.main
    mine = town.file("billing@lumen.example", severity=Severity.S3)
    page = reader.get(f"{BASE}/downgrade/basic")
    assert "4 technical: 1 S1, 2 S2, 1 S3" in page.main
    assert "3 more that you may not see are open as well." in page.main
    assert f"/requests/{mine}" in page.links()


def test_a_first_month_is_called_free_only_where_it_is(town: Town, sign_in: SignIn, owner: Browser) -> None:
    """Northwind never had Standard; Lumen has had it, so its next one is charged from the start."""
    free, cost = "its first month is free", "costs $29.00 a month, or 10 % of the month’s cloud charges if that is more"
    northwind = sign_in("owner@northwind.example")
    page = northwind.get(f"/console/{NORTHWIND}/downgrade/standard")
    assert f"{cost}; {free}." in page.main
    assert "first month free" in northwind.get(f"/console/{NORTHWIND}/support").main
    owner.get(f"{BASE}/upgrade/enterprise")
    owner.submit(f"{BASE}/upgrade/enterprise")
    page = owner.get(f"{BASE}/downgrade/standard")
    assert f"{cost}." in page.main
    assert free not in page.main
    assert "first month free" not in owner.get(f"{BASE}/support").main


def test_what_cannot_be_downgraded_says_why(town: Town, sign_in: SignIn, owner: Browser) -> None:
    assert "is not less than Standard" in owner.get(f"{BASE}/downgrade/standard").main
    assert owner.post(f"{BASE}/downgrade/standard", {}).status == 422
    harbor = sign_in("owner@harbor.example")
    assert "managed by contract" in harbor.get(f"/console/{HARBOR}/downgrade/standard").main
    aurora = sign_in("owner@aurora.example")
    assert "costs nothing" in aurora.get(f"/console/{AURORA}/downgrade/basic").main
    assert "Downgrade instead" in sign_in("owner@northwind.example").get(f"/console/{NORTHWIND}/upgrade/standard").main
    assert house(town).plan == "standard"


def test_an_upgrade_takes_a_scheduled_downgrade_back(town: Town, owner: Browser) -> None:
    owner.get(f"{BASE}/downgrade/basic")
    owner.submit(f"{BASE}/downgrade/basic")
    owner.get(f"{BASE}/upgrade/enterprise")
    owner.submit(f"{BASE}/upgrade/enterprise")
    assert (house(town).plan, end_of(town).pending_plan) == ("enterprise", None)


def test_a_downgrade_waits_while_somebody_pays_for_more(town: Town, owner: Browser, sign_in: SignIn) -> None:
    owner.get(f"{BASE}/upgrade/enterprise/card")
    typed = CARD | {"card_number": ASKS}
    answer = owner.submit(f"{BASE}/upgrade/enterprise/card", follow=False, status=303, **typed)
    where = answer.headers["Location"].removesuffix("/bank")
    colleague = sign_in("billing@lumen.example")
    page = colleague.get(f"{BASE}/downgrade/basic")
    assert where in page.links(), "they read it before they choose"
    page = colleague.post(f"{BASE}/downgrade/basic", {})
    assert page.status == 409
    assert page.errors[0].startswith("A payment of Lumen Retail is under way")
    owner.get(f"{where}/bank")
    owner.submit(f"{where}/bank/confirm")
    assert (house(town).plan, end_of(town).pending_plan) == ("enterprise", None)


def test_several_cards_one_default_replaced_and_removed(town: Town, owner: Browser) -> None:
    first = cards(town)[0]
    page = owner.post(f"{BASE}/cards/{first.id}/remove", {})
    assert page.status == 422
    assert "This card pays for the plan." in page.errors[0]
    page = add(owner)
    assert "Mastercard ending 4444 is saved." in page.at("flash")
    second = cards(town)[1]
    assert (cards(town)[0].default_for, second.default_for) == (house(town).id, None)
    page = owner.submit(f"{BASE}/cards/{second.id}/default")
    assert "Renewals are charged to Mastercard ending 4444" in page.at("flash")
    owner.get(f"{BASE}/cards/{first.id}/remove")
    page = owner.submit(f"{BASE}/cards/{first.id}/remove")
    assert "Visa ending 4242 is removed." in page.at("flash")
    page = add(owner, path=f"?replaces={second.id}", card_number="4242424242424242")
    (left,) = cards(town)
    assert (left.words, left.default_for) == ("Visa ending 4242", house(town).id)
    assert owner.get(f"{BASE}/cards/{second.id}/remove", status=404)
    assert owner.post(f"{BASE}/cards/{second.id}/default", {}).status == 404
    theirs = town.scalars(select(Card.id).where(Card.organization_id == house(town, NORTHWIND).id))[0]
    assert owner.post(f"{BASE}/cards/{theirs}/remove", {}).status == 404


def test_a_card_may_be_asked_about_declined_and_there_are_ten_at_most(town: Town, owner: Browser) -> None:
    page = add(owner, 422, card_number="4000000000000002")
    assert "The bank declined this card." in page.errors[0]
    owner.get(f"{BASE}/cards/new")
    answer = owner.submit(f"{BASE}/cards/new", follow=False, status=303, **(CARD | {"card_number": ASKS}))
    bank = answer.headers["Location"]
    owner.get(bank)
    page = owner.submit(f"{bank}/confirm")
    assert page.path == f"{BASE}/cards"
    while len(cards(town)) < 10:
        add(owner)
    assert "which is the most" in add(owner, 422).errors[0]


def test_removed_cards_are_forgotten_by_the_gateway(app: Flask, town: Town, owner: Browser) -> None:
    add(owner)
    second = cards(town)[1]
    owner.get(f"{BASE}/cards/{second.id}/remove")
    owner.submit(f"{BASE}/cards/{second.id}/remove")
    with app.app_context():
        worker.collect(Gate())
    assert town.scalars(select(Card.forgotten_at).where(Card.id == second.id))[0] is not None


def test_a_renewal_that_fails_says_so_until_it_is_paid(app: Flask, town: Town, sign_in: SignIn) -> None:
    running = end_of(town)
    gateway = outside().sandbox
    assert gateway is not None
    gateway.forget(cards(town)[0].token)
    with travel(running.period_end + timedelta(minutes=1), tick=False):
        with app.app_context():
            worker.collect(Gate())
        owner, member = sign_in("owner@lumen.example"), sign_in("member@lumen.example")
        page = owner.get(f"{BASE}/support")
        assert "The renewal of Standard could not be charged." in page.main
        assert "Open requests are answered under the terms they have." in page.main
        assert "The renewal of Standard is not paid. Pay it first, then upgrade." in page.main
        assert not page.all("a", href=f"{BASE}/upgrade/enterprise"), "what is refused is no button, but its reason"
        assert not page.all("a", href=f"{BASE}/downgrade/basic")
        assert "could not be charged" in member.get(f"{BASE}/support").main
        for path in ("/requests", "/help"):
            page = owner.get(path)
            assert "The renewal of Standard could not be charged." in page.main
            assert "The plan goes on until" in page.main
            assert page.all("a", href=f"{BASE}/cards")
            assert "could not be charged" not in member.get(path).main, "who cannot pay reads it on the Support page"
        page = owner.get(f"{BASE}/cards")
        assert "Standard plan: $29.00" in page.main
        assert "Pay $29.00 with Visa ending 4242" in page.main
        stale = owner.post(f"{BASE}/pay", {"cents": "2800"})
        assert "worked out anew: $29.00" in owner.get(stale.headers["Location"]).at("flash")
        owner.get(f"{BASE}/cards")
        page = owner.submit(f"{BASE}/pay")
        assert "Declined" in page.h1
        add(owner)
        second = cards(town)[1]
        owner.get(f"{BASE}/cards")
        page = owner.submit(f"{BASE}/cards/{second.id}/default")
        assert "The renewal that is due is charged to it within a few minutes." in page.at("flash")
        form, button = owner.get(f"{BASE}/cards").find(f"{BASE}/pay")
        sent = form.entries(button, {})
        assert "The renewal is paid." in owner.get(owner.post(f"{BASE}/pay", sent).headers["Location"]).at("flash")
        again = owner.get(owner.post(f"{BASE}/pay", sent).headers["Location"])
        assert "$29.00 paid" in again.main, "who clicks twice gets the same result"
        page = owner.get(f"{BASE}/support")
        assert "could not be charged" not in page.main
        assert page.all("a", href=f"{BASE}/upgrade/enterprise")
        answer = owner.post(f"{BASE}/pay", {})
        assert "Nothing is owed" in owner.get(answer.headers["Location"]).at("flash")
    assert house(town).plan == "standard"


def test_invoices_are_listed_printed_and_nobody_elses(town: Town, owner: Browser, sign_in: SignIn) -> None:
    (number,) = town.scalars(select(Invoice.number).where(Invoice.organization_id == house(town).id))
    page = owner.get(f"{BASE}/invoices")
    assert f"{BASE}/invoices/{number}" in page.links()
    page = owner.get(f"{BASE}/invoices/{number}")
    assert page.h1 == f"Invoice {number}"
    for words in ("Lumen Retail", "Visa ending 4242", "Standard plan, first month free", "Total", "$0.00"):
        assert words in page.main
    assert "Today" not in page.main, "paper is read on another day"
    theirs = town.scalars(select(Invoice.number).where(Invoice.organization_id == house(town, NORTHWIND).id))[0]
    assert owner.get(f"{BASE}/invoices/{theirs}", status=404)
    assert sign_in("owner@northwind.example").get(f"/console/{NORTHWIND}/invoices/{theirs}")
    assert owner.get(f"{BASE}/invoices?page=9999")


def test_many_invoices_cost_no_more(town: Town, sign_in: SignIn) -> None:
    with town.open() as session:
        gateway = outside().payments
        assert gateway is not None
        at = now() - timedelta(days=9)
        for number in range(30):
            mine = session.scalars(select(Organization).where(Organization.slug == AURORA)).one()
            mine.plan = "basic"
            for table in (Subscription, Term):
                for row in session.scalars(select(table).where(table.organization_id == mine.id)):
                    session.delete(row)
            session.flush()
            buy(
                session,
                gateway,
                AURORA,
                "owner@aurora.example",
                PlanName.ENTERPRISE,
                VISA,
                at=at + timedelta(hours=number),
            )
            for card in session.scalars(select(Card).where(Card.organization_id == mine.id)):
                card.removed_at = at
            session.flush()
    browser = sign_in("owner@aurora.example")
    page = browser.get(f"/console/{AURORA}/invoices")
    assert "1–25 of 30" in page.main
    assert "26–30 of 30" in browser.get(f"/console/{AURORA}/invoices?page=2").main
    assert "1–25 of 30" in browser.get(f"/console/{AURORA}/history").main


def test_the_history_tells_what_happened_by_whom(town: Town, owner: Browser, sign_in: SignIn) -> None:
    owner.get(f"{BASE}/downgrade/basic")
    owner.submit(f"{BASE}/downgrade/basic")
    owner.submit(f"{BASE}/keep-plan")
    add(owner, 422, card_number="4000000000000002")
    page = sign_in("member@lumen.example").get(f"{BASE}/history")
    assert "Saving a card failed" in page.main
    assert "Downgrade from Standard to Basic scheduled for" in page.main
    assert "Standard kept: the downgrade to Basic was taken back" in page.main
    assert "Owner Of Lumen" in page.main


def test_where_the_default_card_has_expired_the_others_are_offered(town: Town, owner: Browser) -> None:
    with town.open() as session:
        first = session.merge(cards(town)[0])
        first.month, first.year = 1, 2020
    page = owner.get(f"{BASE}/upgrade/enterprise")
    assert "Visa ending 4242, the default card, expired with 01/20." in page.main
    assert "Pay $" not in page.main
    add(owner)
    page = owner.get(f"{BASE}/upgrade/enterprise")
    assert "the default card, expired with" in page.main
    owner.submit(f"{BASE}/upgrade/enterprise", button="with Mastercard ending 4444")
    assert house(town).plan == "enterprise"
    assert [card.last4 for card in cards(town) if card.default_for] == ["4444"], "what pays for a plan renews it"


def test_what_did_we_have_on_that_day(owner: Browser, sign_in: SignIn) -> None:
    today = now().date().isoformat()
    owner.get(f"{BASE}/upgrade/enterprise")
    owner.submit(f"{BASE}/upgrade/enterprise", button="with Visa ending 4242")
    owner.get(f"{BASE}/history")
    page = owner.submit(f"{BASE}/history", on=today)
    assert f"On {today}" in page.main
    assert "$699.00 a month, or 20 % of cloud charges if that is more" in page.main
    assert "Visa ending 4242" in page.main
    assert "paid with Visa ending 4242" in page.main
    # Every member reads what the plan was; whose card it is, only those who may see cards.
    member = sign_in("member@lumen.example")
    page = member.get(f"{BASE}/history?on={today}")
    assert f"On {today}" in page.main
    assert "Upgraded from Standard to Enterprise" in page.main
    for shown in (page, member.get(f"{BASE}/support")):
        assert "Visa" not in shown.main
    assert "Standard" in owner.get(f"{BASE}/history?on=2020-02-29").main
    for nonsense in ("2020-02-30", "tomorrow", "9999-12-31", "0001-01-01", "%00", "2020-1-1"):
        assert "As it stood when that day ended" not in owner.get(f"{BASE}/history?on={nonsense}").main
    assert sign_in("owner@northwind.example").get(f"{BASE}/history?on={today}", status=None).status == 404
