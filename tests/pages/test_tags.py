"""Tags: agents sort by them, and no customer sees any."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import Town
from page import Browser, Forged

from models.events import Event, EventKind
from models.tags import NAME_MOST, PER_TICKET, Tag, tag_name

AGENT, OWNER = "agent@support.example", "owner@lumen.example"


@pytest.fixture
def agent(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


@pytest.mark.parametrize(
    ("written", "name"),
    [("Slow Query", "slow-query"), (" #TiKV, ", "tikv"), ("ＯＯＭ", "oom"), ("慢查询", "慢查询"), (" ,# ", "")],
)
def test_a_tag_has_one_spelling(written: str, name: str) -> None:
    assert tag_name(written) == name


def test_agents_tag_and_find_and_customers_see_nothing(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key, other = town.file(), town.file()
    before = town.ticket(key).updated_at
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/tags", tag="Slow Query")
    agent.submit(f"/desk/{key}/tags", tag="slow-query")
    assert "#slow-query" in page.text
    assert "added the tag slow-query" in page.at("thread")
    assert town.ticket(key).updated_at == before
    assert town.count(Event, Event.kind == EventKind.TICKET_TAGGED) == 1
    assert "slow-query" in agent.get(f"/desk/{other}").html, "it is offered where the next one is typed"
    page = agent.get("/desk?queue=all&tag=Slow+Query")
    assert key in page.main
    assert other not in page.main
    lumen = sign_in(OWNER)
    for path in (f"/requests/{key}", f"/requests/{key}/print", "/requests", "/requests?q=slow-query"):
        assert "slow-query" not in lumen.get(path).main.replace("q=slow-query", "").replace("“slow-query”", "")
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/tags/remove")
    assert "took the tag slow-query off" in page.at("thread")
    assert key not in agent.get("/desk?queue=all&tag=slow-query").main


def test_what_is_no_tag_is_refused_and_stays_typed(agent: Browser, town: Town) -> None:
    key = town.file()
    for wrong in ("", " , ", "x" * (NAME_MOST + 1)):
        agent.get(f"/desk/{key}")
        page = agent.submit(f"/desk/{key}/tags", tag=wrong, status=422)
        assert page.find(f"/desk/{key}/tags")[0].value_of("tag") == wrong
    for number in range(PER_TICKET):
        agent.get(f"/desk/{key}")
        agent.submit(f"/desk/{key}/tags", tag=f"tag {number}")
    agent.submit(f"/desk/{key}/tags", tag="one more", status=422)
    assert town.count(Tag) == PER_TICKET


def test_many_are_tagged_together_or_none(agent: Browser, town: Town) -> None:
    keys = [town.file(), town.file()]
    agent.get("/desk?queue=all")
    agent.submit("/desk/together/tag", button="Add tag", ticket=[*keys, Forged("TECH-999")], tag="oom", status=404)
    assert town.count(Event, Event.kind == EventKind.TICKET_TAGGED) == 0
    agent.get("/desk?queue=all")
    page = agent.submit("/desk/together/tag", button="Add tag", ticket=keys, tag="oom")
    assert "2 tickets are with the tag oom now" in page.at("flash")
    assert page.text.count("#oom") == 2
    agent.submit("/desk/together/tag", button="Take tag off", ticket=keys[:1], tag="oom")
    assert agent.get("/desk?queue=all&tag=oom").text.count("#oom") == 1
    agent.get("/desk?queue=all")
    agent.submit("/desk/together/tag", button="Add tag", ticket=keys, tag="", status=422)


def test_a_merge_keeps_the_tags_of_both(agent: Browser, town: Town) -> None:
    one, two = town.file(), town.file()
    for key, tag in ((one, "oom"), (two, "tikv"), (one, "tikv")):
        agent.get(f"/desk/{key}")
        agent.submit(f"/desk/{key}/tags", tag=tag)
    agent.get(f"/desk/{one}/merge")
    agent.submit(f"/desk/{one}/merge", into=two)
    agent.submit(f"/desk/{one}/merge")
    page = agent.get(f"/desk/{two}")
    assert "#oom" in page.text
    assert "#tikv" in page.text
