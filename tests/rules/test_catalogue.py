"""The catalogue says what product and documentation promise, and refuses to say nonsense."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

from models import catalogue as module
from models.catalogue import (
    CatalogueError,
    DoorName,
    PlanName,
    Severity,
    Target,
    catalogue,
    catalogue_at,
    parse,
)

pytestmark = pytest.mark.plain

SOURCE = (module.FOLDER / "2026-01.toml").read_text(encoding="utf-8")
BASIC, STANDARD, ENTERPRISE, PREMIUM = PlanName
TECHNICAL, BILLING = DoorName

# The table as customers know it, written down a second time on purpose.
PROMISED = {
    STANDARD: ("4 business hours", "8 business hours", "12 business hours", "24 business hours"),
    ENTERPRISE: ("1 hour, day and night", "2 hours, day and night", "8 business hours", "24 business hours"),
    PREMIUM: ("30 minutes, day and night", "1 hour, day and night", "4 business hours", "24 business hours"),
}
TRIPLES = list(product(PlanName, DoorName, Severity))


@pytest.mark.parametrize(("plan", "door", "severity"), TRIPLES)
def test_every_plan_door_and_severity(plan: PlanName, door: DoorName, severity: Severity) -> None:
    found = catalogue_at("2026-01")
    offered = severity is not Severity.S1 if door is BILLING else plan is not BASIC
    assert found.opens(plan, door) is (door is BILLING or plan is not BASIC)
    assert (severity in found.severities(door, plan)) is offered
    target = found.target(plan, door, severity)
    if door is BILLING or plan is BASIC:
        assert target is None
    else:
        assert target is not None
        assert target.words == PROMISED[plan][list(Severity).index(severity)]


def test_severities_go_from_the_gravest_down() -> None:
    found = catalogue_at("2026-01")
    assert found.severities(TECHNICAL, STANDARD) == tuple(Severity)
    assert found.severities(BILLING, BASIC) == tuple(Severity)[1:]
    assert found.severities(TECHNICAL, BASIC) == ()


def test_the_severity_texts_are_word_for_word() -> None:
    found = catalogue_at("2026-01")
    assert [found.text(severity) for severity in Severity] == [
        "Complete loss of production environmental functions.",
        "High impact on operations in production environments.",
        "Non-critical database usage issues in production or non-production environments",
        (
            "General question on how a particular feature or function performs or should be configured. An issue "
            "that has minimal impact on business and can be tolerated for a reasonable period."
        ),
    ]


def test_the_doors() -> None:
    found = catalogue_at("2026-01")
    doors = [found.door(name) for name in DoorName]
    assert [(door.number, door.name, door.prefix) for door in doors] == [
        (6, "TiDB Cloud Technical Support", "TECH"),
        (16, "TiDB Cloud Account/Billing", "BILL"),
    ]
    assert found.cheapest_plan_opening(TECHNICAL) is STANDARD
    assert found.cheapest_plan_opening(BILLING) is BASIC


def test_the_prices() -> None:
    plans = [catalogue_at("2026-01").plan(name) for name in PlanName]
    assert [(plan.floor_cents, plan.percent, plan.first_month_free, plan.by_contract) for plan in plans] == [
        (0, 0, False, False),
        (2900, 10, True, False),
        (69900, 20, False, False),
        (None, None, False, True),
    ]


def test_the_services_by_plan() -> None:
    services = catalogue_at("2026-01").services
    assert [sum(plan in service.plans for service in services) for plan in PlanName] == [2, 5, 8, 10]
    assert next(one.plans for one in services if one.name == "Technical Account Manager") == (PREMIUM,)
    for service in services:
        # A dearer plan never has less.
        assert list(service.plans) == list(PlanName)[-len(service.plans) :]


@pytest.mark.parametrize(
    ("plan", "severity", "better"),
    [
        (BASIC, Severity.S1, (STANDARD, "4 business hours")),
        (BASIC, Severity.S4, (STANDARD, "24 business hours")),
        (STANDARD, Severity.S1, (ENTERPRISE, "1 hour, day and night")),
        (STANDARD, Severity.S3, (ENTERPRISE, "8 business hours")),
        (STANDARD, Severity.S4, None),
        (ENTERPRISE, Severity.S2, (PREMIUM, "1 hour, day and night")),
        (ENTERPRISE, Severity.S4, None),
        (PREMIUM, Severity.S1, None),
    ],
)
def test_the_next_better_plan(plan: PlanName, severity: Severity, better: tuple[PlanName, str] | None) -> None:
    found = catalogue_at("2026-01").next_better(plan, severity)
    assert (found and (found[0], found[1].words)) == better


def test_what_beats_what() -> None:
    assert Target(60, True).beats(Target(60, False))
    assert not Target(60, False).beats(Target(60, True))
    assert not Target(60, True).beats(Target(60, True))
    assert not Target(30, False).beats(Target(60, True))
    assert not Target(90, True).beats(Target(60, False))
    assert Target(60, False).beats(None)


def test_minutes_read_as_minutes() -> None:
    assert Target(90, False).words == "90 business minutes"
    assert Target(1, True).words == "1 minute, day and night"
    assert Target(60, False).words == "1 business hour"


def test_versions_by_name_and_by_day() -> None:
    assert catalogue().version == "2026-01"
    assert catalogue(date(2026, 1, 1)).version == "2026-01"
    assert catalogue_at("2026-01") is catalogue()
    with pytest.raises(LookupError, match="2025-12-31"):
        catalogue(date(2025, 12, 31))
    with pytest.raises(LookupError, match="passwd"):
        catalogue_at("../../etc/passwd")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "2026-01"', 'version = "2026-02"', "must be the name of the file"),
        ("effective = 2026-01-01", "", "2026-01: effective is missing"),
        ("effective = 2026-01-01", "effective = 7", "effective must be of the kind date"),
        ("[plans.basic]", "[plans.gold]", "'gold' is none of basic, standard"),
        ("floor_cents = 2900", "floor_cents = -1", "plans.standard: floor_cents must be at least 0"),
        ("floor_cents = 2900", "floor_cents = true", "plans.standard: floor_cents must be of the kind int"),
        ("floor_cents = 2900", "floor_cents = 29.0", "plans.standard: floor_cents must be of the kind int"),
        ("minutes = 30,", "minutes = 0,", "targets.premium.S1: minutes must be at least 1"),
        ('minutes = 30, clock = "around the clock"', 'minutes = 30, clock = "lunar"', "'lunar' is none of business"),
        ("[targets.premium]", "[targets.gold]", "targets: 'gold' is none of"),
        ('S2 = "High impact', 'S9 = "High impact', "severities: S2 is missing"),
        ("number = 16", "number = 6", "share a number or a prefix"),
        ('severities = ["S2", "S3", "S4"]', "severities = []", "doors.billing: severities is empty"),
        ('name = "TiDB Cloud Account/Billing"', 'name = "Money"', "the name must be 'TiDB Cloud Account/Billing'"),
        ("[plans.premium]", "[plans.premium", "2026-01: "),
    ],
)
def test_a_wrong_catalogue_is_refused_by_name(old: str, new: str, message: str) -> None:
    assert old in SOURCE
    with pytest.raises(CatalogueError) as refused:
        parse(SOURCE.replace(old, new, 1), "2026-01")
    assert message in str(refused.value)
