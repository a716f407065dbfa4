"""Buying a plan, without JavaScript: the price, the card, the bank, what fails, and what nobody can forge."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from threading import Event as Gate
from threading import Thread

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, NORTHWIND, Town, now
from flask import Flask
from page import Browser, Page
from sqlalchemy import select
from time_machine import travel

import worker
from extensions import outside
from gateways.payments_sandbox import SandboxPayments
from models.cards import Card
from models.drafts import HeldText
from models.invoices import Invoice
from models.organizations import Membership, Organization
from models.outbox import Letter, Message
from models.payments import Payment, PaymentState
from models.permissions import Role
from models.subscriptions import Subscription

UPGRADE = f"/console/{AURORA}/upgrade/enterprise"
TYPING = f"{UPGRADE}/card"
CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "04/31", "card_code": "913", "holder": "Maya Okafor"}
ASKS, DECLINES = "4000002760003184", "4000000000000341"


@pytest.fixture
def owner(town: Town, sign_in: SignIn) -> Browser:
    assert town
    return sign_in("owner@aurora.example")


def sandbox() -> SandboxPayments:
    there = outside().sandbox
    assert there is not None
    return there


def plan(town: Town, slug: str = AURORA) -> str:
    return str(town.scalars(select(Organization.plan).where(Organization.slug == slug))[0])


def house(town: Town, slug: str = AURORA) -> int:
    return int(town.scalars(select(Organization.id).where(Organization.slug == slug))[0])


def buy(browser: Browser, status: int | None = 200, **changed: str) -> Page:
    browser.get(TYPING)
    return browser.submit(TYPING, status=status, **(CARD | changed))


def paid(slug: str = AURORA) -> list[int]:
    return [cents for _, kind, cents in sandbox().charged(slug) if kind == "charge"]


@pytest.fixture
def work(app: Flask) -> Callable[[], None]:
    """Return the worker's round of payments."""

    def collect() -> None:
        with app.app_context():
            worker.collect(Gate())

    return collect


def test_from_the_pane_to_an_active_plan_with_a_receipt(town: Town, owner: Browser) -> None:
    page = owner.get(f"/console/{AURORA}/support")
    assert page.all("a", href=UPGRADE)
    page = owner.get(UPGRADE)
    assert page.h1 == "Upgrade to Enterprise Plan"
    assert page.words(page.all("a", href=TYPING)[0]) == "Add Credit Card and Upgrade"
    assert "Total due now$699.00" in page.main
    assert "/plans" in page.links()
    assert "Credit Card" in owner.get(TYPING).h1
    page = owner.submit(TYPING, **CARD)
    assert page.path == f"/console/{AURORA}/support"
    assert "has the Enterprise plan now" in page.at("flash")
    assert plan(town) == "enterprise"
    assert paid() == [69900]
    (invoice,) = town.scalars(select(Invoice).where(Invoice.bill_to == "Aurora Games"))
    assert (invoice.total, invoice.card) == (69900, "Visa ending 4242")
    letters = town.scalars(select(Message))
    assert [(m.kind, m.recipient) for m in letters] == [(Letter.PAYMENT_RECEIPT, "owner@aurora.example")]
    with town.open() as session:
        letter = worker.write_letter(session.merge(letters[0]), session)
    body = letter.get_body(("plain",))
    assert body is not None
    assert "paid $699.00 with Visa ending 4242" in " ".join(body.get_content().split())


def test_the_first_standard_costs_nothing_now(town: Town, owner: Browser) -> None:
    path = f"/console/{AURORA}/upgrade/standard"
    page = owner.get(path)
    assert page.h1 == "Upgrade to Standard Plan"
    assert "first month free" in page.main
    assert "Total due now$0.00" in page.main
    owner.get(f"{path}/card")
    owner.submit(f"{path}/card", **CARD)
    assert (plan(town), paid()) == ("standard", [])


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"card_number": ""}, "Enter the number on the front of the card"),
        ({"card_number": "4242 4242 4242 4241"}, "Check the card number: a digit is missing or wrong."),
        ({"card_number": "four"}, "Enter the number on the front of the card"),
        ({"card_number": "4532 0151 1283 0366"}, "published test card numbers only"),
        ({"card_expiry": "13/31"}, "Enter the month and year on the card"),
        ({"card_expiry": "01/20"}, "This card has expired."),
        ({"card_expiry": "01/99"}, "Enter the month and year on the card"),
        ({"card_code": "12"}, "Enter the security code"),
        ({"card_code": "1234"}, "Enter the security code"),
        ({"card_number": "378282246310005"}, "Enter the security code"),
        ({"holder": " "}, "Enter the name on the card."),
        ({"holder": "x" * 101}, "Shorten the name to 100 characters."),
    ],
)
def test_what_is_wrong_with_a_card_is_said_beside_its_field(
    town: Town, owner: Browser, changed: dict[str, str], error: str
) -> None:
    page = buy(owner, 422, **changed)
    assert any(error in words for words in page.errors), page.errors
    form, _ = page.find(TYPING)
    assert (form.value_of("card_number"), form.value_of("card_code")) == ("", "")
    if "holder" not in changed:
        assert form.value_of("holder") == "Maya Okafor"
    assert (plan(town), paid()) == ("basic", [])


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("4000000000000002", "The bank declined this card. Nothing was charged."),
        ("4000000000000341", "The bank declined this card. Nothing was charged."),
        ("4000000000009995", "There is not enough money on this card."),
        ("4000000000000069", "This card has expired."),
        ("4000000000000127", "The security code does not fit this card."),
        ("4000000000000119", "The bank could not process the payment."),
    ],
)
def test_a_declined_card_changes_nothing_and_leads_on(town: Town, owner: Browser, number: str, words: str) -> None:
    page = buy(owner, 422, card_number=number)
    assert words in page.errors[0]
    form, _ = page.find(TYPING)
    assert (form.value_of("card_number"), form.value_of("holder")) == ("", "Maya Okafor")
    assert (plan(town), paid(), town.count(Invoice, Invoice.bill_to == "Aurora Games")) == ("basic", [], 0)
    (help_,) = [link for link in page.links() if link.startswith("/help/billing/new?payment=")]
    filled, _ = owner.get(help_).find("/help/billing/new")
    assert filled.value_of("summary") == "Upgrade to Enterprise: Declined"
    assert "Nothing was charged" in filled.value_of("description")
    page = buy(owner)
    assert plan(town) == "enterprise"


def test_a_saved_card_is_offered_and_pays(town: Town, sign_in: SignIn) -> None:
    browser, path = sign_in("billing@lumen.example"), f"/console/{LUMEN}/upgrade/enterprise"
    page = browser.get(path)
    assert "Add Credit Card and Upgrade" in page.main
    assert "Pay $" in page.main
    page = browser.submit(path)
    assert "has the Enterprise plan now" in page.at("flash")
    assert plan(town, LUMEN) == "enterprise"
    # From a free month nothing is credited, and ten of its days are gone.
    (cents,) = paid(LUMEN)
    assert 69900 * 17 // 28 < cents < 69900 * 22 // 31


def test_the_same_form_twice_is_one_purchase(town: Town, owner: Browser) -> None:
    page = owner.get(TYPING)
    form, _ = page.find(TYPING)
    sent = {name: form.value_of(name) for name in ("key", "quote")} | CARD
    first, second = (owner.post(TYPING, sent) for _ in range(2))
    assert (first.status, second.status) == (303, 303)
    assert "/payments/" in second.headers["Location"]
    assert "$699.00 paid" in owner.get(second.headers["Location"]).main
    assert (paid(), town.count(Payment, Payment.organization_id == house(town))) == ([69900], 1)


def test_many_at_the_same_moment_buy_once(app: Flask, town: Town, sign_in: SignIn) -> None:
    browsers = [sign_in("owner@aurora.example") for _ in range(4)]
    sent = []
    for browser in browsers:
        form, _ = browser.get(TYPING).find(TYPING)
        sent.append({name: form.value_of(name) for name in ("key", "quote")} | CARD)
    gate, statuses = Gate(), list[int]()

    def run(browser: Browser, fields: dict[str, str]) -> None:
        gate.wait()
        statuses.append(browser.post(TYPING, fields, check=False).status)

    threads = [Thread(target=run, args=pair) for pair in zip(browsers, sent, strict=True)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert app
    assert statuses.count(303) >= 1
    assert set(statuses) <= {303, 409, 422}
    assert paid() == [69900]
    assert town.count(Subscription, Subscription.plan == "enterprise") == 2, "Aurora’s and Northwind’s"


def asked(owner: Browser, number: str = ASKS) -> str:
    """Buy with a card whose bank asks and return the address of the bank's page."""
    owner.get(TYPING)
    answer = owner.submit(TYPING, follow=False, status=303, **(CARD | {"card_number": number}))
    where = answer.headers["Location"]
    assert where.endswith("/bank")
    return where.removesuffix("/bank")


def test_a_bank_asks_for_the_card_and_for_the_charge_and_survives_a_closed_tab(
    town: Town, owner: Browser, sign_in: SignIn
) -> None:
    path = asked(owner)
    assert plan(town) == "basic"
    other = sign_in("owner@aurora.example")
    page = other.get(f"/console/{AURORA}/support")
    assert "waits for the bank’s confirmation" in page.main
    assert path in page.links()
    for elsewhere in (UPGRADE, TYPING):
        assert path in other.get(elsewhere).links(), "who would pay again reads it before they type"
    page = other.get(path)
    assert f"{path}/bank" in page.links()
    other.get(f"{path}/bank")
    page = other.submit(f"{path}/bank/confirm")
    assert page.path == f"{path}/bank", "now for the charge"
    assert "$699.00" in page.main
    page = other.submit(f"{path}/bank/confirm")
    assert "has the Enterprise plan now" in page.at("flash")
    assert (plan(town), paid()) == ("enterprise", [69900])
    assert owner.post(f"{path}/bank/confirm", {}).status == 303
    assert paid() == [69900]


def test_a_payment_that_the_bank_asks_about_can_be_ended_or_refused(town: Town, owner: Browser) -> None:
    path = asked(owner)
    owner.get(path)
    page = owner.submit(f"{path}/end")
    assert "Nothing was charged" in page.at("flash")
    path = asked(owner)
    owner.get(f"{path}/bank")
    page = owner.submit(f"{path}/bank/refuse")
    assert "Your bank did not confirm that it is you. Nothing was charged." in page.main
    assert f"{UPGRADE}" in page.links()
    assert (plan(town), paid()) == ("basic", [])
    assert "Payment under way" not in owner.get(f"/console/{AURORA}/support").html


def test_a_question_that_nobody_answers_ends_after_an_hour(
    town: Town, owner: Browser, work: Callable[[], None]
) -> None:
    path = asked(owner)
    with travel(now() + timedelta(minutes=61), tick=False):
        work()
        page = owner.get(path)
        assert "Not confirmed in time" in page.h1
        assert "Nothing was charged" in page.main
    assert (plan(town), paid()) == ("basic", [])
    assert town.scalars(select(Payment.state).where(Payment.plan == "enterprise").order_by(Payment.id.desc()))[0] is (
        PaymentState.EXPIRED
    )


def test_an_answer_that_is_lost_is_found_by_the_worker_within_five_minutes(
    town: Town, owner: Browser, work: Callable[[], None]
) -> None:
    owner.get(TYPING)
    form, _ = owner.get(TYPING).find(TYPING)
    sent = {name: form.value_of(name) for name in ("key", "quote")} | CARD
    sandbox().break_down("answer lost")
    answer = owner.post(TYPING, sent)
    page = owner.get(answer.headers["Location"])
    assert "did not hear from it yet" in page.main
    assert plan(town) == "basic"
    again = owner.get(TYPING)
    assert "Continue" not in again.main
    refused = owner.post(TYPING, sent | {"key": "typed-in-another-window"})
    assert refused.status == 409
    assert refused.errors[0].startswith("A payment of Aurora Games is under way")
    with travel(now() + timedelta(minutes=5), tick=False):
        work()
    assert (plan(town), paid()) == ("enterprise", [69900])
    assert "$699.00 paid" in owner.get(answer.headers["Location"]).main


def test_a_gateway_that_is_down_can_be_asked_again_by_hand(
    town: Town, owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.get(TYPING)
    sandbox().break_down("down")
    page = owner.submit(TYPING, status=422, **CARD)
    assert "Our payment service does not answer just now. Nothing was charged" in page.main
    assert re.search(r"Try again after \w{3} \d+ \w{3} \d{4}, \d\d:\d\d \(", page.main)
    assert town.count(Payment, Payment.open_for.is_not(None)) == 0
    # It goes down between that question and the call itself.
    monkeypatch.setattr(SandboxPayments, "check", lambda _: None)
    page = owner.submit(TYPING, **CARD)
    assert "did not hear from it yet" in page.main
    page = owner.submit(f"{page.path}/check")
    assert "Ended before it was paid" in page.h1
    assert (plan(town), paid()) == ("basic", [])


def test_nothing_that_is_forged_changes_price_plan_or_organization(town: Town, owner: Browser, sign_in: SignIn) -> None:
    form, _ = owner.get(f"/console/{AURORA}/upgrade/standard/card").find(f"/console/{AURORA}/upgrade/standard/card")
    sent = {name: form.value_of(name) for name in ("key", "quote")} | CARD
    forged = sent | {
        "price": "1",
        "cents": "1",
        "currency": "XXX",
        "plan": "premium",
        "organization": LUMEN,
        "org": LUMEN,
    }
    answer = owner.post(TYPING, forged)
    assert answer.status == 422, "a price of another plan"
    for quote in ("", "x", sent["quote"] + "x"):
        assert owner.post(TYPING, sent | {"quote": quote}).status == 422
    assert owner.get(f"/console/{AURORA}/upgrade/premium", status=404)
    assert owner.post(f"/console/{AURORA}/upgrade/premium", sent).status == 404
    assert owner.post(f"/console/{AURORA}/upgrade/premium/card", sent).status == 404
    theirs = town.scalars(select(Card.id))[0]
    fields = {name: owner.get(UPGRADE) and sent[name] for name in ("key",)} | {"card": str(theirs)}
    assert owner.post(UPGRADE, fields | {"quote": sent["quote"]}).status == 422
    assert owner.post(f"/console/{LUMEN}/upgrade/enterprise/card", sent).status == 404
    assert (plan(town), plan(town, LUMEN), paid(), paid(LUMEN)) == ("basic", "standard", [], [])
    stranger = sign_in("owner@northwind.example")
    path = asked(owner)
    assert stranger.get(path, status=404)
    assert stranger.post(f"{path}/bank/confirm", {}).status == 404
    assert stranger.get(path.replace(AURORA, NORTHWIND), status=404)


def test_a_member_is_told_whom_to_ask_and_can_do_nothing(town: Town, sign_in: SignIn) -> None:
    member, base = sign_in("member@lumen.example"), f"/console/{LUMEN}"
    for path in ("support", "upgrade/enterprise", "downgrade/basic"):
        page = member.get(f"{base}/{path}")
        assert "Ask Billing Of Lumen or Owner Of Lumen" in page.main, path
        assert not [form for form in page.forms if form.action.startswith(base)], path
    for path in ("upgrade/enterprise/card", "cards", "cards/new", "invoices", "payments/" + "p" * 20):
        assert "Ask Billing Of Lumen or Owner Of Lumen" in member.get(f"{base}/{path}", status=403).main, path
    for path in ("upgrade/enterprise", "upgrade/enterprise/card", "downgrade/basic", "keep-plan", "pay", "cards/new"):
        page = member.post(f"{base}/{path}", {"key": "k" * 20})
        assert (page.status, "Ask Billing Of Lumen or" in page.main) == (403, True), path
    assert "Ask" not in member.get(f"{base}/members/1", status=None).main
    assert plan(town, LUMEN) == "standard"


def test_a_role_elsewhere_buys_nothing_here(town: Town, sign_in: SignIn) -> None:
    mine = town.person("owner@aurora.example").id
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
        session.add(Membership(person_id=mine, organization_id=house.id, role=Role.MEMBER))
    browser = sign_in("owner@aurora.example")
    assert browser.get(f"/console/{LUMEN}/upgrade/enterprise/card", status=403)
    assert browser.post(f"/console/{LUMEN}/upgrade/enterprise/card", CARD | {"key": "k" * 20}).status == 403


def test_what_stands_on_a_card_is_not_held_when_the_sign_in_has_ended(town: Town, owner: Browser) -> None:
    form, _ = owner.get(TYPING).find(TYPING)
    sent = {name: form.value_of(name) for name in ("key", "quote")} | CARD
    with travel(now() + timedelta(days=2), tick=False):
        assert owner.post(TYPING, sent).headers["Location"].startswith("/sign-in")
    for held in town.scalars(select(HeldText)):
        assert not {"card_number", "card_code", "card_expiry"} & set(held.fields)
    assert paid() == []


def test_without_a_gateway_the_page_says_what_to_do_instead(
    app_with: Callable[..., Flask], town: Town, sign_in: SignIn
) -> None:
    browser = sign_in("owner@aurora.example")
    form, _ = browser.get(TYPING).find(TYPING)
    sent = {name: form.value_of(name) for name in ("key", "quote")} | CARD
    there = outside()
    kept, there.payments, there.sandbox = (there.payments, there.sandbox), None, None
    try:
        page = browser.get(UPGRADE)
        assert "Cards cannot be charged on this portal yet" in page.main
        assert "Add Credit Card" not in page.main
        assert browser.post(TYPING, sent).status == 422
        assert browser.get(f"/console/{AURORA}/payments/{'p' * 20}/bank", status=404)
    finally:
        there.payments, there.sandbox = kept
    assert (plan(town), app_with is not None) == ("basic", True)
