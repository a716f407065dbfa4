"""Mentions in internal notes and following: whom a note reaches, and what of it reads as a name."""

from __future__ import annotations

import re

import pytest
from factories import Town, now, words_of
from sqlalchemy import select

from extensions import outside
from models import following, handling
from models.base import Refused
from models.following import marked
from models.letters import facts_of
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.people import Person
from models.tickets import Comment

AGENT, OTHER, OWNER = "agent@support.example", "agent2@support.example", "owner@lumen.example"


def person(number: int, name: str, email: str) -> Person:
    return Person(id=number, name=name, email=email, email_folded=email.casefold())


JONAS, ANA, ODD = (
    person(1, "Jonas Weber", "jonas@x.example"),
    person(2, "Ana", "ana.b@x.example"),
    person(3, "<b>&", "o@x"),
)


AS_JONAS, AS_ANA = "<strong>@Jonas Weber</strong>", "<strong>@Ana</strong>"
QUOTE = "<blockquote><p>@jonas</p></blockquote>"


@pytest.mark.parametrize(
    ("html", "expected", "who"),
    [
        ("<p>@Jonas Weber look</p>", "<p><strong>@Jonas Weber</strong> look</p>", [JONAS]),
        ("<p>@jonas weber and @JONAS</p>", f"<p>{AS_JONAS} and {AS_JONAS}</p>", [JONAS]),
        ("<p>(@ana.b), @ana.</p>", "<p>(<strong>@Ana</strong>), <strong>@Ana</strong>.</p>", [ANA]),
        ("<p>@ana.bold</p>", "<p>@ana.bold</p>", []),
        ("<p>mail@jonas x@jonas @jonasson @nobody @ jonas</p>", None, []),
        ("<p>@jonas@x.example</p>", None, []),
        ('<pre><code>@jonas</code></pre><p><a href="/">@ana</a></p>', None, []),
        (f"{QUOTE}<p>@ana</p>", f"{QUOTE}<p>{AS_ANA}</p>", [ANA]),
        ("<p>@&lt;b&gt;&amp;</p>", "<p><strong>@&lt;b&gt;&amp;</strong></p>", [ODD]),
        ('<p title="@jonas">x</p>', None, []),
    ],
)  # fmt: skip
def test_names_behind_an_at_read_as_names(html: str, expected: str | None, who: list[Person]) -> None:
    assert marked(html, [JONAS, ANA, ODD]) == (html if expected is None else expected, who)


def test_no_text_is_lost_by_marking() -> None:
    html = "<p>@jonas <em>@ana</em> &amp; @@jonas <code>@ana</code> 5 &lt; 6 @Jonas Weber</p>"
    out, _ = marked(html, [JONAS, ANA])
    assert (
        re.sub("Jonas Weber|jonas", "J", re.sub("<[^>]*>", "", out)).casefold()
        == re.sub("Jonas Weber|jonas", "J", re.sub("<[^>]*>", "", html)).casefold()
    )


def letters(town: Town, *kinds: Letter) -> list[tuple[str, str]]:
    found = town.scalars(select(Message).where(Message.kind.in_(kinds)).order_by(Message.id))
    return [(one.kind.value, one.recipient) for one in found]


NOTES = (Letter.TICKET_MENTIONED, Letter.TICKET_NOTED)


def follow(town: Town, key: str, email: str) -> None:
    with town.open() as session:
        following.follow(town._ticket(session, key), town._person(session, email))


def test_whom_a_note_mentions_gets_one_letter_and_nobody_else(town: Town) -> None:
    key = town.file()
    town.note(key, body="@agent2 look, @agent2 and @agent and @owner and @sales")
    assert letters(town, *NOTES) == [("ticket_mentioned", OTHER)]
    [html] = town.scalars(select(Comment.html).where(Comment.internal))
    assert html.count("<strong>") == 3, "two colleagues are named, one of them twice; others stay text"
    assert "@owner" in html


def test_a_reply_mentions_nobody(town: Town) -> None:
    key = town.file()
    town.answer(key, body="@agent2 look")
    town.reply(key, OWNER, body="@agent2 help")
    assert letters(town, *NOTES) == []


def test_who_follows_gets_customers_replies_and_notes_once(town: Town) -> None:
    key = town.file()
    follow(town, key, OTHER)
    follow(town, key, OTHER)
    town.reply(key, OWNER)
    town.note(key)
    assert letters(town, Letter.TICKET_REPLIED, *NOTES) == [("ticket_replied", OTHER), ("ticket_noted", OTHER)]
    town.note(key, body="@agent2 and all")
    assert letters(town, *NOTES)[1:] == [("ticket_mentioned", OTHER)], "who is mentioned is not told twice"
    town.note(key, OTHER)
    town.answer(key)
    assert len(letters(town, *NOTES)) == 2
    with town.open() as session:
        following.unfollow(town._ticket(session, key), town._person(session, OTHER))
    town.note(key)
    town.reply(key, OWNER)
    assert len(letters(town, *NOTES)) == 2


def test_the_assignee_who_follows_gets_one_letter(town: Town) -> None:
    key = town.file()
    town.take(key, OTHER)
    follow(town, key, OTHER)
    town.reply(key, OWNER)
    assert letters(town, Letter.TICKET_REPLIED) == [("ticket_replied", OTHER)]


@pytest.mark.parametrize("way", ["assigned", "answered", "noted", "freed"])
def test_an_agent_who_loses_a_ticket_is_told_who_has_it(town: Town, way: str) -> None:
    key = town.file()
    town.take(key, OTHER)
    if way in {"answered", "noted"}:
        (town.answer if way == "answered" else town.note)(key, take=True)
    else:
        with town.open() as session:
            ticket, agent = town._ticket(session, key), town._person(session, AGENT)
            handling.assign(ticket, agent, agent if way == "assigned" else None, now=now())
    assert letters(town, Letter.TICKET_ASSIGNED) == [("ticket_assigned", OTHER)]
    with town.open() as session:
        [message] = session.scalars(select(Message).where(Message.kind == Letter.TICKET_ASSIGNED))
        facts = facts_of(message, session, "http://x")
        assert (facts["lost"], facts["holder"]) == (True, "" if way == "freed" else facts["actor_name"])
        body = words_of(outside().letters.write(message.kind.value, facts))
    assert "which was yours" in body or "took you off" in " ".join(body.split())


def test_whoever_gives_their_ticket_away_needs_no_letter(town: Town) -> None:
    key = town.file()
    town.take(key)
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        handling.assign(ticket, agent, town._person(session, OTHER), now=now())
    assert letters(town, Letter.TICKET_ASSIGNED) == [("ticket_assigned", OTHER)]


@pytest.mark.parametrize("follows", [False, True])
def test_the_assignee_reads_what_colleagues_note(town: Town, follows: bool) -> None:
    key = town.file()
    town.take(key, OTHER)
    if follows:
        follow(town, key, OTHER)
    town.note(key)
    assert letters(town, *NOTES) == [("ticket_noted", OTHER)]
    town.note(key, OTHER)
    town.note(key, body="@agent2 look")
    assert letters(town, *NOTES)[1:] == [("ticket_mentioned", OTHER)], "neither the own note, nor one twice"


def test_a_letter_about_a_note_is_for_agents_alone(town: Town) -> None:
    key = town.file()
    town.note(key, body="@agent2 secret")
    with town.open() as session:
        [message] = session.scalars(select(Message).where(Message.kind == Letter.TICKET_MENTIONED))
        assert "secret" in facts_of(message, session, "http://x")["body"]
        assert facts_of(message, session, "http://x")["url"] == f"http://x/desk/{key}"
        town._person(session, OTHER).staff_role = None
        with pytest.raises(Undeliverable, match=r"no support agent|no longer see"):
            facts_of(message, session, "http://x")


def test_who_left_the_staff_follows_no_more(town: Town) -> None:
    key = town.file()
    follow(town, key, OTHER)
    with town.open() as session:
        town._person(session, OTHER).active = False
    town.note(key, body="@agent2")
    assert letters(town, *NOTES) == []
    with pytest.raises(Refused):
        town.note(key, body=" ")
