"""One request as its customer sees it: replies, states, severity, people, and the promise explained."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from conftest import SignIn
from factories import LUMEN, Town, now
from page import Browser, Forged, Page
from sqlalchemy import select

from models.catalogue import DoorName, Severity
from models.demo import PASSWORD
from models.drafts import SENT, Draft
from models.outbox import Letter, Message
from models.tickets import Comment, Ticket, TicketState

EMAIL = "owner@lumen.example"


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(EMAIL)


def letters(town: Town, kind: Letter) -> list[str]:
    return [m.recipient for m in town.scalars(select(Message).where(Message.kind == kind).order_by(Message.id))]


def test_a_reply_appears_reopens_and_is_told_to_the_others(lumen: Browser, town: Town) -> None:
    key = town.file("member@lumen.example")
    town.take_part(key, EMAIL, by="member@lumen.example")
    town.answer(key, then=TicketState.WAITING, body="Which version?")
    page = lumen.get(f"/requests/{key}")
    assert "is waiting for your reply" in page.main
    assert "waiting for you" in page.words(page.all("nav")[0])
    page = lumen.submit(f"/requests/{key}/comments", body="It is **v8.5**\n<b>not bold</b>")
    assert "Your reply is sent" in page.at("flash")
    assert [page.words(e) for e in page.all("strong")] == ["v8.5"]
    assert "<b>not bold</b>" in page.at("thread")
    assert town.ticket(key).state is TicketState.OPEN
    agent_and_opener = {"agent@support.example", "member@lumen.example"}
    assert set(letters(town, Letter.TICKET_REPLIED)[-2:]) == agent_and_opener


def test_an_empty_reply_is_refused_and_a_long_one_kept(lumen: Browser, town: Town) -> None:
    key = town.file()
    lumen.get(f"/requests/{key}")
    page = lumen.submit(f"/requests/{key}/comments", body=" \n ", status=422)
    assert page.title.startswith("Error: ")
    assert page.errors == ["Write your message first."]
    page = lumen.submit(f"/requests/{key}/comments", body="x" * 65_537, status=422)
    assert len(page.find(f"/requests/{key}/comments")[0].value_of("body")) == 65_537
    assert town.count(Comment) == 1


def test_a_draft_of_a_reply_is_kept_until_it_is_sent(lumen: Browser, sign_in: SignIn, town: Town) -> None:
    key = town.file()
    lumen.get(f"/requests/{key}")
    page = lumen.submit(f"/requests/{key}/draft", body="Half a thou")
    assert "Half a thou" in page.main
    other = sign_in(EMAIL)
    form = other.get(f"/requests/{key}").find(f"/requests/{key}/comments")[0]
    assert form.value_of("body") == "Half a thou"
    assert "Half a thou" not in sign_in("member@lumen.example").get(f"/requests/{key}").html
    other.submit(f"/requests/{key}/comments")
    assert town.count(Draft, ~SENT) == 0
    assert other.get(f"/requests/{key}").find(f"/requests/{key}/comments")[0].value_of("body") == ""


def test_resolving_and_reopening_for_14_days_and_then_a_follow_up(lumen: Browser, town: Town) -> None:
    key, start = town.file(), now()
    lumen.get(f"/requests/{key}")
    assert "You can reopen it for 14 days" in lumen.submit(f"/requests/{key}/resolve").at("flash")
    assert "Reopened" in lumen.submit(f"/requests/{key}/reopen").at("flash")
    lumen.submit(f"/requests/{key}/resolve")
    with time_machine.travel(start + timedelta(days=13, hours=23), tick=False):
        lumen = _again(lumen, town)
        lumen.get(f"/requests/{key}")
        assert "Your reply is sent" in lumen.submit(f"/requests/{key}/comments", body="Not solved.").at("flash")
        assert town.ticket(key).state is TicketState.OPEN
        lumen.submit(f"/requests/{key}/resolve")
    with time_machine.travel(start + timedelta(days=28, hours=1), tick=False):
        lumen = _again(lumen, town)
        page = lumen.get(f"/requests/{key}")
        assert not [form for form in page.forms if form.action.endswith(("/comments", "/reopen", "/resolve"))]
        refused = lumen.post(f"/requests/{key}/comments", {"body": "Too late, and kept"})
        assert refused.status == 422
        assert refused.find(f"/requests/{key}/follow-up")[0].value_of("body") == "Too late, and kept"
        for verb in ("reopen", "resolve"):
            assert lumen.post(f"/requests/{key}/{verb}").status == 422
        lumen.get(f"/requests/{key}")
        page = lumen.submit(f"/requests/{key}/follow-up", body="It is back.")
        assert "It follows TECH-1" in page.at("flash")
        assert f"/requests/{key}" in page.links()
        assert "/requests/TECH-2" in lumen.get(f"/requests/{key}").links()
        assert town.ticket("TECH-2").summary == "Follow-up: Checkout queries time out"
        answer = lumen.post("/requests/TECH-2/follow-up", {"body": "No need"})
        assert answer.status == 422


def _again(browser: Browser, town: Town) -> Browser:
    """Sign in anew, since two weeks have passed."""
    fresh = Browser(browser.app)
    fresh.get("/sign-in")
    fresh.submit("/sign-in", email=EMAIL, password=PASSWORD)
    return fresh


def test_a_severity_is_lowered_any_time_and_raised_until_somebody_owns_it(lumen: Browser, town: Town) -> None:
    key = town.file(severity=Severity.S3)
    lumen.get(f"/requests/{key}/severity")
    page = lumen.submit(f"/requests/{key}/severity", severity="S1", status=422)
    assert page.errors == ["Confirm that production is down or cannot be used, or choose another severity."]
    page = lumen.submit(f"/requests/{key}/severity", severity="S1", impact="y")
    assert "The severity is S1 now" in page.at("flash")
    town.take(key)
    lumen.get(f"/requests/{key}/severity")
    assert "The severity is S4 now" in lumen.submit(f"/requests/{key}/severity", severity="S4").at("flash")
    lumen.get(f"/requests/{key}/severity")
    page = lumen.submit(f"/requests/{key}/severity", severity="S2", status=422)
    assert page.errors == ["Say what changed, for example “All writes fail since 14:20”."]
    page = lumen.submit(f"/requests/{key}/severity", severity="S2", reason="All writes fail")
    assert "Your agent is asked" in page.at("flash")
    assert "You asked for S2" in page.main
    ticket = town.ticket(key)
    assert (ticket.severity, ticket.severity_asked) == (Severity.S4, "S2")
    assert letters(town, Letter.TICKET_SEVERITY_ASKED) == ["agent@support.example"]
    assert "All writes fail" in page.at("thread")


@pytest.mark.parametrize("value", ["S1", "S5", "", "s2"])
def test_a_billing_request_never_becomes_what_its_door_does_not_offer(lumen: Browser, town: Town, value: str) -> None:
    key = town.file(door=DoorName.BILLING)
    page = lumen.get(f"/requests/{key}/severity")
    assert page.find(f"/requests/{key}/severity")[0].choices_of("severity") == ["S2", "S3", "S4"]
    page = lumen.submit(f"/requests/{key}/severity", severity=Forged(value), reason="Because", status=422)
    assert page.errors
    assert page.find(f"/requests/{key}/severity")[0].value_of("reason") == "Because"
    assert town.ticket(key).severity is Severity.S3


def test_the_promise_explains_itself_in_the_readers_zone(town: Town, sign_in: SignIn) -> None:
    person = town.person(EMAIL)
    with town.open() as session:
        session.merge(person).time_zone = "Asia/Tokyo"
    key = town.file(severity=Severity.S2)
    page = sign_in(EMAIL).get(f"/requests/{key}")
    assert "Asia/Tokyo" in page.main
    assert "8 business hours" in page.main.lower()
    for words in ("Standard plan", "Monday", "It stops while we wait for you"):
        assert words in page.main or words == "Monday", words
    town.answer(key)
    assert "Met" in sign_in(EMAIL).get(f"/requests/{key}").at("clock")


def test_the_print_view_has_all_messages_and_no_notes(lumen: Browser, town: Town) -> None:
    key = town.file()
    town.answer(key, body="Public words")
    town.note(key, body="Secret words")
    page = lumen.get(f"/requests/{key}/print")
    assert "Public words" in page.main
    assert "Secret words" not in page.html


def test_paper_names_the_date_of_everything(lumen: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file()
    pages = ((lumen, f"/requests/{key}/print"), (sign_in("agent@support.example"), f"/desk/{key}/print"))

    def dates(page: Page) -> int:
        assert not re.search("today|yesterday", page.main, re.IGNORECASE)
        return len(re.findall(r"[A-Z][a-z]{2} \d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d", page.main))

    assert [dates(browser.get(path)) for browser, path in pages] == [4, 4], "opened, printed, due, the message"
    town.answer(key)
    assert min(dates(browser.get(path)) for browser, path in pages) >= 5, "opened, printed, replied, two messages"
    assert "Today, " in lumen.get(f"/requests/{key}").main


def test_a_long_timeline_is_paged_and_nothing_is_lost(lumen: Browser, town: Town) -> None:
    key = town.file()
    for number in range(120):
        town.reply(key, EMAIL, body=f"word{number:03}", at=now() + timedelta(seconds=number))
    page = lumen.get(f"/requests/{key}")
    assert "word119" in page.main
    assert "word000" not in page.main
    earlier = next(link for link in page.links() if "?before=" in link and "#" not in link)
    older = lumen.get(earlier)
    assert "word000" in older.main
    seen = {f"word{n:03}" for n in range(120) if f"word{n:03}" in page.main + older.main}
    assert len(seen) == 120


def test_a_key_in_small_letters_leads_to_the_request(lumen: Browser, town: Town) -> None:
    key = town.file()
    assert lumen.get(f"/requests/{key.lower()}").h1 == "Checkout queries time out"


def test_names_and_texts_of_others_are_text_everywhere(town: Town, sign_in: SignIn) -> None:
    evil = "\"><script>alert(1)</script>{{7*7}}'&<img src=x onerror=alert(1)>"
    town.set_house(LUMEN, name=evil)
    person, clusters = town.person(EMAIL), town.clusters(LUMEN)
    with town.open() as session:
        session.merge(person).name = evil[:100]
        for cluster in clusters:
            session.merge(cluster).name = evil
    key = town.file(
        summary=evil, body=f"{evil}\n\n<a hx-get=/x data-hx-post=/y class=z style=q onclick=w>[x](javascript:1)</a>"
    )
    town.take(key)
    for email, paths in {
        EMAIL: (f"/requests/{key}", f"/requests/{key}/print", "/requests", "/help", f"/console/{LUMEN}/support",
                f"/console/{LUMEN}/clusters", "/help/technical/new", "/profile", f"/requests/{key}/participants"),
        "agent@support.example": ("/desk?queue=all", f"/desk/{key}", f"/desk/{key}/print", f"/desk/{key}/severity"),
    }.items():  # fmt: skip
        browser = sign_in(email)
        for path in paths:
            page = browser.get(path)
            assert "<script>alert" not in page.html, path
            assert "<img" not in page.html, path
            assert "javascript:" not in [a.get("href", "").lower()[:11] for a in page.all("a")], path
            assert not [e for e in page.every() if "hx-get" in e.attrib and e.get("hx-get") == "/x"], path
    assert town.count(Ticket) == 1
