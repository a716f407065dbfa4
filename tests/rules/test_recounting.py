"""Promises are counted again after their hours changed: in batches, once each, whoever dies or comes in between."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import LUMEN, Town
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

import worker
from models import recounting
from models.calendars import Calendar
from models.catalogue import PlanName, Severity
from models.chores import close_due, note_missed
from models.events import Event, EventKind
from models.letters import facts_of
from models.organizations import Organization
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.promises import Breach, ResponseTarget, Result
from models.recounting import BATCH, behind, progress_of, recount
from models.schedules import calendar_of, change
from models.tickets import Ticket, TicketState
from models.timetables import SETTLED, CalendarVersion
from models.upgrades import bring_forward

ADMIN = "admin@support.example"
MONDAY = datetime(2027, 3, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHORT: list[Any] = [[["09:00", "13:00"]]] * 5 + [[], []]
LONG: list[Any] = [[["00:00", "24:00"]]] * 7


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave every change to the worker."""
    monkeypatch.setattr(recounting, "AT_ONCE", 0)


def set_hours(town: Town, week: list[Any], at: datetime, name: str = "Changed") -> int:
    with town.open() as session:
        return change(calendar_of(session, 1), town._person(session, ADMIN), name, "UTC", week, now=at)


def work(town: Town) -> int:
    """Do a worker's step for the first calendar."""
    with town.open() as session:
        return recount(session, 1)


def test_thousands_are_counted_in_batches_and_progress_is_told(town: Town, slowly: None) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    town.copies(key, 2 * BATCH + 49)
    assert set_hours(town, SHORT, MONDAY + 2 * HOUR) == 2 * BATCH + 50
    with town.open() as session:
        assert list(behind(session)) == [1]
        assert (progress_of(calendar_of(session, 1)).done, progress_of(calendar_of(session, 1)).complete) == (0, False)
    assert work(town) == BATCH
    with town.open() as session:
        assert progress_of(calendar_of(session, 1)).done == BATCH
    assert [work(town), work(town), work(town)] == [BATCH, 50, 0]
    with town.open() as session:
        assert list(behind(session)) == []
        assert progress_of(calendar_of(session, 1)).complete
    # Two of eight hours were counted, one is left of Monday, four of Tuesday, one of Wednesday.
    due = datetime(2027, 3, 3, 10, tzinfo=UTC)
    assert {target.due_at for target in town.scalars(select(ResponseTarget))} == {due}
    assert {(ticket.due_at, ticket.due_order) for ticket in town.scalars(select(Ticket))} == {(due, due)}


def test_a_slow_mail_server_does_not_keep_promises_waiting(
    app: Flask, town: Town, slowly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.copies(town.file(at=MONDAY), 5 * BATCH)
    set_hours(town, SHORT, MONDAY + HOUR)
    rounds = iter([True, False])
    monkeypatch.setattr(worker, "RECOUNT_LEAST", 0.0)
    monkeypatch.setattr(worker, "deliver_one", lambda: time.sleep(2) or 0)
    for name in ("release_one", "hook_one", "sweep_files"):
        monkeypatch.setattr(worker, name, lambda: 0)
    monkeypatch.setattr(worker, "do_chores", lambda _: None)
    with app.app_context():
        worker.work(threading.Event(), lambda: next(rounds))
        with Session(town.engine) as session:
            left = session.scalar(select(func.count()).where(ResponseTarget.hours_version == 1)) or 0
            assert left <= 3 * BATCH, "more than one batch for one letter"
        assert worker.recount_some(threading.Event(), 60.0) == left
        stopped = threading.Event()
        stopped.set()
        set_hours(town, LONG, MONDAY + 2 * HOUR)
        assert worker.recount_some(stopped, 60.0) == BATCH, "a worker that is to end does so"


def test_a_worker_that_dies_leaves_what_is_whole_and_nothing_is_counted_twice(town: Town, slowly: None) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    town.copies(key, BATCH)
    set_hours(town, SHORT, MONDAY + 2 * HOUR)
    work(town)
    before = {target.id: target.due_at for target in town.scalars(select(ResponseTarget))}
    with Session(town.engine) as session:
        assert recount(session, 1) == 1
        session.rollback()
    assert {target.id: target.due_at for target in town.scalars(select(ResponseTarget))} == before
    assert [work(town), work(town)] == [1, 0]
    assert len({target.due_at for target in town.scalars(select(ResponseTarget))}) == 1
    with town.open() as session:
        session.execute(update(ResponseTarget).values(hours_version=1))
    while work(town):
        pass
    assert {target.due_at for target in town.scalars(select(ResponseTarget))} == {datetime(2027, 3, 3, 10, tzinfo=UTC)}


def test_a_reply_before_the_worker_is_measured_by_the_new_hours(town: Town, slowly: None) -> None:
    late, early = town.file(severity=Severity.S2, at=MONDAY), town.file(severity=Severity.S2, at=MONDAY)
    set_hours(town, LONG, MONDAY + 9 * HOUR)
    assert town.ticket(late).due_at == MONDAY + 8 * HOUR, "late is late by the hours of its day"
    town.answer(late, at=MONDAY + 10 * HOUR)
    assert town.ticket(late).target.result is Result.MISSED
    other = town.file(severity=Severity.S3, at=MONDAY + 5 * HOUR)
    set_hours(town, SHORT, MONDAY + 9 * HOUR, "Shorter")
    town.answer(early, at=MONDAY + 7 * HOUR)
    town.answer(other, at=MONDAY + 30 * HOUR)
    answered = town.ticket(other).target
    while work(town):
        pass
    again = town.ticket(other).target
    assert (again.due_at, again.counted_seconds) == (answered.due_at, answered.counted_seconds)
    assert town.ticket(early).target.result is Result.MET


def test_two_workers_do_it_once(town: Town, slowly: None) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    town.copies(key, BATCH + 20)
    # The row that workers hold is there: a worker that meets another at the very first one begins anew.
    assert work(town) == 0
    set_hours(town, SHORT, MONDAY + 2 * HOUR)
    start, done = threading.Barrier(2), []

    def run() -> None:
        start.wait()
        while number := work(town):
            done.append(number)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == BATCH + 21
    assert len({target.due_at for target in town.scalars(select(ResponseTarget))}) == 1


def test_the_history_of_hours_keeps_what_held(town: Town) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    set_hours(town, SHORT, MONDAY + 2 * HOUR)
    set_hours(town, LONG, MONDAY + 4 * HOUR)
    # A clock that was set back makes no change before the last one.
    set_hours(town, SHORT, MONDAY + 3 * HOUR)
    versions = town.scalars(select(CalendarVersion).order_by(CalendarVersion.number))
    assert [(one.number, one.from_at.year) for one in versions] == [(1, 1970), (2, 2027), (3, 2027), (4, 2027)]
    assert versions[3].from_at == versions[2].from_at == MONDAY + 4 * HOUR
    assert town.ticket(key).target.hours_version == 4


def test_what_is_closed_or_runs_day_and_night_is_never_counted_again(town: Town) -> None:
    closed = town.file(severity=Severity.S3, at=MONDAY)
    town.move(closed, TicketState.RESOLVED, at=MONDAY + HOUR)
    with town.open() as session:
        close_due(session, MONDAY + timedelta(days=20))
    urgent = town.file("owner@northwind.example", "northwind-bank", severity=Severity.S1, at=MONDAY)
    assert {town.ticket(key).target.hours_version for key in (closed, urgent)} == {SETTLED}
    assert set_hours(town, SHORT, MONDAY + timedelta(days=21)) == 0


# --- a plan that rises meanwhile


def test_an_upgrade_brings_running_targets_forward_and_says_so(town: Town) -> None:
    running, fresh = town.file(severity=Severity.S2, at=MONDAY), town.file(severity=Severity.S2, at=MONDAY)
    town.answer(fresh, at=MONDAY + HOUR)
    before = town.ticket(running).due_at
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
        assert bring_forward(house, PlanName.ENTERPRISE, now=MONDAY + HOUR) == 1
    ticket = town.ticket(running)
    assert (ticket.due_at, ticket.due_at < before) == (ticket.target.due_at, True)
    assert (ticket.plan, ticket.target.plan) == (PlanName.STANDARD, PlanName.STANDARD), "its own terms stay on record"
    kinds = [event.ticket_id for event in town.scalars(select(Event).where(Event.kind == EventKind.PROMISE_RAISED))]
    assert kinds == [ticket.id]


def test_an_upgrade_sends_no_mail_about_what_is_resolved(town: Town) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    town.move(key, TicketState.RESOLVED, at=MONDAY + HOUR)
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
        assert bring_forward(house, PlanName.ENTERPRISE, now=MONDAY + HOUR) == 1
    assert town.count(Message, Message.kind == Letter.PROMISE_RAISED) == 0
    assert town.count(Event, Event.kind == EventKind.PROMISE_RAISED) == 1, "it is told where it is opened again"


# --- misses


def miss(town: Town, at: datetime) -> int:
    with town.open() as session:
        return note_missed(session, at)


def told(town: Town) -> list[str]:
    return sorted(m.recipient for m in town.scalars(select(Message).where(Message.kind == Letter.PROMISE_MISSED)))


def test_a_miss_is_told_once_to_whoever_has_it_although_the_clock_steps(town: Town) -> None:
    mine, nobodys = town.file(severity=Severity.S2, at=MONDAY), town.file(severity=Severity.S2, at=MONDAY)
    town.take(mine)
    assert miss(town, MONDAY + 9 * HOUR) == 2
    assert told(town) == ["agent2@support.example", "agent@support.example", "agent@support.example"]
    for at in (MONDAY + 7 * HOUR, MONDAY + 10 * HOUR, MONDAY + 8 * HOUR, MONDAY + 11 * HOUR):
        assert miss(town, at) == 0
    town.answer(nobodys, at=MONDAY + 12 * HOUR)
    assert len(told(town)) == 3
    assert town.count(Event, Event.kind == EventKind.PROMISE_MISSED) == town.count(Breach) == 2


@pytest.mark.parametrize("answered", [False, True])
def test_a_letter_of_a_miss_is_not_sent_behind_the_answer(town: Town, answered: bool) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    at = town.ticket(key).due_at + HOUR
    assert miss(town, at) == 1
    if answered:
        town.answer(key, at=at + HOUR)
    with town.open() as session:
        for message in session.scalars(select(Message).where(Message.kind == Letter.PROMISE_MISSED)):
            with pytest.raises(Undeliverable, match="answered") if answered else nullcontext():
                assert facts_of(message, session, "http://x")["key"] == key


def test_a_late_reply_before_the_worker_is_the_one_miss(town: Town) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    town.answer(key, at=MONDAY + 9 * HOUR)
    assert miss(town, MONDAY + 10 * HOUR) == 0
    assert (told(town), town.count(Breach)) == ([], 1)
    assert town.count(Event, Event.kind == EventKind.PROMISE_MISSED) == 1


def test_a_new_catalogue_changes_no_promise_that_runs(town: Town) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    before = town.ticket(key).target
    with town.open() as session:
        session.execute(update(Calendar).values(name="Renamed"))
    set_hours(town, SHORT, MONDAY + HOUR)
    after = town.ticket(key).target
    assert (after.catalogue, after.minutes) == (before.catalogue, before.minutes)
    assert after.catalogue == town.ticket(key).catalogue_version
