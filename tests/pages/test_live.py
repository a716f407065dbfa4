"""A request's page that lies open: what came is put on it, once, and nothing that is being typed is touched."""

from __future__ import annotations

from datetime import timedelta

import pytest
from checks import counted
from conftest import Later, SignIn
from factories import Town, now
from page import STATEMENTS, Browser

from models.catalogue import Severity
from models.tickets import TicketState

AGENT, OTHER, OWNER = "agent@support.example", "agent2@support.example", "owner@lumen.example"


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(OWNER)


def poll(browser: Browser, status: int = 200, **more: str) -> list[str]:
    """Ask as the page shown last does, and return the words of the entries that came."""
    (live,) = [e for e in browser.page.all("li") if e.get("id") == "live"]
    page = browser.get(live.get("hx-get"), status=status, check=False, **more)
    return [page.words(e) for e in page.all("li") if e.get("id") != "live"]


def test_what_came_is_answered_once(lumen: Browser, town: Town) -> None:
    key = town.file()
    lumen.get(f"/requests/{key}")
    assert poll(lumen) == []
    town.note(key, body="Between us.")
    town.answer(key, body="Run the planner again.", then=TicketState.WAITING)
    came = poll(lumen)
    assert "Run the planner again." in came[0]
    assert [words for words in came if "changed the status to Waiting for you" in words]
    assert not [words for words in came if "Between us" in words]
    page = lumen.page
    assert "is waiting for your reply" in page.text
    assert "new entries in the conversation" in page.text
    (live,) = [e for e in page.all("li") if e.get("id") == "live"]
    swapped = {part.strip("#").partition(":")[0] for part in live.get("hx-select-oob").split(",")}
    assert swapped == {"news", "face", "marks", "actions", "ask", "engineer"}
    assert swapped <= {e.get("id") for e in page.all()}
    assert poll(lumen) == []
    assert "is waiting for your reply" not in lumen.page.text, "what stands on the page already is not sent again"


def test_nothing_new_costs_neither_bytes_nor_the_sign_in(lumen: Browser, town: Town) -> None:
    key = town.file()
    lumen.get(f"/requests/{key}")
    poll(lumen)
    (live,) = [e for e in lumen.page.all("li") if e.get("id") == "live"]
    first = lumen.client.get(live.get("hx-get"))
    again = lumen.client.get(live.get("hx-get"), headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.usefixtures("window")
def test_a_reply_on_its_way_comes_when_it_is_out_behind_what_came_after_it(
    lumen: Browser, town: Town, sign_in: SignIn, later: Later
) -> None:
    key = town.file()
    agent = sign_in(AGENT)
    agent.get(f"/desk/{key}")
    agent.submit(f"/desk/{key}/messages", body="Run the planner again.")
    agent.get(f"/desk/{key}")
    town.reply(key, OWNER, "It is worse.")
    lumen.get(f"/requests/{key}")
    assert poll(lumen) == []
    came = poll(agent)
    assert ["It is worse." in words for words in came] == [True]
    later(town, timedelta(seconds=20))
    assert [words for words in poll(lumen) if "Run the planner again." in words]
    came = poll(agent)
    assert not [words for words in came if "Being sent" in words]
    (sent,) = [e for e in agent.page.all("li") if e.get("id", "").startswith("message-")]
    assert "Run the planner again." in agent.page.words(sent)


@pytest.mark.usefixtures("window")
def test_a_reply_that_was_undone_goes_from_a_colleagues_page(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent, other = sign_in(AGENT), sign_in("agent2@support.example")
    agent.get(f"/desk/{key}")
    agent.submit(f"/desk/{key}/messages", body="Run the planner again.")
    assert "Run the planner again." in other.get(f"/desk/{key}").text
    agent.submit(f"/desk/{key}/undo")
    poll(other)
    assert [("hidden" in e.attrib, len(e)) for e in other.page.all("li") if e.get("id") != "live"] == [(True, 0)]


def test_who_has_begun_to_write_is_still_told_when_they_send(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent = sign_in(AGENT)
    page = agent.get(f"/desk/{key}")
    town.reply(key, OWNER, "It is worse.")
    poll(agent)
    assert [e for e in agent.page.all("input") if e.get("id") == "seen-message"]
    agent.page = page
    agent.submit(f"/desk/{key}/draft", body="Run the", follow=False, status=303)
    agent.page = page
    poll(agent)
    assert not [e for e in agent.page.all("input") if e.get("id") == "seen-message"]


def test_what_a_ticket_calls_for_comes_with_the_button_for_it(town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S1, at=now() - timedelta(days=4))
    agent, customer = sign_in(AGENT), sign_in(OWNER)
    agent.get(f"/desk/{key}")
    customer.get(f"/requests/{key}/escalate")
    customer.submit(f"/requests/{key}/escalate", reason="Our shop is closed.")
    (live,) = [e for e in agent.page.all("li") if e.get("id") == "live"]
    assert "#calls" in live.get("hx-select-oob")
    poll(agent)
    (calls,) = [e for e in agent.page.all("div") if e.get("id") == "calls"]
    assert "Take up the escalation" in agent.page.words(calls)


def test_what_a_form_has_seen_never_comes_without_the_form_that_shows_it(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent = sign_in(AGENT)
    page = agent.get(f"/desk/{key}")
    town.take(key, OTHER)
    poll(agent)
    inside = {id(e) for form in agent.page.all("form") for e in form.iter("input")}
    bare = [e.get("id") for e in agent.page.all("input") if e.get("name") == "seen" and id(e) not in inside]
    assert bare == ["seen-message"]
    [assign] = [f for f in agent.page.forms if f.action == f"/desk/{key}/assignee"]
    assert assign.value_of("assignee") == str(town.person(OTHER).id)
    assert assign.value_of("seen") == agent.page.find(f"/desk/{key}/state")[0].value_of("seen")
    # Whoever was choosing keeps the form as it was, and is told.
    agent.page = page
    assert "took this request" in agent.submit(f"/desk/{key}/assignee", assignee="", status=409).at("conflict")
    assert town.ticket(key).assignee.email == OTHER


@pytest.mark.parametrize("shown", ["", "x", "1h", "-1", "9" * 16, "1." * 30 + "1", "é", "1..2", "٣"])
def test_nonsense_finds_nothing(lumen: Browser, town: Town, shown: str) -> None:
    key = town.file()
    lumen.get(f"/requests/{key}/changes?shown={shown}", status=204)


def test_an_open_page_asks_little_however_long_the_conversation_is(lumen: Browser, town: Town) -> None:
    key = town.file(at=now() - timedelta(days=1))
    for number in range(25):
        town.reply(key, OWNER, f"Number {number}.", at=now() - timedelta(minutes=60 - number))
    lumen.get(f"/requests/{key}")
    for _ in range(2):
        town.reply(key, OWNER, "One more.")
    assert [words.endswith("One more.") for words in poll(lumen)] == [True, True]
    assert len(counted(STATEMENTS.list)) <= 6
