"""Forms that are taken once: sending one again leads to the same result."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, read, session_of
from models.people import Person


class Submission(Model):
    """That a form without a message was taken once: sending it again leads to the same result."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("person_id", "key"), Index(None, "at"))

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    key: Mapped[str] = mapped_column(String(40))
    result: Mapped[str]
    at: Mapped[datetime]


def result_of(actor: Person, key: str) -> str | None:
    """Return where an earlier submission of the same form by the same person led; None when it is new."""
    return read(session_of(actor), _RESULT, person=actor.id, key=key).scalar()


_RESULT = select(Submission.result).where(
    Submission.person_id == bindparam("person"), Submission.key == bindparam("key")
)


def settle(actor: Person, key: str, result: str, *, now: datetime) -> None:
    """Note that the form was taken; the unique row makes a second one fail here."""
    session = session_of(actor)
    session.add(Submission(person_id=actor.id, key=key, result=result, at=now))
    session.flush()
