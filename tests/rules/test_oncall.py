"""On-call: a new S1 at night is told every ten minutes until somebody has seen it; by day, and twice, never."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from factories import NORTHWIND, Town
from sqlalchemy import select

from models import handling, oncall
from models.base import Refused
from models.catalogue import DoorName, Severity
from models.hooks import Hook
from models.oncall import EVERY, Call
from models.outbox import Letter, Message
from models.permissions import Role
from models.tickets import TicketState

OWNER, AGENT, NIGHT = "owner@northwind.example", "agent@support.example", "night@support.example"
# A Monday evening; the hours are 09:00-18:00 UTC on weekdays.
NIGHTFALL = datetime(2026, 11, 23, 20, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def watched(town: Town) -> Town:
    """The town with somebody on call for a week."""
    town.hire(NIGHT, Role.AGENT)
    put(town, NIGHT, NIGHTFALL - DAY, NIGHTFALL + 6 * DAY)
    return town


def put(town: Town, email: str, begins: datetime, ends: datetime, at: datetime | None = None) -> None:
    with town.open() as session:
        agent = town._person(session, AGENT)
        oncall.add_duty(agent, town._person(session, email), begins, ends, now=at or begins)


def file(town: Town, at: datetime = NIGHTFALL, severity: Severity = Severity.S1) -> str:
    return town.file(OWNER, NORTHWIND, severity=severity, at=at)


def work(town: Town, at: datetime) -> int:
    with town.open() as session:
        return oncall.call_due(session, at)


def called(town: Town) -> list[str]:
    return [m.recipient for m in town.scalars(select(Message).where(Message.kind == Letter.ON_CALL))]


def test_every_ten_minutes_until_somebody_has_seen_it(watched: Town) -> None:
    key = file(watched)
    assert [work(watched, NIGHTFALL + n * MINUTE) for n in (0, 1, 9, 10, 11, 20)] == [1, 0, 0, 1, 0, 1]
    assert called(watched) == [NIGHT] * 3
    assert [row.nth for row in watched.scalars(select(Call).order_by(Call.id))] == [1, 2, 3]
    with watched.open() as session:
        oncall.acknowledge(watched._ticket(session, key), watched._person(session, NIGHT), now=NIGHTFALL + 21 * MINUTE)
    ticket = watched.ticket(key)
    assert (ticket.call_at, ticket.target.met_at) == (None, None)  # type: ignore[union-attr]
    assert work(watched, NIGHTFALL + 60 * MINUTE) == 0
    with watched.open() as session, pytest.raises(Refused, match="any more"):
        oncall.acknowledge(watched._ticket(session, key), watched._person(session, NIGHT), now=NIGHTFALL)


@pytest.mark.parametrize("how", ["answered", "resolved", "lowered"])
def test_what_is_no_new_s1_any_more_is_told_no_more(watched: Town, how: str) -> None:
    key = file(watched)
    work(watched, NIGHTFALL)
    at = NIGHTFALL + 5 * MINUTE
    if how == "answered":
        watched.answer(key, at=at)
    elif how == "resolved":
        watched.move(key, TicketState.RESOLVED, at=at)
    else:
        with watched.open() as session:
            ticket, owner = watched._ticket(session, key), watched._person(session, OWNER)
            handling.change_severity(ticket, owner, Severity.S3, "", now=at)
    work(watched, NIGHTFALL + 10 * MINUTE)
    assert called(watched) == [NIGHT]
    assert watched.ticket(key).call_at is None


def test_a_note_is_no_answer(watched: Town) -> None:
    key = file(watched)
    watched.note(key, at=NIGHTFALL + MINUTE)
    assert work(watched, NIGHTFALL + MINUTE) == 1
    assert called(watched) == [NIGHT]


def test_by_day_nobody_is_called_until_the_day_ends(watched: Town) -> None:
    noon = NIGHTFALL + 16 * timedelta(hours=1)
    assert noon.hour == 12
    key = file(watched, at=noon)
    assert work(watched, noon) == 1
    assert (called(watched), watched.ticket(key).call_at) == ([], noon.replace(hour=18))
    work(watched, noon.replace(hour=18))
    assert called(watched) == [NIGHT]
    # Once begun, it goes on when the day begins.
    work(watched, noon.replace(hour=10) + DAY)
    assert called(watched) == [NIGHT] * 2


def test_raised_to_s1_at_night_is_a_new_s1(watched: Town) -> None:
    key = file(watched, severity=Severity.S3)
    assert work(watched, NIGHTFALL + MINUTE) == 0
    with watched.open() as session:
        ticket, owner = watched._ticket(session, key), watched._person(session, OWNER)
        handling.change_severity(ticket, owner, Severity.S1, "All writes fail.", now=NIGHTFALL + 2 * MINUTE)
    assert work(watched, NIGHTFALL + 2 * MINUTE) == 1
    assert called(watched) == [NIGHT]


@pytest.mark.parametrize("how", ["reopened", "raised again"])
def test_what_was_called_about_once_waits_for_the_night_when_it_begins_anew_by_day(watched: Town, how: str) -> None:
    key, noon = file(watched), (NIGHTFALL + DAY).replace(hour=12)
    work(watched, NIGHTFALL)
    if how == "reopened":
        watched.answer(key, at=NIGHTFALL + 5 * MINUTE, then=TicketState.RESOLVED)
        watched.reply(key, OWNER, at=noon)
    else:
        with watched.open() as session:
            ticket, agent = watched._ticket(session, key), watched._person(session, AGENT)
            for severity, at in ((Severity.S3, NIGHTFALL + 5 * MINUTE), (Severity.S1, noon)):
                handling.reclassify(ticket, agent, severity, "Look closer.", now=at)
    work(watched, noon)
    assert (called(watched), watched.ticket(key).call_at) == ([NIGHT], noon.replace(hour=18))
    work(watched, noon.replace(hour=18))
    assert called(watched) == [NIGHT] * 2
    told = watched.scalars(select(Message).where(Message.kind == Letter.ON_CALL))
    assert [one.data["nth"] for one in told] == [1, 1], "it is the first call of this round"
    work(watched, noon.replace(hour=18) + 10 * MINUTE)
    assert [row.nth for row in watched.scalars(select(Call))] == [1, 2, 3]


def test_other_severities_and_doors_call_nobody(watched: Town) -> None:
    for severity in (Severity.S2, Severity.S3, Severity.S4):
        file(watched, severity=severity)
    watched.file(OWNER, NORTHWIND, door=DoorName.BILLING, severity=Severity.S2, at=NIGHTFALL)
    assert work(watched, NIGHTFALL + DAY) == 0


def test_who_is_on_call_when_it_is_called_is_called(town: Town) -> None:
    for email in (NIGHT, "late@support.example"):
        town.hire(email, Role.AGENT)
    key = file(town)
    assert work(town, NIGHTFALL) == 1
    assert (called(town), town.count(Call)) == ([], 0)
    put(town, NIGHT, NIGHTFALL, NIGHTFALL + 15 * MINUTE)
    put(town, "late@support.example", NIGHTFALL + 5 * MINUTE, NIGHTFALL + DAY)
    work(town, NIGHTFALL + 10 * MINUTE)
    assert sorted(called(town)) == ["late@support.example", NIGHT]
    work(town, NIGHTFALL + 20 * MINUTE)
    assert called(town)[2:] == ["late@support.example"]
    assert town.ticket(key).call_at == NIGHTFALL + 30 * MINUTE


def test_a_worker_that_was_down_calls_once(watched: Town) -> None:
    file(watched)
    assert [work(watched, NIGHTFALL + 120 * MINUTE) for _ in range(2)] == [1, 0]
    assert called(watched) == [NIGHT]


def test_two_workers_call_once(watched: Town) -> None:
    file(watched)
    start, done = threading.Barrier(2), []

    def run() -> None:
        start.wait()
        done.append(work(watched, NIGHTFALL))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1]
    assert (called(watched), watched.count(Call), watched.count(Hook)) == ([NIGHT], 1, 1)


def test_the_webhook_says_what_it_is_about_and_no_words_of_the_customer(watched: Town) -> None:
    key = file(watched)
    work(watched, NIGHTFALL)
    (hook,) = watched.scalars(select(Hook))
    told = json.loads(hook.body)
    assert (told["type"], told["timestamp"]) == ("oncall.alert", NIGHTFALL.isoformat())
    assert told["data"]["ticket"] == key
    assert (told["data"]["call"], told["data"]["on_call"]) == (1, [NIGHT])
    assert hook.give_up_at == NIGHTFALL + EVERY
    assert "Checkout" not in hook.body


@pytest.mark.parametrize(
    ("begins", "ends", "field"), [(0, 0, "ends"), (1, -1, "ends"), (-9, -2, "ends"), (0, 24 * 93, "ends")]
)
def test_a_period_that_makes_no_sense_is_refused(town: Town, begins: int, ends: int, field: str) -> None:
    town.hire(NIGHT, Role.AGENT)
    hour = timedelta(hours=1)
    with pytest.raises(Refused) as refused:
        put(town, NIGHT, NIGHTFALL + begins * hour, NIGHTFALL + ends * hour, at=NIGHTFALL)
    assert refused.value.field == field
    with pytest.raises(Refused) as refused:
        put(town, OWNER, NIGHTFALL, NIGHTFALL + hour)
    assert refused.value.field == "person"
