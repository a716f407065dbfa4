"""What people must not lose or suffer: another tab's files, a locked database, a doubled field, a refused press."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import databases
import pytest
from conftest import SignIn
from factories import Town
from page import Browser, File
from sqlalchemy import Engine, select

import extensions
import gateways.databases
from models.attachments import Attachment
from models.drafts import Draft
from models.numbers import Counter
from models.tickets import Comment, Ticket

TECHNICAL = {"summary": "Slow", "description": "Since 13:40", "severity": "S2", "environment": "Production"}
NEW = "/help/technical/new"


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@lumen.example")


def test_two_tabs_are_two_drafts_and_no_file_goes_to_the_other(lumen: Browser, town: Town) -> None:
    first, button = lumen.get(NEW).find(NEW)
    second, other = lumen.get(NEW).find(NEW)
    kept = [*first.entries(button, {"summary": "First"}), ("files", File("a.txt", b"for the first"))]
    lumen.post("/help/technical/files", kept, token="")
    sent = lumen.post(NEW, second.entries(other, TECHNICAL), token="")
    assert sent.headers["Location"] == "/requests/TECH-1"
    assert town.scalars(select(Attachment.ticket_id)) == [None], "the file waits with its own form"
    assert [draft.fields["summary"] for draft in town.scalars(select(Draft))] == [["First"]]
    lumen.post(NEW, first.entries(button, {**TECHNICAL, "summary": "First"}), token="")
    assert [one.ticket_id for one in town.scalars(select(Attachment))] == [
        one.id for one in town.scalars(select(Ticket).where(Ticket.summary == "First"))
    ]


def test_a_draft_is_gone_on_with_and_a_new_form_can_be_had(lumen: Browser) -> None:
    form, button = lumen.get(NEW).find(NEW)
    lumen.post("/help/technical/draft", form.entries(button, {"summary": "Half a thought"}), token="")
    assert "Half a thought" in lumen.get(NEW).html
    assert "Half a thought" not in lumen.get(f"{NEW}?draft=new").html


@pytest.mark.parametrize(("name", "values"), [("severity", ["S1", "S4"]), ("summary", ["One", "Two"])])
def test_a_field_that_comes_twice_is_refused_and_not_guessed(
    lumen: Browser, town: Town, name: str, values: list[str]
) -> None:
    answer = lumen.post(NEW, {**TECHNICAL, "organization": "lumen-retail", name: values})
    assert answer.status == 422
    assert "This came twice" in answer.text
    assert town.count(Ticket) == 0


@contextmanager
def everything_locked(engine: Engine) -> Iterator[None]:
    """Let another process hold what filing needs: the whole of SQLite, or on a server the row with the numbers."""
    other = databases.open_engine(engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        connection.execute(select(Counter).where(Counter.name == "TECH").with_for_update())
        yield
        connection.rollback()
    other.dispose()


def test_a_locked_database_answers_in_time_and_loses_no_word(
    lumen: Browser, town: Town, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lumen.post(NEW, {**TECHNICAL, "summary": "The first one makes the row that numbers are counted in"})
    form, button = lumen.get(NEW).find(NEW)
    monkeypatch.setattr(gateways.databases, "BUSY_MS", 1000)
    # A download that an earlier test did not read to its end would give its connection back to a pool that is gone.
    gc.collect()
    engine.dispose()
    words = "Words that took an hour to find, and are not to be typed again"
    with everything_locked(engine):
        started = time.monotonic()
        answer = lumen.post(NEW, form.entries(button, {**TECHNICAL, "description": words}), token="")
        took = time.monotonic() - started
        read = lumen.get("/requests")
    engine.dispose()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    assert words in answer.text
    assert took < 4, "each of the page's parts waits for the lock anew"
    assert read.status == 200, "who reads does not wait for who writes"


def test_a_slow_hash_keeps_nobody_from_writing(
    client: Browser, town: Town, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = extensions.outside().passwords
    free: list[bool] = []

    def fits(*_given: object) -> bool:
        with everything_locked(engine):
            free.append(True)
        return False

    monkeypatch.setattr(gateways.databases, "BUSY_MS", 1000)
    monkeypatch.setattr(passwords, "fits", fits)
    client.get("/sign-in")
    assert client.post("/sign-in", {"email": "owner@lumen.example", "password": "wrong"}).status == 422
    assert free == [True]


def test_a_refused_press_leaves_the_half_written_reply(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent, quicker = sign_in("agent@support.example"), sign_in("agent2@support.example")
    page = agent.get(f"/desk/{key}")
    form, button = page.find(f"/desk/{key}/messages")
    agent.post(f"/desk/{key}/draft", form.entries(button, {"body": "Half a reply"}), token="")
    quicker.get(f"/desk/{key}")
    quicker.submit(f"/desk/{key}/take")
    answer = agent.post(f"/desk/{key}/take")
    assert answer.status == 409
    assert "Half a reply" in answer.html
    assert town.count(Comment) == 1


def test_line_breaks_have_no_place_in_a_name(lumen: Browser) -> None:
    lumen.get("/profile")
    answer = lumen.submit("/profile", name="Maya\r\nBcc: all@example.com")
    assert "Maya Bcc: all@example.com" in answer.html


def test_compression_is_not_forced_on_who_refuses_it(client: Browser) -> None:
    answer = client.client.get("/sign-in", headers={"Accept-Encoding": "gzip;q=0"}, base_url="http://127.0.0.1:8000")
    assert "Content-Encoding" not in answer.headers
