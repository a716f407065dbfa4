"""How good the help was: said once a request is resolved, changed for 14 days, by those who see the request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from conftest import SignIn
from factories import Town, now
from page import Browser, Forged
from sqlalchemy import select

from models.catalogue import DoorName
from models.events import Event, EventKind
from models.letters import facts_of
from models.outbox import Message
from models.ratings import Rating
from models.tickets import TicketState

OWNER = "owner@lumen.example"
DAY = timedelta(days=1)


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(OWNER)


def resolved(town: Town, days: int = 0) -> str:
    at = now() - days * DAY
    key = town.file(at=at)
    town.answer(key, at=at)
    town.move(key, TicketState.RESOLVED, at=at)
    return key


def test_a_resolved_request_is_rated_and_rated_anew(lumen: Browser, town: Town, sign_in: SignIn) -> None:
    key = resolved(town)
    assert f"/requests/{key}/rating" in lumen.get(f"/requests/{key}").links()
    lumen.get(f"/requests/{key}/rating")
    assert town.count(Rating) == 0, "to open the link says nothing"
    page = lumen.submit(f"/requests/{key}/rating", stars="4", words="Quick.")
    assert "Thank you" in page.text
    assert "rated the help 4 of 5" in page.main
    form, _ = lumen.get(f"/requests/{key}/rating").find(f"/requests/{key}/rating")
    assert (form.value_of("stars"), form.value_of("words")) == ("4", "Quick.")
    lumen.submit(f"/requests/{key}/rating", stars="4", words="Quick.")
    assert town.count(Event, Event.kind == EventKind.TICKET_RATED) == 1, "the same again says nothing new"
    lumen.get(f"/requests/{key}/rating")
    lumen.submit(f"/requests/{key}/rating", stars="2", words="Not solved.")
    assert [(r.stars, r.words) for r in town.scalars(select(Rating))] == [(2, "Not solved.")]
    assert "1 of 5" not in sign_in("agent@support.example").get("/reports").main
    assert "2.0 of 5" in sign_in("agent@support.example").get("/reports").main
    assert "Not solved." in sign_in("agent@support.example").get(f"/desk/{key}").main


@pytest.mark.parametrize("stars", [Forged("0"), Forged("6"), Forged("x"), Forged("")])
def test_what_is_none_of_the_five_is_refused_and_keeps_the_words(lumen: Browser, town: Town, stars: str) -> None:
    key = resolved(town)
    lumen.get(f"/requests/{key}/rating")
    page = lumen.submit(f"/requests/{key}/rating", status=422, stars=stars, words="My words")
    assert "My words" in page.main
    assert town.count(Rating) == 0


@pytest.mark.parametrize("days", [None, 15])
def test_only_a_resolved_request_is_rated_and_for_fourteen_days(lumen: Browser, town: Town, days: int | None) -> None:
    key = town.file() if days is None else resolved(town, days)
    assert not [f for f in lumen.get(f"/requests/{key}/rating").forms if f.action.endswith("/rating")]
    page = lumen.post(f"/requests/{key}/rating", {"stars": "5", "words": ""})
    assert page.status == 422
    assert "Only a resolved request" in page.main
    assert town.count(Rating) == 0


@pytest.mark.parametrize("door", list(DoorName))
def test_where_nobody_answered_no_rating_is_asked_for(
    lumen: Browser, town: Town, sign_in: SignIn, door: DoorName
) -> None:
    key = town.file("member@lumen.example", door=door)
    town.take_part(key, OWNER, by="member@lumen.example")
    town.note(key)
    assert "Is this urgent?" in lumen.get(f"/requests/{key}").main
    lumen.submit(f"/requests/{key}/resolve")
    page = lumen.get(f"/requests/{key}")
    assert "Is it solved?" in page.main
    assert "Is this urgent?" not in page.main
    assert not [link for link in page.links() if link.endswith(("/rating", "/escalate"))]
    asked = lumen.get(f"/requests/{key}/rating")
    assert "resolved before one of us had answered" in asked.main
    assert not [f for f in asked.forms if f.action.endswith("/rating")]
    page = lumen.post(f"/requests/{key}/rating", {"stars": "5", "words": ""})
    assert page.status == 422
    assert "Only a resolved request that we answered" in page.main
    assert letter(town)["rating_url"] == ""
    lumen.get(f"/requests/{key}")
    lumen.submit(f"/requests/{key}/reopen")
    town.answer(key, then=TicketState.RESOLVED)
    assert f"/requests/{key}/rating" in lumen.get(f"/requests/{key}").links()
    assert letter(town)["rating_url"].endswith(f"/requests/{key}/rating")


def letter(town: Town) -> dict[str, Any]:
    """Return what the last letter to the member says."""
    with town.open() as session:
        mine = select(Message).where(Message.recipient == "member@lumen.example").order_by(Message.id.desc())
        return facts_of(session.scalars(mine.limit(1)).one(), session, "https://help.example")


def test_nobody_rates_what_they_do_not_see(town: Town, sign_in: SignIn) -> None:
    key = resolved(town)
    bank = sign_in("owner@northwind.example")
    bank.get(f"/requests/{key}/rating", status=404)
    assert bank.post(f"/requests/{key}/rating", {"stars": "5"}).status == 404
    assert town.count(Rating) == 0
