"""Contact Us: from the Support page to a lead, and what the organization reads of it afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from conftest import SignIn
from factories import AURORA, HARBOR, LUMEN, NORTHWIND, Town, contract, now
from page import Browser, Page
from sqlalchemy import select

from models import selling
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.leads import Lead, Stage
from models.organizations import Organization
from models.outbox import Letter, Message

WHERE = f"/console/{LUMEN}/contact-sales"
GIVEN = {"phone": "+1 555 0100", "need": "An answer at night.\n\nAnd a name.", "contact_time": "Mornings"}


def fields(page: Page) -> dict[str, str]:
    form, _ = page.find(WHERE)
    return {
        name: form.value_of(name).replace("\r\n", "\n")
        for name in ("name", "email", "company", "phone", "need", "contact_time")
    }


@pytest.mark.parametrize("email", ["owner@lumen.example", "billing@lumen.example", "member@lumen.example"])
def test_from_the_support_page_to_a_receipt_with_its_reference(town: Town, sign_in: SignIn, email: str) -> None:
    browser = sign_in(email)
    page = browser.get(f"/console/{LUMEN}/support")
    assert [page.words(a) for a in page.all("a", href=WHERE)] == ["Contact Sales"]
    page = browser.get(WHERE)
    assert page.h1 == "Contact Us"
    known = fields(page)
    assert (known["name"], known["email"]) == (town.person(email).name, email)
    assert (known["company"], known["need"]) == ("Lumen Retail", "")
    assert "Standard" in page.main
    page = browser.submit(WHERE, **GIVEN)
    assert page.path == f"/console/{LUMEN}/support"
    assert f"We will write to {email} by" in page.at("flash")
    assert "LEAD-1" in page.at("flash")
    assert "Your enquiry LEAD-1: Received" in page.main
    lead = town.lead("LEAD-1")
    assert (lead.phone, lead.need, lead.contact_time) == tuple(GIVEN.values())
    kinds = [m.kind for m in town.scalars(select(Message).order_by(Message.id))]
    assert kinds == [Letter.LEAD_RECEIVED, Letter.LEAD_ALERT]


def test_what_is_wrong_is_said_beside_the_field_and_nothing_typed_is_lost(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    browser.get(WHERE)
    page = browser.submit(WHERE, name="", email="nobody", company=" ", need="", phone="1" * 41, status=422)
    assert page.errors == [
        "Enter your name.",
        "Enter your work email, for example maya@example.com.",
        "Enter your company.",
        "Shorten the phone number to 40 characters.",
        "Say what you need, for example which clusters, from when, and how fast we shall answer.",
    ]
    assert fields(page)["email"] == "nobody"
    for email in ("a@b", "a b@example.com", "@example.com", "x" * 64 + "@" + "y" * 186 + ".com"):
        page = browser.submit(WHERE, name="Maya", company="Lumen", email=email, status=422)
        assert "Enter your work email, for example maya@example.com." in page.errors, email
    page = browser.submit(WHERE, need="漢" * 5001, status=422)
    assert "Shorten the text to 5,000 characters." in page.errors
    assert fields(page)["need"] == "漢" * 5001
    assert town.count(Lead) == town.count(Message) == 0


def test_a_program_that_fills_what_nobody_sees_is_refused_and_a_person_can_send_again(
    town: Town, sign_in: SignIn
) -> None:
    browser = sign_in("owner@lumen.example")
    page = browser.get(WHERE)
    (trap,) = page.all("input", name="website")
    above = next(iter(page.above(trap)))
    assert (above.get("class"), above.get("aria-hidden"), trap.get("tabindex")) == ("vh", "true", "-1")
    assert page.words(above) == "Leave this empty"
    page = browser.submit(WHERE, **GIVEN, website="https://spam.example", status=422)
    assert "a program had filled the form" in page.errors[0]
    assert town.count(Lead) == town.count(Message) == 0
    assert fields(page)["need"] == GIVEN["need"]
    browser.submit(WHERE)
    assert town.lead("LEAD-1").need == GIVEN["need"]


def test_the_sixth_form_of_a_person_within_an_hour_has_to_wait(town: Town, sign_in: SignIn) -> None:
    browser, other = sign_in("member@lumen.example"), sign_in("owner@lumen.example")
    for number in range(5):
        browser.get(WHERE)
        browser.submit(WHERE, need=f"Number {number}")
    browser.get(WHERE)
    page = browser.submit(WHERE, need="One more", status=429)
    assert 0 < int(page.headers["Retry-After"]) <= 3601
    assert page.errors[0].startswith("You have sent this form 5 times within an hour.")
    assert fields(page)["need"] == "One more"
    assert town.lead("LEAD-1").need == "Number 4"
    other.get(WHERE)
    other.submit(WHERE, need="Another person")
    with time_machine.travel(now() + timedelta(minutes=61), tick=False):
        sign_in("member@lumen.example")
        browser.get(WHERE)
        browser.submit(WHERE, need="Later")
    assert town.lead("LEAD-1").need == "Later"


def test_a_second_submission_says_that_it_is_added(town: Town, sign_in: SignIn) -> None:
    town.enquire("member@lumen.example", phone="+1 555 0199", need="Private words")
    browser = sign_in("owner@lumen.example")
    page = browser.get(WHERE)
    assert "LEAD-1 is open" in page.main
    assert "Private words" not in page.html, "what one person wrote is not another's to read"
    page = browser.submit(WHERE, need="And from us")
    assert "LEAD-1 was open already" in page.at("flash")
    assert fields(browser.get(WHERE))["need"] == "And from us", "one's own words are there to be changed"
    assert town.count(Lead) == 1
    assert town.count(Message, Message.kind == Letter.LEAD_ALERT) == 1


def test_the_same_form_sent_twice_is_one_enquiry(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    form, button = browser.get(WHERE).find(WHERE)
    entries = form.entries(button, GIVEN)
    for _ in range(2):
        assert browser.post(WHERE, entries, token="").status == 303
    assert town.count(Lead) == 1
    assert town.count(Event, Event.kind == EventKind.LEAD_UPDATED) == 0
    assert town.count(Message) == 2


def test_a_text_whose_sign_in_had_ended_waits_for_its_writer(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    form, button = browser.get(WHERE).find(WHERE)
    with town.open() as session:
        session.connection().exec_driver_sql("UPDATE sign_ins SET ended_at = created_at")
    answer = browser.post(WHERE, form.entries(button, GIVEN), token="")
    assert answer.headers["Location"] == f"/sign-in?next={WHERE}"
    browser.get(answer.headers["Location"])
    page = browser.submit("/sign-in", email="owner@lumen.example", password="helpcenter-demo")
    assert fields(page)["need"] == GIVEN["need"]
    browser.submit(WHERE)
    assert town.lead("LEAD-1").phone == GIVEN["phone"]
    assert fields(browser.get(WHERE))["phone"] == GIVEN["phone"]


def test_the_support_page_follows_the_enquiry_to_its_end(town: Town, sign_in: SignIn) -> None:
    browser, support = sign_in("member@lumen.example"), f"/console/{LUMEN}/support"
    key = town.enquire()
    for stage, words in (
        (Stage.NEW, "Received"),
        (Stage.CONTACTED, "In contact"),
        (Stage.QUALIFIED, "In contact"),
        (Stage.SPAM, "Closed"),
    ):
        town.sell(key, selling.set_stage, stage)
        assert f"Your enquiry {key}: {words}" in browser.get(support).main
        page = browser.get(f"{support}?tab=premium")
        assert f"Your enquiry{key} Status{words} SentToday" in page.main
        assert ("ClosedToday" in page.main) == (words == "Closed")
        assert "Spam" not in page.main
        assert page.all("a", href=WHERE)
    key = town.enquire("member@lumen.example")
    town.sell(key, selling.win, contract(400, "$1, for sales alone"))
    assert "Technical Account Manager: Emeka Obi" in browser.get(support).main
    page = browser.get(f"{support}?tab=premium")
    assert "Managed by contract. ContractPREM-1 Technical Account ManagerEmeka Obi From" in page.main
    assert "$4,200.00" not in page.html, "what it costs is for those who may see bills"
    owner = sign_in("owner@lumen.example").get(f"{support}?tab=premium")
    assert "Price$4,200.00 a month" in owner.main
    assert not page.all("a", href=WHERE)
    assert "for sales alone" not in page.html


def test_a_contract_is_not_asked_for_again(town: Town, sign_in: SignIn) -> None:
    browser, where = sign_in("owner@harbor.example"), f"/console/{HARBOR}/contact-sales"
    page = browser.get(where)
    assert page.h1 == "Contact Us"
    assert "Managed by contract" in page.main
    assert not page.all("textarea")
    given = {"name": "A", "email": "a@b.example", "company": "C", "need": "More"}
    answer = browser.post(where, given)
    assert (answer.status, answer.errors) == (
        422,
        ["Harbor Logistics has Premium by contract already. Nothing was sent."],
    )
    assert town.count(Lead) == 0


def test_nobody_sends_for_an_organization_of_others(town: Town, sign_in: SignIn) -> None:
    browser: Browser = sign_in("owner@lumen.example")
    browser.get(WHERE)
    given = {"name": "A", "email": "a@b.example", "company": "C", "need": "More", "organization": NORTHWIND}
    for slug in (AURORA, NORTHWIND, "no-such"):
        assert browser.post(f"/console/{slug}/contact-sales", given).status == 404
    assert town.count(Lead) == 0


def test_premium_comes_by_no_field_of_the_form(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    browser.get(WHERE)
    forged = {"plan": "premium", "stage": "won", "price": "0", "start": "2026-01-01", "manager": "Me"}
    given = {"name": "A", "email": "a@b.example", "company": "C", "need": "More"}
    assert browser.post(WHERE, given | forged).status == 303
    assert town.lead("LEAD-1").stage is Stage.NEW
    plans = {o.slug: o.plan for o in town.scalars(select(Organization))}
    assert plans[LUMEN] == PlanName.STANDARD.value
