"""Versions of the catalogue made in the administration: drafted, published for a day, immutable, compared, replayed."""

from __future__ import annotations

import copy
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NORTHWIND, Town
from sqlalchemy import true

from models import catalogue, editions
from models.base import NotFound, Refused
from models.catalogue import DoorName, PlanName, Severity
from models.editions import Difference, differences
from models.replay import Replay, replay
from models.reports import Tally
from models.tickets import Tickets, TicketState

ADMIN, AGENT, OWNER = "admin@support.example", "agent@support.example", "owner@lumen.example"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = date(2026, 12, 1)
AFTER = datetime(2026, 12, 1, 9, tzinfo=UTC)


def begin(town: Town, name: str = "2026-12", of: str = "2026-01") -> None:
    with town.open() as session:
        editions.begin(town._person(session, ADMIN), name, of=of, now=NOW)


def change(town: Town, name: str = "2026-12", **targets: int) -> None:
    """Let the draft promise Standard's severities within so many business minutes."""
    with town.open() as session:
        draft = editions.draft_to_write(session, name)
        data = copy.deepcopy(draft.data)
        for severity, minutes in targets.items():
            data["targets"]["standard"][severity]["minutes"] = minutes
        editions.change(draft, town._person(session, ADMIN), data, now=NOW)


def publish(town: Town, name: str = "2026-12", day: date | None = DAY, at: datetime = NOW) -> None:
    with town.open() as session:
        editions.publish(editions.draft_to_write(session, name), town._person(session, ADMIN), day, now=at)
    with town.open() as session:
        editions.refresh(session)


def test_a_draft_promises_nothing_and_what_is_published_does_from_its_day_on(town: Town) -> None:
    begin(town)
    change(town, S2=120)
    with town.open() as session:
        editions.refresh(session)
    assert [one.version for one in catalogue.versions()] == ["2026-01"]
    publish(town)
    assert catalogue.catalogue(date(2026, 11, 30)).version == "2026-01"
    assert catalogue.catalogue(DAY).version == "2026-12"
    before = town.file(severity=Severity.S2, at=AFTER - timedelta(days=1))
    after = town.file(severity=Severity.S2, at=AFTER)
    found = [(town.ticket(key).catalogue_version, town.ticket(key).target) for key in (before, after)]
    assert [(version, target.minutes if target else 0) for version, target in found] == [
        ("2026-01", 480),
        ("2026-12", 120),
    ]
    # What runs keeps its terms, and they can be explained for as long as it is there.
    kept = catalogue.catalogue_at("2026-12").target(PlanName.STANDARD, DoorName.TECHNICAL, Severity.S2)
    assert kept is not None
    assert kept.minutes == 120


def test_what_is_published_never_changes(town: Town) -> None:
    begin(town)
    publish(town)
    with town.open() as session, pytest.raises(NotFound):
        editions.draft_to_write(session, "2026-12")
    with pytest.raises(Refused, match="already"):
        begin(town, "2026-12")
    with pytest.raises(Refused, match="already"):
        begin(town, "2026-01")


@pytest.mark.parametrize(
    ("day", "at", "fine"),
    [
        (None, NOW, False),
        (date(2026, 11, 26), NOW, False),
        (date(2026, 11, 27), NOW, False),
        (date(2026, 11, 28), NOW, True),
        # Every process must have read it before its day begins.
        (date(2026, 11, 28), datetime(2026, 11, 27, 23, 54, tzinfo=UTC), True),
        (date(2026, 11, 28), datetime(2026, 11, 27, 23, 56, tzinfo=UTC), False),
        (date(2040, 1, 1), NOW, False),
        (date(2026, 1, 1), datetime(2025, 12, 1, tzinfo=UTC), False),
    ],
)
def test_the_day_must_be_ahead_and_free(town: Town, day: date | None, at: datetime, fine: bool) -> None:
    begin(town)
    if fine:
        publish(town, day=day, at=at)
        assert catalogue.versions()[-1].effective == day
        return
    with pytest.raises(Refused) as refused:
        publish(town, day=day, at=at)
    assert refused.value.field == "day"


def test_two_drafts_cannot_begin_on_the_same_day(town: Town) -> None:
    begin(town, "a")
    begin(town, "b")
    publish(town, "a")
    with pytest.raises(Refused, match="a begins on that day"):
        publish(town, "b")


@pytest.mark.parametrize("name", ["", "x" * 21, "a b", "ä", "../x", "a/b", "2026-01", "A\n"])
def test_a_name_that_cannot_be_used(town: Town, name: str) -> None:
    with pytest.raises(Refused) as refused:
        begin(town, name)
    assert refused.value.field == "name"


def _without(data: dict[str, Any], *path: str) -> dict[str, Any]:
    table = data
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
    return data


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("plans", "standard", "price"), "price is missing"),
        (("targets", "premium", "S1"), "S1 is missing"),
        (("targets", "premium"), "promises a first reply, and Premium has no target"),
        (("severities", "S4"), "S4 is missing"),
        (("services",), "services is missing"),
    ],
)
def test_what_is_missing_is_named(town: Town, path: tuple[str, ...], words: str) -> None:
    begin(town)
    with town.open() as session:
        draft = editions.draft_to_write(session, "2026-12")
        with pytest.raises(Refused, match=words):
            editions.change(draft, town._person(session, ADMIN), _without(copy.deepcopy(draft.data), *path), now=NOW)


def test_no_version_offers_s1_at_the_billing_door(town: Town) -> None:
    begin(town)
    with town.open() as session:
        draft = editions.draft_to_write(session, "2026-12")
        data = copy.deepcopy(draft.data)
        billing = data["doors"][DoorName.BILLING.value]
        billing["severities"] = ["S1", *billing["severities"]]
        with pytest.raises(Refused, match="never S1"):
            editions.change(draft, town._person(session, ADMIN), data, now=NOW)
        # One that was kept before there was the rule is not published either.
        draft.data = data
        with pytest.raises(Refused, match="never S1"):
            editions.publish(draft, town._person(session, ADMIN), DAY, now=NOW)
        session.rollback()


def test_differences_are_said_in_words(town: Town) -> None:
    begin(town)
    change(town, S2=120, S3=90)
    with town.open() as session:
        new = editions.catalogue_named(session, "2026-12")
    assert differences(catalogue.catalogue_at("2026-01"), new) == [
        Difference("First reply, Standard", "S2", "8 business hours", "2 business hours"),
        Difference("First reply, Standard", "S3", "12 business hours", "90 business minutes"),
    ]
    assert differences(new, new) == []


def test_discarding_a_draft(town: Town) -> None:
    begin(town)
    with town.open() as session:
        editions.discard(editions.draft_to_write(session, "2026-12"), town._person(session, ADMIN), now=NOW)
    with town.open() as session, pytest.raises(NotFound):
        editions.edition_of(session, "2026-12")


def back_test(town: Town, name: str, at: datetime) -> Replay:
    with town.open() as session:
        return replay(Tickets(session, true(), ()), editions.catalogue_named(session, name), now=at)


def test_a_back_test_counts_by_hand(town: Town) -> None:
    # Monday, 09:00 UTC; Lumen's hours are 09:00-18:00 on weekdays, an S2 of Standard has 8 hours, an S4 has 24.
    monday = datetime(2026, 11, 23, 9, tzinfo=UTC)
    hour = timedelta(hours=1)
    for late in (1, 3, 5):
        town.answer(town.file(severity=Severity.S2, at=monday), at=monday + late * hour)
    paused = town.file(severity=Severity.S2, at=monday)
    town.move(paused, TicketState.WAITING, at=monday + hour)
    town.reply(paused, OWNER, at=monday + 4 * hour)
    town.answer(paused, at=monday + 4.5 * hour)
    town.file(severity=Severity.S2, at=monday + 2 * hour)
    town.file(severity=Severity.S4, at=monday)
    town.file(severity=Severity.S2, at=monday - timedelta(days=100))
    begin(town)
    change(town, S2=120)
    found = back_test(town, "2026-12", monday + 5.5 * hour)
    standard = found.outcomes[PlanName.STANDARD, Severity.S2]
    assert found.replayed == 6
    # Within two hours came the first one, and the one that was paused for three of its four and a half hours.
    assert (standard.was, standard.would_be) == (Tally(5, 4, 0), Tally(5, 2, 3))
    # At 11:00 three fell due under the draft, of four that began at nine; under what held, four at 17:00.
    assert (standard.busiest_was, standard.busiest_would_be) == (3, 3)
    assert found.outcomes[PlanName.STANDARD, Severity.S4].was == Tally(1, 0, 0)
    same = back_test(town, "2026-01", monday + 5.5 * hour)
    assert all(one.was == one.would_be and one.busiest_was == one.busiest_would_be for one in same.outcomes.values())


def test_a_back_test_takes_them_in_parts(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.replay.BATCH", 2)
    for minute in range(5):
        town.file("owner@northwind.example", NORTHWIND, severity=Severity.S1, at=NOW - timedelta(minutes=minute))
    assert back_test(town, "2026-01", NOW).replayed == 5
    monkeypatch.setattr("models.replay.MOST", 3)
    cut = back_test(town, "2026-01", NOW)
    assert (cut.replayed, cut.cut, cut.since) == (3, True, NOW - timedelta(minutes=2))


@pytest.mark.plain
def test_another_process_learns_of_it(tmp_path: Path) -> None:
    """What one process publishes, another that runs already knows as soon as it reads the versions again."""
    script = f"""
import math, sys, datetime
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from models import catalogue, editions, seeds
from models.base import Model
from models.people import Person
engine = create_engine("sqlite:///{tmp_path}/x.sqlite")
if sys.argv[1] == "publish":
    Model.metadata.create_all(engine)
    now = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)
    with Session(engine) as session:
        admin = Person(email="a@x", email_folded="a@x", name="A", memberships=[], created_at=now)
        session.add(admin)
        session.flush()
        draft = editions.begin(admin, "2026-12", of="2026-01", now=now)
        editions.publish(draft, admin, datetime.date(2026, 12, 1), now=now)
        session.commit()
else:
    with Session(engine) as session:
        editions.refresh(session)
    print(catalogue.catalogue(datetime.date(2026, 12, 2)).version)
"""
    for verb in ("publish", "read"):
        told = subprocess.run([sys.executable, "-c", script, verb], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "2026-12"
