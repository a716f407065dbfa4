"""The directory import refuses: each fault with its line, all at once, and nothing is half done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import databases
import pytest
from directories import EXAMPLE, NEW, NOW, OWNER, bring, faults, house, many, roles, rows, written
from factories import AURORA, LUMEN, Town
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

import cli
from models.charges import CloudCharge
from models.directory import BadDocument, Report, import_directory
from models.organizations import Membership, Organization
from models.permissions import Role


def member(**facts: Any) -> str:
    """Return a document in which line 11 begins a second member with these facts."""
    return written(
        NEW | {"members": [OWNER, {"email": "rui@meridian.example", "name": "Rui", "role": "member"} | facts]}
    )


def extra(**facts: Any) -> str:
    return written(NEW | facts)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"\xef\xbb\xbf{\n\xff}", "line 2: This is not UTF-8."),
        ('{"format": 1,\n "organizations": [}', "line 2, column 20: A value is missing here"),
        ("{}", "line 1: The document has no “format”."),
        ('{"format": 1}', "line 1: The document has no “organizations”."),
        ('{"organizations": [],\n"format": 2}', "line 2: This format is not known."),
        ('{"organizations": [],\n"format": "1"}', "line 2: This format is not known."),
        ('{"format": 1,\n"organizations": {}}', "line 2: “organizations” must be a list."),
        ('{"format": 1,\n"organizations": [\n7]}', "line 3: An organization must be an object"),
        (written(lang="en"), "line 4: “lang” is not known here. Known are: format, organizations."),
        (extra(plan="premium"), "line 15: “plan” is not known here."),
        (extra(slug="Meridian"), "line 5: A slug has small letters"),
        (extra(slug=7), "line 5: “slug” must be text, not a number. Put it in double quotes."),
        (extra(name=""), "line 6: “name” is empty."),
        (extra(name="x" * 121), "line 6: “name” has 121 characters. Shorten it to 120."),
        (extra(name="a\x00b"), "line 6: “name” has a character that cannot be shown."),
        (extra(name="a\ud800b"), "line 6: “name” has a character that cannot be shown."),
        (extra(zone="Mars/Base"), "line 7: “Mars/Base” is no time zone that we know."),
        (extra(complete="yes"), "line 15: “complete” must be true or false, not text."),
        (extra(members=None), "line 8: “members” must be a list, not null."),
        (extra(members=[]), "line 4: “meridian-air” would have no Owner."),
        (extra(members=[OWNER, OWNER]), "line 14: “marta@meridian.example” stands in line 9 already."),
        (extra(members=[OWNER, []]), "line 14: Each of “members” must be an object"),
        (written({"slug": "new-one", "members": [OWNER]}), "line 4: “new-one” is not there yet. Give its “name”."),
        (written(NEW, NEW), "line 17: “meridian-air” stands in line 4 already."),
        (member(email="nobody"), "line 15: “nobody” is no email address."),
        (member(email="a\u202e@b.example"), "is no email address."),
        (member(email=f"{'x' * 250}@b.example"), "line 15: “email” has 260 characters."),
        (member(role="agent"), "line 17: “agent” is no role of an organization."),
        (member(role=True), "line 17: “role” must be text, not true or false."),
        (member(phone="1"), "line 18: “phone” is not known here."),
        (written(NEW | {"members": [OWNER, {"email": "a@b.example", "role": "member"}]}), "Give the “name” as well."),
        (member(email="agent@support.example"), "line 14: “agent@support.example” belongs to your staff."),
        (extra(clusters=[{"name": "c"}]), "line 16: The cluster “c” is not there yet. Give its “tier” and “region”"),
        (extra(clusters=[{"tier": "Starter"}]), "line 16: “name” is missing."),
        (extra(clusters=[{"name": "c", "deleted": 1}]), "line 18: “deleted” must be true or false, not a number."),
        (extra(clusters=[{"name": "c", "region": "x" * 41}]), "line 18: “region” has 41 characters."),
        (extra(charges=[{"month": "2026-13", "amount": "1"}]), "line 17: “2026-13” is no month."),
        (extra(charges=[{"month": "2026-12", "amount": "1"}]), "line 17: 2026-12 has not begun yet."),
        (extra(charges=[{"month": "2026-10", "amount": 1.5}]), "line 18: “amount” must be text, not a number."),
        (extra(charges=[{"month": "2026-10", "amount": "-1"}]), "line 18: “-1” is no amount."),
        (extra(charges=[{"month": "2026-10", "amount": "1.234"}]), "line 18: “1.234” is no amount."),
        (extra(charges=[{"month": "2026-10", "amount": "1e3"}]), "line 18: “1e3” is no amount."),
        (extra(charges=[{"month": "2026-10", "amount": "٣"}]), "line 18: “٣” is no amount."),
        (extra(charges=[{"month": "2026-10", "amount": "1"}] * 2), "line 20: “2026-10” stands in line 16 already."),
    ],
)
def test_each_fault_is_told_with_its_line(town: Town, document: str | bytes, said: str) -> None:
    told = faults(town, document)
    assert any(said in one for one in told), told
    assert len(told) <= 2


def test_all_faults_are_told_at_once(town: Town) -> None:
    bad = {"slug": "b", "name": "B", "zone": "UTC", "members": [{"email": "x", "role": "king"}], "colour": "red"}
    said = faults(town, written(bad, NEW | {"members": []}, {"slug": LUMEN, "name": " "}))
    assert [re.match(r"line \d+", fault)[0] for fault in said] == [  # type: ignore[index]
        "line 10",
        "line 11",
        "line 14",
        "line 16",
        "line 24",
    ]


def test_the_last_owner_is_not_lost(town: Town) -> None:
    lesser = {"slug": LUMEN, "members": [{"email": "owner@lumen.example", "role": "member"}]}
    assert faults(town, written(lesser))[0].startswith("line 4: “lumen-retail” would lose its last Owner.")
    gone = {"slug": LUMEN, "complete": True, "members": [{"email": "member@lumen.example", "role": "member"}]}
    assert "would lose its last Owner" in faults(town, written(gone))[0]
    handed = {"slug": LUMEN, "complete": True, "members": [{"email": "member@lumen.example", "role": "owner"}]}
    bring(town, written(handed))
    assert roles(town, LUMEN) == {"member@lumen.example": Role.OWNER}


def test_charges_that_are_invoiced_stay(town: Town) -> None:
    bring(town, EXAMPLE)
    with town.open() as session:
        for charge in session.scalars(select(CloudCharge)):
            charge.invoiced_at = NOW
    assert bring(town, EXAMPLE).counts == {}
    said = faults(town, EXAMPLE.replace("13002.75", "13002.76"))
    assert said == [
        "line 27: The charges of 2026-10 are invoiced as $13,002.75 and stay so. Give that amount, or none."
    ]


def run(app: Flask, monkeypatch: pytest.MonkeyPatch, path: Path, *options: str) -> Any:
    # The database of the tests is made without migrations.
    monkeypatch.setattr(cli, "migrate_database", lambda: None)
    monkeypatch.setattr(cli, "_is_behind", lambda: False)
    return app.test_cli_runner().invoke(args=["directory", "import", *options, str(path)])


def test_nothing_is_half_done_when_the_last_row_is_bad(
    town: Town, app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows_of = many(1200)
    path, before = tmp_path / "directory.json", rows(town)
    # Only the comparison with the database can tell, after more than a thousand organizations were written.
    path.write_text(written(*rows_of, {"slug": LUMEN, "members": [{"email": "a@b.example", "role": "member"}]}))
    result = run(app, monkeypatch, path)
    assert result.exit_code == 1
    assert "Nobody has the address “a@b.example” yet. Give the “name” as well." in result.output
    assert "Wrote 1,000 of 1,201." in result.output
    assert result.output.endswith("Nothing was imported. Mend these lines and import the file again.\n")
    assert rows(town) == before


def test_the_command_imports_and_says_so(
    town: Town, app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "directory.json"
    path.write_text(EXAMPLE, encoding="utf-8")
    before = rows(town)
    result = run(app, monkeypatch, path, "--dry-run")
    assert result.exit_code == 0
    assert "line 12: meridian-air: add member rui@meridian.example as Organization Member\n" in result.output
    assert result.output.endswith("This was a dry run: nothing was written.\n")
    assert rows(town) == before
    result = run(app, monkeypatch, path)
    assert (result.exit_code, result.output) == (
        0,
        "Added 1 organization, 1 calendar, 3 people, 3 members, 2 clusters, 2 charges.\n",
    )
    assert house(town, "meridian-air").plan == "basic"
    assert run(app, monkeypatch, path).output == "Everything is as the document says.\n"


def test_a_database_that_gives_trouble_is_no_traceback(
    town: Town, app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "directory.json"
    path.write_text(EXAMPLE, encoding="utf-8")
    with town.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE cloud_charges RENAME TO elsewhere")
    in_the_midst = run(app, monkeypatch, path)
    with town.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO cloud_charges")

    def locked() -> None:
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    monkeypatch.setattr(cli, "migrate_database", locked)
    at_the_start = app.test_cli_runner().invoke(args=["directory", "import", str(path)])
    for result in (in_the_midst, at_the_start):
        assert result.exit_code == 1
        assert result.output.startswith("The database gives trouble (")
        assert result.output.endswith("). Nothing was imported. Try again later.\n")
    assert town.count(Organization) == 4


leaves = st.sampled_from(
    [None, True, 1, -1.5, "", "x", "a\x00", "\ud800", "UTC", "owner", "member", "2026-10", "2026-11", "12.50", "-1",
     LUMEN, AURORA, "new-one", "owner@lumen.example", "agent@support.example", "fresh@new.example", "x" * 300,
     "İß@b.example", f"{LUMEN}-prod"]
)  # fmt: skip
email = st.sampled_from(
    ["owner@lumen.example", "OWNER@lumen.example", "fresh@new.example", "İß@b.example", "ſ@b.example"]
)
role = st.sampled_from(["owner", "member", "billing-admin"])
members = st.fixed_dictionaries(
    {"email": email | leaves, "role": role | leaves}, optional={"name": st.just("Ada") | leaves}
)
clusters = st.fixed_dictionaries(
    {"name": st.sampled_from([f"{LUMEN}-prod", "c"]), "tier": st.just("Starter"), "region": st.just("eu")},
    optional={"version": leaves, "environment": leaves, "deleted": st.booleans() | leaves},
)
charges = st.fixed_dictionaries({"month": st.just("2026-10") | leaves, "amount": st.just("1.5") | leaves})
junk = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(leaves.map(str), inner, max_size=2)
)
organizations = st.fixed_dictionaries(
    {"slug": st.sampled_from([LUMEN, AURORA, "new-one"]) | leaves},
    optional={
        "name": st.just("New") | leaves,
        "zone": st.just("UTC") | leaves,
        "complete": st.booleans() | leaves,
        "members": st.lists(members | junk, max_size=3) | junk,
        "clusters": st.lists(clusters | junk, max_size=3) | junk,
        "charges": st.lists(charges, max_size=2) | junk,
    },
)
sound = st.fixed_dictionaries(
    {
        "slug": st.sampled_from([LUMEN, AURORA, "new-one", "new-two"]),
        "name": st.sampled_from(["New", "漢字"]),
        "zone": st.sampled_from(["UTC", "Asia/Tokyo"]),
        "members": st.lists(
            st.fixed_dictionaries({"email": email, "role": role, "name": st.just("Ada")}), min_size=1, max_size=3
        ).map(lambda some: [OWNER, *some]),
        "clusters": st.lists(clusters, max_size=3),
    },
    optional={"complete": st.booleans()},
)  # fmt: skip


@settings(
    max_examples=databases.examples(120), derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(organizations | sound | junk, max_size=3) | st.lists(sound, max_size=2))
def test_any_document_is_either_refused_by_line_or_imported_for_good(town: Town, some: list[Any]) -> None:
    document = json.dumps({"format": 1, "organizations": some}, indent=1).encode()
    with Session(town.engine) as session:
        try:
            report: Report | None = import_directory(session, document, now=NOW, tell=lambda _words: None)
        except BadDocument as bad:
            told, report = bad.faults, None
        if report is None:
            assert told
            assert all(0 < fault.line <= document.count(b"\n") + 1 and str(fault).encode() for fault in told)
            return
        session.flush()
        assert import_directory(session, document, now=NOW, tell=lambda _words: None).counts == {}
        owners = select(Membership.organization_id).where(Membership.role == Role.OWNER)
        assert set(session.scalars(owners)) == set(session.scalars(select(Organization.id)))
        session.rollback()
