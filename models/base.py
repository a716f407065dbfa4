"""What every table shares: names of constraints, UTC instants, enums with a label, and the errors of a broken rule."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import Enum as PlainEnum
from enum import StrEnum
from typing import Any, Self, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CursorResult,
    DateTime,
    Dialect,
    Enum,
    Integer,
    MetaData,
    Select,
    String,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, object_session
from sqlalchemy.types import TypeDecorator

# Every constraint has a name, so that a migration can drop it on every database.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite counts rows by itself only in a column of the type INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


class Instant(TypeDecorator[datetime]):
    """A moment in UTC with microseconds: aware in Python, without a zone in the database."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Store UTC; raises TypeError for an instant without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("A stored instant needs a time zone.")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware instant in UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Model(DeclarativeBase):
    """The base of every table; each has an integer key that people never see."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it from the class)
        datetime: Instant,
        str: String(200),
        dict[str, Any]: JSON,
        list[Any]: JSON,
        PlainEnum: Enum(PlainEnum, native_enum=False, length=40, values_callable=lambda kind: [m.value for m in kind]),
    }

    id: Mapped[int] = mapped_column(Id, primary_key=True)


class Labelled(StrEnum):
    """An enum whose members carry the word that people read."""

    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        """Make a member from its stored value and its label."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member


class Refused(Exception):  # noqa: N818 (the sentence reads: the verb refused)
    """A rule was broken by what a person asked; `reason` says what to do next, `field` names the form's field."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class NotFound(Exception):  # noqa: N818
    """There is no such thing, or it is not this person's: nobody outside can tell which."""


class Stale(Exception):  # noqa: N818
    """Somebody else changed the thing since this person read it."""


def session_of(thing: Model) -> Session:
    """Return the session that the object belongs to; raises LookupError when it belongs to none."""
    session = object_session(thing)
    if session is None:
        raise LookupError(f"{thing!r} belongs to no session.")
    return session


def read(session: Session, statement: Select[*tuple[Any, ...]], **given: object) -> CursorResult[*tuple[Any, ...]]:
    """Return the rows of a statement that selects columns alone; `given` fills its parameters.

    It goes past all that a session does for objects, which takes as long as the rest. What is pending is written first.
    """
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, given)


def judge(session: Session, *, writes: bool) -> None:
    """Say whether what is loaded from now on is about to be judged and changed."""
    session.info["writes"] = writes


def to_write(query: Query, session: Session, of: type[Model], **given: object) -> Query:
    """Return the query so that, in a session that writes, its rows of that table are locked and all is read afresh.

    Whoever comes second waits, and sees what the first one wrote; `given` fills the parameters of the condition. SQLite
    has no such lock and needs none: there the whole transaction has the write lock.
    """
    if not session.info.get("writes"):
        return query
    if session.get_bind().dialect.name != "sqlite":
        # A statement of its own: one that locks and joins gets the locked row as it is after waiting, but what is
        # joined to it as it was before. The key stays free for those who only point at the row.
        lock = select(of.id).where(query.whereclause).with_for_update(of=of, key_share=True)  # type: ignore[arg-type]
        session.connection().execute(lock, given)
    return query.execution_options(populate_existing=True)


def token() -> str:
    """Return 128 random bits as text that is safe in a URL."""
    return secrets.token_urlsafe(16)
