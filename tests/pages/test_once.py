"""A form counts once: sent twice, or ten times at the same moment."""

from __future__ import annotations

import threading

import pytest
from conftest import SignIn
from factories import Town
from page import Browser, File

from models.attachments import Attachment
from models.drafts import Draft
from models.outbox import Message
from models.tickets import Comment, Ticket

TECHNICAL = {"summary": "Slow", "description": "Since 13:40", "severity": "S2", "environment": "Production"}
EMAIL = "owner@lumen.example"


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(EMAIL)


def test_a_form_that_is_sent_twice_is_one_request(lumen: Browser, town: Town) -> None:
    form, button = lumen.get("/help/technical/new").find("/help/technical/new")
    entries = form.entries(button, TECHNICAL)
    answers = [lumen.post("/help/technical/new", entries, token="") for _ in range(3)]
    assert {(a.status, a.headers["Location"]) for a in answers} == {(303, "/requests/TECH-1")}
    assert (town.count(Ticket), town.count(Message), town.count(Comment)) == (1, 1, 1)


def test_another_persons_key_is_no_key_of_mine(lumen: Browser, town: Town, sign_in: SignIn) -> None:
    form, button = lumen.get("/help/technical/new").find("/help/technical/new")
    entries = [(name, value) for name, value in form.entries(button, TECHNICAL) if name != "csrf_token"]
    lumen.post("/help/technical/new", entries)
    assert (
        sign_in("member@lumen.example").post("/help/technical/new", entries).headers["Location"] == "/requests/TECH-2"
    )
    assert town.count(Ticket) == 2


@pytest.mark.parametrize("file", [[], [("files", File("a.txt", b"abc"))]], ids=["text", "file"])
def test_ten_at_once_are_one_request(lumen: Browser, town: Town, sign_in: SignIn, file: list[tuple[str, File]]) -> None:
    form, button = lumen.get("/help/technical/new").find("/help/technical/new")
    answers = at_once(sign_in, "/help/technical/new", form.entries(button, TECHNICAL) + file)
    assert answers == {(303, "/requests/TECH-1")}
    assert (town.count(Ticket), town.count(Comment), town.count(Message)) == (1, 1, 1)
    assert town.count(Draft) == 0, "what was sent does not come back as a draft"


@pytest.mark.parametrize("file", [[], [("files", File("a.txt", b"abc"))]], ids=["text", "file"])
def test_ten_replies_at_once_are_one_reply(
    lumen: Browser, town: Town, sign_in: SignIn, file: list[tuple[str, File]]
) -> None:
    key = town.file()
    form, button = lumen.get(f"/requests/{key}").find(f"/requests/{key}/comments")
    answers = at_once(sign_in, f"/requests/{key}/comments", form.entries(button, {"body": "Once."}) + file)
    assert {(status, place.partition("#")[0]) for status, place in answers} == {(303, f"/requests/{key}")}
    assert town.count(Comment, Comment.source == "Once.") == 1
    assert town.count(Draft) == 0, "what was sent does not come back as a draft"


@pytest.mark.parametrize("file", [[], [("files", File("a.txt", b"abc"))]], ids=["text", "file"])
def test_ten_answers_at_once_are_one_answer(town: Town, sign_in: SignIn, file: list[tuple[str, File]]) -> None:
    key, email = town.file(), "agent@support.example"
    form, button = sign_in(email).get(f"/desk/{key}").find(f"/desk/{key}/messages")
    answers = at_once(sign_in, f"/desk/{key}/messages", form.entries(button, {"body": "Once."}) + file, email)
    assert {(status, place.partition("#")[0]) for status, place in answers} == {(303, f"/desk/{key}")}
    assert town.count(Comment, Comment.source == "Once.") == 1
    assert town.count(Attachment) == len(file)
    assert town.count(Draft) == 0


def at_once(
    sign_in: SignIn, path: str, entries: list[tuple[str, str | File]], email: str = EMAIL
) -> set[tuple[int, str]]:
    """Send the same form from ten browsers of one person at the same moment."""
    entries = [(name, value) for name, value in entries if name != "csrf_token"]
    browsers, answers, barrier = [sign_in(email) for _ in range(10)], set[tuple[int, str]](), threading.Barrier(10)
    for browser in browsers:
        browser.get("/shortcuts", check=False)

    def send(browser: Browser) -> None:
        barrier.wait()
        answer = browser.post(path, entries, multipart=True, check=False)
        answers.add((answer.status, answer.headers.get("Location", "")))

    threads = [threading.Thread(target=send, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
