"""Links, merges and splits as pages: what they show before, what they refuse, and who reads of it afterwards."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import NORTHWIND, Town
from page import Browser, Forged
from sqlalchemy import select

from models.tickets import Comment, Ticket, TicketState

AGENT, OWNER, MEMBER = "agent@support.example", "owner@lumen.example", "member@lumen.example"
BANKER, CLERK = "owner@northwind.example", "member@northwind.example"


@pytest.fixture
def agent(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


def test_a_merge_shows_what_it_does_and_does_it(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key, into = town.file(MEMBER, summary="Second report"), town.file(OWNER, summary="First report")
    agent.get(f"/desk/{key}/merge")
    page = agent.submit(f"/desk/{key}/merge", into=into.lower())
    assert town.person(MEMBER).name in page.main
    assert "not as answered" not in page.main
    assert "stays on record as not answered" in page.main
    assert town.ticket(key).state is TicketState.OPEN, "asking changes nothing"
    page = agent.submit(f"/desk/{key}/merge")
    assert page.path == f"/desk/{into}"
    assert f"merged another request into this one: {key}" in page.at("thread")
    assert f"/desk/{key}" in page.links()
    page = agent.get(f"/desk/{key}")
    assert f"merged this request into {into}" in page.at("thread")
    member = sign_in(MEMBER)
    page = member.get(f"/requests/{key}")
    assert f"merged this request into {into}" in page.at("thread")
    assert f"This request was merged into {into}." in page.main
    assert f"merged another request into this one: {key}" in member.get(f"/requests/{into}/print").main
    again = agent.post(f"/desk/{key}/merge", {"into": into})
    assert (again.status, again.headers["Location"]) == (303, f"/desk/{into}")


def test_a_merge_that_would_disclose_is_refused(agent: Browser, town: Town, sign_in: SignIn) -> None:
    hidden, open_one = town.file(MEMBER, confidential=True), town.file(OWNER)
    page = agent.get(f"/desk/{hidden}/merge?into={open_one}", status=422)
    assert "would be read by more people" in page.errors[0]
    assert agent.post(f"/desk/{hidden}/merge", {"into": open_one}).status == 422
    agent.get(f"/desk/{open_one}/merge?into={hidden}")
    page = agent.submit(f"/desk/{open_one}/merge", status=422)
    assert "tick that" in page.errors[0]
    assert sign_in(OWNER).get(f"/requests/{hidden}", status=404)
    agent.submit(f"/desk/{open_one}/merge", carry=True)
    assert sign_in(OWNER).get(f"/requests/{hidden}")
    page = sign_in("billing@lumen.example").get(f"/requests/{open_one}")
    assert hidden not in page.html, "who does not see the other one does not read of it"


def test_a_number_that_is_none_is_refused_in_words(agent: Browser, town: Town) -> None:
    key, foreign = town.file(), town.file(BANKER, NORTHWIND)
    for number in ("TECH-999999", "nonsense", "' OR 1=1", foreign, key):
        assert agent.get(f"/desk/{key}/merge?into={number}", status=422).errors
        assert agent.post(f"/desk/{key}/merge", {"into": number}).status == 422
        if number != foreign:
            agent.get(f"/desk/{key}/links")
            assert agent.submit(f"/desk/{key}/links", other=number, status=422).errors
    agent.get(f"/desk/{key}/links")
    assert agent.submit(f"/desk/{key}/links", other="", status=422).errors == ["Write it as TECH-1284."]
    assert agent.post(f"/desk/{key}/merge", {}).status == 422


def test_links_are_read_by_those_who_see_both(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key, hidden = town.file(MEMBER), town.file(OWNER, confidential=True)
    agent.get(f"/desk/{key}/links")
    page = agent.submit(f"/desk/{key}/links", other=hidden)
    assert f"Related to {hidden}" in page.main
    assert hidden not in sign_in(MEMBER).get(f"/requests/{key}").html
    assert hidden in sign_in(OWNER).get(f"/requests/{key}").at("thread")
    assert hidden not in agent.get(f"/desk/{key}/print").html
    agent.get(f"/desk/{key}/links")
    agent.submit(f"/desk/{key}/links/remove")
    assert "linked with no other ticket" in agent.get(f"/desk/{key}").main
    for other in (hidden, "TECH-9999", ""):
        assert agent.post(f"/desk/{key}/links/remove", {"other": other}).status == 404


def test_a_split_keeps_what_was_chosen_when_refused(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file()
    assert "Nothing to move" in agent.get(f"/desk/{key}/split").main
    moves, stays = town.reply(key, OWNER, "This moves"), town.reply(key, OWNER, "This stays")
    agent.get(f"/desk/{key}/split")
    page = agent.submit(f"/desk/{key}/split", summary="New matter", status=422)
    assert "Choose the messages" in page.errors[0]
    page = agent.submit(f"/desk/{key}/split", messages=[str(moves)], summary="", status=422)
    assert page.find(f"/desk/{key}/split")[0].values_of("messages") == [str(moves)]
    page = agent.submit(f"/desk/{key}/split", messages=Forged("x"), summary="New matter", status=422)
    page = agent.submit(f"/desk/{key}/split", messages=[str(moves)], summary="New matter")
    new = page.path.rpartition("/")[2]
    assert "This moves" in page.at("thread")
    assert f"made this request of messages moved from {key}" in page.at("thread")
    owner = sign_in(OWNER)
    thread = owner.get(f"/requests/{key}").at("thread")
    assert "This stays" in thread
    assert "This moves" not in thread
    assert f"moved messages of this request to a new one: {new}" in thread
    assert "This moves" in owner.get(f"/requests/{new}").at("thread")
    assert town.count(Comment) == 3
    assert stays in town.scalars(select(Comment.id).where(Comment.ticket_id == town.ticket(key).id))


def test_a_split_sent_twice_is_one_request(agent: Browser, town: Town) -> None:
    key = town.file()
    moves = town.reply(key, OWNER)
    page = agent.get(f"/desk/{key}/split")
    form, button = page.find(f"/desk/{key}/split", "Move")
    entries = form.entries(button, {"messages": [str(moves)], "summary": "Once"})
    first, second = (agent.post(f"/desk/{key}/split", entries, token="") for _ in range(2))
    assert (first.status, first.headers["Location"]) == (second.status, second.headers["Location"])
    assert town.count(Ticket) == 2


def test_customers_arrange_nothing(town: Town, sign_in: SignIn) -> None:
    key, other = town.file(), town.file()
    owner = sign_in(OWNER)
    for part, data in (("merge", {"into": other}), ("split", {"messages": "2"}), ("links", {"other": other})):
        assert owner.get(f"/desk/{key}/{part}", status=403)
        assert owner.post(f"/desk/{key}/{part}", data).status == 403
    assert town.ticket(key).state is TicketState.OPEN
