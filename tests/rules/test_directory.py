"""The directory import: what it makes, changes, removes and leaves alone, however often it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

import pytest
from directories import EXAMPLE, NEW, NOW, OWNER, bring, house, many, roles, rows, written
from factories import AURORA, LUMEN, Town
from sqlalchemy import event, select

from models.calendars import Calendar
from models.charges import CloudCharge
from models.entrance import ask_reset
from models.events import Event, EventKind
from models.organizations import Organization
from models.outbox import Message
from models.people import person_by_email
from models.permissions import Role
from models.tickets import tickets_of


def test_the_example_of_the_guide_is_taken_over(town: Town) -> None:
    report = bring(town, EXAMPLE)
    assert report.summary == "Added 1 organization, 1 calendar, 3 people, 3 members, 2 clusters, 2 charges."
    one = house(town, "meridian-air")
    assert (one.name, one.plan, one.plan_since, one.contract_start) == ("Meridian Air", "basic", NOW, None)
    assert roles(town, "meridian-air") == {
        "marta@meridian.example": Role.OWNER,
        "accounts@meridian.example": Role.BILLING_ADMIN,
        "rui@meridian.example": Role.MEMBER,
    }
    clusters = {cluster.name: cluster for cluster in town.clusters("meridian-air")}
    assert set(clusters) == {"booking-prod", "booking-dev"}
    prod = clusters["booking-prod"]
    assert (prod.tier, prod.region, prod.environment, prod.version) == (
        "Dedicated",
        "eu-west-1",
        "Production",
        "v8.5.1",
    )
    charges = town.scalars(select(CloudCharge).order_by(CloudCharge.month))
    assert [(charge.month, charge.cents, charge.imported_at, charge.invoiced_at) for charge in charges] == [
        (date(2026, 9, 1), 12_480_00, NOW, None),
        (date(2026, 10, 1), 13_002_75, NOW, None),
    ]
    (calendar,) = town.scalars(select(Calendar).where(Calendar.id == one.calendar_id))
    assert (calendar.zone, calendar.hours[0], calendar.hours[6]) == ("Europe/Lisbon", [["09:00", "18:00"]], [])


def test_a_second_run_changes_nothing(town: Town) -> None:
    bring(town, EXAMPLE)
    before = rows(town)
    for same in (EXAMPLE, f"\ufeff{EXAMPLE}", EXAMPLE.replace("\n", "\r\n")):
        assert bring(town, same, at=NOW.replace(hour=10)).summary == "Everything is as the document says."
        assert rows(town) == before


def test_a_dry_run_says_what_a_run_does_and_writes_nothing(town: Town) -> None:
    before = rows(town)
    said = bring(town, EXAMPLE, dry_run=True)
    assert rows(town) == before
    done = bring(town, EXAMPLE)
    assert (said.lines, said.counts) == (done.lines, done.counts)
    assert said.summary.startswith("Would add 1 organization, ")
    assert done.summary.startswith("Added 1 organization, ")
    assert "line 4: meridian-air: add organization “Meridian Air”, on Basic" in said.lines
    assert "line 12: meridian-air: add member rui@meridian.example as Organization Member" in said.lines
    assert "line 27: meridian-air: add charges of 2026-10: $13,002.75" in said.lines
    assert len(said.lines) == sum(said.counts.values()) == 12


def test_a_changed_document_changes_what_differs(town: Town) -> None:
    bring(town, EXAMPLE)
    changed = json.loads(EXAMPLE)
    (one,) = changed["organizations"]
    one["name"] = "Meridian Airways"
    one["members"][2]["role"] = "owner"
    one["clusters"][0]["version"] = "v9.0.0"
    one["charges"][1]["amount"] = "14000.5"
    report = bring(town, json.dumps(changed))
    assert report.summary == "Changed 1 organization, 1 member, 1 cluster, 1 charge."
    assert report.lines == [
        "line 1: meridian-air: change name from “Meridian Air” to “Meridian Airways”",
        "line 1: meridian-air: change member rui@meridian.example from Organization Member to Organization Owner",
        "line 1: meridian-air: change cluster “booking-prod”: version from “v8.5.1” to “v9.0.0”",
        "line 1: meridian-air: change charges of 2026-10 from $13,002.75 to $14,000.50",
    ]
    assert house(town, "meridian-air").name == "Meridian Airways"
    assert roles(town, "meridian-air")["rui@meridian.example"] is Role.OWNER
    assert town.clusters("meridian-air")[0].version == "v9.0.0"
    assert town.clusters("meridian-air")[0].region == "eu-west-1"
    assert [c.cents for c in town.scalars(select(CloudCharge).order_by(CloudCharge.month))] == [12_480_00, 14_000_50]


def test_what_is_missing_stays_unless_the_organization_is_complete(town: Town) -> None:
    key = town.file("member@lumen.example")
    some = {
        "slug": LUMEN,
        "members": [{"email": "OWNER@Lumen.example", "role": "owner"}],
        "clusters": [{"name": f"{LUMEN}-prod"}],
    }
    before = rows(town)
    bring(town, written(some))
    bring(town, written({"slug": LUMEN, "complete": True}))
    assert rows(town) == before
    report = bring(town, written(some | {"complete": True}))
    assert report.summary == "Removed 2 members, 1 cluster."
    assert roles(town, LUMEN) == {"owner@lumen.example": Role.OWNER}
    assert {c.name: c.deleted_at for c in town.clusters(LUMEN)} == {f"{LUMEN}-prod": None, f"{LUMEN}-dev": NOW}
    with town.open() as session:
        left = person_by_email(session, "member@lumen.example")
        assert left is not None
        assert tickets_of(left).find(key) is None
    assert bring(town, written(some | {"complete": True})).counts == {}


def test_a_cluster_is_deleted_and_comes_back(town: Town) -> None:
    name = f"{LUMEN}-prod"
    assert bring(town, written({"slug": LUMEN, "clusters": [{"name": name, "deleted": True}]})).summary == (
        "Removed 1 cluster."
    )
    assert town.clusters(LUMEN)[0].deleted_at == NOW
    bring(town, written({"slug": LUMEN, "clusters": [{"name": name}]}))
    back, other = town.clusters(LUMEN)
    assert (back.name, back.deleted_at, back.tier, other.deleted_at) == (name, None, "Dedicated", None)


def test_the_plan_and_the_calendar_of_an_organization_are_left_alone(town: Town) -> None:
    before = house(town, LUMEN)
    bring(town, written({"slug": LUMEN, "name": "Lumen", "zone": "Asia/Tokyo"}))
    after = house(town, LUMEN)
    assert (after.name, after.plan, after.plan_since, after.calendar_id) == (
        "Lumen",
        "standard",
        before.plan_since,
        before.calendar_id,
    )


def test_organizations_of_one_zone_share_a_calendar_over_all_runs(town: Town) -> None:
    second = NEW | {"slug": "second", "name": "Second"}
    bring(town, written(NEW, second))
    bring(town, written(NEW | {"slug": "third", "name": "Third"}))
    assert len({house(town, slug).calendar_id for slug in ("meridian-air", "second", "third")}) == 1
    assert town.count(Calendar, Calendar.name == "Business hours: Europe/Lisbon") == 1


def test_new_people_get_neither_password_nor_mail_and_come_in_by_a_new_password(town: Town) -> None:
    bring(town, EXAMPLE)
    person = town.person("rui@meridian.example")
    assert (person.password_hash, person.time_zone, person.active, person.staff_role) == (
        "",
        "Europe/Lisbon",
        True,
        None,
    )
    assert town.count(Message) == 0
    with town.open() as session:
        ask_reset(session, "rui@meridian.example", now=NOW)
    assert [m.recipient for m in town.scalars(select(Message))] == ["rui@meridian.example"]


def test_a_name_is_kept_unless_it_is_empty(town: Town) -> None:
    with town.open() as session:
        for email, name in (("owner@aurora.example", "Maya"), ("partner@consult.example", "")):
            person = person_by_email(session, email)
            assert person is not None
            person.name = name
    emails = {"owner@aurora.example": "owner", "partner@consult.example": "member"}
    members = [{"email": email, "name": "Another", "role": role} for email, role in emails.items()]
    assert bring(town, written({"slug": AURORA, "members": members})).summary == "Changed 1 person."
    assert [town.person(email).name for email in emails] == ["Maya", "Another"]


def test_one_person_in_two_organizations_is_one_account(town: Town) -> None:
    again = {"email": "MARTA@meridian.example", "role": "owner"}
    report = bring(town, written(NEW | {"members": [again]}, NEW | {"slug": "second"}))
    assert report.counts["add", "person"] == 1
    assert town.person("marta@meridian.example").name == "Marta Sá Duarte"
    assert len(roles(town, "second")) == len(roles(town, "meridian-air")) == 1


def test_the_audit_log_tells_what_was_done(town: Town) -> None:
    bring(town, EXAMPLE)
    bring(town, written({"slug": "meridian-air", "complete": True, "members": [OWNER], "clusters": []}))
    kinds = (EventKind.ORGANIZATION_IMPORTED, EventKind.DIRECTORY_IMPORTED)
    events = town.scalars(select(Event).where(Event.kind.in_(kinds)).order_by(Event.id))
    number = house(town, "meridian-air").id
    assert [(e.kind, e.organization_id, e.actor_id, e.at) for e in events] == [
        (kinds[0], number, None, NOW),
        (kinds[1], None, None, NOW),
    ] * 2
    assert "member rui@meridian.example as Organization Member" in events[0].data["added"]
    assert events[1].data["added"][0] == "1 organization"
    assert events[2].data == {
        "removed": [
            "member accounts@meridian.example",
            "member rui@meridian.example",
            "cluster “booking-prod”",
            "cluster “booking-dev”",
        ]
    }
    assert events[3].data == {"removed": ["2 members", "2 clusters"]}


@pytest.fixture
def statements(town: Town) -> Iterator[list[str]]:
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        found.append(statement)

    event.listen(town.engine, "before_cursor_execute", note)
    yield found
    event.remove(town.engine, "before_cursor_execute", note)


def test_two_thousand_organizations_need_few_statements(town: Town, statements: list[str]) -> None:
    document = written(*many(2000))
    bring(town, document)
    assert len(statements) <= 80, f"{len(statements)} statements"
    assert town.count(Organization) == 2004
    statements.clear()
    assert bring(town, document).counts == {}
    assert len(statements) <= 30, f"{len(statements)} statements"
