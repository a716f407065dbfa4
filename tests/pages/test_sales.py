"""The sales inbox: the list by stage, and one lead from its first contact to its end."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, NORTHWIND, SELLER, Town, now
from page import Browser, Forged, Page
from sqlalchemy import select

from extensions import outside
from models import lead_mail, selling
from models.catalogue import PlanName, Severity
from models.charges import CloudCharge
from models.events import Event, EventKind, record
from models.leads import Lead, LeadNote, Stage
from models.organizations import Membership, Organization
from models.permissions import Role
from models.purchases import VISA, buy

OTHER = "sales2@support.example"


@pytest.fixture
def seller(town: Town, sign_in: SignIn) -> Browser:
    town.hire(OTHER, Role.SALES)
    return sign_in(SELLER)


def keys(page: Page) -> list[str]:
    return [a.get("href").rpartition("/")[2] for a in page.all("a") if "data-row" in a.attrib]


def tabs(page: Page) -> dict[str, int]:
    (nav,) = page.all("nav", aria_label="Filter by stage")
    found = [page.words(a).split() for a in nav.iter("a")]
    return {" ".join(words[:-1]): int(words[-1]) for words in found}


def houses(town: Town, number: int) -> list[str]:
    """Add organizations with a lead each, and return the leads' keys."""
    made = []
    for n in range(number):
        with town.open() as session:
            owner = town.person("owner@lumen.example")
            model = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
            house = Organization(
                slug=f"house-{n}", name=f"House {n}", plan="basic", plan_since=now(), calendar_id=model.calendar_id,
            )  # fmt: skip
            session.add(house)
            session.flush()
            session.add(Membership(person_id=owner.id, organization_id=house.id, role=Role.OWNER))
        made.append(town.enquire("owner@lumen.example", f"house-{n}"))
    return made


def test_the_start_of_sales_is_their_inbox(seller: Browser) -> None:
    page = seller.get("/")
    assert (page.path, page.h1) == ("/sales", "Sales inbox")
    assert "No leads here" in page.main
    (nav,) = page.all("nav", aria_label="Main")
    assert [page.words(a) for a in nav.iter("a") if a.get("aria-current")] == ["Sales inbox"]


def test_the_list_shows_what_is_due_first_and_each_stage_under_its_tab(seller: Browser, town: Town) -> None:
    later, sooner, none = town.enquire(), town.enquire("owner@northwind.example", NORTHWIND), ""
    none = town.enquire("owner@aurora.example", AURORA, company="Aurora <b>Games</b>")
    today = now().date()
    town.sell(later, selling.plan_next, "Call", today + timedelta(days=9))
    town.sell(sooner, selling.plan_next, "Late call", today, at=now() - timedelta(days=2))
    town.sell(none, selling.plan_next, "", None)
    with town.open() as session:
        session.merge(town.lead(sooner)).next_on = today - timedelta(days=3)
    page = seller.get("/sales")
    assert keys(page) == [sooner, later, none]
    assert "Late by" in page.main
    assert "Aurora <b>Games</b>" in page.main
    assert tabs(page) == {
        "Open": 3,
        "Stalled": 0,
        "New": 3,
        "Contacted": 0,
        "Qualified": 0,
        "Won": 0,
        "Lost": 0,
        "Spam": 0,
    }
    town.sell(later, selling.set_stage, Stage.QUALIFIED)
    town.sell(sooner, selling.set_stage, Stage.LOST)
    page = seller.get("/sales?stage=lost")
    assert keys(page) == [sooner]
    assert tabs(page) == {
        "Open": 2,
        "Stalled": 0,
        "New": 1,
        "Contacted": 0,
        "Qualified": 1,
        "Won": 0,
        "Lost": 1,
        "Spam": 0,
    }
    assert keys(seller.get("/sales?stage=nonsense&page=nonsense")) == [later, none]


def test_the_list_is_searched_by_words_of_the_form_and_by_reference(seller: Browser, town: Town) -> None:
    first = town.enquire(need="Überwachung bei Nacht", company="Lumen Holding")
    second = town.enquire("owner@northwind.example", NORTHWIND)
    for text in ("uberwachung", "HOLDING", first.lower(), "lumen nacht"):
        seller.get("/sales")
        assert keys(seller.submit("/sales", q=text)) == [first], text
    assert keys(seller.get("/sales?q=northwind")) == [second]
    page = seller.get("/sales?q=zebra")
    assert "No lead matches" in page.main
    assert keys(seller.get("/sales?q=%25")) == []
    town.enquire(need="Now it is about zebras")
    assert keys(seller.get("/sales?q=zebra")) == [first]


def test_a_long_list_has_pages(seller: Browser, town: Town) -> None:
    made = houses(town, 27)
    page = seller.get("/sales")
    assert "1–25 of 27" in page.main
    rest = seller.get("/sales?page=2")
    assert keys(page) + keys(rest) == made
    assert keys(seller.get("/sales?page=999")) == keys(rest)


def test_the_list_and_the_lead_say_how_old_it_is(seller: Browser, town: Town) -> None:
    key = town.enquire()
    for hours, words in ((0.5, "under 1 h"), (5, "5 h"), (30, "1 day"), (16 * 24 + 1, "16 days")):
        with town.open() as session:
            session.merge(town.lead(key)).created_at = now() - timedelta(hours=hours)
            session.commit()
        page = seller.get("/sales")
        assert page.words(page.all("tbody")[0]).endswith(words)
        assert f"{words} old" in seller.get(f"/sales/{key}").main


def test_a_lead_shows_what_sales_must_know(seller: Browser, town: Town) -> None:
    for severity in (Severity.S1, Severity.S2, Severity.S4):
        town.file(severity=severity, summary="zebra-summary")
    key = town.enquire(
        need="See **this** <img src=x>", phone="+1 555", contact_time="Mornings", write_to="other@x.example"
    )
    page = seller.get(f"/sales/{key}")
    assert page.h1 == "Lumen Retail"
    for words in ("PlanStandard", "Open S1 and S22", "+1 555", "Mornings", "other@x.example", "Account: owner@lumen"):
        assert words in page.main
    assert not page.all("img")
    assert "zebra" not in page.html, "how many, and no word of them"
    assert "asked for Premium · Today" in page.main
    assert seller.get("/sales/LEAD-99", status=404)
    assert seller.get("/sales/TECH-1", status=404)
    assert seller.get(f"/sales/{key.lower()}").h1 == page.h1


def test_a_lead_is_worked_from_the_first_contact_to_the_contract(seller: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.enquire()
    base = f"/sales/{key}"
    seller.get(base)
    assert f"{key} is yours" in seller.submit(f"{base}/take").at("flash")
    seller.submit(f"{base}/stage", stage="contacted")
    on = now().date() + timedelta(days=8)
    page = seller.submit(f"{base}/next-step", step="Send the draft", on=on.isoformat())
    assert "planned “Send the draft” for" in page.main
    page = seller.submit(f"{base}/notes", body="They want it *signed* this year.")
    assert "Customers do not see it" in page.at("flash")
    assert "They want it signed this year." in page.main
    seller.get(f"{base}/won")
    page = seller.submit(f"{base}/won", end="", note="", manager="", status=422)
    assert page.errors == [
        "Choose the last day of the contract.",
        "Enter the reference of the contract, for example “PREM-2026-014”.",
        "Enter the price of a month, for example 4200 or 4,200.00.",
        "Say what was agreed about the price, for example “$4,200 a month, yearly in advance”.",
        "Name the Technical Account Manager.",
    ]
    end = now().date() + timedelta(days=365)
    given = {"start": now().date().isoformat(), "end": end.isoformat(), "note": "$4,200", "manager": "Emeka Obi"}
    given |= {"reference": "PREM-2026-014", "price": "$4,200"}
    page = seller.submit(f"{base}/won", **(given | {"end": "25 Nov"}), status=422)
    assert page.errors == ["Write the day as year, month and day, for example 2026-11-25."]
    page = seller.submit(f"{base}/won", **given)
    assert "is won: Lumen Retail has Premium from now on" in page.at("flash")
    assert "Price$4,200ManagerEmeka Obi" in page.main
    assert not page.all("form", action=f"{base}/stage")
    assert not page.all("form", action=f"{base}/reopen")
    assert "Current PlanPremium" in sign_in("owner@lumen.example").get(f"/console/{LUMEN}/support").main
    assert seller.get(f"{base}/won").main.endswith(f"closed, as Won.Back to {key}")
    assert seller.post(f"{base}/won", given | {"seen": "999999999"}).status == 422


def test_a_lost_lead_is_opened_again(seller: Browser, town: Town) -> None:
    key = town.enquire()
    seller.get(f"/sales/{key}")
    page = seller.submit(f"/sales/{key}/stage", stage="lost")
    assert "as Lost" in page.main
    seller.submit(f"/sales/{key}/reopen")
    assert town.lead(key).stage is Stage.CONTACTED
    seller.submit(f"/sales/{key}/stage", stage="spam")
    again = town.enquire("member@lumen.example")
    seller.get(f"/sales/{key}")
    page = seller.submit(f"/sales/{key}/reopen", status=422)
    assert again in page.errors[0]


@pytest.mark.parametrize(
    ("way", "given", "error"),
    [
        ("stage", {"stage": Forged("won")}, "To mark the lead as won, say what the contract is."),
        ("stage", {"stage": Forged("zebra")}, "Choose a stage from the list."),
        ("owner", {"owner": Forged("1")}, "Choose one of the people of sales."),
        ("owner", {"owner": Forged("zebra")}, "Choose one of the people of sales."),
        ("next-step", {"step": "Call", "on": ""}, "Choose the day of the next step."),
        ("next-step", {"step": "Call", "on": "2020-01-01"}, "Choose today or a later day."),
        ("next-step", {"step": "Call", "on": "soon"}, "Write the day as year, month and day, for example 2026-11-25."),
        ("next-step", {"step": "x" * 201, "on": "2099-01-01"}, "Shorten it to 200 characters."),
        ("notes", {"body": " "}, "Write the note first."),
        ("notes", {"body": "x" * 5001}, "Shorten the note to 5,000 characters."),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(
    seller: Browser, town: Town, way: str, given: dict[str, str], error: str
) -> None:
    key = town.enquire()
    seller.get(f"/sales/{key}")
    before = town.lead(key).revision
    page = seller.submit(f"/sales/{key}/{way}", **given, status=422)
    assert page.errors == [error]
    assert town.lead(key).revision == before
    assert town.count(LeadNote) == 0


def test_taking_has_one_winner_and_the_other_is_told(seller: Browser, town: Town, sign_in: SignIn) -> None:
    key, second = town.enquire(), sign_in(OTHER)
    for browser in (seller, second):
        browser.get(f"/sales/{key}")
    seller.submit(f"/sales/{key}/take")
    page = second.submit(f"/sales/{key}/take", status=409)
    assert f"{town.person(SELLER).name} was quicker" in page.main
    assert town.lead(key).owner.email == SELLER


@pytest.mark.parametrize(
    ("way", "given", "told"),
    [
        ("stage", {"stage": "lost"}, "You were about to set the stage to Lost. It is Qualified now."),
        ("owner", {"owner": ""}, "You were about to change the owner. It is nobody now."),
        ("next-step", {"step": "Call", "on": "2099-01-01"}, "You were about to plan: “Call”."),
    ],
)
def test_a_save_from_a_page_that_is_outdated_is_held_back_and_sent_again(
    seller: Browser, town: Town, way: str, given: dict[str, str], told: str
) -> None:
    key = town.enquire()
    seller.get(f"/sales/{key}")
    town.sell(key, selling.set_stage, Stage.QUALIFIED, by=OTHER)
    page = seller.submit(f"/sales/{key}/{way}", **given, status=409)
    assert told in page.at("conflict")
    assert "changed the stage from New to Qualified" in page.at("conflict")
    assert town.lead(key).stage is Stage.QUALIFIED
    seller.submit(f"/sales/{key}/{way}", status=200)
    lead: Lead = town.lead(key)
    assert (lead.stage is Stage.LOST) == (way == "stage")
    assert (lead.next_step == "Call") == (way == "next-step")


def test_a_customer_who_wrote_meanwhile_holds_back_a_contract(seller: Browser, town: Town) -> None:
    key = town.enquire(need="Old words")
    base = f"/sales/{key}/won"
    seller.get(base)
    town.enquire("member@lumen.example", need="We have decided against it")
    given = {"end": "2099-12-31", "note": "$1", "manager": "Emeka Obi", "reference": "P-1", "price": "1"}
    seller.submit(base, **(given | {"manager": ""}), status=422)
    page = seller.submit(base, **given, status=409)
    assert "sent the form again" in page.at("conflict")
    assert page.find(base)[0].value_of("manager") == "Emeka Obi"
    assert town.lead(key).stage is Stage.NEW
    page = seller.get(f"/sales/{key}")
    assert "We have decided against it" in page.main
    assert "in place of what is below" in page.main
    assert "Old words" in page.main
    assert "Wrote again" in seller.get("/sales").main
    seller.get(base)
    assert seller.submit(base, **given).path == f"/sales/{key}"


def test_the_same_note_sent_twice_is_there_once(seller: Browser, town: Town) -> None:
    key = town.enquire()
    form, button = seller.get(f"/sales/{key}").find(f"/sales/{key}/notes")
    entries = form.entries(button, {"body": "Once"})
    for _ in range(2):
        assert seller.post(f"/sales/{key}/notes", entries, token="").status == 303
    assert town.count(LeadNote) == 1


def test_a_contract_that_is_sent_twice_is_won_once(seller: Browser, town: Town) -> None:
    key = town.enquire()
    path, today = f"/sales/{key}/won", now().date()
    given = {
        "end": (today + timedelta(days=365)).isoformat(),
        "reference": "PREM-1",
        "price": "4200",
        "note": "Agreed.",
    }
    form, button = seller.get(path).find(path)
    entries = form.entries(button, given | {"manager": "Emeka Obi"})
    for _ in range(2):
        answer = seller.post(path, entries, token="")
        assert (answer.status, answer.headers["Location"]) == (303, f"/sales/{key}")
    assert town.count(Event, Event.kind == EventKind.CONTRACT_STARTED) == 1


def test_a_talk_is_noted_as_one_and_stops_the_clock(seller: Browser, town: Town) -> None:
    key = town.enquire()
    seller.get(f"/sales/{key}")
    page = seller.submit(f"/sales/{key}/notes", body="They call back.")
    assert "Promised by" in page.main
    page = seller.submit(f"/sales/{key}/notes", body="We spoke.", spoke="y")
    assert "in time" in page.main
    assert "I was in touch" not in page.main


def test_a_long_timeline_is_read_to_its_beginning(seller: Browser, town: Town) -> None:
    key = town.enquire()
    town.sell(key, lead_mail.write, "The very first words")
    lead = town.lead(key)
    with town.open() as session:
        session.add_all(
            Event(kind=EventKind.LEAD_STEP, at=now(), lead_id=lead.id, data={"step": "", "on": ""})
            for _ in range(selling.ENTRIES)
        )
    page = seller.get(f"/sales/{key}")
    assert "The very first words" not in page.main
    (earlier,) = [a.get("href") for a in page.all("a") if page.words(a) == "Earlier entries"]
    page = seller.get(earlier.partition("#")[0])
    assert "The very first words" in page.main
    assert "Latest entries" in page.main
    # What is changed from here has seen all that there is.
    assert seller.submit(f"/sales/{key}/stage", stage="contacted").path == f"/sales/{key}"


def test_no_customer_reads_a_word_of_sales(seller: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.enquire()
    town.sell(key, selling.note, "zebra-note")
    town.sell(key, selling.plan_next, "zebra-step", now().date() + timedelta(days=2))
    for email in ("owner@lumen.example", "agent@support.example", "admin@support.example"):
        browser = sign_in(email)
        browser.get("/")
        for path in ("/", "/help", f"/console/{LUMEN}/support", f"/console/{LUMEN}/contact-sales", "/requests"):
            assert "zebra" not in browser.get(path, status=None).html
        for path in ("/sales", f"/sales/{key}", f"/sales/{key}/won"):
            assert browser.get(path, status=403)
        assert browser.post(f"/sales/{key}/notes", {"body": "Hello"}).status == 403


def test_a_lead_shows_what_the_organization_spends_and_where_it_was_stopped(town: Town, sign_in: SignIn) -> None:
    key = town.enquire("owner@aurora.example", AURORA)
    owner = sign_in("owner@aurora.example")
    sent = {"organization": AURORA, "severity": "S3", "summary": "s", "description": "d", "environment": "Production"}
    assert owner.post("/help/technical/new", sent).status == 422
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == AURORA)).one()
        session.add(CloudCharge(organization_id=house.id, month=date(2026, 10, 1), cents=123_456, imported_at=now()))
        session.flush()
        gateway = outside().payments
        assert gateway is not None
        buy(session, gateway, AURORA, "owner@aurora.example", PlanName.ENTERPRISE, VISA, at=now())
    page = sign_in(SELLER).get(f"/sales/{key}")
    assert "Paid to us$699.00 within a year" in page.main
    assert "Cloud charges$1,234.56 in 10/2026" in page.main
    assert "Blocked by plan1 within 90 days" in page.main
    assert "Failed payments0 within 90 days" in page.main
    with town.open() as session:
        for reason in ("offline", "insufficient_funds"):
            record(session, EventKind.PAYMENT_FAILED, now=now(), organization_id=house.id, reason=reason)
    # Who pays by transfer has not failed.
    assert "Failed payments1 within 90 days" in sign_in(SELLER).get(f"/sales/{key}").main
