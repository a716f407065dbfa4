"""Invitations into an organization: a secret in a mail, good once and for a day. Source: OWASP ASVS 5.0, 6.4.1."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, ForeignKey, Index, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Labelled, Model, NotFound, Refused, session_of
from models.entrance import is_address
from models.events import EventKind, record
from models.organizations import Membership, Organization, role_in
from models.outbox import Letter, Message, MessageState, queue
from models.people import Passwords, Person, check_password, digest, folded, person_by_email
from models.permissions import ORGANIZATION_ROLES, Permission, Role, allowed

LIFE = timedelta(hours=24)
OPEN_MOST = 100
_EMAIL = "Enter the email address, for example maya@example.com."


class Invitation(Model):
    """Somebody asked to join an organization. The mail carries the token, the row only its hash."""

    __tablename__ = "invitations"
    __table_args__ = (Index(None, "organization_id", "closed_at"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str] = mapped_column(String(254))
    email_folded: Mapped[str] = mapped_column(String(254))
    # Organization and address while it is open, then null: so the database, too, lets one be open at a time.
    open_for: Mapped[str | None] = mapped_column(String(290), unique=True)
    role: Mapped[Role]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    # Accepted, or revoked.
    closed_at: Mapped[datetime | None]

    organization: Mapped[Organization] = relationship(lazy="joined", innerjoin=True)
    inviter: Mapped[Person] = relationship(lazy="joined", innerjoin=True)


@dataclass(frozen=True)
class Pending:
    """An open invitation as the members' page shows it; `words` says how it stands."""

    invitation: Invitation
    words: str
    late: bool


def open_invitations(organization: Organization, *, now: datetime) -> list[Pending]:
    """Return the organization's open invitations, the newest first, with what became of their mail (one statement)."""
    mine = (Invitation.organization_id == organization.id) & Invitation.closed_at.is_(None)
    rows = session_of(organization).execute(
        select(Invitation, Message.state)
        .outerjoin(Message, Message.id == Invitation.message_id)
        .where(mine)
        .order_by(Invitation.id.desc())
        .limit(OPEN_MOST)
    )
    return [_pending(invitation, state, now) for invitation, state in rows]


def _pending(invitation: Invitation, state: MessageState | None, now: datetime) -> Pending:
    if state is MessageState.UNDELIVERABLE:
        return Pending(invitation, "The mail could not be delivered", late=True)
    if invitation.expires_at <= now:
        return Pending(invitation, "Expired", late=True)
    return Pending(invitation, "Waiting", late=False)


def invite(
    organization: Organization, actor: Person, email: str, role: Role, *, our_domain: str, now: datetime
) -> Invitation:
    """Invite an address, whether or not somebody has an account with it: nobody is told which.

    Raises Refused for what is no address, for one of the company's own domain, for a member, and for an address that
    has an open invitation.
    """
    if not is_address(email):
        raise Refused(_EMAIL, "email")
    if role not in ORGANIZATION_ROLES:
        raise Refused("Choose a role from the list.", "role")
    session, domain = session_of(organization), folded(email).rpartition("@")[2]
    there = person_by_email(session, email)
    ours = domain == our_domain.casefold() or domain.endswith(f".{our_domain.casefold()}")
    if ours or (there is not None and there.staff_role is not None):
        raise Refused("This address belongs to the support company itself. Enter an address of your own.", "email")
    if there is not None and any(m.organization_id == organization.id for m in there.memberships):
        raise Refused(f"{there.name} is a member of {organization.name} already.", "email")
    open_for = _place(organization, email)
    if session.scalar(select(Invitation.id).where(Invitation.open_for == open_for)) is not None:
        raise Refused(f"{email} is invited already. Send the mail again in the list of invitations.", "email")
    if len(open_invitations(organization, now=now)) >= OPEN_MOST:
        raise Refused(f"{OPEN_MOST} invitations are open, which is the most. Revoke one first.")
    invitation = Invitation(
        organization=organization,
        email=email,
        email_folded=folded(email),
        open_for=open_for,
        role=role,
        token_hash="",
        inviter=actor,
        sent_at=now,
        expires_at=now,
    )
    session.add(invitation)
    _send(invitation, now=now)
    _note(invitation, EventKind.MEMBER_INVITED, actor, now=now)
    return invitation


def invitation_of(organization: Organization, invitation_id: int) -> Invitation:
    """Return the organization's open invitation of that id; raises NotFound for any other."""
    mine = (Invitation.id == invitation_id) & (Invitation.organization_id == organization.id)
    found = session_of(organization).scalar(select(Invitation).where(mine, Invitation.closed_at.is_(None)))
    if found is None:
        raise NotFound
    return found


def resend(invitation: Invitation, actor: Person, *, now: datetime) -> None:
    """Send the mail anew, with another secret: the old one dies."""
    _send(invitation, now=now)
    _note(invitation, EventKind.INVITATION_RESENT, actor, now=now)


def revoke(invitation: Invitation, actor: Person, *, now: datetime) -> None:
    """Take the invitation back; its secret dies."""
    invitation.closed_at, invitation.open_for = now, None
    _note(invitation, EventKind.INVITATION_REVOKED, actor, now=now)


def close_invitations(organization: Organization, *conditions: ColumnElement[bool], now: datetime) -> None:
    """Take back the organization's open invitations that meet the conditions; their secrets die."""
    mine = (Invitation.organization_id == organization.id) & Invitation.closed_at.is_(None)
    closing = update(Invitation).where(mine, *conditions).values(closed_at=now, open_for=None)
    session_of(organization).execute(closing, execution_options={"synchronize_session": "fetch"})


def find_invitation(session: Session, secret: str, *, now: datetime) -> Invitation | None:
    """Return the live invitation of that secret; None for one that is used, revoked, replaced or too old.

    One whose sender may no longer invite anybody is dead as well.
    """
    found = invitation_by(session, secret)
    if found is None or found.closed_at is not None or found.expires_at <= now:
        return None
    role = role_in(found.inviter, found.organization)
    return found if found.inviter.active and allowed((role or Role.NOBODY,), Permission.MEMBERS) else None


def invitation_by(session: Session, secret: str) -> Invitation | None:
    """Return the invitation of that secret, live or not; None for a secret that was never sent, or was replaced."""
    return session.scalar(select(Invitation).where(Invitation.token_hash == digest(secret))) if secret else None


class Entrance(Labelled):
    """How somebody who is not signed in comes in by an invitation."""

    JOIN = "join", "A new account"
    SIGN_IN = "sign-in", "The account that is there"
    BARRED = "barred", "The account is deactivated"


def entrance_of(invitation: Invitation) -> Entrance:
    """Tell how the one who holds the invitation's mail comes in."""
    there = person_by_email(session_of(invitation), invitation.email)
    if there is not None and not there.active:
        return Entrance.BARRED
    return Entrance.SIGN_IN if there is not None and there.password_hash else Entrance.JOIN


def masked(email: str) -> str:
    """Return an address for somebody else to read: enough to know one's own by."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"


def accept(invitation: Invitation, person: Person, *, now: datetime) -> None:
    """Let the person, who is signed in, join. Raises Refused for anybody but the one who was invited.

    NotFound when the invitation was used or revoked meanwhile.
    """
    if person.email_folded != invitation.email_folded:
        raise Refused("This invitation is for another address. Sign in with that one.")
    session = session_of(invitation)
    closing = update(Invitation).where(Invitation.id == invitation.id, Invitation.closed_at.is_(None))
    if session.execute(closing.values(closed_at=now, open_for=None)).rowcount != 1:  # type: ignore[attr-defined]
        raise NotFound
    house = invitation.organization
    mine = (Membership.person_id == person.id) & (Membership.organization_id == house.id)
    if session.scalar(select(Membership.id).where(mine)) is None:
        session.add(Membership(person=person, organization=house, role=invitation.role, joined_at=now))
    person.chosen_organization_id = house.id
    session.flush()
    _note(invitation, EventKind.MEMBER_JOINED, person, now=now)


def join(invitation: Invitation, name: str, password: str, passwords: Passwords, *, now: datetime) -> Person:
    """Make an account for the invited address, which the mail has proved, and let it join; return the person.

    An account without a password, as the directory makes them, is completed. Raises Refused for a weak password and
    without a name, and when somebody can sign in with the address already.
    """
    session = session_of(invitation)
    there = person_by_email(session, invitation.email)
    if there is not None and (there.password_hash or not there.active):
        raise Refused("There is an account with this address already. Sign in with it.")
    if not name:
        raise Refused("Enter your name.", "name")
    check_password(password, email=invitation.email, name=name, field="password")
    person = there or Person(
        email=invitation.email, email_folded=invitation.email_folded, name=name, memberships=[], created_at=now
    )
    person.name, person.password_hash = name, passwords.hash(password)
    session.add(person)
    session.flush()
    accept(invitation, person, now=now)
    return person


def _send(invitation: Invitation, *, now: datetime) -> None:
    session, secret = session_of(invitation), secrets.token_urlsafe(32)
    invitation.token_hash, invitation.sent_at, invitation.expires_at = digest(secret), now, now + LIFE
    session.flush()
    message = queue(
        session,
        Letter.INVITATION,
        to=_Invited(invitation.email),
        now=now,
        give_up_at=now + LIFE,
        invitation=invitation.id,
        token=secret,
    )
    session.flush()
    invitation.message_id = message.id


@dataclass(frozen=True)
class _Invited:
    """Who gets the mail: an address, which may have no account."""

    email: str
    id: int | None = None

    @property
    def name(self) -> str:
        """Nobody knows it yet."""
        return ""


def _place(organization: Organization, email: str) -> str:
    return f"{organization.id}:{folded(email)}"


def _note(invitation: Invitation, kind: EventKind, actor: Person, *, now: datetime) -> None:
    record(
        session_of(invitation),
        kind,
        now=now,
        actor_id=actor.id,
        organization_id=invitation.organization_id,
        email=invitation.email,
        role=invitation.role.value,
    )
