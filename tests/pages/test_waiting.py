"""Technical texts that the plan does not let through: kept with their files, and filed by one click later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import Later, SignIn
from factories import AURORA, NORTHWIND, Town
from page import Browser, File
from sqlalchemy import select

from models.attachments import Attachment
from models.drafts import SENT, Draft
from models.events import Event, EventKind
from models.outbox import Letter, Message
from models.tickets import Ticket

CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "04/31", "card_code": "913", "holder": "Aiko Mori"}
TYPED = {
    "summary": "Zebra login is slow",
    "description": "Since Monday, 4 s.",
    "severity": "S2",
    "environment": "Production",
    "organization": AURORA,
}
NEW, TYPING = "/help/technical/new", f"/console/{AURORA}/upgrade/standard/card"


@pytest.fixture
def owner(town: Town, sign_in: SignIn) -> Browser:
    """The owner of an organization on Basic, who has tried to file a technical request with a file."""
    browser = sign_in("owner@aurora.example")
    page = browser.get(next(link for link in browser.get(NEW).links() if link.startswith(f"{NEW}?organization=")))
    assert page.find(NEW)[0].choices_of("severity") == ["S1", "S2", "S3", "S4"]
    page = browser.submit(NEW, **TYPED, files=File("slow.log", b"slow log"), status=422)
    assert any("Basic plan" in error for error in page.errors)
    assert page.find(NEW)[0].value_of("severity") == "S2"
    return browser


def upgrade(browser: Browser) -> None:
    browser.get(TYPING)
    assert "has the Standard plan now" in browser.submit(TYPING, **CARD).text


def file_it(browser: Browser) -> str:
    return next(form.action for form in browser.page.forms if form.action.endswith("/file"))


def test_one_click_files_it_after_the_upgrade(owner: Browser, town: Town) -> None:
    page = owner.get(NEW)
    assert "Waiting for a plan" in page.main
    assert "Zebra login is slow" in page.main
    assert not [form for form in page.forms if form.action.endswith("/file")]
    upgrade(owner)
    assert "Finish what you started" in owner.page.main
    page = owner.submit(file_it(owner))
    key = page.path.rpartition("/")[2]
    ticket = town.ticket(key)
    assert (page.h1, ticket.severity.value, ticket.plan.value) == ("Zebra login is slow", "S2", "standard")
    assert "slow.log" in page.main
    assert "wrote this before the plan allowed it" in page.main
    assert "and filed it on Standard" in page.main
    assert [file.ticket_id for file in town.scalars(select(Attachment))] == [ticket.id]
    filed = town.scalars(select(Message).where(Message.kind == Letter.TICKET_FILED))
    assert [bool(message.data["waited"]) for message in filed] == [True]
    assert town.count(Draft, ~SENT) == 0
    assert "Finish what you started" not in owner.get(f"/console/{AURORA}/support").main


def test_a_second_click_leads_to_the_same_request(owner: Browser, town: Town) -> None:
    upgrade(owner)
    form, button = owner.page.find(file_it(owner))
    entries = form.entries(button, {})
    first = owner.post(form.action, entries, token="")
    second = owner.post(form.action, entries, token="")
    assert first.status == second.status == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert town.count(Ticket) == 1


def test_its_writer_is_told_by_mail_when_the_plan_allows_it(owner: Browser, town: Town, later: Later) -> None:
    upgrade(owner)
    letter = town.scalars(select(Message).where(Message.kind == Letter.DRAFT_READY))
    assert [message.recipient for message in letter] == ["owner@aurora.example"]
    assert "Zebra" not in str(letter[0].data)


def test_it_is_checked_anew(owner: Browser, town: Town) -> None:
    with town.open() as session:
        draft = session.scalars(select(Draft)).one()
        draft.fields = draft.fields | {"environment": ["Gone"], "severity": [""]}
    upgrade(owner)
    page = owner.submit(file_it(owner), status=422)
    assert page.errors == ["Choose an environment from the list.", "Choose a severity by business impact."]
    assert page.find(NEW)[0].value_of("summary") == "Zebra login is slow"
    assert "slow.log" in page.main
    page = owner.submit(NEW, environment="Production", severity="S3")
    assert page.h1 == "Zebra login is slow"
    assert "slow.log" in page.main
    assert "wrote this before the plan allowed it" in page.main


def test_filing_it_while_the_door_is_closed_keeps_it(owner: Browser, town: Town) -> None:
    draft = town.scalars(select(Draft))[0]
    answer = owner.post(f"/help/drafts/{draft.id}/file", {"key": draft.key})
    assert answer.status == 422
    assert any("Basic plan" in error for error in answer.errors)
    assert (town.count(Ticket), town.count(Draft), town.count(Attachment)) == (0, 1, 1)


def test_it_can_become_a_billing_request_with_its_files(owner: Browser, town: Town) -> None:
    owner.get("/help/drafts")
    page = owner.submit(next(form.action for form in owner.page.forms if form.action.endswith("/billing")))
    form = page.find("/help/billing/new")[0]
    assert form.value_of("summary") == "Zebra login is slow"
    assert form.value_of("organization") == AURORA
    assert "slow.log" in page.main
    page = owner.submit("/help/billing/new", severity="S3")
    assert (page.h1, "slow.log" in page.main) == ("Zebra login is slow", True)
    assert "before the plan allowed it" not in page.main
    assert town.count(Draft, ~SENT) == 0


def test_sales_sees_how_many_and_no_word(owner: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.enquire("owner@aurora.example", AURORA)
    page = sign_in("sales@support.example").get(f"/sales/{key}")
    assert "Blocked by plan1 within 90 days; 1 text is kept for a plan" in page.main
    assert "Zebra" not in page.html
    events = town.scalars(select(Event).where(Event.kind == EventKind.TICKET_BLOCKED))
    assert [event.data for event in events] == [{}]


def test_nobody_else_reaches_it(owner: Browser, town: Town, sign_in: SignIn) -> None:
    draft = town.scalars(select(Draft))[0]
    for email in ("partner@consult.example", "owner@lumen.example"):
        other = sign_in(email)
        for verb in ("file", "billing"):
            assert other.post(f"/help/drafts/{draft.id}/{verb}", {"key": draft.key}).status == 404
        assert "Zebra" not in other.get("/help/drafts").html


@pytest.mark.usefixtures("owner")
def test_it_goes_thirty_days_after_its_last_change(town: Town, sign_in: SignIn, later: Later) -> None:
    later(town, timedelta(days=31))
    owner = sign_in("owner@aurora.example")
    assert "Zebra" not in owner.get(f"/console/{AURORA}/support").main


def test_filed_for_another_organization_it_waits_no_more(town: Town, sign_in: SignIn) -> None:
    partner = sign_in("partner@consult.example")
    partner.get(NEW)
    partner.submit(NEW, **TYPED, status=422)
    assert "Waiting for a plan" in partner.get(f"/console/{AURORA}/support").main
    draft = town.scalars(select(Draft))[0]
    partner.get(f"{NEW}?draft={draft.id}")
    page = partner.submit(NEW, organization=NORTHWIND, severity="S1")
    assert page.h1 == "Zebra login is slow"
    assert "before the plan allowed it" not in page.main, "another organization's plan is nobody's business here"
    assert "Waiting for a plan" not in partner.get(f"/console/{AURORA}/support").main
