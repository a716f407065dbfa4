"""What a crafted post may file: every plan, door and severity against the catalogue, and whatever else is forged."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from conftest import SignIn
from factories import AURORA, HARBOR, LUMEN, NORTHWIND, Town, now, offers
from page import Browser
from sqlalchemy import select

from models.catalogue import DoorName, PlanName, Severity
from models.organizations import Membership, Organization
from models.people import Person
from models.permissions import Role
from models.tickets import Comment, Ticket, TicketState

OWNERS = {
    PlanName.BASIC: ("owner@aurora.example", AURORA),
    PlanName.STANDARD: ("owner@lumen.example", LUMEN),
    PlanName.ENTERPRISE: ("owner@northwind.example", NORTHWIND),
    PlanName.PREMIUM: ("owner@harbor.example", HARBOR),
}
WORDS = {"summary": "Typed <i>summary</i>", "description": "Typed description", "environment": "Production"}


@pytest.mark.parametrize("plan", PlanName)
@pytest.mark.parametrize("door", DoorName)
def test_a_post_files_just_what_the_catalogue_offers(
    plan: PlanName, door: DoorName, town: Town, sign_in: SignIn
) -> None:
    email, house = OWNERS[plan]
    browser = sign_in(email)
    filed = 0
    for severity in [*(s.value for s in Severity), "S0", "S5", "s2", "", "S2 ", None]:
        sent = WORDS | {"organization": house, "impact": "y"} | ({} if severity is None else {"severity": severity})
        answer = browser.post(f"/help/{door.value}/new", sent)
        good = severity in set(Severity) and offers(plan, door, Severity(severity))
        filed += good
        assert answer.status == (303 if good else 422), f"{plan}, {door}, {severity}: {answer.status}"
        assert town.count(Ticket) == filed, f"{plan}, {door}, {severity}"
        if not good:
            assert answer.errors or "Nothing is filed yet" in answer.at("kept")
            assert "Typed <i>summary</i>" in answer.html.replace("&lt;", "<").replace("&gt;", ">")
            assert "Typed description" in answer.main
    for ticket in town.scalars(select(Ticket)):
        assert ticket.plan is plan
        assert offers(plan, door, ticket.severity)


def test_the_severity_that_billing_never_takes_is_refused_in_words(town: Town, sign_in: SignIn) -> None:
    answer = sign_in("owner@harbor.example").post(
        "/help/billing/new", WORDS | {"organization": HARBOR, "severity": "S1"}
    )
    assert answer.status == 422
    assert any("S1 is not for account and billing requests" in error for error in answer.errors)


def test_a_member_of_two_files_under_the_plan_of_the_one_chosen(town: Town, sign_in: SignIn) -> None:
    partner = sign_in("partner@consult.example")
    answer = partner.post("/help/technical/new", WORDS | {"organization": AURORA, "severity": "S2"})
    assert answer.status == 422
    assert "Aurora Games is on the Basic plan" in answer.at("organization-hint")
    assert partner.post("/help/technical/new", WORDS | {"organization": NORTHWIND, "severity": "S2"}).status == 303
    (ticket,) = town.scalars(select(Ticket))
    assert (ticket.organization.slug, ticket.plan) == (NORTHWIND, PlanName.ENTERPRISE)


@pytest.mark.parametrize("house", [NORTHWIND, "no-such-place", "1", "LUMEN-RETAIL", f"{LUMEN} ", "' OR 1=1 --"])
def test_nobody_files_for_an_organization_that_is_not_theirs(town: Town, sign_in: SignIn, house: str) -> None:
    for door in DoorName:
        answer = sign_in("owner@lumen.example").post(
            f"/help/{door.value}/new", WORDS | {"organization": house, "severity": "S3"}
        )
        assert answer.status == 422
        assert any(re.search("Choose (one of your|the) organization", e) for e in answer.errors), answer.errors
        assert "Northwind" not in answer.html
    assert town.count(Ticket) == 0


def test_a_cluster_of_somebody_else_is_none(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    theirs = town.clusters(NORTHWIND)[0]
    for written in (str(theirs.id), "999999", "-1", "1e3", "٣", "9" * 30, "1;DROP TABLE tickets"):
        sent = WORDS | {"organization": LUMEN, "severity": "S3", "cluster": written}
        answer = browser.post("/help/technical/new", sent)
        assert answer.status == 422, written
        assert any("Choose a cluster of the organization above" in error for error in answer.errors)
        assert "northwind" not in answer.html.lower()
        assert "northwind" not in browser.get(f"/help/technical/new?cluster={written}").html.lower()
    assert town.count(Ticket) == 0


def test_lists_that_an_administrator_keeps_take_nothing_else(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    for part, value in (("environment", "Moon"), ("components", "<b>"), ("version", "v0")):
        sent = WORDS | {"organization": LUMEN, "severity": "S3", part: value}
        assert browser.post("/help/technical/new", sent).status == 422, part
    assert town.count(Ticket) == 0


def test_what_no_form_has_is_not_taken(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    theirs = town.ticket(town.file("owner@northwind.example", NORTHWIND))
    extra = {
        "plan": "premium", "state": "closed", "opener_id": "1", "opener": "1", "assignee_id": "1", "org_id": "3",
        "organization_id": "3", "follows": theirs.key, "follows_id": str(theirs.id), "links": theirs.key, "id": "77",
        "parent": theirs.key, "due_at": "2030-01-01", "catalogue_version": "0", "__proto__[x]": "1", "revision": "9",
        "internal": "y", "by_staff": "y", "created_at": "2001-01-01", "confidential": "",
    }  # fmt: skip
    page = browser.post("/help/technical/new", WORDS | {"organization": LUMEN, "severity": "S3"} | extra, follow=True)
    assert page.status == 200
    ticket = next(t for t in town.scalars(select(Ticket)) if t.id != theirs.id)
    assert (ticket.plan, ticket.state, ticket.opener.email) == (
        PlanName.STANDARD,
        TicketState.OPEN,
        "owner@lumen.example",
    )
    assert (ticket.follows_id, ticket.assignee_id, ticket.organization.slug) == (None, None, LUMEN)
    assert not town.scalars(select(Comment).where(Comment.by_staff | Comment.internal))


def test_a_profile_form_changes_the_profile_and_nothing_else(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("member@lumen.example")
    sent = {
        "name": "Mia", "time_zone": "Asia/Tokyo", "theme": "dark", "page_size": "10", "staff_role": "administrator",
        "role": "owner", "email": "admin@support.example", "password": "x", "password_hash": "x", "active": "",
        "id": "1", "memberships": "1", "chosen_organization_id": "3",
    }  # fmt: skip
    assert browser.post("/profile", sent).status == 303
    me: Person = town.person("member@lumen.example")
    assert (me.name, me.time_zone, me.staff_role, me.active) == ("Mia", "Asia/Tokyo", None, True)
    assert me.chosen_organization_id is None
    assert browser.get("/admin", status=403)


def test_the_first_of_two_values_does_not_pass_the_check_for_the_second(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("partner@consult.example")
    for houses in ([NORTHWIND, AURORA], [AURORA, NORTHWIND], [NORTHWIND, LUMEN], [LUMEN, NORTHWIND]):
        for severities in (["S2", "S1"], ["S1", "S2"]):
            browser.post("/help/billing/new", WORDS | {"organization": houses, "severity": severities})
            browser.post("/help/technical/new", WORDS | {"organization": houses, "severity": severities})
    for ticket in town.scalars(select(Ticket)):
        assert ticket.organization.slug in {NORTHWIND, AURORA}
        assert offers(PlanName(ticket.organization.plan), ticket.door, ticket.severity)


@pytest.mark.parametrize("plan", ["standard", "basic"])
def test_a_follow_up_needs_the_plan_of_today(plan: str, town: Town, sign_in: SignIn, old_request: str) -> None:
    town.set_house(LUMEN, plan=plan)
    browser: Browser = sign_in("owner@lumen.example")
    browser.get(f"/requests/{old_request}")
    page = browser.submit(f"/requests/{old_request}/follow-up", body="It is back.", status=None)
    if plan == "basic":
        assert page.status == 422
        assert "Basic plan" in page.main
        assert "It is back." in page.main
    else:
        assert page.status == 200
        assert old_request in page.main
    assert town.count(Ticket) == (1 if plan == "basic" else 2)


@pytest.fixture
def old_request(town: Town) -> str:
    long_ago = now() - timedelta(days=40)
    key = town.file(at=long_ago)
    town.move(key, TicketState.RESOLVED, at=long_ago + timedelta(days=1))
    return key


def test_the_choice_of_an_organization_is_among_ones_own(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("partner@consult.example")
    assert browser.post("/organizations/choose", {"organization": LUMEN}).status == 404
    assert (
        browser.post("/organizations/choose", {"organization": NORTHWIND}).headers["Location"].endswith("bank/support")
    )
    partner = town.person("partner@consult.example")
    assert town.scalars(select(Organization.slug).where(Organization.id == partner.chosen_organization_id)) == [
        NORTHWIND
    ]
    assert set(town.scalars(select(Membership.role).where(Membership.person_id == partner.id))) == {Role.MEMBER}
