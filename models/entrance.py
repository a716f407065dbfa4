"""One-time links: a forgotten password, and the first administrator of an installation."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import NotFound, Refused
from models.events import EventKind, record
from models.outbox import Letter, queue
from models.people import (
    OneTimeLink,
    Passwords,
    Person,
    change_password,
    check_password,
    digest,
    folded,
    person_by_email,
)
from models.permissions import Role

# OWASP ASVS 5.0, 6.4.1: a link that sets a password is used once and lives an hour.
RESET_LIFE = timedelta(hours=1)
SET_UP_LIFE = timedelta(hours=24)
_EMAIL = re.compile(r"[^@\s<>\"(),:;\\]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z0-9-]{2,60}")


def is_address(email: str) -> bool:
    """Tell whether this can be an email address."""
    return _EMAIL.fullmatch(email) is not None


def make_link(
    session: Session, person: Person | None, *, now: datetime, life: timedelta, keep_others: bool = False
) -> str:
    """Return a fresh one-time secret; older ones of the same person (or the same set-up) die unless kept."""
    whose = OneTimeLink.person_id == person.id if person else OneTimeLink.person_id.is_(None)
    until = now if not keep_others else None
    session.execute(update(OneTimeLink).where(whose, OneTimeLink.used_at.is_(None)).values(used_at=until))
    secret = secrets.token_urlsafe(32)
    session.add(OneTimeLink(token_hash=digest(secret), person_id=person.id if person else None, expires_at=now + life))
    return secret


def link_of(session: Session, secret: str, *, now: datetime, for_set_up: bool = False) -> OneTimeLink:
    """Return the unused, unexpired link of that secret; raises NotFound for any other."""
    whose = OneTimeLink.person_id.is_(None) if for_set_up else OneTimeLink.person_id.is_not(None)
    live = (OneTimeLink.token_hash == digest(secret)) & OneTimeLink.used_at.is_(None) & (OneTimeLink.expires_at > now)
    link = session.scalar(select(OneTimeLink).where(live, whose))
    if link is None:
        raise NotFound
    return link


def spend(session: Session, link: OneTimeLink, *, now: datetime) -> None:
    """Use the link up; raises NotFound when another process was quicker."""
    mine = update(OneTimeLink).where(OneTimeLink.id == link.id, OneTimeLink.used_at.is_(None)).values(used_at=now)
    if session.execute(mine).rowcount != 1:  # type: ignore[attr-defined]
        raise NotFound


def find_link(session: Session, secret: str, *, now: datetime) -> OneTimeLink | None:
    """Return the live link for a new password, or None."""
    try:
        return link_of(session, secret, now=now)
    except NotFound:
        return None


class _TakenBack(Exception):  # noqa: N818
    """Ends the writing for an address that nobody has."""


@dataclass(frozen=True)
class _Nobody:
    """Who gets the letter that is never sent."""

    email: str
    id: int | None = None
    name: str = ""


def ask_reset(session: Session, email: str, *, now: datetime) -> None:
    """Send a link for a new password, if there is such an account; who asks cannot tell which.

    For an unknown address the same rows are written and taken back, so that the time tells nothing either.
    """
    person = person_by_email(session, email)
    with suppress(_TakenBack), session.begin_nested():
        known = person is not None and person.active
        secret = make_link(session, person if known else None, now=now, life=RESET_LIFE, keep_others=not known)
        record(session, EventKind.RESET_ASKED, now=now, actor_id=person.id if person and known else None)
        to = person if person is not None and known else _Nobody(email)
        queue(session, Letter.SIGN_IN_RESET, to=to, now=now, give_up_at=now + RESET_LIFE, token=secret)
        session.flush()
        if not known:
            raise _TakenBack


def use_reset(session: Session, link: OneTimeLink, password: str, passwords: Passwords, *, now: datetime) -> Person:
    """Set the link's person's password, end every sign-in, tell the person by mail; raises Refused, NotFound."""
    person = session.get_one(Person, link.person_id)
    check_password(password, email=person.email, name=person.name)
    spend(session, link, now=now)
    change_password(person, password, passwords, now=now)
    queue(session, Letter.PASSWORD_CHANGED, to=person, now=now)
    return person


def set_up_link(session: Session, secret: str, *, now: datetime) -> OneTimeLink:
    """Return the link for setting up; raises NotFound when it is spent, or the installation is set up already."""
    if has_administrator(session):
        raise NotFound
    return link_of(session, secret, now=now, for_set_up=True)


def set_up(
    session: Session,
    link: OneTimeLink,
    name: str,
    email: str,
    password: str,
    passwords: Passwords,
    *,
    now: datetime,
) -> Person:
    """Create the first administrator. Of two at the same moment one wins: the other's link is spent (NotFound)."""
    if not is_address(email):
        raise Refused("Enter your email address, for example maya@example.com.", "email")
    check_password(password, email=email, name=name)
    spend(session, link, now=now)
    person = Person(
        email=email,
        email_folded=folded(email),
        name=name,
        password_hash=passwords.hash(password),
        staff_role=Role.ADMINISTRATOR,
        memberships=[],
        created_at=now,
    )
    session.add(person)
    session.flush()
    record(session, EventKind.SET_UP, now=now, actor_id=person.id)
    return person


def has_administrator(session: Session) -> bool:
    """Tell whether the installation is set up."""
    return session.scalar(select(Person.id).where(Person.staff_role == Role.ADMINISTRATOR).limit(1)) is not None
