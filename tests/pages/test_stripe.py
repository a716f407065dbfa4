"""Paying by Stripe: the pages around its element, its signed events, and what happens when it is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event as Gate

import pytest
from conftest import SignIn
from everything import cells, traces
from factories import AURORA, Town
from flask import Flask
from page import ORIGIN, Browser, Page
from sqlalchemy import select, update
from stripe_double import PUBLISHABLE_KEY, SECRET_KEY, SETTINGS, TriedStripe, event_of, signature_of
from time_machine import travel

import extensions
import worker
from config import BadSetting
from models.cards import Card
from models.events import Event, EventKind
from models.organizations import Organization
from models.outbox import Letter, Message
from models.payments import GatewayEvent, Payer, Payment, PaymentState

UPGRADE = f"/console/{AURORA}/upgrade/enterprise"
FINE, DECLINES, ASKS = "4242424242424242", "4000000000000341", "4000002760003184"


@pytest.fixture
def stripe(app: Flask) -> Iterator[TriedStripe]:
    """Let the portal be paid by Stripe."""
    assert app
    before, there = extensions._outside[:], TriedStripe()
    there.double.forget_all()
    extensions._outside[:] = [replace(extensions.outside(), payments=there, sandbox=None, stripe=there)]
    yield there
    extensions._outside[:] = before


@pytest.fixture
def owner(town: Town, sign_in: SignIn, stripe: TriedStripe) -> Browser:
    assert town
    assert stripe
    return sign_in("owner@aurora.example")


@pytest.fixture
def work(app: Flask) -> Callable[[], None]:
    """Return the worker's round of payments."""

    def collect() -> None:
        with app.app_context():
            worker.collect(Gate())

    return collect


def plan(town: Town) -> str:
    return str(town.scalars(select(Organization.plan).where(Organization.slug == AURORA))[0])


def cards(town: Town) -> list[Card]:
    mine = select(Organization.id).where(Organization.slug == AURORA).scalar_subquery()
    return town.scalars(select(Card).where(Card.organization_id == mine))


def receipts(town: Town) -> int:
    mine = [one for one in town.scalars(select(Message)) if one.kind is Letter.PAYMENT_RECEIPT]
    return sum(one.recipient == "owner@aurora.example" for one in mine)


def begin(owner: Browser) -> Page:
    """Press the button of the upgrade page: the field for the card comes."""
    owner.get(UPGRADE)
    return owner.submit(f"{UPGRADE}/card", button="Add Credit Card and Upgrade")


def payment(town: Town) -> Payment:
    return town.scalars(select(Payment).order_by(Payment.id.desc()))[0]


def typed(town: Town, stripe: TriedStripe, number: str = FINE) -> dict[str, object]:
    intent = stripe.double.intent(f"{payment(town).public_id}:card")
    stripe.double.type_card(intent, number)
    return intent


def post(app: Flask, body: bytes, signature: str) -> int:
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    return app.test_client().post("/hooks/stripe", data=body, headers=headers, base_url=ORIGIN).status_code


def tell(app: Flask, about: object, number: int, kind: str = "payment_intent.succeeded") -> int:
    body = event_of(about, number, kind)  # type: ignore[arg-type]
    return post(app, body, signature_of(body, time.time()))


def test_from_the_button_to_an_active_plan(town: Town, owner: Browser, stripe: TriedStripe) -> None:
    page = begin(owner)
    assert page.h1 == "Credit Card"
    one = payment(town)
    assert (one.state, one.asks, one.url) == (PaymentState.ASKING, "card", f"{one.back}/card")
    (form,) = page.all("form", id="card")
    assert form.get("data-key") == PUBLISHABLE_KEY
    assert form.get("data-secret") == stripe.double.intent(f"{one.public_id}:card")["client_secret"]
    assert "Save Card" in page.main
    typed(town, stripe)
    page = owner.submit(f"{one.back}/check", button="Save Card")
    assert "Aurora Games has the Enterprise plan now." in page.text
    assert plan(town) == "enterprise"
    assert [kind for kind, _ in stripe.double.moved()] == ["charge"]
    (card,) = cards(town)
    assert (card.words, card.token[:3]) == ("Visa ending 4242", "pm_")
    assert receipts(town) == 1


def test_only_these_pages_let_stripe_in(owner: Browser) -> None:
    page = begin(owner)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "https://js.stripe.com" in policy
    assert "frame-src https://js.stripe.com https://hooks.stripe.com" in policy
    assert "connect-src 'self' https://api.stripe.com" in policy
    assert "unsafe" not in policy
    assert SECRET_KEY not in page.text
    assert "stripe" not in owner.get(UPGRADE).headers["Content-Security-Policy"]


def test_the_address_of_the_old_form_leads_to_the_button(owner: Browser) -> None:
    assert owner.get(f"{UPGRADE}/card").h1 == "Upgrade to Enterprise Plan"
    page = owner.get(f"/console/{AURORA}/cards/new")
    assert not page.all("input", name="card_number")
    page = owner.submit(f"/console/{AURORA}/cards/new", button="Continue")
    assert page.h1 == "Credit Card"
    assert "Nothing is charged now." in page.main


def test_a_closed_tab_loses_nothing(town: Town, owner: Browser, stripe: TriedStripe, work: Callable[[], None]) -> None:
    begin(owner)
    typed(town, stripe, ASKS)
    stripe.answer_bank(f"{payment(town).public_id}:card", confirmed=True)
    with travel(time.time() + 121, tick=True):
        work()
    # The card is saved, and the bank asks about the charge: its page waits, also for a mail's link.
    one = payment(town)
    assert (one.state, one.asks, plan(town)) == (PaymentState.ASKING, "charge", "basic")
    page = owner.get(one.back)
    assert page.all("a", href=f"{one.back}/confirm")
    assert owner.get(f"{one.back}/confirm").h1 == "Your bank asks"
    stripe.answer_bank(f"{one.public_id}:charge", confirmed=True)
    with travel(time.time() + 250, tick=True):
        work()
    assert (payment(town).state, plan(town)) == (PaymentState.PAID, "enterprise")
    assert owner.get(f"{one.back}/card").h1.startswith("Upgrade")


def test_it_can_be_abandoned(town: Town, owner: Browser, stripe: TriedStripe, work: Callable[[], None]) -> None:
    begin(owner)
    intent, back = typed(town, stripe, ASKS), payment(town).back
    owner.get(back)
    page = owner.submit(f"{back}/end", button="End the payment")
    assert "Nothing was charged" in page.text
    assert (payment(town).state, plan(town)) == (PaymentState.ABANDONED, "basic")
    assert intent["status"] != "succeeded"
    # Left alone, another one ends by itself within the hour.
    begin(owner)
    with travel(time.time() + 3601, tick=True):
        work()
    assert (payment(town).state, stripe.double.moved()) == (PaymentState.EXPIRED, [])


def test_an_event_settles_what_the_browser_left(app: Flask, town: Town, owner: Browser, stripe: TriedStripe) -> None:
    begin(owner)
    intent = typed(town, stripe)
    assert tell(app, intent, 1, "setup_intent.succeeded") == 200
    assert (payment(town).state, plan(town)) == (PaymentState.PAID, "enterprise")
    charge = stripe.double.intent(f"{payment(town).public_id}:charge")
    # Five times, ten at once, and the one about the card after that about the charge.
    for _ in range(5):
        assert tell(app, charge, 2) == 200
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: tell(app, charge, 3), range(10))) == {200}
    assert tell(app, intent, 4, "setup_intent.succeeded") == 200
    assert len(stripe.double.moved()) == 1
    assert receipts(town) == 1
    assert town.count(GatewayEvent) == 4
    assert town.count(Event, Event.kind == EventKind.PLAN_UPGRADED) == 1


def test_an_event_is_believed_in_nothing(app: Flask, town: Town, owner: Browser, stripe: TriedStripe) -> None:
    begin(owner)
    one = payment(town)
    forged = {"object": "payment_intent", "status": "succeeded", "metadata": {"portal_key": f"{one.public_id}:charge"}}
    assert tell(app, forged, 1) == 200
    assert (payment(town).state, plan(town), stripe.double.moved()) == (PaymentState.ASKING, "basic", [])
    strange = ({"object": "charge"}, {"object": "payment_intent", "metadata": {"portal_key": "x"}})
    for number, about in enumerate(strange):
        assert tell(app, about, 10 + number) == 200


def test_what_stripe_did_not_sign_changes_nothing(app: Flask, town: Town, owner: Browser, stripe: TriedStripe) -> None:
    begin(owner)
    body = event_of(typed(town, stripe), 1, "setup_intent.succeeded")
    now = time.time()
    for signature in ("", "t=1,v1=0", signature_of(body, now, "whsec_other"), signature_of(body, now - 400)):
        assert post(app, body, signature) == 400
    huge = b"x" * (256 * 1024 + 1)
    assert post(app, huge, signature_of(huge, now)) == 413
    assert (payment(town).state, town.count(GatewayEvent)) == (PaymentState.ASKING, 0)


def test_without_stripe_there_is_no_such_address(app: Flask, town: Town) -> None:
    assert town
    assert post(app, b"{}", "t=1,v1=2") == 404


def test_a_renewed_card_and_one_that_is_gone(app: Flask, town: Town, owner: Browser, stripe: TriedStripe) -> None:
    begin(owner)
    tell(app, typed(town, stripe), 1, "setup_intent.succeeded")
    (card,) = cards(town)
    with town.open() as session:
        session.execute(update(Card).values(month=1, year=2027))
    method = stripe.double.ask("GET", f"/v1/payment_methods/{card.token}")
    assert tell(app, method, 2, "payment_method.automatically_updated") == 200
    (renewed,) = cards(town)
    assert (renewed.month, renewed.year) == (card.month, card.year)
    assert town.count(Event, Event.kind == EventKind.CARD_UPDATED) == 1
    stripe.double.ask("POST", f"/v1/payment_methods/{card.token}/detach")
    # Stripe is away just then: it is told to send the event again, and the second time it counts.
    stripe.double.down = 2
    assert tell(app, method, 3, "payment_method.detached") == 503
    assert tell(app, method, 3, "payment_method.detached") == 200
    assert "No card yet" in owner.get(f"/console/{AURORA}/cards").main


def test_nobody_begins_while_stripe_is_away(town: Town, owner: Browser, stripe: TriedStripe) -> None:
    owner.get(UPGRADE)
    before = town.count(Payment)
    stripe.double.down = 2
    page = owner.submit(f"{UPGRADE}/card", button="Add Credit Card and Upgrade", status=422)
    assert "Our payment service does not answer just now. Nothing was charged" in page.main
    assert "Try again after" in page.main
    assert (town.count(Payment), town.count(Payer)) == (before, 0)
    # The price and the button are still there.
    assert owner.submit(f"{UPGRADE}/card", button="Add Credit Card and Upgrade").h1 == "Credit Card"


def test_a_lost_answer_is_found_within_five_minutes(
    town: Town, owner: Browser, stripe: TriedStripe, work: Callable[[], None]
) -> None:
    begin(owner)
    typed(town, stripe)
    stripe.break_down("answer lost")
    page = owner.submit(f"{payment(town).back}/check", button="Save Card")
    assert "did not hear from it yet" in page.main
    assert (payment(town).state, plan(town)) == (PaymentState.PENDING, "basic")
    assert len(stripe.double.moved()) == 1
    with travel(time.time() + 61, tick=True):
        work()
    assert (payment(town).state, plan(town)) == (PaymentState.PAID, "enterprise")
    assert len(stripe.double.moved()) == 1


def test_renewals_are_charged_without_anybody(
    town: Town, owner: Browser, stripe: TriedStripe, work: Callable[[], None]
) -> None:
    begin(owner)
    typed(town, stripe)
    owner.submit(f"{payment(town).back}/check", button="Save Card")
    with travel(time.time() + timedelta(days=32).total_seconds(), tick=True):
        work()
    assert [kind for kind, _ in stripe.double.moved()] == ["charge", "charge"]
    assert payment(town).actor_id is None


def test_no_card_number_and_no_secret_is_written(town: Town, owner: Browser, stripe: TriedStripe) -> None:
    begin(owner)
    typed(town, stripe)
    owner.submit(f"{payment(town).back}/check", button="Save Card")
    written = "\n".join(
        str(row)
        for table in (Card, Payment, Message, Event, Payer)
        for row in town.scalars(select(table))
        for row in [vars(row)]
    )
    assert "Visa" in written
    for secret in (FINE, SECRET_KEY, "_secret_"):
        assert secret not in written


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("STRIPE_SECRET_KEY", "", "needs it"),
        ("STRIPE_SECRET_KEY", "pk_test_portal", "starts with sk_ or rk_"),
        ("STRIPE_PUBLISHABLE_KEY", "", "needs it"),
        ("STRIPE_PUBLISHABLE_KEY", "sk_test_portal", "starts with pk_"),
        ("STRIPE_PUBLISHABLE_KEY", "pk_live_portal", "another mode"),
        ("STRIPE_WEBHOOK_SECRET", "", "needs it"),
        ("STRIPE_WEBHOOK_SECRET", "secret", "starts with whsec_"),
        ("STRIPE_API", "https://stripe.example.com", "double on this machine"),
    ],
)
def test_missing_and_wrong_keys_are_refused_by_name(
    app_with: Callable[..., Flask], name: str, value: str, words: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        app_with(**(SETTINGS | {name: value}))
    assert str(refused.value).startswith(f"{name}:")
    assert words in str(refused.value)
    assert not value.startswith(("sk_", "pk_")) or value not in str(refused.value)


def test_the_demo_takes_no_live_keys(app_with: Callable[..., Flask]) -> None:
    live = {name: value.replace("_test_", "_live_") for name, value in SETTINGS.items()}
    with pytest.raises(BadSetting, match="STRIPE_SECRET_KEY: the demo's passwords are public"):
        app_with(**live)


def test_no_number_and_no_secret_of_stripe_stands_anywhere(
    app: Flask,
    town: Town,
    owner: Browser,
    stripe: TriedStripe,
    work: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    served, secrets = [], {SECRET_KEY, SETTINGS["STRIPE_WEBHOOK_SECRET"]}
    for number in (DECLINES, ASKS, FINE):
        served.append(begin(owner).html)
        intent, one = typed(town, stripe, number), payment(town)
        secrets.add(str(intent["client_secret"]))
        # An answer that is lost, a forged event, and one that is signed.
        stripe.break_down("answer lost", 1)
        served.append(owner.post(f"{one.back}/check", {}).html)
        assert post(app, event_of(intent, 7, "setup_intent.succeeded"), "t=1,v1=forged") == 400
        assert tell(app, intent, 8 + len(served), "setup_intent.succeeded") == 200
        for path in ("support", "cards", "invoices", "history"):
            served.append(owner.get(f"/console/{AURORA}/{path}").html)
        if one.is_open:
            served.append(owner.post(f"{one.back}/end", {}).html)
        with travel(time.time() + 3700, tick=True):
            work()
    assert (plan(town), len(stripe.double.moved())) == ("enterprise", 1)
    with app.app_context():
        while worker.deliver_one():
            pass
    data = extensions.outside().settings.data
    kept = "".join(path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file())
    written, pages = "\n".join(cells(town.engine)) + caplog.text, "\n".join(served)
    assert "Visa ending 4242" in written
    for number in (DECLINES, ASKS, FINE):
        assert not traces(written + kept + pages, number), f"{number} was written"
    for secret in secrets:
        assert secret not in written, "a secret was written"
        assert secret not in kept, "a secret is in a file"
    # The page that has a card typed hands its own secret to Stripe's element; no other secret is on any page.
    assert not [secret for secret in secrets if "_secret_" not in secret and secret in pages]
