"""A silent customer: two reminders, then Resolved; each step once, whatever clocks and workers do, and none on hold."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from factories import Town, now
from sqlalchemy import select

from models import sending, silence
from models.base import Refused
from models.events import Event, EventKind
from models.outbox import Letter, Message
from models.silence import Patience
from models.tickets import TicketState

DAY = timedelta(days=1)
START = now() - 60 * DAY
PATIENCE = Patience(3 * DAY, 7 * DAY, 14 * DAY)
OWNER, AGENT = "owner@lumen.example", "agent@support.example"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def key(town: Town) -> str:
    key = town.file(at=START - DAY)
    town.answer(key, then=TicketState.WAITING, at=START)
    return key


def nudge(town: Town, at: datetime) -> int:
    with town.open() as session:
        return silence.nudge(session, at, PATIENCE)


def hold(town: Town, key: str, day: date | None, at: datetime) -> None:
    with town.open() as session:
        silence.hold_until(town._ticket(session, key), town._person(session, AGENT), day, BERLIN, now=at)


def reminders(town: Town) -> list[str]:
    return [m.recipient for m in town.scalars(select(Message).where(Message.kind == Letter.TICKET_REMINDER))]


def test_two_reminders_then_resolved(town: Town, key: str) -> None:
    assert [nudge(town, START + days * DAY) for days in (2.9, 3, 3.1, 6.9, 7, 13.9)] == [0, 1, 0, 0, 1, 0]
    assert reminders(town) == [OWNER, OWNER], "the agent is not reminded of the own question"
    assert town.ticket(key).state is TicketState.WAITING
    assert nudge(town, START + 14 * DAY) == 1
    ticket = town.ticket(key)
    assert (ticket.state, ticket.resolved_at, ticket.quiet_since) == (TicketState.RESOLVED, START + 14 * DAY, None)
    last = town.scalars(select(Message).where(Message.kind == Letter.TICKET_STATE))
    assert {m.recipient for m in last} == {OWNER, AGENT}
    assert nudge(town, START + 40 * DAY) == 0


def test_after_a_long_sleep_the_steps_keep_their_distance(town: Town, key: str) -> None:
    wake = START + 30 * DAY
    assert [nudge(town, wake + days * DAY) for days in (0, 0, 3.9, 4, 10.9, 11)] == [1, 0, 0, 1, 0, 1]
    assert town.ticket(key).state is TicketState.RESOLVED


def test_a_clock_that_steps_back_reminds_nobody_again(town: Town, key: str) -> None:
    assert nudge(town, START + 3 * DAY) == 1
    assert [nudge(town, START + days * DAY) for days in (1, 3, 5)] == [0, 0, 0]


@pytest.mark.parametrize("held", [False, True])
def test_the_agents_next_message_leaves_a_hold_as_it_is(town: Town, key: str, held: bool) -> None:
    day = (START + 9 * DAY).date()
    if held:
        at = START + DAY
        with town.open() as session:
            ticket, agent = town._ticket(session, key), town._person(session, AGENT)
            sending.send(ticket, agent, "One more thing.", now=at, until=at + timedelta(seconds=15))
        hold(town, key, day, at + timedelta(seconds=5))
        with town.open() as session:
            assert sending.release_due(session, at + timedelta(seconds=15))
    else:
        hold(town, key, day, START + DAY)
        town.answer(key, at=START + 2 * DAY)
    ticket = town.ticket(key)
    begin = datetime.combine(day, datetime.min.time(), BERLIN)
    assert (ticket.state, ticket.quiet_since) == (TicketState.WAITING, begin)
    town.answer(key, at=START + 11 * DAY)
    assert town.ticket(key).quiet_since == START + 11 * DAY, "a hold that is over holds nothing"


def test_two_workers_remind_once(town: Town, key: str) -> None:
    start, done = threading.Barrier(2), []

    def run() -> None:
        start.wait()
        done.append(nudge(town, START + 3 * DAY))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1]
    assert len(reminders(town)) == 1


@pytest.mark.parametrize("said", ["reply", "answer", "state"])
def test_what_is_said_ends_the_silence_or_begins_it_anew(town: Town, key: str, said: str) -> None:
    nudge(town, START + 3 * DAY)
    at = START + 6 * DAY
    if said == "reply":
        town.reply(key, OWNER, at=at)
    elif said == "answer":
        town.answer(key, then=TicketState.WAITING, at=at)
    else:
        town.move(key, TicketState.IN_PROGRESS, at=at)
    ticket = town.ticket(key)
    assert (ticket.quiet_since, ticket.nudges) == (at if said == "answer" else None, 0)
    assert nudge(town, START + 8 * DAY) == 0
    assert nudge(town, START + 9 * DAY) == (said == "answer")


def test_on_hold_nothing_happens_and_then_it_counts_anew(town: Town, key: str) -> None:
    nudge(town, START + 3 * DAY)
    day = (START + 20 * DAY).date()
    hold(town, key, day, START + 4 * DAY)
    begin = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
    assert town.ticket(key).held_until(begin - DAY) == begin
    assert [nudge(town, begin + days * DAY) for days in (-1, 0, 2.9, 3, 7, 14)] == [0, 0, 0, 1, 1, 1]


def test_a_hold_can_be_ended_and_is_told_to_both_sides(town: Town, key: str) -> None:
    hold(town, key, (START + 20 * DAY).date(), START + DAY)
    hold(town, key, None, START + 2 * DAY)
    hold(town, key, None, START + 2 * DAY)
    assert town.ticket(key).quiet_since == START + 2 * DAY
    held = town.scalars(select(Event).where(Event.kind == EventKind.TICKET_HOLD).order_by(Event.id))
    assert [(bool(e.data["until"]), e.internal) for e in held] == [(True, False), (False, False)]


@pytest.mark.parametrize("days", [-1, 0, 366, 100_000])
def test_a_hold_needs_a_day_to_come_within_a_year(town: Town, key: str, days: int) -> None:
    with pytest.raises(Refused):
        hold(town, key, (START + days * DAY).date(), START)


def test_only_what_waits_for_its_customer_is_put_on_hold(town: Town) -> None:
    key = town.file()
    with pytest.raises(Refused):
        hold(town, key, (now() + 5 * DAY).date(), now())
