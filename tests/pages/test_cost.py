"""What the costly posts ask of the database: a bound that no row and no participant moves."""

from __future__ import annotations

import databases
import pytest
from checks import counted
from conftest import SignIn
from factories import Town
from page import STATEMENTS, Browser

from models.outbox import Letter, Message
from models.tickets import TicketState

# The other databases lock whoever writes and what is judged, in statements of their own.
LOCKS_MOST = 3
MOST = 10 + (0 if not databases.server() else LOCKS_MOST)


def _sent(browser: Browser, where: str, **given: str) -> list[str]:
    """Send the form on the page and return its statements."""
    browser.submit(where, follow=False, status=303, **given)
    return counted(STATEMENTS.list)


@pytest.mark.parametrize("saved", [False, True], ids=["at-once", "saved-before"])
def test_filing_a_request_asks_little(town: Town, sign_in: SignIn, saved: bool) -> None:
    town.file()
    lumen = sign_in("owner@lumen.example")
    given = {"summary": "Checkout is slow", "description": "Since 13:40 UTC.", "severity": "S2"}
    lumen.get("/help/technical/new")
    if saved:
        lumen.submit("/help/technical/draft", **given)
        lumen.get("/help/technical/new")
    cluster = str(town.clusters("lumen-retail")[0].id)
    statements = _sent(lumen, "/help/technical/new", **given, environment="Production", cluster=cluster)
    assert len(statements) <= MOST, "\n".join(statements)
    assert sum(s.startswith("UPDATE tickets") for s in statements) == 0, "a fresh ticket is written once"


def test_a_reply_asks_no_more_when_more_people_take_part(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    lumen = sign_in("owner@lumen.example")

    def asked(words: str) -> list[str]:
        lumen.get(f"/requests/{key}")
        return _sent(lumen, f"/requests/{key}/comments", body=f"It is still {words}.")

    town.take_part(key, "member@lumen.example")
    one = asked("slow")
    assert len(one) <= MOST, "\n".join(one)
    town.take_part(key, "billing@lumen.example")
    town.take(key)
    assert len(asked("crawling")) == len(one)
    assert town.count(Message, Message.kind == Letter.TICKET_REPLIED) == 1 + 3


def test_a_reply_that_opens_the_request_again_asks_little(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    town.answer(key, then=TicketState.WAITING)
    lumen = sign_in("owner@lumen.example")
    lumen.get(f"/requests/{key}")
    statements = _sent(lumen, f"/requests/{key}/comments", body="It is slow again.")
    assert town.ticket(key).state is TicketState.OPEN
    assert len(statements) <= MOST, "\n".join(statements)


@pytest.mark.parametrize("held", [False, True], ids=["at-once", "held"])
def test_an_answer_that_meets_the_promise_asks_little(
    town: Town, sign_in: SignIn, held: bool, request: pytest.FixtureRequest
) -> None:
    if held:
        request.getfixturevalue("window")
    key = town.file()
    agent = sign_in("agent@support.example")
    agent.get(f"/desk/{key}")
    statements = _sent(agent, f"/desk/{key}/messages", body="Try this.", then="waiting")
    assert len(statements) <= MOST, "\n".join(statements)
