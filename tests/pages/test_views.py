"""Saved views: a narrowed queue under a name, own or shared, at an address of its own."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import NORTHWIND, Town
from page import Browser
from sqlalchemy import select

from models.catalogue import Severity
from models.views import OWN_MOST, SavedView

AGENT, OTHER = "agent@support.example", "agent2@support.example"


@pytest.fixture
def agent(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


def save(agent: Browser, name: str, query: str = "queue=all&severity=S1", status: int = 200, **more: object) -> int:
    agent.get(f"/desk/views/new?{query}")
    agent.submit("/desk/views/new", name=name, status=status, **more)
    return 0 if status != 200 else int(agent.page.path.rpartition("view=")[2])


def test_a_queue_is_saved_as_it_is_narrowed_and_opened_by_its_address(agent: Browser, town: Town) -> None:
    urgent, other = town.file("owner@northwind.example", NORTHWIND, severity=Severity.S1), town.file()
    page = agent.get("/desk?queue=all&severity=S1")
    (link,) = [a for a in page.links() if a.startswith("/desk/views/new?")]
    agent.get(link)
    page = agent.submit("/desk/views/new", name="Only S1")
    assert "“Only S1” is saved" in page.at("flash")
    assert urgent in page.main
    assert other not in page.main
    (current,) = [a for a in page.all("a", aria_current="page") if a.get("href", "").startswith("/desk/views/")]
    assert page.words(current) == "Only S1"
    assert urgent in agent.get(current.get("href")).main


def test_a_shared_view_is_seen_by_all_and_changed_by_its_author_alone(agent: Browser, sign_in: SignIn) -> None:
    own, shared = save(agent, "Mine alone"), save(agent, "For all", shared=True)
    colleague = sign_in(OTHER)
    page = colleague.get("/desk")
    assert "For all" in page.html
    assert "Mine alone" not in page.html
    colleague.get(f"/desk/views/{shared}")
    for view in (own, shared):
        colleague.get(f"/desk/views/{view}/edit", status=404)
        assert colleague.post(f"/desk/views/{view}/delete").status == 404
    colleague.get(f"/desk/views/{own}", status=404)
    agent.get(f"/desk/views/{own}/edit")
    agent.submit(f"/desk/views/{own}/edit", name="Now for all", shared=True)
    assert "Now for all" in colleague.get("/desk/views").main


def test_a_name_is_used_once_and_stays_typed(agent: Browser, town: Town, sign_in: SignIn) -> None:
    first, second = save(agent, "Late"), save(agent, "Soon")
    for name in ("", "x" * 61, "Late"):
        save(agent, name, status=422)
        assert agent.page.find("/desk/views/new")[0].value_of("name") == name
        assert agent.page.find("/desk/views/new")[0].value_of("query") == "queue=all&severity=S1"
    agent.get(f"/desk/views/{second}/edit")
    agent.submit(f"/desk/views/{second}/edit", name="Late", status=422)
    agent.get(f"/desk/views/{first}/edit")
    agent.submit(f"/desk/views/{first}/edit", name="Late")
    save(sign_in(OTHER), "Late")
    assert town.count(SavedView) == 3


def test_there_is_a_most(agent: Browser, town: Town) -> None:
    with town.open() as session:
        author = town._person(session, AGENT)
        session.add_all([SavedView(author_id=author.id, name=f"{n}", shared=True, parts={}) for n in range(OWN_MOST)])
    save(agent, "One more", status=422)
    assert town.count(SavedView) == OWN_MOST


def test_what_is_no_more_is_left_out_and_said(agent: Browser, town: Town) -> None:
    key, view = town.file(), save(agent, "Old")
    with town.open() as session:
        session.scalars(select(SavedView)).one().parts = {"queue": "all", "plan": "gold", "tag": "oom", "x": "<b>"}
    page = agent.get(f"/desk/views/{view}")
    assert "plan gold, x <b>" in page.at("flash")
    assert key not in page.main
    with town.open() as session:
        session.scalars(select(SavedView)).one().parts = {"queue": "all", "assignee": ["1"]}
    assert agent.get(f"/desk/views/{view}").status == 200


def test_a_deleted_view_leads_to_its_queue(agent: Browser, town: Town) -> None:
    view = save(agent, "Gone soon")
    agent.get(f"/desk/views/{view}/edit")
    page = agent.submit(f"/desk/views/{view}/delete")
    assert page.path == "/desk?queue=all&severity=S1"
    assert "is deleted" in page.at("flash")
    agent.get(f"/desk/views/{view}", status=404)
