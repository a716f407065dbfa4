"""The members' pages and the way in by invitation, without JavaScript."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import SignIn
from factories import LUMEN, NORTHWIND, Town, now
from flask import Flask
from page import Browser
from rules.test_members import MEMBER, NEW, OWNER, PASSWORD, invite, secret_of
from sqlalchemy import select
from time_machine import travel

from models.invitations import Invitation
from models.organizations import Membership, Organization, Visibility
from models.outbox import Message, MessageState
from models.permissions import Role

ALL = f"/console/{LUMEN}/members"


@pytest.fixture
def owner(town: Town, sign_in: SignIn) -> Browser:
    assert town
    return sign_in(OWNER)


def id_of(town: Town, email: str) -> int:
    person = town.person(email)
    return int(town.scalars(select(Membership.id).where(Membership.person_id == person.id))[0])


def test_everybody_reads_who_belongs_to_it_and_only_the_owner_changes_it(town: Town, sign_in: SignIn) -> None:
    for email in (MEMBER, "billing@lumen.example"):
        page = sign_in(email).get(ALL)
        assert "Organization Billing Admin" in page.main
        assert "Ask Owner Of Lumen." in page.main
        assert not page.all("a", href=f"{ALL}/{id_of(town, OWNER)}")
        assert "Send invitation" not in page.main
        assert sign_in(email).post(f"{ALL}/invite", {"email": NEW, "role": "owner"}).status == 403
    page = sign_in(OWNER).get(ALL)
    assert page.all("a", href=f"{ALL}/{id_of(town, MEMBER)}")
    assert "Send invitation" in page.main


def test_a_role_elsewhere_gives_nothing_here(town: Town, sign_in: SignIn) -> None:
    mine = town.person(OWNER).id
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == NORTHWIND)).one()
        session.add(Membership(person_id=mine, organization=house, role=Role.MEMBER))
    browser = sign_in(OWNER)
    assert browser.get(f"/console/{NORTHWIND}/members")
    assert browser.get(f"/console/{NORTHWIND}/cards", status=403)
    assert browser.post(f"/console/{NORTHWIND}/members/invite", {"email": NEW, "role": "owner"}).status == 403
    assert browser.post(f"/console/{NORTHWIND}/visibility", {"visibility": "own"}).status == 403
    member = town.scalars(select(Membership.id).where(Membership.organization_id == house.id))[0]
    assert browser.get(f"{ALL}/{member}", status=404), "a member of another organization is nobody here"


def test_inviting_sending_again_and_revoking(town: Town, owner: Browser) -> None:
    owner.get(ALL)
    page = owner.submit(f"{ALL}/invite", email=NEW, role="billing-admin")
    assert f"{NEW} is invited" in page.at("flash")
    assert "Waiting until" in page.main
    first = secret_of(town)
    there = town.scalars(select(Invitation))[0]
    page = owner.submit(f"{ALL}/invitations/{there.id}/resend")
    assert "A new mail is on its way" in page.at("flash")
    assert secret_of(town) != first
    with town.open() as session:
        session.scalars(select(Message).order_by(Message.id.desc())).first().state = MessageState.UNDELIVERABLE
    assert "could not be delivered" in owner.get(ALL).main
    page = owner.submit(f"{ALL}/invitations/{there.id}/revoke")
    assert "Nobody is invited" in page.main
    assert owner.post(f"{ALL}/invitations/{there.id}/resend").status == 404


def test_what_is_wrong_is_said_and_nothing_typed_is_lost(town: Town, owner: Browser) -> None:
    owner.get(ALL)
    page = owner.submit(f"{ALL}/invite", email="nobody", status=422)
    assert page.errors == ["Enter the email address, for example maya@example.com."]
    assert page.find(f"{ALL}/invite")[0].value_of("email") == "nobody"
    page = owner.submit(f"{ALL}/invite", email=MEMBER, status=422)
    assert page.errors == ["Member Of Lumen is a member of Lumen Retail already."]
    assert owner.post(f"{ALL}/invite", {"email": NEW, "role": "agent"}).status == 422
    assert town.count(Invitation) == 0


def test_the_same_form_twice_sends_one_mail(town: Town, owner: Browser) -> None:
    page = owner.get(ALL)
    key = page.find(f"{ALL}/invite")[0].value_of("key")
    for _ in range(2):
        assert owner.post(f"{ALL}/invite", {"email": NEW, "role": "member", "key": key}).status == 303
    assert town.count(Message) == 1


def test_nobody_sends_invitations_without_end(town: Town, owner: Browser) -> None:
    for number in range(30):
        assert owner.post(f"{ALL}/invite", {"email": f"n{number}@lumen.example", "role": "member"}).status == 303
    assert owner.post(f"{ALL}/invite", {"email": "more@lumen.example", "role": "member"}).status == 429
    assert town.count(Message) == 30


def test_tries_that_are_refused_count_as_well_and_one_address_is_not_flooded(town: Town, owner: Browser) -> None:
    for _ in range(5):
        assert owner.post(f"{ALL}/invite", {"email": MEMBER, "role": "member"}).status == 422
    assert owner.post(f"{ALL}/invite", {"email": MEMBER, "role": "member"}).status == 429
    assert town.count(Message) == 0


def test_a_newcomer_chooses_a_password_and_is_in(app: Flask, town: Town, client: Browser) -> None:
    secret = invite(town, role=Role.BILLING_ADMIN)
    answer = client.get(f"/invitations/{secret}", follow=False, status=303)
    assert answer.headers["Location"] == "/invitations", "the secret leaves the address"
    page = client.get("/invitations")
    assert page.h1 == "Join Lumen Retail"
    assert "Organization Billing Admin" in page.main
    page = client.submit("/invitations/join", name="", password="short", status=422)
    assert "Enter your name." in page.errors
    page = client.submit("/invitations/join", name="Nora New", password="short", status=422)
    assert page.find("/invitations/join")[0].value_of("name") == "Nora New"
    page = client.submit("/invitations/join", name="Nora New", password=PASSWORD)
    assert page.path == f"/console/{LUMEN}/support"
    assert "You belong to Lumen Retail now." in page.at("flash")
    assert client.get(f"/console/{LUMEN}/cards")
    again = Browser(app)
    again.get(f"/invitations/{secret}", follow=False, status=303)
    assert "no longer works" in again.get("/invitations", status=410).main


def test_who_has_an_account_signs_in_first_and_accepts(town: Town, client: Browser) -> None:
    secret = invite(town, "owner@aurora.example")
    client.get(f"/invitations/{secret}", follow=False, status=303)
    page = client.get("/invitations")
    assert page.all("a", href="/sign-in?next=/invitations")
    assert not page.all("input", name="password")
    client.get("/sign-in?next=/invitations")
    page = client.submit("/sign-in", email="owner@aurora.example", password="helpcenter-demo")
    assert page.path == "/invitations"
    page = client.submit("/invitations/accept")
    assert page.path == f"/console/{LUMEN}/support"
    again = client.post("/invitations/accept")
    assert (again.status, again.headers["Location"]) == (303, f"/console/{LUMEN}/support"), "a double click leads on"


def test_somebody_else_is_told_for_whom_it_is(town: Town, sign_in: SignIn) -> None:
    secret = invite(town, "owner@aurora.example")
    other = sign_in("owner@northwind.example")
    other.get(f"/invitations/{secret}", follow=False, status=303)
    page = other.get("/invitations")
    assert "You are signed in as owner@northwind.example" in page.main
    assert "owner@aurora.example" not in page.main
    assert other.post("/invitations/accept").status == 422
    assert (
        town.count(Membership, Membership.organization_id == town.scalars(select(Invitation))[0].organization_id) == 3
    )


def test_a_link_that_is_too_old_says_whom_to_ask(town: Town, client: Browser) -> None:
    secret = invite(town)
    client.get(f"/invitations/{secret}", follow=False, status=303)
    with travel(now() + timedelta(hours=25), tick=False):
        assert "Ask Owner Of Lumen to send" in client.get("/invitations", status=410).main
        assert client.post("/invitations/join", {"name": "x", "password": PASSWORD}).status == 410


def test_a_role_is_changed_and_a_second_owner_who_is_quicker_is_seen(town: Town, owner: Browser) -> None:
    path = f"{ALL}/{id_of(town, MEMBER)}"
    owner.get(path)
    with town.open() as session:
        session.get_one(Membership, id_of(town, MEMBER)).role = Role.BILLING_ADMIN
    page = owner.submit(f"{path}/role", role="owner", status=409)
    assert "Somebody was quicker" in page.errors[0]
    page = owner.submit(f"{path}/role", role="owner")
    assert "is Organization Owner now" in page.at("flash")


def test_removing_ends_access_at_once_and_leaving_does_as_well(town: Town, owner: Browser, sign_in: SignIn) -> None:
    member = sign_in(MEMBER)
    member.get(f"/console/{LUMEN}/support")
    path = f"{ALL}/{id_of(town, MEMBER)}/remove"
    assert "their name" in owner.get(path).main
    assert "no longer a member" in owner.submit(path).at("flash")
    assert member.get(f"/console/{LUMEN}/support", status=404), "as for anybody who does not belong to it"
    assert owner.get(path, status=404)
    billing = sign_in("billing@lumen.example")
    billing.get(f"/console/{LUMEN}/leave")
    assert "You have left Lumen Retail" in billing.submit(f"/console/{LUMEN}/leave").at("flash")
    assert billing.get(ALL, status=404)
    assert billing.post(f"/console/{LUMEN}/keep-plan").status == 404
    page = owner.post(f"/console/{LUMEN}/leave", {})
    assert page.status == 422
    assert "only Owner" in page.errors[0]


def test_the_owner_chooses_who_sees_requests(town: Town, owner: Browser, sign_in: SignIn) -> None:
    key = town.file(OWNER)
    member = sign_in(MEMBER)
    assert member.get(f"/requests/{key}")
    owner.get(ALL)
    owner.submit(f"/console/{LUMEN}/visibility", visibility=Visibility.OWN.value)
    assert member.get(f"/requests/{key}", status=404)
    assert owner.post(f"/console/{LUMEN}/visibility", {"visibility": "nobody"}).status == 422
