"""Links, merges and splits: nothing lost, nothing doubled, nobody shown what they could not see."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from checks import ORIGIN
from conftest import SignIn
from factories import LUMEN, NORTHWIND, Town, now, words_of
from sqlalchemy import select
from sqlalchemy.orm import Session

from extensions import outside
from models import following
from models.attachments import Attachment
from models.base import Refused, judge, token
from models.catalogue import DoorName, PlanName, Severity
from models.events import Event, EventKind
from models.following import Follower
from models.letters import facts_of
from models.links import around, merged_into, relate
from models.outbox import Letter, Message
from models.permissions import Role
from models.promises import Result
from models.restructuring import lock, merge, split
from models.sending import send
from models.tickets import Comment, Participant, Ticket, TicketState, desk_of, tickets_of

AGENT, OTHER, OWNER, MEMBER = (
    "agent@support.example",
    "agent2@support.example",
    "owner@lumen.example",
    "member@lumen.example",
)
BANKER, CLERK, PARTNER = "owner@northwind.example", "member@northwind.example", "partner@consult.example"


def merged(town: Town, key: str, into: str, *, carry: bool = False) -> None:
    with town.open() as session:
        agent = town._person(session, AGENT)
        other = desk_of(agent, [Role.AGENT]).find(into)
        merge(town._ticket(session, key), other, agent, carry=carry, now=now())


def cut(
    town: Town,
    key: str,
    *messages: int,
    summary: str = "The other thing",
    form: str = "",
    at: datetime | None = None,
) -> str:
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        return split(ticket, agent, messages, summary, key=form or token(), now=at or now())


def sees(town: Town, email: str, key: str) -> bool:
    with town.open() as session:
        return tickets_of(town._person(session, email)).find(key) is not None


def part(town: Town, key: str) -> set[str]:
    ticket = town.ticket(key)
    return {p.person.email for p in town.scalars(select(Participant).where(Participant.ticket_id == ticket.id))}


def test_a_merge_closes_one_and_brings_its_people_to_the_other(town: Town) -> None:
    key = town.file(BANKER, NORTHWIND, files=(("a.txt", b"x"),), severity=Severity.S2)
    town.take_part(key, CLERK, BANKER)
    into = town.file(PARTNER, NORTHWIND)
    assert not sees(town, CLERK, into)
    with town.open() as session:
        following.follow(town._ticket(session, key), town._person(session, OTHER))
    comments, files = town.count(Comment), town.count(Attachment)
    merged(town, key, into)
    first, second = town.ticket(key), town.ticket(into)
    assert (first.state, first.closes_at, second.state) == (TicketState.CLOSED, None, TicketState.OPEN)
    assert part(town, into) == {PARTNER, BANKER, CLERK}
    for email in (BANKER, CLERK):
        assert sees(town, email, key)
        assert sees(town, email, into)
    assert not sees(town, PARTNER, key), "who took part in the other one alone sees no more than before"
    assert (town.count(Comment), town.count(Attachment)) == (comments, files)
    assert [f.ticket_id for f in town.scalars(select(Follower).order_by(Follower.id))] == [first.id, second.id]
    assert (first.target.met_at, first.target.result) == (None, Result.PAUSED)
    with town.open() as session:
        mail = session.scalars(
            select(Message).where(Message.ticket_id == first.id, Message.kind == Letter.TICKET_STATE)
        ).all()
        assert {m.recipient for m in mail} == {BANKER, CLERK}
        assert any(into in change for change in facts_of(mail[0], session, "http://x")["changes"])


def test_both_ends_of_a_merge_lead_to_each_other(town: Town) -> None:
    key, into = town.file(), town.file()
    merged(town, key, into)
    with town.open() as session:
        desk = desk_of(town._person(session, AGENT), [Role.AGENT])
        ways = [(one, around(town._ticket(session, one), desk).links) for one in (key, into)]
        assert [(one, [(w.relation, w.key) for w in links]) for one, links in ways] == [
            (key, [("Merged into", into)]),
            (into, [("Merged from", key)]),
        ]
        assert merged_into(town._ticket(session, key), tickets_of(town._person(session, OWNER))) == into
        assert merged_into(town._ticket(session, key), tickets_of(town._person(session, BANKER))) == ""


def test_what_cannot_be_merged_says_why_and_stays(town: Town) -> None:
    key = town.file()
    closed = town.file()
    town.move(closed, TicketState.RESOLVED, at=now() - timedelta(days=15))
    sending = town.file()
    with town.open() as session:
        agent = town._person(session, AGENT)
        send(town._ticket(session, sending), agent, "x", now=now(), until=now() + timedelta(seconds=15))
    hidden = town.file(confidential=True)
    resolved = town.file()
    town.move(resolved, TicketState.RESOLVED)
    alone = town.file(OWNER, None, door=DoorName.BILLING)
    foreign = town.file(BANKER, NORTHWIND)
    stranger = town.file(BANKER, None, door=DoorName.BILLING)
    for one, other, why in (
        (key, key, "the ticket itself"),
        (key, "TECH-99999", "no ticket"),
        (key, foreign, "another organization"),
        (foreign, key, "another organization"),
        (key, alone, "another organization"),
        (alone, stranger, "another customer"),
        (key, closed, "closed for good"),
        (closed, key, "closed for good"),
        (key, sending, "on its way"),
        (hidden, key, "confidential"),
        (key, resolved, f"Reopen {resolved} first"),
    ):
        with pytest.raises(Refused, match=why):
            merged(town, one, other)
    assert town.count(Event, Event.kind.in_([EventKind.TICKET_MERGED, EventKind.TICKET_MERGED_HERE])) == 0
    assert all(town.ticket(one).state is not TicketState.CLOSED for one in (key, hidden, alone, foreign, sending))


def test_who_comes_into_a_confidential_one_is_agreed_to_by_name(town: Town) -> None:
    key, into = town.file(MEMBER), town.file(OWNER, confidential=True)
    with pytest.raises(Refused, match="Member") as refused:
        merged(town, key, into)
    assert refused.value.field == "carry"
    assert not sees(town, MEMBER, into)
    merged(town, key, into, carry=True)
    assert sees(town, MEMBER, into)
    assert not sees(town, "billing@lumen.example", into), "only those who take part"


def test_who_has_left_the_organization_is_not_brought_along(town: Town) -> None:
    key, into = town.file(PARTNER, NORTHWIND), town.file(BANKER, NORTHWIND)
    town.leave(PARTNER, NORTHWIND)
    merged(town, key, into)
    assert part(town, into) == {BANKER}


def test_a_promise_that_was_missed_before_a_merge_is_a_miss(town: Town) -> None:
    start = now() - timedelta(days=30)
    key, into = town.file(severity=Severity.S2, at=start), town.file()
    merged(town, key, into)
    merged_twice = town.scalars(select(Event).where(Event.kind == EventKind.PROMISE_MISSED))
    assert [event.ticket_id for event in merged_twice] == [town.ticket(key).id]
    with pytest.raises(Refused, match="closed"):
        merged(town, key, into)


def test_a_split_tells_its_people_what_it_is_made_of(town: Town) -> None:
    key = town.file()
    moved = town.reply(key, OWNER, "Another thing.")
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        new = split(ticket, agent, [moved], "Another thing", key=token(), now=now())
    with town.open() as session:
        filed = select(Message).where(Message.kind == Letter.TICKET_FILED, Message.ticket_id == town.ticket(new).id)
        [message] = session.scalars(filed)
        letter = outside().letters.write(message.kind.value, facts_of(message, session, "http://x"))
    for kind in ("plain", "html"):
        words = words_of(letter, kind)
        assert f"moved there from {key}" in " ".join(words.split())
        assert "filed the request" not in words


def test_a_merge_that_ends_the_earlier_promise_says_so_first(town: Town, sign_in: SignIn) -> None:
    agent = sign_in(AGENT)
    grave, slow, answered = (town.file(severity=severity) for severity in (Severity.S1, Severity.S4, Severity.S1))
    town.answer(answered)
    for one, other, warned in (
        (grave, slow, True),
        (grave, answered, True),
        (slow, grave, False),
        (answered, slow, False),
    ):
        page = agent.get(f"/desk/{one}/merge?into={other}")
        assert (f"The first reply to {one} (S1) is due" in page.main) is warned, (one, other)


def test_a_promise_that_is_closed_without_a_reply_is_not_due_for_ever(town: Town, sign_in: SignIn) -> None:
    key, into = town.file(severity=Severity.S1), town.file()
    merged(town, key, into)
    month = f"{town.ticket(key).created_at:%Y-%m}"
    agent = sign_in(AGENT)
    for kept, listed in (("open", [into]), ("unanswered", [key]), ("missed", []), ("met", [])):
        page = agent.get(f"/reports/requests?count=promised&kept={kept}&from={month}&until={month}")
        assert [one for one in (key, into) if f"/desk/{one}" in page.links()] == listed, kept
    sheet = agent.client.get(f"/reports/promises.csv?from={month}&until={month}", base_url=ORIGIN).text
    [line] = [line for line in sheet.splitlines() if line.startswith(key)]
    assert "Closed without a reply" in line


def test_a_split_moves_messages_whole(town: Town) -> None:
    start = now() - timedelta(hours=2)
    key = town.file(severity=Severity.S2, at=start, body="alpha")
    town.take_part(key, MEMBER)
    stays = town.reply(key, OWNER, "beta stays", at=start + timedelta(minutes=1))
    moves = town.reply(key, OWNER, "gamma moves", at=start + timedelta(minutes=2), files=(("zebra.txt", b"x"),))
    note = town.note(key, body="delta internal", at=start + timedelta(minutes=3))
    town.set_house(LUMEN, plan=PlanName.ENTERPRISE.value)
    comments, events = town.count(Comment), town.count(Event, Event.comment_id.is_not(None))
    at = now()
    new = cut(town, key, note, moves, at=at)
    first, second = town.ticket(key), town.ticket(new)
    where = {c.id: c.ticket_id for c in town.scalars(select(Comment))}
    assert (where[stays], where[moves], where[note]) == (first.id, second.id, second.id)
    assert (town.count(Comment), town.count(Event, Event.comment_id.is_not(None))) == (comments, events)
    assert {e.ticket_id for e in town.scalars(select(Event).where(Event.comment_id.in_([moves, note])))} == {second.id}
    assert [f.ticket_id for f in town.scalars(select(Attachment))] == [second.id]
    assert part(town, new) == part(town, key) == {OWNER, MEMBER}
    assert (second.summary, second.door, second.organization_id, second.opener_id, second.severity) == (
        "The other thing",
        first.door,
        first.organization_id,
        first.opener_id,
        first.severity,
    )
    assert (second.plan, second.target.plan, second.target.started_at) == (PlanName.ENTERPRISE, PlanName.ENTERPRISE, at)
    assert (first.plan, first.target.started_at) == (PlanName.STANDARD, start)
    with town.open() as session:
        ours = tickets_of(town._person(session, OWNER))

        def found(word: str) -> set[str]:
            return set(session.scalars(select(Ticket.key).where(ours.condition, *ours.matching(word))))

        for word, which in (("alpha", {key}), ("beta", {key}), ("gamma", {new}), ("zebra", {new}), ("delta", set())):
            assert found(word) == which, word
        desk = desk_of(town._person(session, AGENT), [Role.AGENT])
        assert set(session.scalars(select(Ticket.key).where(*desk.matching("delta")))) == {new}


def test_a_split_of_the_same_form_is_one(town: Town) -> None:
    key = town.file()
    moves = town.reply(key, OWNER)
    form = token()
    assert cut(town, key, moves, form=form) == cut(town, key, moves, form=form)
    assert town.count(Ticket) == 2


def test_what_cannot_be_split_says_why_and_stays(town: Town) -> None:
    key, other = town.file(), town.file()
    [first] = town.scalars(select(Comment.id).where(Comment.ticket_id == town.ticket(key).id))
    foreign, note, reply = town.reply(other, OWNER), town.note(key), town.reply(key, OWNER)
    for chosen, summary, why in (
        ((), "x", "Choose the messages"),
        ((0,), "x", "of this ticket"),
        ((first,), "x", "of this ticket"),
        ((first, reply), "x", "of this ticket"),
        ((reply, foreign), "x", "of this ticket"),
        ((note,), "x", "the customer sees"),
        ((reply,), " ", "summary"),
        ((reply,), "x" * 201, "summary"),
        (tuple(range(1, 200)), "x", "100 at most"),
    ):
        with pytest.raises(Refused, match=why):
            cut(town, key, *chosen, summary=summary)
    new = cut(town, key, reply)
    with pytest.raises(Refused, match="Leave at least one"):
        cut(town, new, reply)
    assert town.count(Ticket) == 3


def test_mail_that_waits_goes_with_its_message(town: Town) -> None:
    key = town.file()
    town.take(key)
    moves = town.reply(key, OWNER)
    new = cut(town, key, moves)
    with town.open() as session:
        [letter] = session.scalars(select(Message).where(Message.kind == Letter.TICKET_REPLIED))
        assert facts_of(letter, session, "http://x")["key"] == new


def test_two_tickets_are_related_once_whichever_is_named_first(town: Town) -> None:
    key, other = town.file(), town.file(BANKER, NORTHWIND)
    for one, two in ((key, other), (other, key)):
        with town.open() as session:
            agent, linked = town._person(session, AGENT), town._ticket(session, two)
            if one == key:
                relate(town._ticket(session, one), linked, agent, now=now())
                continue
            with pytest.raises(Refused, match="linked already"):
                relate(town._ticket(session, one), linked, agent, now=now())
    assert town.count(Event, Event.kind == EventKind.TICKET_LINKED) == 2


def test_two_merges_at_once_close_one_ticket(town: Town) -> None:
    first, second = town.file(), town.file()
    start, refused = Barrier(2), list[str]()

    def go(key: str, into: str) -> None:
        with Session(town.engine, expire_on_commit=False) as session:
            judge(session, writes=True)
            agent = town._person(session, AGENT)
            session.commit()
            start.wait(10)
            lock(session, key, into)
            try:
                merge(town._ticket(session, key), town._ticket(session, into), agent, carry=False, now=now())
            except Refused as reason:
                refused.append(reason.reason)
                return
            session.commit()

    threads = [Thread(target=go, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    states = [town.ticket(key).state for key in (first, second)]
    assert sorted(states) == [TicketState.CLOSED, TicketState.OPEN]
    assert len(refused) == 1
    assert "closed for good" in refused[0]
