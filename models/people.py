"""People, their passwords, their sign-ins, and the limits on guessing."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, ForeignKey, Index, Row, String, bindparam, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, validates

from models.base import Labelled, Model, NotFound, Query, Refused, read, session_of
from models.events import EventKind, record
from models.numbers import hold
from models.permissions import Role

if TYPE_CHECKING:
    from models.organizations import Membership

# OWASP ASVS 5.0, 6.2.1 and 6.2.9: at least 8 characters, 15 advised, at least 64 allowed.
PASSWORD_LEAST = 12
PASSWORD_MOST = 200
# Last use is written at most so often, so that reading pages stays reading.
SEEN_EVERY = timedelta(minutes=5)


class Theme(Labelled):
    """Light, dark, or as the person's system says."""

    SYSTEM = "system", "Same as the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


@dataclass(frozen=True)
class Badge:
    """What a row shows of a person: the name, and the letters and the colour of the round picture."""

    name: str
    initials: str
    hue: int


@lru_cache(maxsize=2048)
def badge_of(name: str, email_folded: str) -> Badge:
    """Return the badge of whoever has that name and address: one or two letters, always the same of three colours."""
    words = name.split()
    initials = (words[0][:1] + (words[-1][:1] if len(words) > 1 else "")).upper() if words else ""
    return Badge(name, initials, hashlib.sha256(email_folded.encode()).digest()[0] % 3)


class Person(Model):
    """Somebody with an account: a customer, staff, or both."""

    __tablename__ = "people"
    __table_args__ = (Index(None, "name", "id"), Index(None, "staff_role", "active", "name", "id"))

    email: Mapped[str] = mapped_column(String(254))
    # Databases disagree on comparing without case, so the folded copy is what is compared.
    email_folded: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str]
    password_hash: Mapped[str] = mapped_column(default="")
    staff_role: Mapped[Role | None]
    active: Mapped[bool] = mapped_column(default=True)
    # An agent whom escalations alert, who keeps the on-call list, and who sees what each agent did.
    duty_manager: Mapped[bool] = mapped_column(default=False)
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    theme: Mapped[Theme] = mapped_column(default=Theme.SYSTEM)
    page_size: Mapped[int] = mapped_column(default=25)
    shortcuts: Mapped[bool] = mapped_column(default=False)
    chosen_organization_id: Mapped[int | None]
    created_at: Mapped[datetime]

    memberships: Mapped[list[Membership]] = relationship(back_populates="person")

    @validates("staff_role")
    def _begin_with_keys(self, _name: str, role: Role | None) -> Role | None:
        """Turn single keys on for whoever joins the staff: off is the default of customers alone."""
        if role is not None and self.staff_role is None:
            self.shortcuts = True
        return role

    @property
    def badge(self) -> Badge:
        """What a row shows of the person."""
        return badge_of(self.name, self.email_folded)

    @property
    def initials(self) -> str:
        """One or two letters for the round picture."""
        return self.badge.initials

    @property
    def hue(self) -> int:
        """Which of three quiet colours the round picture has: always the same for one person."""
        return self.badge.hue

    @property
    def first_name(self) -> str:
        """The first word of the name."""
        return self.name.split()[0] if self.name.split() else self.name


class SignIn(Model):
    """One signed-in browser. The cookie carries the token, the row only its hash."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index(None, "person_id"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    device: Mapped[str]
    address: Mapped[str] = mapped_column(String(45))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)


class OneTimeLink(Model):
    """A secret sent to somebody: to choose a new password, or to set up the installation. Used once."""

    __tablename__ = "one_time_links"

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), index=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Failure(Model):
    """One try that counts against a limit; old rows are swept by the worker."""

    __tablename__ = "failures"
    __table_args__ = (Index(None, "scope", "key", "at"), Index(None, "at"))

    scope: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


@dataclass(frozen=True)
class Limit:
    """At most `most` tries in `window`, counted over all processes in the database."""

    scope: str
    most: int
    window: timedelta


PER_ACCOUNT = Limit("account", 10, timedelta(minutes=15))
PER_ADDRESS = Limit("address", 30, timedelta(minutes=15))
RESET_PER_ACCOUNT = Limit("reset", 3, timedelta(minutes=15))
RESET_PER_ADDRESS = Limit("reset-address", 30, timedelta(minutes=15))
INVITES_PER_ADDRESS = Limit("invite-address", 5, timedelta(days=1))
INVITES_PER_PERSON = Limit("invite", 30, timedelta(hours=1))
CONTACT_PER_PERSON = Limit("contact", 5, timedelta(hours=1))


class TooMany(Exception):  # noqa: N818
    """A limit is reached; `until` is when the next try is let through."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


def folded(email: str) -> str:
    """Return the address as it is compared: without case and outer spaces."""
    return email.strip().casefold()[:254]


def digest(secret: str) -> str:
    """Return the hash under which a random secret is stored (it has 128 bits or more, so no salt is needed)."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Passwords:
    """Argon2id with the installation's cost, which the settings give at the start."""

    def __init__(self, memory_kib: int, rounds: int) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """Return the salted hash of the password."""
        return self._hasher.hash(password)

    def fits(self, person: Person | None, password: str) -> bool:
        """Tell whether this is the person's password; costs the same when there is no such person."""
        known = person.password_hash if person and person.password_hash else self._nobody
        try:
            right = self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False
        return right and person is not None and bool(person.password_hash)


def check_password(password: str, *, email: str = "", name: str = "", field: str = "password") -> None:
    """Raise Refused for a password that is too short, too long, commonly used, or made of the person's own name.

    Sources: OWASP ASVS 5.0, 6.2.1 (length), 6.2.4 (the most used ones), 6.2.9 (64 characters and more are let through).
    """
    if len(password) < PASSWORD_LEAST:
        raise Refused(
            f"Use at least {PASSWORD_LEAST} characters, for example four words that only you put together.", field
        )
    if len(password) > PASSWORD_MOST:
        raise Refused(f"Use at most {PASSWORD_MOST} characters.", field)
    # Its word lists take 10 MB, and few processes ever need them: they are loaded at the first new password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    low = password.casefold()
    own = {part for part in (folded(email), folded(email).split("@", maxsplit=1)[0], name.casefold()) if len(part) > 3}
    if low in FREQUENCY_LISTS["passwords"] or low in own or len(set(low)) < 4:
        raise Refused("This password is among the first that anybody would guess. Choose another one.", field)


def person_by_email(session: Session, email: str) -> Person | None:
    """Return the person of that address, whatever its case."""
    return session.scalar(select(Person).where(Person.email_folded == folded(email)))


def count_try(session: Session, limits: dict[Limit, str], *, now: datetime) -> None:
    """Count one try against each limit (limit to whom it counts for); raises TooMany when one is reached already.

    The caller commits before it does the costly part, so that tries at the same time on several processes all count.
    """
    hold(session, "tries")
    for limit, whom in limits.items():
        key = digest(f"{limit.scope}:{whom}")
        tries = select(func.count(), func.min(Failure.at)).where(
            Failure.scope == limit.scope, Failure.key == key, Failure.at > now - limit.window
        )
        count, oldest = session.execute(tries).one()
        if count >= limit.most:
            raise TooMany(oldest + limit.window)
    session.add_all(
        Failure(scope=limit.scope, key=digest(f"{limit.scope}:{whom}"), at=now) for limit, whom in limits.items()
    )


def forgive(session: Session, limits: dict[Limit, str], *, now: datetime) -> None:
    """Take the latest try back, since it succeeded; an account's earlier failures are forgotten as well."""
    for limit, whom in limits.items():
        key = digest(f"{limit.scope}:{whom}")
        mine = delete(Failure).where(Failure.scope == limit.scope, Failure.key == key)
        session.execute(mine if limit is PER_ACCOUNT else mine.where(Failure.at == now))


def sign_in(person: Person, *, device: str, address: str, now: datetime) -> str:
    """Open a sign-in for the person and return its secret token, which only the cookie keeps."""
    secret = secrets.token_urlsafe(32)
    session = session_of(person)
    session.add(
        SignIn(
            person_id=person.id,
            token_hash=digest(secret),
            device=device[:200],
            address=address[:45],
            created_at=now,
            last_seen_at=now,
        )
    )
    record(session, EventKind.SIGNED_IN, now=now, actor_id=person.id, address=address[:45])
    return secret


def sign_in_of(session: Session, secret: str) -> SignIn | None:
    """Return the sign-in that the token belongs to, ended or not."""
    return session.scalar(select(SignIn).where(SignIn.token_hash == digest(secret)))


def is_live(entry: SignIn, *, now: datetime, idle: timedelta, absolute: timedelta) -> bool:
    """Tell whether the sign-in still counts: not ended, used within `idle`, younger than `absolute`, person active."""
    young = now - entry.created_at < absolute and now - entry.last_seen_at < idle
    return entry.ended_at is None and entry.person.active and young


def touch(session: Session | Connection, sign_in_id: int, *, now: datetime) -> None:
    """Note that the sign-in was used, at most every five minutes."""
    stale = (SignIn.id == sign_in_id) & (SignIn.last_seen_at < now - SEEN_EVERY)
    session.execute(update(SignIn).where(stale).values(last_seen_at=now))


def sign_ins_of(person: Person, *, now: datetime, idle: timedelta, absolute: timedelta) -> list[SignIn]:
    """Return the person's live sign-ins, the latest used first (fifty at most; older ones are swept)."""
    mine = select(SignIn).where(
        SignIn.person_id == person.id,
        SignIn.ended_at.is_(None),
        SignIn.last_seen_at > now - idle,
        SignIn.created_at > now - absolute,
    )
    return list(session_of(person).scalars(mine.order_by(SignIn.last_seen_at.desc(), SignIn.id.desc()).limit(50)))


def end_sign_in(person: Person, sign_in_id: int, *, now: datetime) -> None:
    """End one of the person's own sign-ins; raises NotFound for anybody else's."""
    session = session_of(person)
    entry = session.scalar(select(SignIn).where(SignIn.id == sign_in_id, SignIn.person_id == person.id))
    if entry is None:
        raise NotFound
    entry.ended_at = entry.ended_at or now
    record(session, EventKind.SIGN_IN_ENDED, now=now, actor_id=person.id)


def end_sign_ins(person: Person, *, now: datetime, but: int | None = None) -> None:
    """End all of the person's sign-ins but the one named."""
    others = update(SignIn).where(SignIn.person_id == person.id, SignIn.ended_at.is_(None), SignIn.id != (but or 0))
    session_of(person).execute(others.values(ended_at=now))


def change_password(
    person: Person, password: str, passwords: Passwords, *, now: datetime, keep: int | None = None
) -> None:
    """Set a new password and end the person's sign-ins but the one kept; raises Refused for a weak one."""
    check_password(password, email=person.email, name=person.name)
    person.password_hash = passwords.hash(password)
    session = session_of(person)
    end_sign_ins(person, now=now, but=keep)
    spent = update(OneTimeLink).where(OneTimeLink.person_id == person.id, OneTimeLink.used_at.is_(None))
    session.execute(spent.values(used_at=now))
    record(session, EventKind.PASSWORD_CHANGED, now=now, actor_id=person.id)


def hold_person(connection: Connection, person_id: int) -> None:
    """Let no other transaction that holds this person go on before this one has ended."""
    connection.execute(select(Person.id).where(Person.id == person_id).with_for_update(key_share=True))


def agents(session: Session) -> list[Person]:
    """Return the active support agents by name (two hundred at most)."""
    return _staff(session, Role.AGENT)


def agents_to_choose(session: Session) -> Sequence[Row[int, str]]:
    """Return the id and the name of each active support agent, by name (two hundred at most)."""
    return read(session, _TO_CHOOSE, role=Role.AGENT).all()


def sellers(session: Session) -> list[Person]:
    """Return the active people of sales by name (two hundred at most)."""
    return _staff(session, Role.SALES)


def _staff(session: Session, role: Role) -> list[Person]:
    return list(session.scalars(_of_staff(select(Person)), {"role": role}))


def _of_staff(wanted: Query) -> Query:
    active = wanted.where(Person.staff_role == bindparam("role"), Person.active)
    return active.order_by(Person.name, Person.id).limit(200)


_TO_CHOOSE = _of_staff(select(Person.id, Person.name))
