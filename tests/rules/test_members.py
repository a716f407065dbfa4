"""Who belongs to an organization: somebody always stays its Owner, and an invitation is good once, for a day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from factories import LUMEN, NORTHWIND, Town, now
from sqlalchemy import select

from extensions import outside
from models import invitations, members
from models.audit import Group
from models.base import NotFound, Refused
from models.events import Event, EventKind
from models.invitations import Entrance, Invitation, find_invitation, masked
from models.letters import facts_of
from models.organizations import Membership, Organization, Visibility
from models.outbox import Letter, Message, MessageState
from models.outside import Undeliverable
from models.people import Person, digest
from models.permissions import Role

OWNER, MEMBER, NEW = "owner@lumen.example", "member@lumen.example", "new@lumen.example"
PASSWORD = "four words only mine"


def house(session: Any, slug: str = LUMEN) -> Organization:
    return session.scalars(select(Organization).where(Organization.slug == slug)).one()  # type: ignore[no-any-return]


def person(session: Any, email: str) -> Person:
    return session.scalars(select(Person).where(Person.email == email)).one()  # type: ignore[no-any-return]


def member(session: Any, email: str, slug: str = LUMEN) -> Membership:
    mine = select(Membership).join(Person, Person.id == Membership.person_id).join(Organization)
    return session.scalars(mine.where(Person.email == email, Organization.slug == slug)).one()  # type: ignore[no-any-return]


def invite(town: Town, email: str = NEW, role: Role = Role.MEMBER, at: Any = None) -> str:
    """Invite the address and return the secret of the mail."""
    with town.open() as session:
        invitations.invite(
            house(session), person(session, OWNER), email, role, our_domain="support.example", now=at or now()
        )
    return secret_of(town)


def secret_of(town: Town) -> str:
    letters = town.scalars(select(Message).where(Message.kind == Letter.INVITATION).order_by(Message.id))
    return str(letters[-1].data["token"])


def refused(town: Town, verb: Any) -> str:
    with pytest.raises(Refused) as caught, town.open() as session:
        verb(session)
    return caught.value.reason


def kinds(town: Town) -> list[EventKind]:
    return [event.kind for event in town.scalars(select(Event).order_by(Event.id))]


def test_a_role_changes_at_once_and_the_member_is_told(town: Town) -> None:
    with town.open() as session:
        assert members.change_role(member(session, MEMBER), person(session, OWNER), Role.BILLING_ADMIN, now=now())
        assert not members.change_role(member(session, MEMBER), person(session, OWNER), Role.BILLING_ADMIN, now=now())
    with town.open() as session:
        assert member(session, MEMBER).role is Role.BILLING_ADMIN
        (message,) = session.scalars(select(Message)).all()
        assert facts_of(message, session, "https://help.example")["role"] == "Organization Billing Admin"
    assert kinds(town) == [EventKind.MEMBER_ROLE]
    event = town.scalars(select(Event))[0]
    assert (event.person_id, event.data["before"], event.data["after"]) == (
        town.person(MEMBER).id,
        "member",
        "billing-admin",
    )


@pytest.mark.parametrize("role", [Role.AGENT, Role.SALES, Role.ADMINISTRATOR, Role.NOBODY])
def test_nobody_gets_a_role_that_is_none_of_an_organization(town: Town, role: Role) -> None:
    def verb(session: Any) -> None:
        members.change_role(member(session, MEMBER), person(session, OWNER), role, now=now())

    assert "role" in refused(town, verb)


def test_the_last_owner_can_neither_go_nor_be_another(town: Town) -> None:
    def demote(session: Any) -> None:
        members.change_role(member(session, OWNER), person(session, OWNER), Role.MEMBER, now=now())

    def leave(session: Any) -> None:
        members.remove(member(session, OWNER), person(session, OWNER), now=now())

    assert "only Owner" in refused(town, demote)
    assert "only Owner" in refused(town, leave)
    with town.open() as session:
        members.change_role(member(session, MEMBER), person(session, OWNER), Role.OWNER, now=now())
    with town.open() as session:
        person(session, MEMBER).active = False
    assert "only Owner" in refused(town, leave), "somebody who is deactivated owns nothing"
    with town.open() as session:
        person(session, MEMBER).active = True
    with town.open() as session:
        leave(session)
    assert town.count(Membership, Membership.person_id == town.person(OWNER).id) == 0


def test_who_is_removed_loses_access_and_mail_and_the_requests_stay(town: Town) -> None:
    key = town.file(MEMBER)
    before = town.count(Message)
    with town.open() as session:
        members.remove(member(session, MEMBER), person(session, OWNER), now=now())
    told = town.scalars(select(Message).order_by(Message.id))[before:]
    assert [(m.kind, m.recipient) for m in told] == [(Letter.MEMBER_REMOVED, MEMBER)]
    town.answer(key)
    later = town.scalars(select(Message).where(Message.kind == Letter.TICKET_REPLIED))
    assert MEMBER not in {m.recipient for m in later}
    assert town.ticket(key).organization_id is not None


def test_who_sees_requests_is_the_owners_choice(town: Town) -> None:
    with town.open() as session:
        assert members.set_visibility(house(session), person(session, OWNER), Visibility.OWN, now=now())
        assert not members.set_visibility(house(session), person(session, OWNER), Visibility.OWN, now=now())
    assert kinds(town) == [EventKind.VISIBILITY_CHANGED]


def test_an_invitation_makes_an_account_and_a_member_once(town: Town) -> None:
    secret = invite(town, role=Role.BILLING_ADMIN)
    assert town.scalars(select(Invitation))[0].token_hash == digest(secret)
    with town.open() as session:
        there = find_invitation(session, secret, now=now())
        assert there is not None
        assert invitations.entrance_of(there) is Entrance.JOIN
        invitations.join(there, "Nora New", PASSWORD, outside().passwords, now=now())
    with town.open() as session:
        assert member(session, NEW).role is Role.BILLING_ADMIN
        assert member(session, NEW).joined_at is not None
        assert outside().passwords.fits(person(session, NEW), PASSWORD)
        assert find_invitation(session, secret, now=now()) is None
    assert kinds(town) == [EventKind.MEMBER_INVITED, EventKind.MEMBER_JOINED]


def test_an_invitation_dies_after_a_day_by_a_newer_one_and_when_it_is_revoked(town: Town) -> None:
    at = now()
    secret = invite(town, at=at)

    def live(secret: str, hours: float) -> bool:
        with town.open() as session:
            return find_invitation(session, secret, now=at + timedelta(hours=hours)) is not None

    assert live(secret, 23.9)
    assert not live(secret, 24)
    with town.open() as session:
        there = session.scalars(select(Invitation)).one()
        invitations.resend(there, person(session, OWNER), now=at + timedelta(hours=30))
    newer = secret_of(town)
    assert not live(secret, 30)
    assert live(newer, 31)
    with town.open() as session:
        first, second = session.scalars(select(Message).order_by(Message.id))
        assert facts_of(second, session, "https://help.example")["url"].endswith(newer)
        with pytest.raises(Undeliverable):
            facts_of(first, session, "https://help.example")
        invitations.revoke(session.scalars(select(Invitation)).one(), person(session, OWNER), now=at)
    assert not live(newer, 31)
    with pytest.raises(NotFound), town.open() as session:
        invitations.invitation_of(house(session), 1)
    assert kinds(town)[-2:] == [EventKind.INVITATION_RESENT, EventKind.INVITATION_REVOKED]
    assert invite(town), "an address that was revoked can be invited again"


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("nobody", "Enter the email address"),
        ("a@b", "Enter the email address"),
        ("x\r\nBcc: y@z.example", "Enter the email address"),
        ("Agent@Support.Example", "support company itself"),
        ("somebody@mail.support.example", "support company itself"),
        ("MEMBER@lumen.example", "is a member of Lumen Retail already"),
    ],
)
def test_whom_nobody_can_invite(town: Town, email: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        invite(town, email)
    assert town.count(Message) == town.count(Invitation) == 0


def test_an_address_is_invited_once_at_a_time(town: Town) -> None:
    invite(town)
    with pytest.raises(Refused, match="invited already"):
        invite(town, NEW.upper())


def test_only_who_was_invited_can_accept(town: Town) -> None:
    secret = invite(town, "owner@northwind.example")

    def verb(session: Any) -> None:
        there = find_invitation(session, secret, now=now())
        assert there is not None
        invitations.accept(there, person(session, "owner@aurora.example"), now=now())

    assert "another address" in refused(town, verb)
    with town.open() as session:
        there = find_invitation(session, secret, now=now())
        assert there is not None
        assert invitations.entrance_of(there) is Entrance.SIGN_IN
        invitations.accept(there, person(session, "owner@northwind.example"), now=now())
        with pytest.raises(NotFound):
            invitations.accept(there, person(session, "owner@northwind.example"), now=now())
    with town.open() as session:
        assert member(session, "owner@northwind.example").role is Role.MEMBER
        assert member(session, "owner@northwind.example", NORTHWIND).role is Role.OWNER


def test_no_invitation_takes_an_account_over(town: Town) -> None:
    secret = invite(town, "owner@northwind.example")

    def verb(session: Any) -> None:
        there = find_invitation(session, secret, now=now())
        assert there is not None
        invitations.join(there, "Mallory", PASSWORD, outside().passwords, now=now())

    assert "account with this address" in refused(town, verb)


def test_an_account_without_a_password_is_completed(town: Town) -> None:
    with town.open() as session:
        person(session, "nobody@nowhere.example").password_hash = ""
    secret = invite(town, "nobody@nowhere.example")
    with town.open() as session:
        there = find_invitation(session, secret, now=now())
        assert there is not None
        assert invitations.entrance_of(there) is Entrance.JOIN
        with pytest.raises(Refused):
            invitations.join(there, "Nemo", "short", outside().passwords, now=now())
        invitations.join(there, "Nemo", PASSWORD, outside().passwords, now=now())
    assert town.person("nobody@nowhere.example").name == "Nemo"
    assert town.count(Person, Person.email == "nobody@nowhere.example") == 1


def second_owner(session: Any) -> Membership:
    members.change_role(member(session, MEMBER), person(session, OWNER), Role.OWNER, now=now())
    return member(session, MEMBER)


@pytest.mark.parametrize("how", ["removed", "demoted", "deactivated"])
def test_who_may_no_longer_invite_brings_nobody_in(town: Town, how: str) -> None:
    with town.open() as session:
        second_owner(session)
        invitations.invite(
            house(session), person(session, MEMBER), NEW, Role.OWNER, our_domain="support.example", now=now()
        )
    secret = secret_of(town)
    with town.open() as session:
        if how == "removed":
            members.remove(member(session, MEMBER), person(session, OWNER), now=now())
        elif how == "demoted":
            members.change_role(member(session, MEMBER), person(session, OWNER), Role.MEMBER, now=now())
        else:
            person(session, MEMBER).active = False
    with town.open() as session:
        assert find_invitation(session, secret, now=now()) is None


def test_who_is_removed_does_not_come_back_by_an_older_mail(town: Town) -> None:
    secret = invite(town, "owner@northwind.example")
    with town.open() as session:
        session.add(
            Membership(person=person(session, "owner@northwind.example"), organization=house(session), role=Role.MEMBER)
        )
    with town.open() as session:
        members.remove(member(session, "owner@northwind.example"), person(session, OWNER), now=now())
        assert find_invitation(session, secret, now=now()) is None


def test_staff_are_not_invited_whatever_their_address(town: Town) -> None:
    town.hire("contractor@elsewhere.example", Role.AGENT)
    with pytest.raises(Refused, match="support company itself"):
        invite(town, "contractor@elsewhere.example")


def test_an_account_that_is_deactivated_is_no_way_in(town: Town) -> None:
    secret = invite(town, "owner@northwind.example")
    with town.open() as session:
        person(session, "owner@northwind.example").active = False
    with town.open() as session:
        there = find_invitation(session, secret, now=now())
        assert there is not None
        assert invitations.entrance_of(there) is Entrance.BARRED


def test_an_address_of_somebody_else_is_shown_in_part() -> None:
    assert masked("maya.okafor@aurora.example") == "m…@aurora.example"


def test_an_invitation_that_could_not_be_delivered_is_sent_by_an_owner_alone(town: Town) -> None:
    invite(town)
    with town.open() as session:
        message = session.scalars(select(Message)).one()
        message.state = MessageState.UNDELIVERABLE
        with pytest.raises(Refused, match="Ask an Owner"):
            message.retry(now())


def test_every_kind_of_event_belongs_to_a_group_of_the_log() -> None:
    grouped = {kind for group in Group for kind in group.kinds}
    assert set(EventKind) - grouped == set()
