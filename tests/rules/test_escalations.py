"""Escalations: when a customer may, whom they alert, how they end; half of a promise by its own kind of clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from factories import LUMEN, NORTHWIND, Town
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from models import escalations, staff
from models.base import Refused
from models.calendars import as_hours
from models.catalogue import DoorName, PlanName, Severity, Target
from models.escalations import Chance, Escalation, Way, chance_of
from models.events import Event, EventKind
from models.outbox import Letter, Message
from models.promises import ResponseTarget
from models.tickets import TicketState

OWNER, MEMBER, AGENT, OTHER = "owner@lumen.example", "member@lumen.example", "agent@support.example", "agent2@x.example"
# A Monday; Lumen's hours are 09:00-18:00 UTC on weekdays, its plan promises an S1 within 4 business hours.
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def key(town: Town) -> str:
    return town.file(severity=Severity.S1, at=MONDAY)


def chance(town: Town, key: str, at: datetime) -> Chance:
    with town.open() as session:
        return chance_of(town._ticket(session, key), now=at)


def escalate(town: Town, key: str, at: datetime, email: str = OWNER, *, reason: str = "All writes fail.") -> None:
    with town.open() as session:
        person = town._person(session, email)
        by_staff = email.endswith("@support.example")
        escalations.escalate(town._ticket(session, key), person, reason, now=at, staff=by_staff)


def end(town: Town, key: str, verb: object, at: datetime, email: str = AGENT) -> None:
    with town.open() as session:
        verb(town._ticket(session, key), town._person(session, email), now=at)  # type: ignore[operator]


def alerts(town: Town, letter: Letter = Letter.TICKET_ESCALATED) -> list[str]:
    return sorted(m.recipient for m in town.scalars(select(Message).where(Message.kind == letter)))


def mark(town: Town, email: str, *, on: bool = True) -> None:
    with town.open() as session:
        admin = town._person(session, "admin@support.example")
        staff.set_duty_manager(town._person(session, email), admin, on=on, now=MONDAY)


def test_a_grave_one_after_half_of_the_time(town: Town, key: str) -> None:
    assert chance(town, key, MONDAY + HOUR) == Chance(Way.LATER, MONDAY + 2 * HOUR)
    assert chance(town, key, MONDAY + 2 * HOUR) == Chance(Way.HALF)
    assert chance(town, key, MONDAY + 5 * HOUR) == Chance(Way.MISSED)


def test_another_one_when_it_is_late(town: Town) -> None:
    key = town.file(severity=Severity.S3, at=MONDAY)
    due = town.ticket(key).due_at
    assert due is not None
    assert chance(town, key, due - HOUR) == Chance(Way.LATER, due)
    assert chance(town, key, due + HOUR) == Chance(Way.MISSED)


def test_half_counts_business_hours_and_no_pause(town: Town) -> None:
    # Filed on Friday at 17:00: one hour on Friday, one on Monday.
    friday = MONDAY - timedelta(days=3) + 8 * HOUR
    key = town.file(severity=Severity.S1, at=friday)
    assert chance(town, key, friday + HOUR) == Chance(Way.LATER, MONDAY + HOUR)
    town.move(key, TicketState.WAITING, at=friday + HOUR / 2)
    assert chance(town, key, MONDAY + 9 * HOUR) == Chance(Way.PAUSED)
    town.reply(key, OWNER, at=MONDAY + 2 * HOUR)
    assert chance(town, key, MONDAY + 2 * HOUR) == Chance(Way.LATER, MONDAY + 3.5 * HOUR)


@pytest.mark.parametrize(
    ("how", "way"),
    [
        ("kept", Way.KEPT),
        ("late", Way.MISSED),
        ("resolved", Way.RESOLVED),
        ("billing", Way.NONE),
        ("closed", Way.FINAL),
    ],
)
def test_what_else_decides(town: Town, how: str, way: Way) -> None:
    door = DoorName.BILLING if how == "billing" else DoorName.TECHNICAL
    key = town.file(severity=Severity.S2, at=MONDAY, door=door)
    at = MONDAY + 30 * HOUR
    if how in {"kept", "late"}:
        town.answer(key, at=MONDAY + HOUR if how == "kept" else at)
    elif how in {"resolved", "closed"}:
        town.move(key, TicketState.RESOLVED, at=MONDAY + HOUR)
        at = MONDAY + timedelta(days=20) if how == "closed" else at
    assert chance(town, key, at).way is way
    if way is not Way.MISSED:
        with pytest.raises(Refused):
            escalate(town, key, at)
        assert town.count(Escalation) == 0


def test_it_alerts_the_duty_managers_once_and_stands_on_both_timelines(town: Town, key: str) -> None:
    town.hire(OTHER, town.person(AGENT).staff_role or pytest.fail("an agent"))
    mark(town, OTHER)
    escalate(town, key, MONDAY + 3 * HOUR)
    assert alerts(town) == [OTHER]
    with pytest.raises(Refused, match="already"):
        escalate(town, key, MONDAY + 3 * HOUR, MEMBER)
    assert alerts(town) == [OTHER]
    ticket = town.ticket(key)
    assert ticket.escalated_at == MONDAY + 3 * HOUR
    end(town, key, escalations.take_up, MONDAY + 4 * HOUR)
    assert alerts(town, Letter.TICKET_TAKEN_UP) == [OWNER]
    assert (town.ticket(key).escalated_at, town.ticket(key).target.met_at) == (None, None)  # type: ignore[union-attr]
    with pytest.raises(Refused, match="over already"):
        end(town, key, escalations.take_up, MONDAY + 4 * HOUR)
    kinds = (EventKind.TICKET_ESCALATED, EventKind.TICKET_TAKEN_UP)
    events = town.scalars(select(Event).where(Event.kind.in_(kinds)).order_by(Event.id))
    assert [(event.kind, event.internal) for event in events] == [(kind, False) for kind in kinds]
    # Later another one may follow, with a number of its own.
    escalate(town, key, MONDAY + 5 * HOUR)
    assert [row.nth for row in town.scalars(select(Escalation).order_by(Escalation.id))] == [1, 2]


def test_without_a_duty_manager_every_agent_is_alerted_and_whoever_has_it(town: Town, key: str) -> None:
    town.hire(OTHER, town.person(AGENT).staff_role or pytest.fail("an agent"))
    escalate(town, key, MONDAY + 3 * HOUR)
    everybody = alerts(town)
    assert {AGENT, OTHER} <= set(everybody)
    assert len(everybody) == len(set(everybody))
    end(town, key, escalations.withdraw, MONDAY + 3 * HOUR, OWNER)
    mark(town, OTHER)
    town.take(key, AGENT)
    escalate(town, key, MONDAY + 4 * HOUR)
    assert sorted(set(alerts(town))) == sorted(set(everybody))
    assert len(alerts(town)) == len(everybody) + 2


def test_an_agent_escalates_at_any_time_and_needs_a_reason(town: Town, key: str) -> None:
    with pytest.raises(Refused) as refused:
        escalate(town, key, MONDAY, AGENT, reason="")
    assert refused.value.field == "reason"
    escalate(town, key, MONDAY, AGENT)
    assert AGENT not in alerts(town), "who escalates knows it already"


def test_what_is_done_is_escalated_no_more(town: Town, key: str) -> None:
    escalate(town, key, MONDAY + 3 * HOUR)
    town.move(key, TicketState.RESOLVED, at=MONDAY + 4 * HOUR)
    assert town.ticket(key).escalated_at is None


def test_the_mark_goes_with_the_role_and_with_the_account(town: Town) -> None:
    mark(town, AGENT)
    with town.open() as session:
        admin = town._person(session, "admin@support.example")
        staff.deactivate(town._person(session, AGENT), admin, now=MONDAY)
        staff.reactivate(town._person(session, AGENT), admin, now=MONDAY)
    assert not town.person(AGENT).duty_manager
    mark(town, AGENT)
    with town.open() as session:
        staff.set_role(town._person(session, AGENT), town._person(session, "admin@support.example"), None, now=MONDAY)
    assert not town.person(AGENT).duty_manager
    with pytest.raises(Refused, match="Only an active support agent"):
        mark(town, "sales@support.example")


@given(
    minutes=st.integers(1, 2000), start=st.integers(0, 20_000), pauses=st.lists(st.integers(1, 3000), max_size=4),
    around=st.booleans(),
)  # fmt: skip
def test_half_comes_before_the_end_and_is_half(minutes: int, start: int, pauses: list[int], around: bool) -> None:
    hours = as_hours("Europe/Berlin", [[["09:00", "12:00"], ["13:00", "18:00"]]] * 5 + [[], []], {}, 1)
    begin = MONDAY + timedelta(minutes=start)
    target = ResponseTarget.begin(
        cycle=1,
        catalogue="2026-01",
        plan=PlanName.STANDARD,
        severity=Severity.S1,
        target=Target(minutes, around),
        calendar_id=None,
        hours=hours,
        now=begin,
    )
    at = begin
    for length in pauses:
        target.pause(at + timedelta(minutes=7), hours)
        at += timedelta(minutes=7 + length)
        target.resume(at, hours)
    half = target.half_at(hours)
    assert half is not None
    assert target.due_at is not None
    assert half <= target.due_at
    assert abs(target.used(half, hours) - timedelta(minutes=minutes) / 2) <= timedelta(microseconds=1)


def test_houses_see_their_own(town: Town) -> None:
    mine, theirs = (
        town.file(severity=Severity.S1, at=MONDAY),
        town.file("owner@northwind.example", NORTHWIND, at=MONDAY),
    )
    escalate(town, mine, MONDAY + 3 * HOUR)
    assert town.ticket(theirs).escalated_at is None
    assert town.ticket(mine).organization.slug == LUMEN  # type: ignore[union-attr]
