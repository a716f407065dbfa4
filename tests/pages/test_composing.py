"""Writing at the desk: undo by its button, macros without JavaScript, presence, following, mentions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import Later, SignIn
from factories import Town, now
from page import Browser, File, Forged
from sqlalchemy import select

import extensions
from models import macros
from models.attachments import Attachment
from models.drafts import Draft
from models.macros import Macro, MacroText
from models.outbox import Message
from models.people import SignIn as Entry
from models.tickets import Comment, TicketState

AGENT, OTHER, OWNER = "agent@support.example", "agent2@support.example", "owner@lumen.example"


@pytest.fixture
def agent(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


def macro(
    town: Town, name: str, body: str, email: str = AGENT, *, shared: bool = True, then: TicketState | None = None
) -> str:
    with town.open() as session:
        what = MacroText(name, body, then, take=then is not None, shared=shared)
        return str(macros.create(town._person(session, email), what, now=now()).id)


@pytest.mark.usefixtures("window")
def test_until_it_goes_out_a_reply_is_hidden_from_customers_everywhere(
    agent: Browser, town: Town, sign_in: SignIn, later: Later
) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    page = agent.submit(
        f"/desk/{key}/messages", body="zebra words", then="waiting", files=File("zebra.txt", b"striped")
    )
    assert "reaches the customer in 15 seconds" in page.at("flash")
    assert "Being sent" in page.at("thread")
    assert "zebra words" in sign_in(OTHER).get(f"/desk/{key}").at("thread")
    file, mail = town.file_of(key, "zebra.txt"), town.count(Message)
    lumen = [sign_in(email) for email in (OWNER, "member@lumen.example", "billing@lumen.example")]
    for browser in lumen:
        for path in (f"/requests/{key}", f"/requests/{key}/print", "/requests?status=all", "/help", "/"):
            html = browser.get(path).html
            assert "zebra" not in html, path
            assert "Waiting for you</span>" not in html, path
        assert "No request matches" in browser.get("/requests?status=all&q=zebra").main
        assert key not in browser.get("/requests?status=waiting").main
        assert browser.get(f"/attachments/{file}", status=404)
        assert "Met" not in browser.get(f"/requests/{key}").at("clock")
    assert "zebra" not in agent.get(f"/desk/{key}/print").html
    later(town, timedelta(seconds=15))
    page = lumen[0].get(f"/requests/{key}")
    assert "zebra words" in page.at("thread")
    assert "Waiting for you" in page.at("status")
    assert key in lumen[1].get("/requests?status=all&q=zebra").main
    assert lumen[2].get(f"/attachments/{file}", check=False).body == b"striped"
    assert town.count(Message) == mail + 1
    assert "Being sent" not in agent.get(f"/desk/{key}").at("thread")


@pytest.mark.usefixtures("window")
def test_undo_gives_text_files_and_choices_back(agent: Browser, town: Town) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    text = "Line one\n\n* two & <three>"
    agent.submit(f"/desk/{key}/messages", body=text, then="resolved", take=True, files=File("a.txt", b"x"))
    page = agent.submit(f"/desk/{key}/undo")
    assert "nobody has seen it" in page.at("flash")
    form = page.find(f"/desk/{key}/messages")[0]
    assert (form.value_of("body").replace("\r\n", "\n"), form.value_of("then"), form.value_of("take")) == (
        text,
        "resolved",
        "y",
    )
    assert "a.txt" in page.at("reply")
    assert town.count(Comment) == 1
    agent.submit(f"/desk/{key}/messages")
    assert town.count(Comment) == 2
    assert town.count(Attachment, Attachment.comment_id.is_not(None)) == 1
    assert town.count(Draft) == 0


@pytest.mark.usefixtures("window")
def test_undo_after_the_window_says_that_it_is_too_late(agent: Browser, town: Town, later: Later) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    agent.submit(f"/desk/{key}/messages", body="Gone")
    stale = agent.page
    later(town, timedelta(seconds=16))
    agent.page = stale
    page = agent.submit(f"/desk/{key}/undo", status=409)
    assert "too late to undo" in page.errors[0]
    assert "Gone" in page.at("thread")
    assert town.count(Comment) == 2


@pytest.mark.usefixtures("window")
def test_nobody_undoes_anothers_reply_and_no_link_does(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/messages", body="Mine")
    form = page.find(f"/desk/{key}/undo")[0]
    other = sign_in(OTHER)
    assert f"/desk/{key}/undo" not in other.get(f"/desk/{key}").html
    posted = {"message": form.value_of("message")}
    assert other.post(f"/desk/{key}/undo", posted).status == 404
    assert sign_in(OWNER).post(f"/desk/{key}/undo", posted).status == 403
    assert agent.get(f"/desk/{key}/undo?message={posted['message']}", status=405)
    for nonsense in ("", "x", "-1", "9" * 30):
        assert agent.post(f"/desk/{key}/undo", {"message": nonsense}).status == 404
    assert agent.post(f"/desk/{key}/undo", posted).status == 303
    assert agent.post(f"/desk/{key}/undo", posted).status == 303
    assert town.count(Draft) == 1


@pytest.mark.usefixtures("window")
def test_a_colleague_who_writes_meanwhile_is_told_of_a_reply_on_its_way(
    agent: Browser, town: Town, sign_in: SignIn
) -> None:
    key = town.file()
    other = sign_in(OTHER)
    other.get(f"/desk/{key}")
    agent.get(f"/desk/{key}")
    agent.submit(f"/desk/{key}/messages", body="From the first")
    page = other.submit(f"/desk/{key}/messages", body="From the second", status=409)
    assert "From the first" in page.at("conflict")
    assert "replied" in page.at("conflict")
    assert town.count(Comment) == 2


def test_a_macro_is_inserted_behind_what_was_typed(agent: Browser, town: Town) -> None:
    key = town.file(severity=__import__("models.catalogue", fromlist=["Severity"]).Severity.S2)
    ours = macro(
        town, "Ask & wait", "Hello {{customer.first_name}}, {{ ticket.key }} <b>{{plan}}</b>", then=TicketState.RESOLVED
    )
    page = agent.get(f"/desk/{key}")
    assert page.find(f"/desk/{key}/macro")[0].choices_of("macro") == ["", ours]
    page = agent.submit(f"/desk/{key}/macro", body="I typed this", macro=ours, mode="reply", files=[])
    form = page.find(f"/desk/{key}/messages")[0]
    assert form.value_of("body").replace("\r\n", "\n") == f"I typed this\n\nHello Owner, {key} <b>Standard</b>"
    assert (form.value_of("then"), form.value_of("take"), form.value_of("macro")) == ("resolved", "y", "")
    agent.submit(f"/desk/{key}/messages")
    ticket = town.ticket(key)
    assert (ticket.state, ticket.assignee.email) == (TicketState.RESOLVED, AGENT)
    [html] = town.scalars(select(Comment.html).where(Comment.by_staff))
    assert "&lt;b&gt;Standard" in html


def test_no_macro_chosen_loses_nothing(agent: Browser, town: Town) -> None:
    key, theirs = town.file(), macro(town, "Theirs", "x", OTHER, shared=False)
    for which in ("", Forged(theirs), Forged("nonsense"), Forged("9" * 40)):
        agent.get(f"/desk/{key}")
        page = agent.submit(f"/desk/{key}/macro", body="Kept words", macro=which, status=422)
        assert page.errors == ["Choose one of the macros first."]
        assert page.find(f"/desk/{key}/messages")[0].value_of("body") == "Kept words"


def test_macros_are_written_changed_and_deleted(agent: Browser, town: Town, sign_in: SignIn) -> None:
    assert "No macros yet" in agent.get("/desk/macros").main
    agent.get("/desk/macros/new")
    page = agent.submit("/desk/macros/new", name="Logs", body="Send {{log}}", whose="shared", status=422)
    assert page.errors[0].startswith("{{log}} is no placeholder. Known are: {{customer.first_name}}")
    assert page.find("/desk/macros/new")[0].value_of("body") == "Send {{log}}"
    page = agent.submit(
        "/desk/macros/new", name="Logs", body="Send {{cluster}}", whose="shared", then="waiting", take=True
    )
    assert "“Logs” can be inserted" in page.at("flash")
    [kept] = town.scalars(select(Macro))
    assert (kept.owner_id, kept.then, kept.take) == (None, TicketState.WAITING, True)
    path = f"/desk/macros/{kept.id}"
    other = sign_in(OTHER)
    other.get(path)
    agent.get(path)
    agent.submit(path, body="Send the log of {{cluster}}")
    page = other.submit(path, body="Mine", status=409)
    assert "Send the log of {{cluster}}" in page.at("conflict")
    assert page.find(path)[0].value_of("body") == "Mine"
    page = other.submit(path, whose="own", status=422)
    assert "whoever wrote it would lose it" in page.errors[0]
    assert agent.get(path).h1
    other.get(f"{path}/delete")
    assert "is deleted" in other.submit(f"{path}/delete").at("flash")
    assert town.count(Macro) == 0


def test_a_macro_form_sent_twice_is_one_macro(agent: Browser, town: Town) -> None:
    page = agent.get("/desk/macros/new")
    form, button = page.find("/desk/macros/new")
    entries = form.entries(button, {"name": "Once", "body": "x"})
    for _ in range(2):
        assert agent.post("/desk/macros/new", entries, token="").status == 303
    assert town.count(Macro) == 1


def test_who_writes_is_shown_to_colleagues_until_they_stop(
    agent: Browser, town: Town, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other_key = town.file(), town.file()
    path, name = f"/desk/{key}/presence", town.person(OTHER).name
    other, owner = sign_in(OTHER), sign_in(OWNER)
    assert agent.get(path, check=False).html.strip() == ""
    other.get(f"/desk/{key}")
    other.post(f"/desk/{key}/draft", {"key": "k" * 20, "body": " "})
    owner.post(f"/requests/{key}/draft", {"key": "c" * 20, "body": "Customers show nowhere"})
    assert agent.get(path, check=False).html.strip() == ""
    other.post(f"/desk/{key}/draft", {"key": "k" * 20, "body": "I am on it"})
    answer = agent.get(path, check=False)
    assert f"<bdi>{name}</bdi> is replying" in answer.html
    assert f"{name} is replying" in agent.get(f"/desk/{key}").at("presence")
    assert name not in agent.get(f"/desk/{other_key}").at("presence")
    assert other.get(f"/desk/{key}").at("presence") == "", "nobody is told of themselves"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    again = agent.get(path, status=304, check=False, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.body == b""
    assert "replying" not in owner.get(f"/requests/{key}").html
    assert owner.get(path, status=403)
    real = extensions.clock.now
    monkeypatch.setattr(extensions.clock, "now", lambda: real() + timedelta(seconds=61))
    assert agent.get(path, check=False, headers={"If-None-Match": answer.headers["ETag"]}).html.strip() == ""


def test_a_page_that_lies_open_keeps_no_sign_in_alive(
    agent: Browser, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:

    key = town.file()
    agent.get(f"/desk/{key}")
    before = town.scalars(select(Entry.last_seen_at))
    real = extensions.clock.now
    monkeypatch.setattr(extensions.clock, "now", lambda: real() + timedelta(minutes=30))
    agent.get(f"/desk/{key}/presence", check=False)
    assert town.scalars(select(Entry.last_seen_at)) == before
    agent.get(f"/desk/{key}")
    assert town.scalars(select(Entry.last_seen_at)) != before


def test_an_agent_follows_and_stops(agent: Browser, town: Town) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/follow")
    assert town.person(AGENT).name in page.words(next(s for s in page.all("section") if "Followers" in page.words(s)))
    agent.submit(f"/desk/{key}/unfollow")
    assert "No agent follows it" in agent.get(f"/desk/{key}").main


def test_a_mention_reads_as_one_and_customers_see_nothing(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/messages", mode="note", body="@agent2 can you look? @nobody")
    assert f"@{town.person(OTHER).name}" in [page.words(e) for e in page.all("strong")]
    assert "@nobody" in page.at("thread")
    assert "can you look" not in sign_in(OWNER).get(f"/requests/{key}").html


def test_the_fullest_page_of_a_ticket_asks_no_more_than_any_other(agent: Browser, town: Town, sign_in: SignIn) -> None:
    key, other = town.file(files=(("a.txt", b"x"),)), town.file()
    macro(town, "One", "x")
    for one in (key, other):
        agent.get(f"/desk/{one}")
        agent.submit(f"/desk/{one}/follow")
    agent.get(f"/desk/{key}/links")
    agent.submit(f"/desk/{key}/links", other=other)
    sign_in(OTHER).post(f"/desk/{key}/draft", {"key": "k" * 20, "body": "Me too"})
    agent.get(f"/desk/{key}")
    agent.submit(f"/desk/{key}/files", body="Draft", files=File("b.txt", b"y"))
    page = agent.get(f"/desk/{key}")
    assert all(word in page.main for word in ("b.txt", "a.txt", "is replying", other, "One"))
