"""Whom invoices name, where they go, and invoices as files."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from io import BytesIO

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, Town
from page import Browser
from pypdf import PdfReader
from sqlalchemy import select

from extensions import outside
from models.events import Event, EventKind
from models.invoices import Invoice
from models.letters import facts_of
from models.outbox import Letter, Message

CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "04/31", "card_code": "913", "holder": "Maya Okafor"}
DETAILS = f"/console/{AURORA}/billing-details"
GIVEN = {
    "company": "Aurora Games Zrt.",
    "address": "Fő utca 5\n1011 Budapest\nHungary",
    "tax_id": "HU12345678",
    "email": "invoices@aurora.example",
}


@pytest.fixture
def owner(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@aurora.example")


def buy(browser: Browser, plan: str = "enterprise") -> None:
    typing = f"/console/{AURORA}/upgrade/{plan}/card"
    browser.get(typing)
    assert "plan now" in browser.submit(typing, **CARD).text


def invoice(town: Town) -> Invoice:
    return town.scalars(select(Invoice).order_by(Invoice.id.desc()).limit(1))[0]


def read(answer: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(answer)).pages)


def test_what_is_given_stands_on_the_next_invoice_and_on_none_before(
    owner: Browser, town: Town, sign_in: SignIn
) -> None:
    buy(owner, "standard")
    first = invoice(town).number
    owner.get(DETAILS)
    page = owner.submit(DETAILS, **GIVEN)
    assert page.path == f"/console/{AURORA}/invoices"
    assert "Invoices from now on say this" in page.text
    administrator = sign_in("admin@support.example")
    administrator.get("/admin/tax")
    administrator.submit("/admin/seller", seller="Cloud Support Ltd.\n1 Main Street\nTax ID: 77-01")
    buy(owner)
    page = owner.get(f"/console/{AURORA}/invoices/{invoice(town).number}")
    for words in ("Aurora Games Zrt.", "Fő utca 5", "Tax ID: HU12345678", "Cloud Support Ltd.", "Visa ending 4242"):
        assert words in page.main, words
    paper = read(owner.get(page.path + ".pdf").body)
    for words in ("Aurora Games Zrt.", "Fő utca 5", "HU12345678", "Cloud Support Ltd.", "Enterprise plan"):
        assert words in paper, words
    before = owner.get(f"/console/{AURORA}/invoices/{first}").main
    assert "ForAurora Games" in before
    assert "Zrt." not in before
    assert "Cloud Support" not in before


def test_the_pdf_is_a_file_named_by_its_number_and_nobody_elses(owner: Browser, town: Town, sign_in: SignIn) -> None:
    buy(owner)
    number = invoice(town).number
    answer = owner.get(f"/console/{AURORA}/invoices/{number}.pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{number}.pdf"'
    assert "no-store" in answer.headers["Cache-Control"]
    for email, house in (("partner@consult.example", AURORA), ("owner@lumen.example", LUMEN)):
        assert sign_in(email).get(f"/console/{house}/invoices/{number}.pdf", status=None).status in {403, 404}


def test_it_goes_to_the_managers_and_once_to_the_address_for_invoices(owner: Browser, town: Town) -> None:
    owner.get(DETAILS)
    owner.submit(DETAILS, **GIVEN)
    buy(owner)
    messages = town.scalars(select(Message).where(Message.kind == Letter.PAYMENT_RECEIPT).order_by(Message.id))
    assert [message.recipient for message in messages] == ["owner@aurora.example", "invoices@aurora.example"]
    with town.open() as session:
        letter = outside().letters.write(Letter.PAYMENT_RECEIPT, facts_of(messages[1], session, "https://help.example"))
    arrived = message_from_bytes(letter.as_bytes(), policy=default)
    (attached,) = arrived.iter_attachments()
    assert attached.get_filename() == f"{invoice(town).number}.pdf"
    assert "Aurora Games Zrt." in read(attached.get_content())
    assert "named this address for its invoices" in " ".join(arrived.get_body(("plain",)).get_content().split())


def test_an_address_that_is_a_managers_too_gets_one(owner: Browser, town: Town) -> None:
    owner.get(DETAILS)
    owner.submit(DETAILS, **(GIVEN | {"email": "Owner@Aurora.example"}))
    buy(owner)
    assert town.count(Message, Message.kind == Letter.PAYMENT_RECEIPT) == 1


def test_a_new_address_counts_from_the_next_invoice(owner: Browser, town: Town) -> None:
    owner.get(DETAILS)
    owner.submit(DETAILS, **GIVEN)
    buy(owner)
    owner.get(DETAILS)
    owner.submit(DETAILS, email="new@aurora.example")
    message = town.scalars(select(Message).where(Message.recipient == "invoices@aurora.example"))[0]
    with town.open() as session:
        assert facts_of(message, session, "https://help.example")["office"]
    assert town.count(Message, Message.recipient == "new@aurora.example") == 0


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"email": "not an address"}, "Enter an email address, for example invoices@example.com, or leave it empty."),
        ({"address": "\n".join("abcdefg")}, "Shorten it to 6 lines."),
        ({"address": "a" * 501}, "Shorten it to 500 characters."),
        ({"company": "a" * 201}, "Shorten the name to 200 characters."),
        ({"tax_id": "1" * 61}, "Shorten it to 60 characters."),
    ],
)
def test_what_cannot_be_is_said_and_keeps_the_rest(owner: Browser, given: dict[str, str], error: str) -> None:
    owner.get(DETAILS)
    page = owner.submit(DETAILS, **(GIVEN | given), status=422)
    assert page.errors == [error]
    kept = page.find(DETAILS)[0]
    field = "tax_id" if "tax_id" not in given else "company"
    assert kept.value_of(field) == GIVEN[field]


def test_who_is_slower_is_told_what_was_saved(owner: Browser, town: Town, sign_in: SignIn) -> None:
    other = sign_in("owner@aurora.example")
    other.get(DETAILS)
    owner.get(DETAILS)
    owner.submit(DETAILS, **GIVEN)
    page = other.submit(DETAILS, company="Mine", status=409)
    assert "Aurora Games Zrt." in page.main
    assert page.find(DETAILS)[0].value_of("company") == "Mine"
    other.submit(DETAILS)
    assert other.get(DETAILS).find(DETAILS)[0].value_of("company") == "Mine"
    changes = town.scalars(select(Event).where(Event.kind == EventKind.BILLING_CHANGED).order_by(Event.id))
    assert [event.data["parts"] for event in changes] == [
        ["company", "address", "tax_id", "email"],
        ["company", "address", "tax_id", "email"],
    ]


def test_two_administrators_name_the_issuer(sign_in: SignIn) -> None:
    first, second = sign_in("admin@support.example"), sign_in("admin@support.example")
    first.get("/admin/tax")
    second.get("/admin/tax")
    first.submit("/admin/seller", seller="Cloud Support Ltd.\nMain Street")
    page = second.submit("/admin/seller", seller="Another", status=409)
    assert any("it says “Cloud Support Ltd., Main Street” now" in error for error in page.errors)
    assert second.submit("/admin/seller").find("/admin/seller")[0].value_of("seller") == "Another"
    second.get("/admin/tax")
    assert second.submit("/admin/seller", seller="\n".join("abcdefg"), status=422).errors == ["Shorten it to 6 lines."]
