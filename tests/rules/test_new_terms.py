"""New terms take effect on their day: for what begins then, and for nothing that was promised before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from factories import LUMEN, Town

from models import catalogue
from models.catalogue import DoorName, PlanName, Severity
from models.handling import reclassify
from models.tickets import TicketState

BEFORE, AFTER = datetime(2026, 11, 30, 12, tzinfo=UTC), datetime(2026, 12, 1, 12, tzinfo=UTC)
AGENT, OWNER = "agent@support.example", "owner@lumen.example"


@pytest.fixture(autouse=True)
def new_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have terms from December on that promise Standard's S2 in two business hours, and its S3 in three."""
    source = (catalogue.FOLDER / "2026-01.toml").read_text(encoding="utf-8")
    head, standard = source.split("[targets.standard]")
    standard = standard.replace("minutes = 480", "minutes = 120", 1).replace("minutes = 720", "minutes = 180", 1)
    later = f"{head}[targets.standard]{standard}".replace('"2026-01"', '"2026-12"').replace(
        "effective = 2026-01-01", "effective = 2026-12-01"
    )
    versions = dict(catalogue._versions()) | {"2026-12": catalogue.parse(later, "2026-12")}
    monkeypatch.setattr(catalogue, "_versions", lambda: versions)


def promised(town: Town, key: str) -> tuple[str, int]:
    target = town.ticket(key).target
    assert target is not None
    return target.catalogue, target.minutes


def test_what_is_filed_from_that_day_on_is_promised_by_the_new_terms(town: Town) -> None:
    assert promised(town, town.file(severity=Severity.S2, at=BEFORE)) == ("2026-01", 480)
    assert promised(town, town.file(severity=Severity.S2, at=AFTER)) == ("2026-12", 120)


def test_a_running_promise_keeps_its_terms_through_severity_pause_and_reopening(town: Town) -> None:
    key = town.file(severity=Severity.S2, at=BEFORE)
    due = town.ticket(key).due_at
    town.note(key, at=AFTER)
    assert town.ticket(key).due_at == due
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        reclassify(ticket, agent, Severity.S3, "One report a day.", now=AFTER)
    assert promised(town, key) == ("2026-01", 720)
    town.answer(key, then=TicketState.RESOLVED, at=AFTER + timedelta(hours=1))
    town.reply(key, OWNER, at=AFTER + timedelta(hours=2))
    assert len(town.ticket(key).targets) == 2
    assert promised(town, key) == ("2026-01", 720)


def test_who_asks_what_is_sold_now_reads_what_is_in_force(town: Town) -> None:
    for moment, minutes in ((BEFORE, 480), (AFTER, 120)):
        target = catalogue.catalogue(moment.date()).target(PlanName.STANDARD, DoorName.TECHNICAL, Severity.S2)
        assert target is not None
        assert target.minutes == minutes


def test_a_downgrade_or_lapse_leaves_open_tickets_their_terms(town: Town) -> None:
    """Product rule 8.6."""
    key = town.file(severity=Severity.S2, at=BEFORE)
    due = town.ticket(key).due_at
    town.set_house(LUMEN, plan=PlanName.BASIC)
    town.move(key, TicketState.WAITING, at=BEFORE + timedelta(hours=1))
    town.reply(key, OWNER, at=BEFORE + timedelta(hours=2))
    assert promised(town, key) == ("2026-01", 480)
    assert town.ticket(key).due_at == due + timedelta(hours=1)


def test_basic_and_billing_promise_nothing_and_say_so(town: Town) -> None:
    """Product rule 8.8; what is said of it stands in the letters and on the pages."""
    bill = town.file(door=DoorName.BILLING, at=AFTER)
    assert town.ticket(bill).target is None
    assert town.ticket(bill).due_at is None
