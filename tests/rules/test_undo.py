"""A reply that its writer can undo: until it goes out nothing has changed, and then it counts from its sending."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from factories import Town, now
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from models import handling, sending
from models.attachments import Attachment
from models.base import Model, NotFound, Refused, judge
from models.catalogue import Severity
from models.chores import note_missed
from models.conversations import close, reply
from models.drafts import Draft
from models.events import Event, EventKind
from models.held import HeldReply
from models.outbox import Letter, Message
from models.promises import Result
from models.restructuring import lock
from models.search import found_by, scope_of
from models.tickets import Comment, Ticket, TicketState

AGENT, OTHER, OWNER = "agent@support.example", "agent2@support.example", "owner@lumen.example"
WINDOW = timedelta(seconds=15)
# What a reply may change, and its undoing must leave as it was; the draft is where the text comes back.
KEPT = ("tickets", "response_targets", "events", "comments", "participants", "messages", "held_replies", "ticket_index")


def send(town: Town, key: str, at: datetime, body: str = "Restart the node", email: str = AGENT, **more: Any) -> int:
    def later(ticket: Ticket, actor: Any, text: str, **given: Any) -> Comment:
        return sending.send(ticket, actor, text, until=at + WINDOW, **given)

    return town._say(later, key, email, body, at=at, **more)


def undo(town: Town, key: str, comment: int, at: datetime, email: str = AGENT) -> Draft:
    with town.open() as session:
        return sending.undo(town._ticket(session, key), town._person(session, email), comment, now=at)


def release(town: Town, at: datetime) -> int:
    """Do what the worker does until nothing is due."""
    done = 0
    while True:
        with town.open() as session:
            if not sending.release_due(session, at):
                return done
        done += 1


def rows(town: Town) -> dict[str, list[Any]]:
    """Every row of what a reply may change."""
    with town.open() as session:
        tables = {table.name: table for table in Model.metadata.sorted_tables}
        found = {name: [tuple(row) for row in session.execute(select(tables[name]))] for name in KEPT if name in tables}
        assert set(found) | {"ticket_index"} == set(KEPT)
        columns = {c["name"] for c in inspect(session.connection()).get_columns("ticket_index")}
        term = "terms" if "terms" in columns else "term"
        found["ticket_index"] = sorted(
            str(one) for one in session.connection().exec_driver_sql(f"SELECT {term} FROM ticket_index")
        )
        return found


def is_found(town: Town, key: str, word: str) -> bool:
    """Tell whether the customer's search finds the request by the word."""
    ticket = town.ticket(key)
    scope = scope_of(ticket.organization_id, ticket.opener_id)
    with town.open() as session:
        return bool(
            session.scalars(select(Ticket.id).where(*found_by(session, [scope], word, Ticket.id.expression))).all()
        )


@pytest.mark.parametrize("then", [None, *(state for state in TicketState if state is not TicketState.CLOSED)])
@pytest.mark.parametrize("before", [None, TicketState.WAITING, TicketState.RESOLVED, TicketState.IN_PROGRESS])
def test_what_is_undone_leaves_every_row_as_it_was(
    town: Town, before: TicketState | None, then: TicketState | None
) -> None:
    start = now()
    key = town.file(severity=Severity.S2, at=start)
    if before is not None:
        town.move(key, before, at=start + timedelta(minutes=1))
    there = rows(town)
    at = start + timedelta(minutes=5)
    comment = send(town, key, at, then=then, take=True, files=(("a.txt", b"x"),))
    assert town.count(Comment) == 2
    draft = undo(town, key, comment, at + timedelta(seconds=14))
    assert rows(town) == there
    assert draft.fields == {
        "body": ["Restart the node"],
        "mode": ["reply"],
        "then": [then.value if then else ""],
        "take": ["y"],
    }
    [file] = town.scalars(select(Attachment))
    assert (file.draft_id, file.comment_id, file.ticket_id) == (draft.id, None, None)
    assert release(town, at + timedelta(hours=1)) == 0
    assert rows(town) == there


def test_until_it_goes_out_nothing_has_changed_but_for_staff(town: Town) -> None:
    key = town.file()
    ticket = town.ticket(key)
    comment = send(town, key, now(), "zebra", then=TicketState.WAITING, files=(("striped.txt", b"x"),))
    same = town.ticket(key)
    assert (same.state, same.updated_at, same.assignee_id, same.revision) == (
        ticket.state,
        ticket.updated_at,
        None,
        ticket.revision,
    )
    assert same.target.met_at is None
    assert town.count(Message, Message.kind == Letter.TICKET_REPLIED) == 0
    assert [one.internal for one in town.scalars(select(Comment).where(Comment.id == comment))] == [True]
    assert not is_found(town, key, "zebra")
    assert not is_found(town, key, "striped")


def test_what_goes_out_counts_from_the_moment_of_sending(town: Town) -> None:
    start = now()
    key = town.file(severity=Severity.S2, at=start)
    due = town.ticket(key).target.due_at
    at = due - timedelta(seconds=5)
    comment = send(town, key, at, "zebra", then=TicketState.WAITING, files=(("striped.txt", b"x"),))
    with town.open() as session:
        assert note_missed(session, due + timedelta(seconds=1)) == 0, "the answer is on its way, and was in time"
    assert release(town, at + WINDOW - timedelta(microseconds=1)) == 0
    assert release(town, at + WINDOW) == 1
    ticket = town.ticket(key)
    assert (ticket.target.met_at, ticket.state, ticket.assignee.email) == (at, TicketState.WAITING, AGENT)
    assert ticket.due_at is None
    kinds = [
        e.kind
        for e in town.scalars(select(Event).where(Event.ticket_id == ticket.id, Event.at == at).order_by(Event.id))
    ]
    assert kinds == [EventKind.TICKET_REPLIED, EventKind.PROMISE_MET, EventKind.TICKET_ASSIGNED, EventKind.TICKET_STATE]
    assert not town.count(Event, Event.internal)
    assert [m.recipient for m in town.scalars(select(Message).where(Message.kind == Letter.TICKET_REPLIED))] == [OWNER]
    assert is_found(town, key, "zebra")
    assert is_found(town, key, "striped")
    assert town.count(HeldReply) == 0
    assert [c.id for c in town.scalars(select(Comment).where(Comment.internal.is_(False)).order_by(Comment.id))][
        -1
    ] == comment
    assert release(town, at + timedelta(days=1)) == 0


def test_a_late_reply_is_a_miss_once(town: Town) -> None:
    key = town.file(severity=Severity.S2, at=now())
    due = town.ticket(key).target.due_at
    at = due + timedelta(seconds=5)
    send(town, key, at)
    with town.open() as session:
        assert note_missed(session, at) == 1
    release(town, at + WINDOW)
    assert town.count(Event, Event.kind == EventKind.PROMISE_MISSED) == 1
    assert town.count(Event, Event.kind == EventKind.PROMISE_MET) == 0


@pytest.mark.parametrize("held", [False, True])
def test_a_clock_that_was_set_back_does_not_lose_the_first_reply(town: Town, held: bool) -> None:
    start = now()
    key = town.file(severity=Severity.S2, at=start)
    at = start - timedelta(minutes=30)
    if held:
        send(town, key, at)
        assert release(town, at + WINDOW) == 1
    else:
        town.answer(key, at=at)
    ticket = town.ticket(key)
    assert (ticket.target.met_at, ticket.target.result, ticket.due_at) == (start, Result.MET, None)
    assert ticket.target.counted_seconds == 0
    with town.open() as session:
        assert note_missed(session, start + timedelta(days=9)) == 0


def test_the_window_is_the_servers(town: Town) -> None:
    key, at = town.file(), now()
    comment = send(town, key, at)
    for late in (WINDOW, timedelta(hours=1)):
        with pytest.raises(Refused, match="too late"):
            undo(town, key, comment, at + late)
    release(town, at + WINDOW)
    with pytest.raises(Refused, match="too late"):
        undo(town, key, comment, at + timedelta(seconds=1))
    assert town.count(Comment) == 2


def test_nobody_undoes_what_is_not_theirs_or_no_reply(town: Town) -> None:
    key, other, at = town.file(), town.file(), now()
    comment = send(town, key, at)
    note = town.note(key)
    question = town.reply(key, OWNER)
    for email, which, where in (
        (OTHER, comment, key),
        (AGENT, note, key),
        (AGENT, question, key),
        (AGENT, comment, other),
        (AGENT, 0, key),
        (AGENT, 10**14, key),
    ):
        with pytest.raises(NotFound):
            undo(town, where, which, at, email)
    assert town.count(HeldReply) == 1


def test_a_second_undo_leads_to_the_same_draft(town: Town) -> None:
    key, at = town.file(), now()
    comment = send(town, key, at)
    assert undo(town, key, comment, at).id == undo(town, key, comment, at).id
    assert town.count(Draft) == 1


def test_two_replies_wait_each_for_itself(town: Town) -> None:
    key, at = town.file(), now()
    first = send(town, key, at, "First", then=TicketState.WAITING)
    second = send(town, key, at + timedelta(seconds=3), "Second", OTHER, then=TicketState.RESOLVED)
    undo(town, key, first, at + timedelta(seconds=5))
    assert release(town, at + timedelta(seconds=17)) == 0
    assert release(town, at + timedelta(seconds=18)) == 1
    ticket = town.ticket(key)
    assert (ticket.state, ticket.assignee.email) == (TicketState.RESOLVED, OTHER)
    assert [c.id for c in town.scalars(select(Comment).where(Comment.by_staff))] == [second]


def test_replies_go_out_in_order_and_the_last_one_decides(town: Town) -> None:
    key, at = town.file(), now()
    send(town, key, at, "First", then=TicketState.RESOLVED)
    send(town, key, at + timedelta(seconds=1), "Second", then=TicketState.WAITING)
    assert release(town, at + timedelta(minutes=1)) == 2
    ticket = town.ticket(key)
    assert ticket.state is TicketState.WAITING
    assert ticket.target.met_at == at


def test_a_customer_who_writes_meanwhile_decides_whose_turn_it_is(town: Town) -> None:
    key, at = town.file(), now()
    send(town, key, at, then=TicketState.WAITING)
    town.reply(key, OWNER, at=at + timedelta(seconds=4))
    release(town, at + WINDOW)
    ticket = town.ticket(key)
    assert ticket.state is TicketState.OPEN
    assert (ticket.target.met_at, ticket.updated_at) == (at, at + WINDOW)


def test_a_reopening_meanwhile_keeps_its_fresh_promise(town: Town) -> None:
    key, at = town.file(), now()
    town.answer(key, at=at, then=TicketState.RESOLVED)
    send(town, key, at + timedelta(minutes=1))
    with town.open() as session:
        reply(town._ticket(session, key), town._person(session, OWNER), "No", now=at + timedelta(seconds=65))
    release(town, at + timedelta(minutes=2))
    ticket = town.ticket(key)
    assert [(t.cycle, t.met_at is None) for t in ticket.targets] == [(1, False), (2, True)]
    assert ticket.state is TicketState.OPEN


def test_whoever_takes_the_ticket_meanwhile_keeps_it_unless_the_reply_says_so(town: Town) -> None:
    at = now()
    for take, has in ((False, OTHER), (True, AGENT)):
        key = town.file(at=at)
        send(town, key, at, take=take)
        with town.open() as session:
            handling.take(town._ticket(session, key), town._person(session, OTHER), now=at + timedelta(seconds=1))
        release(town, at + WINDOW)
        assert town.ticket(key).assignee.email == has


def test_a_request_that_closes_meanwhile_still_gets_the_reply(town: Town) -> None:
    key, at = town.file(), now()
    town.answer(key, at=at, then=TicketState.RESOLVED)
    late = at + timedelta(days=14) - timedelta(seconds=2)
    send(town, key, late)
    with town.open() as session:
        close(town._ticket(session, key), now=late + timedelta(seconds=5))
    release(town, late + WINDOW)
    assert town.ticket(key).state is TicketState.CLOSED
    assert town.count(Comment, Comment.internal.is_(False)) == 3
    with pytest.raises(Refused, match="closed"):
        send(town, key, late + timedelta(minutes=1))


def test_undo_and_release_at_once_never_do_both(town: Town) -> None:
    for _ in range(5):
        key, at = town.file(), now()
        comment = send(town, key, at)
        start, outcomes = Barrier(2), list[str]()

        def undoes(
            key: str = key,
            comment: int = comment,
            at: datetime = at,
            start: Barrier = start,
            outcomes: list[str] = outcomes,
        ) -> None:
            with Session(town.engine, expire_on_commit=False) as session:
                judge(session, writes=True)
                agent = town._person(session, AGENT)
                session.commit()
                start.wait(10)
                lock(session, key)
                try:
                    sending.undo(town._ticket(session, key), agent, comment, now=at + timedelta(seconds=14))
                except Refused:
                    return
                session.commit()
                outcomes.append("undone")

        def releases(at: datetime = at, start: Barrier = start) -> None:
            # A machine whose clock runs ahead.
            with Session(town.engine, expire_on_commit=False) as session:
                start.wait(10)
                sending.release_due(session, at + WINDOW)
                session.commit()

        threads = [Thread(target=undoes), Thread(target=releases)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        out = town.count(Comment, Comment.id == comment, Comment.internal.is_(False))
        told = town.count(Message, Message.kind == Letter.TICKET_REPLIED, Message.ticket_id == town.ticket(key).id)
        assert (out, told) == ((0, 0) if outcomes else (1, 1))
        assert town.count(HeldReply) == 0
