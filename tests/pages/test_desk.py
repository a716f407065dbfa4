"""The desk: queues in the right order, answers that meet the promise, notes for staff alone, no lost update."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import Later, SignIn
from factories import HARBOR, NORTHWIND, Town, now
from page import Browser, File, Forged, Page
from sqlalchemy import select

from models.catalogue import DoorName, Severity
from models.chores import note_missed
from models.events import Event, EventKind
from models.organizations import Organization
from models.outbox import Message
from models.tickets import Comment, TicketState

AGENT, OTHER, OWNER = "agent@support.example", "agent2@support.example", "owner@lumen.example"


@pytest.fixture
def agent(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


def keys(page: Page) -> list[str]:
    return [a.get("href").rpartition("/")[2] for a in page.all("a") if "data-row" in a.attrib]


def test_queues_are_ordered_by_the_promise_and_hold_what_they_say(agent: Browser, town: Town) -> None:
    start = now() - timedelta(hours=3)
    slow = town.file(severity=Severity.S4, at=start)
    late = town.file("owner@harbor.example", HARBOR, severity=Severity.S1, at=start)
    soon = town.file("owner@northwind.example", NORTHWIND, severity=Severity.S1, at=now() - timedelta(minutes=10))
    bill = town.file(door=DoorName.BILLING, at=start)
    waiting = town.file(at=start)
    town.answer(waiting, then=TicketState.WAITING)
    done = town.file(at=start)
    town.move(done, TicketState.RESOLVED)
    mine = town.file(at=start)
    town.take(mine)
    order = keys(agent.get("/desk"))
    assert order[:2] == [late, soon]
    assert order[-1] == bill
    assert set(order) == {slow, late, soon, bill, mine}
    assert set(keys(agent.get("/desk?queue=unassigned"))) == {slow, late, soon, bill}
    assert set(keys(agent.get("/desk?queue=mine"))) == {mine, waiting}
    assert keys(agent.get("/desk?queue=waiting")) == [waiting]
    assert set(keys(agent.get("/desk?queue=all"))) == {slow, late, soon, bill, mine, waiting}
    assert keys(agent.get("/desk?queue=done")) == [done]
    assert keys(agent.get("/desk?when=late")) == [late]
    assert keys(agent.get("/desk?when=soon")) == [soon]
    assert keys(agent.get("/desk?door=billing")) == [bill]
    page = agent.get("/desk")
    figures = [page.words(b) for nav in page.all("nav", aria_label="Queue summary") for b in nav.iter("b")]
    assert figures == ["1", "1", "0", "4", "1"]
    assert keys(agent.get(f"/desk?queue=all&q={bill}")) == [bill]


def test_each_figure_of_the_desk_is_what_its_list_holds(agent: Browser, town: Town) -> None:
    start = now() - timedelta(hours=5)
    answered = town.file(at=start)
    town.answer(answered, then=TicketState.WAITING)
    for _ in range(2):
        # Late, and only then its customer is asked something without a reply.
        late = town.file("owner@harbor.example", HARBOR, severity=Severity.S1, at=start)
        town.move(late, TicketState.WAITING)
    town.file("owner@harbor.example", HARBOR, severity=Severity.S1, at=start)
    town.file("owner@northwind.example", NORTHWIND, severity=Severity.S1, at=now() - timedelta(minutes=10))
    mine = town.file(door=DoorName.BILLING)
    town.take(mine)
    town.move(mine, TicketState.WAITING)
    town.move(town.file(), TicketState.RESOLVED)
    page = agent.get("/desk")
    links = [a for nav in page.all("nav") if nav.get("aria-label") != "Breadcrumb" for a in nav.iter("a")]
    figures = {a.get("href"): b for a in links for b in a.iter() if b.tag == "b" or "num" in b.get("class", "")}
    assert len(figures) >= 9
    for path, figure in figures.items():
        assert len(keys(agent.get(path))) == int(page.words(figure)), path
    assert keys(agent.get("/desk?queue=all"))[-2:] != [late], "what waits is not on top"
    assert [town.ticket(key).due_at for key in (late, answered, mine)] == [None] * 3


def test_a_miss_is_on_record_also_where_the_customer_is_asked_before_the_worker_looks(town: Town) -> None:
    key = town.file(severity=Severity.S1, at=now() - timedelta(days=9))
    town.move(key, TicketState.WAITING)
    town.move(key, TicketState.IN_PROGRESS)
    town.move(key, TicketState.RESOLVED)
    assert town.count(Event, Event.kind == EventKind.PROMISE_MISSED) == 1
    with town.open() as session:
        assert note_missed(session, now()) == 0


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("state", [TicketState.WAITING, TicketState.RESOLVED, TicketState.CLOSED])
def test_a_clock_that_stands_says_why_and_counts_no_further(
    agent: Browser, town: Town, sign_in: SignIn, later: Later, state: TicketState, late: bool
) -> None:
    filed = now() - timedelta(days=9 if late else 0)
    key = town.file("owner@harbor.example", HARBOR, severity=Severity.S1, at=filed)
    if state is TicketState.CLOSED:
        into = town.file("owner@harbor.example", HARBOR)
        agent.get(f"/desk/{key}/merge?into={into}")
        agent.submit(f"/desk/{key}/merge")
    else:
        town.move(key, state)
    owner = sign_in("owner@harbor.example")
    pages = [agent.get(f"/desk/{key}").at("clock"), owner.get(f"/requests/{key}").at("clock")]
    if state is TicketState.WAITING:
        assert all(("Paused, late by" if late else "left when") in words for words in pages)
    else:
        assert all(("Missed" if late else "No reply given") in words for words in pages)
        full = owner.get(f"/requests/{key}/clock").main
        assert "until you reply" not in full
        assert "nobody waits for a reply any more" in full
    later(town, timedelta(hours=2))
    assert owner.get(f"/requests/{key}").at("clock") == pages[1], "two hours later it reads the same"


def test_taking_has_one_winner_and_the_other_is_told(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file()
    second = sign_in(OTHER)
    for browser in (agent, second):
        browser.get(f"/desk/{key}")
    assert f"{key} is yours" in agent.submit(f"/desk/{key}/take").at("flash")
    page = second.submit(f"/desk/{key}/take", status=409)
    assert f"{town.person(AGENT).name} was quicker" in page.main
    assert town.ticket(key).assignee.email == AGENT
    assert town.ticket(key).state is TicketState.IN_PROGRESS


def test_a_ticket_goes_to_an_agent_or_nobody_and_to_no_one_else(agent: Browser, town: Town) -> None:
    key = town.file()
    page = agent.get(f"/desk/{key}")
    offered = page.find(f"/desk/{key}/assignee")[0].choices_of("assignee")
    assert set(offered) == {"", str(town.person(AGENT).id), str(town.person(OTHER).id)}
    agent.submit(f"/desk/{key}/assignee", assignee=str(town.person(OTHER).id))
    assert town.ticket(key).assignee.email == OTHER
    for email in (OWNER, "sales@support.example", "admin@support.example"):
        agent.get(f"/desk/{key}")
        page = agent.submit(f"/desk/{key}/assignee", assignee=Forged(str(town.person(email).id)), status=422)
        assert "Choose one of the support agents" in page.main
    agent.get(f"/desk/{key}")
    agent.submit(f"/desk/{key}/assignee", assignee="")
    assert town.ticket(key).assignee is None


def test_a_ticket_says_who_looks_after_its_customer(agent: Browser, town: Town) -> None:
    key = town.file("owner@harbor.example", HARBOR)
    with town.open() as session:
        session.scalars(select(Organization).where(Organization.slug == HARBOR)).one().account_manager = "Emeka Obi"
    page = agent.get(f"/desk/{key}")
    assert "Account managerEmeka Obi" in page.main
    assert key in agent.get(f"/desk?queue=all&organization={HARBOR}").main
    assert page.all("a", href=f"/desk?queue=all&organization={HARBOR}")
    assert "Account manager" not in agent.get(f"/desk/{town.file()}").main


def test_an_answer_meets_the_promise_and_a_note_does_not(agent: Browser, town: Town) -> None:
    key = town.file(severity=Severity.S2)
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/messages", mode="note", body="Looks like a lock")
    assert "Customers do not see it" in page.at("flash")
    assert town.ticket(key).target.met_at is None
    page = agent.submit(f"/desk/{key}/messages", mode="reply", body="Hello", then="waiting", files=File("a.txt", b"x"))
    assert "Reply sent to the customer" in page.at("flash")
    ticket = town.ticket(key)
    assert ticket.target.met_at is not None
    assert (ticket.state, ticket.assignee.email) == (TicketState.WAITING, AGENT)
    assert "a.txt" in page.at("thread")
    assert "First-reply target met in under 1 business minute of 8 business hours" in page.at("thread")


def test_a_note_is_seen_by_no_customer_anywhere(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file()
    mail_before = town.count(Message)
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/messages", mode="note", body="zebra-note", files=File("zebra.txt", b"striped"))
    assert "zebra-note" in page.at("thread")
    assert town.count(Message) == mail_before
    file = town.file_of(key, "zebra.txt")
    assert sign_in(OTHER).get(f"/attachments/{file}", check=False).body == b"striped"
    for email in (OWNER, "member@lumen.example", "sales@support.example", "admin@support.example"):
        browser = sign_in(email)
        for path in (f"/requests/{key}", f"/requests/{key}/print", "/requests?status=all", "/help", "/"):
            assert "zebra" not in browser.get(path, status=None).html, f"{email} on {path}"
        page = browser.get("/requests?status=all&q=zebra-note")
        assert "No request matches" in page.main
        assert browser.get(f"/attachments/{file}", status=404)
    assert "zebra" not in agent.get(f"/desk/{key}/print").html
    town.answer(key, body="Public")
    assert "zebra" not in "".join(str(m.data) for m in town.scalars(select(Message)))
    events = town.scalars(select(Event).where(Event.ticket_id == town.ticket(key).id, Event.internal))
    assert len(events) == 1


@pytest.mark.parametrize("mode", ["reply", "note"])
def test_an_answer_to_a_page_that_is_outdated_is_held_back_with_both_texts(
    agent: Browser, town: Town, sign_in: SignIn, mode: str
) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    town.reply(key, OWNER, body="It is solved, thank you")
    page = agent.submit(f"/desk/{key}/messages", body="Please restart", mode=mode, status=409)
    assert "It is solved, thank you" in page.at("conflict")
    assert "Please restart" in page.at("conflict")
    form = page.find(f"/desk/{key}/messages")[0]
    assert (form.value_of("body"), form.value_of("mode")) == ("Please restart", mode)
    assert town.count(Comment) == 2
    agent.submit(f"/desk/{key}/messages")
    assert town.count(Comment) == 3
    other = sign_in(OTHER)
    other.get(f"/desk/{key}")
    town.move(key, TicketState.IN_PROGRESS)
    page = other.submit(f"/desk/{key}/state", state="resolved", status=409)
    assert "You were about to set the status to Resolved" in page.main
    assert town.ticket(key).state is TicketState.IN_PROGRESS


def test_ones_own_last_step_is_no_conflict(agent: Browser, town: Town) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    stale = agent.page
    agent.submit(f"/desk/{key}/messages", body="First")
    agent.page = stale
    form, button = stale.find(f"/desk/{key}/state")  # type: ignore[union-attr]
    assert agent.post(form.action, form.entries(button, {"state": "waiting"}), token="").status == 303


def test_agents_reclassify_with_a_reason_that_the_customer_reads(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S4)
    agent.get(f"/desk/{key}/severity")
    page = agent.submit(f"/desk/{key}/severity", severity="S2", reason="", status=422)
    assert page.errors == ["Say why, in words that the customer can read."]
    agent.submit(f"/desk/{key}/severity", severity="S2", reason="Half of the writes fail")
    page = sign_in(OWNER).get(f"/requests/{key}")
    assert "changed the severity from S4 to S2: “Half of the writes fail”" in page.at("thread")
    assert town.ticket(key).target.severity is Severity.S2


def test_states_are_set_from_the_list_and_closed_is_not_on_it(agent: Browser, town: Town) -> None:
    key = town.file()
    page = agent.get(f"/desk/{key}")
    assert "closed" not in page.find(f"/desk/{key}/state")[0].choices_of("state")
    for value in ("closed", "nonsense", ""):
        agent.get(f"/desk/{key}")
        assert agent.submit(f"/desk/{key}/state", state=Forged(value), status=422)
    agent.get(f"/desk/{key}")
    assert "Resolved" in agent.submit(f"/desk/{key}/state", state="resolved").at("status")


def test_an_agent_who_opens_a_customers_link_lands_at_the_desk(agent: Browser, town: Town) -> None:
    key = town.file()
    assert agent.get(f"/requests/{key}").path == f"/desk/{key}"
    assert agent.get("/desk/TECH-999", status=404)


def test_a_waiting_request_is_put_on_hold_and_its_customer_sees_until_when(
    agent: Browser, town: Town, sign_in: SignIn
) -> None:
    key = town.file()
    assert "/hold" not in agent.get(f"/desk/{key}").html, "only what waits for its customer can be on hold"
    town.answer(key, then=TicketState.WAITING)
    agent.get(f"/desk/{key}/hold")
    for wrong, words in (("", "Choose a day"), ("2020-01-01", "has not begun yet"), ("soon", "year, month and day")):
        page = agent.submit(f"/desk/{key}/hold", day=wrong, status=422)
        assert words in page.text
        assert page.find(f"/desk/{key}/hold")[0].value_of("day") == wrong
    day = (now() + timedelta(days=9)).date()
    page = agent.submit(f"/desk/{key}/hold", day=day.isoformat())
    assert "on hold until" in page.at("thread").lower()
    lumen = sign_in(OWNER)
    assert "you get no reminder before" in lumen.get(f"/requests/{key}").at("ask")
    agent.get(f"/desk/{key}/hold")
    town.reply(key, OWNER, "Here it is.")
    page = agent.submit(f"/desk/{key}/unhold", status=409)
    assert "Somebody else was quicker" in page.text
    assert "no reminder" not in lumen.get(f"/requests/{key}").text
