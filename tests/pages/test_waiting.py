"""Technical texts that the plan does not let through: kept with their files, and filed by one click later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import Later, SignIn
from factories import AURORA, NORTHWIND, Town
from page import Browser, File, Page
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
    assert "Basic plan" in page.at("organization-hint")
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


def test_an_s1_that_waited_asks_whether_production_is_down(owner: Browser, town: Town) -> None:
    owner.get(NEW)
    owner.get(next(link for link in owner.page.links() if link.startswith(f"{NEW}?draft=")))
    page = owner.submit(NEW, severity="S1", status=422)
    assert not page.errors, "nothing is asked while it cannot be filed"
    upgrade(owner)
    page = owner.submit(file_it(owner), status=422)
    assert page.errors == ["Confirm that production is down or cannot be used, or choose another severity."]
    assert page.find(NEW)[0].value_of("severity") == "S1"
    assert town.count(Ticket) == 0
    assert owner.submit(NEW, impact="y").h1 == "Zebra login is slow"


def test_filing_it_while_the_door_is_closed_keeps_it(owner: Browser, town: Town) -> None:
    draft = town.scalars(select(Draft))[0]
    answer = owner.post(f"/help/drafts/{draft.id}/file", {"key": draft.key})
    assert answer.status == 422
    assert "Basic plan" in answer.at("organization-hint")
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


@pytest.fixture
def writer(town: Town, sign_in: SignIn) -> Browser:
    """Somebody whose only organization is on Basic, who writes a technical request for later; nothing is sent yet."""
    browser = sign_in("owner@aurora.example")
    browser.get(next(link for link in browser.get(NEW).links() if link.startswith(f"{NEW}?organization=")))
    return browser


def written_on(page: Page) -> None:
    """Check that the page is the form with the words in it, and says what keeps it from being filed."""
    form = page.find(NEW)[0]
    assert (form.value_of("summary"), form.value_of("description")) == (TYPED["summary"], TYPED["description"])
    assert form.value_of("organization") == AURORA
    assert "needs the Standard plan or a higher one" in page.main


def test_a_text_that_waits_is_opened_again(owner: Browser) -> None:
    for where in (NEW, "/help/drafts", f"/console/{AURORA}/support"):
        page = owner.get(where)
        ways = [link for link in page.links() if link.startswith(f"{NEW}?draft=") and not link.endswith("=new")]
        assert ways, where
        written_on(owner.get(ways[0]))


def test_the_list_of_drafts_is_empty_only_without_any(owner: Browser) -> None:
    page = owner.get("/help/drafts")
    assert "Waiting for a plan" in page.main
    assert "Nothing is waiting" not in page.main
    assert page.at("draft-state").startswith("Draft saved")
    owner.submit(next(form.action for form in page.forms if form.action.endswith("/discard")))
    assert "Nothing is waiting" in owner.page.main
    assert owner.page.at("draft-state") == "No drafts"


def test_a_draft_written_for_later_is_opened_again(writer: Browser) -> None:
    writer.submit("/help/technical/draft", **TYPED)
    for where in ("/help/drafts", NEW, "/help"):
        ways = [link for link in writer.get(where).links() if link.startswith(f"{NEW}?draft=")]
        assert ways, where
        written_on(writer.get(ways[0]))
    another = next(link for link in writer.page.links() if link.startswith(f"{NEW}?draft=new"))
    assert writer.get(another).find(NEW)[0].value_of("summary") == ""


@pytest.mark.parametrize("button", ["organization", "files"])
def test_what_the_buttons_of_the_form_do_leads_back_to_it(writer: Browser, button: str) -> None:
    page = writer.submit(f"/help/technical/{button}", **TYPED, files=File("slow.log", b"slow log"))
    written_on(page)
    if button == "files":
        assert "slow.log" in page.main
        page = writer.submit("/help/technical/files/remove")
        written_on(page)
        assert "slow.log is removed" in page.at("flash")


def test_a_text_for_later_survives_the_end_of_a_sign_in(writer: Browser, town: Town) -> None:
    form, _ = writer.page.find(NEW)
    with town.open() as session:
        session.connection().exec_driver_sql("UPDATE sign_ins SET ended_at = created_at")
    answer = writer.post("/help/technical/draft", form.entries(None, TYPED), token="")
    assert answer.headers["Location"] == f"/sign-in?next={NEW}"
    writer.get(answer.headers["Location"])
    written_on(writer.submit("/sign-in", email="owner@aurora.example", password="helpcenter-demo"))


def test_a_draft_of_the_other_door_opens_no_closed_one(sign_in: SignIn, town: Town) -> None:
    browser = sign_in("owner@aurora.example")
    browser.get("/help/billing/new")
    browser.submit("/help/billing/draft", summary="About an invoice")
    page = browser.get(f"{NEW}?draft={town.scalars(select(Draft))[0].id}")
    assert not [form for form in page.forms if form.has("summary")]


def test_filed_for_another_organization_it_waits_no_more(town: Town, sign_in: SignIn) -> None:
    partner = sign_in("partner@consult.example")
    partner.get(NEW)
    partner.submit(NEW, **TYPED, status=422)
    assert "Waiting for a plan" in partner.get(f"/console/{AURORA}/support").main
    draft = town.scalars(select(Draft))[0]
    partner.get(f"{NEW}?draft={draft.id}")
    page = partner.submit(NEW, organization=NORTHWIND, severity="S1", impact="y")
    assert page.h1 == "Zebra login is slow"
    assert "before the plan allowed it" not in page.main, "another organization's plan is nobody's business here"
    assert "Waiting for a plan" not in partner.get(f"/console/{AURORA}/support").main
