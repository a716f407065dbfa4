"""The mail conversation of a lead: out in a thread, back by its token, and nothing believed that a stranger says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from factories import AURORA, SELLER, Town, now, words_of
from flask import Flask
from sqlalchemy import select

import extensions
from extensions import outside
from models import lead_mail, selling
from models.base import Refused
from models.lead_mail import LeadMail, Way, reply_address, take_in
from models.leads import Lead, Stage
from models.letters import facts_of
from models.outbox import Letter, Message
from models.outside import Arrived

REPLIES = "Replies@help.example"
OWNER = "owner@lumen.example"


@pytest.fixture
def key(town: Town) -> str:
    found = town.enquire(OWNER)
    town.sell(found, selling.take)
    return found


def answer(lead: Lead, **changed: Any) -> Arrived:
    to = reply_address(lead, REPLIES).lower()
    given = Arrived(OWNER, (to,), "<m1@lumen.example>", (), "Yes, on Monday.", "> When?", (), automatic=False)
    return replace(given, **changed)


def bring(town: Town, arrived: Arrived) -> str | None:
    with town.open() as session:
        return take_in(session, arrived, replies_to=REPLIES, now=now())


def came(town: Town) -> list[LeadMail]:
    return town.scalars(select(LeadMail).where(LeadMail.way == Way.IN).order_by(LeadMail.id))


def told(town: Town) -> list[str]:
    return [m.recipient for m in town.scalars(select(Message).where(Message.kind == Letter.LEAD_ANSWERED))]


def test_a_mail_goes_to_the_account_in_the_thread_with_an_address_for_answers(town: Town, key: str) -> None:
    town.sell(key, lead_mail.write, "When can we **talk**?")
    (message,) = town.scalars(select(Message).where(Message.kind == Letter.LEAD_MESSAGE))
    assert message.recipient == OWNER
    with town.open() as session:
        facts = facts_of(message, session, "https://help.example", replies_to=REPLIES)
        letter = outside().letters.write(Letter.LEAD_MESSAGE, facts)
    lead = town.lead(key)
    assert letter["Subject"] == f"[{key}] Premium for Lumen Retail"
    assert letter["In-Reply-To"].startswith(f"<ticket.{key}.{lead.thread}@")
    assert str(letter["Reply-To"]) == f"Replies+{lead.thread}@help.example"
    assert "When can we **talk**?" in words_of(letter)
    assert lead.first_touch_at is not None


def test_without_an_address_for_answers_the_mail_says_so(town: Town, key: str) -> None:
    town.sell(key, lead_mail.write, "When?")
    (message,) = town.scalars(select(Message).where(Message.kind == Letter.LEAD_MESSAGE))
    with town.open() as session:
        letter = outside().letters.write(Letter.LEAD_MESSAGE, facts_of(message, session, "https://help.example"))
    assert letter["Reply-To"] is None
    assert "An answer to this mail is not read" in words_of(letter)


def test_an_answer_is_put_on_the_timeline_and_its_seller_told(town: Town, key: str) -> None:
    assert bring(town, answer(town.lead(key))) == key
    (mail,) = came(town)
    assert (mail.source, mail.quoted, mail.address) == ("Yes, on Monday.", "> When?", OWNER)
    assert mail.person_id is not None
    assert told(town) == [SELLER]
    assert town.lead(key).wrote_again


def test_the_same_message_twice_is_one(town: Town, key: str) -> None:
    for _ in range(2):
        assert bring(town, answer(town.lead(key))) == key
    assert len(came(town)) == 1
    assert len(told(town)) == 1


def test_the_headers_of_the_thread_find_it_too(town: Town, key: str) -> None:
    lead = town.lead(key)
    root = f"<ticket.{key}.{lead.thread}@help.example>"
    assert bring(town, answer(lead, recipients=("sales@help.example",), references=(root,))) == key
    town.sell(key, lead_mail.write, "When?")
    (message,) = town.scalars(select(Message).where(Message.kind == Letter.LEAD_MESSAGE))
    ours = f"<{message.public_id}@help.example>"
    arrived = answer(lead, recipients=("sales@help.example",), references=(ours,), message_id="<m2@lumen.example>")
    assert bring(town, arrived) == key
    assert len(came(town)) == 2


@pytest.mark.parametrize(
    "recipient",
    ["replies+00000000000000000000000000000000@help.example", "replies@help.example", "replies+{}@elsewhere.example",
     "other+{}@help.example", "LEAD-1@help.example"],
)  # fmt: skip
def test_what_carries_no_token_of_ours_is_nobodys(town: Town, key: str, recipient: str) -> None:
    lead = town.lead(key)
    arrived = answer(lead, recipients=(recipient.format(lead.thread),), references=(f"<ticket.{key}.guess@x.example>",))
    assert bring(town, arrived) is None
    assert came(town) == []


@pytest.mark.parametrize("sender", ["stranger@else.example", "owner@aurora.example", SELLER, "agent@support.example"])
def test_a_stranger_with_the_token_is_shown_as_one_and_given_nothing(town: Town, key: str, sender: str) -> None:
    before = town.lead(key).touched_at
    assert bring(town, answer(town.lead(key), sender=sender)) == key
    (mail,) = came(town)
    assert (mail.person_id, mail.address) == (None, sender)
    assert town.lead(key).touched_at == before
    assert town.count(Message, Message.kind == Letter.LEAD_MESSAGE) == 0


def test_automatic_mail_is_passed_over(town: Town, key: str) -> None:
    assert bring(town, answer(town.lead(key), automatic=True)) == key
    assert (came(town), told(town)) == ([], [])


def test_a_flood_waits_at_the_mail_server_and_disturbs_nobody_twice(
    town: Town, key: str, pipe: Callable[[bytes], tuple[int, str]]
) -> None:
    lead = town.lead(key)
    for number in range(lead_mail.HOURLY_MOST):
        bring(town, answer(lead, message_id=f"<{number}@lumen.example>"))
    assert len(told(town)) == 1
    with pytest.raises(lead_mail.TooMany):
        bring(town, answer(lead, message_id="<more@lumen.example>"))
    assert pipe(written(reply_address(lead, REPLIES)))[0] == 75
    assert len(came(town)) == lead_mail.HOURLY_MOST


def test_spam_gets_no_mail_and_disturbs_nobody(town: Town, key: str) -> None:
    town.sell(key, selling.set_stage, Stage.SPAM)
    with pytest.raises(Refused):
        town.sell(key, lead_mail.write, "Hello")
    assert bring(town, answer(town.lead(key))) == key
    assert told(town) == []


def test_hostile_text_is_text(town: Town, key: str) -> None:
    arrived = answer(town.lead(key), text="<script>x</script> [a](javascript:alert(1))", files=("<b>.exe",))
    bring(town, arrived)
    (mail,) = came(town)
    assert "<script" not in mail.html
    assert 'href="javascript' not in mail.html
    assert "Files that were not taken" in mail.source


def test_an_answer_long_after_still_finds_its_lead(town: Town, key: str) -> None:
    town.sell(key, selling.set_stage, Stage.LOST, at=now() - timedelta(days=400))
    assert bring(town, answer(town.lead(key))) == key


def test_two_leads_have_two_threads(town: Town, key: str) -> None:
    other = town.enquire("owner@aurora.example", AURORA)
    assert town.lead(key).thread != town.lead(other).thread
    assert bring(town, answer(town.lead(other), sender="owner@aurora.example")) == other


@pytest.fixture
def pipe(app: Flask, town: Town) -> Iterator[Callable[[bytes], tuple[int, str]]]:
    """Return a function that pipes a message into `flask mail-in`, as a mail server does."""
    assert town
    before = extensions._outside[:]
    settings = replace(before[0].settings, mail_replies=REPLIES)
    extensions._outside[:] = [replace(before[0], settings=settings)]

    def given(raw: bytes) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["mail-in"], input=raw)
        return result.exit_code, result.output

    yield given
    extensions._outside[:] = before


def written(to: str) -> bytes:
    quote = "On Mon, 23 Nov 2026 at 10:00, Sales <sales@help.example> wrote:\r\n> When?"
    head = f"From: {OWNER}\r\nTo: {to}\r\nMessage-ID: <77@lumen.example>\r\nSubject: Re: Premium\r\n\r\n"
    return f"{head}Yes, on Monday.\r\n\r\n{quote}\r\n".encode()


def test_a_mail_server_pipes_an_answer_in(town: Town, key: str, pipe: Callable[[bytes], tuple[int, str]]) -> None:
    to = reply_address(town.lead(key), REPLIES)
    assert pipe(written(to)) == (0, f"Taken in: {key}\n")
    assert pipe(written(to))[0] == 0
    (mail,) = came(town)
    assert mail.source == "Yes, on Monday."
    assert "When?" in mail.quoted


def test_what_answers_nothing_here_is_given_back_to_the_mail_server(
    town: Town, pipe: Callable[[bytes], tuple[int, str]]
) -> None:
    code, words = pipe(written("replies+00000000000000000000@help.example"))
    assert (code, "answers nothing here" in words) == (67, True)
    assert pipe(b"")[0] == 67
    assert came(town) == []


def test_without_the_setting_nothing_is_read(app: Flask, town: Town) -> None:
    assert town
    result = app.test_cli_runner().invoke(args=["mail-in"], input=b"x")
    assert result.exit_code == 78
    assert "MAIL_REPLIES" in result.output
