"""What the costly posts ask of the database: a bound that no row and no participant moves."""

from __future__ import annotations

from checks import counted
from conftest import SignIn
from factories import Town
from page import STATEMENTS, Browser

from models.outbox import Letter, Message

# On SQLite it is 18 and 14; the other databases lock what they are about to judge, row by row.
FILING_MOST, REPLY_MOST = 20, 16


def _sent(browser: Browser, where: str, **given: str) -> list[str]:
    """Send the form on the page and return its statements."""
    browser.submit(where, follow=False, status=303, **given)
    return counted(STATEMENTS.list)


def test_filing_a_request_asks_little(town: Town, sign_in: SignIn) -> None:
    lumen = sign_in("owner@lumen.example")
    lumen.get("/help/technical/new")
    given = {"summary": "Checkout is slow", "description": "Since 13:40 UTC.", "severity": "S2"}
    statements = _sent(lumen, "/help/technical/new", **given, environment="Production")
    assert len(statements) <= FILING_MOST, "\n".join(statements)
    assert sum(s.startswith("UPDATE tickets") for s in statements) == 0, "a fresh ticket is written once"


def test_a_reply_asks_no_more_when_more_people_take_part(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    lumen = sign_in("owner@lumen.example")

    def asked(words: str) -> list[str]:
        lumen.get(f"/requests/{key}")
        return _sent(lumen, f"/requests/{key}/comments", body=f"It is still {words}.")

    town.take_part(key, "member@lumen.example")
    one = asked("slow")
    assert len(one) <= REPLY_MOST, "\n".join(one)
    town.take_part(key, "billing@lumen.example")
    town.take(key)
    assert len(asked("crawling")) == len(one)
    assert town.count(Message, Message.kind == Letter.TICKET_REPLIED) == 1 + 3
