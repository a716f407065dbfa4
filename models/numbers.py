"""Numbers that are given out one after the other, each once: of tickets, leads and invoices."""

from __future__ import annotations

from sqlalchemy import String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model


class Counter(Model):
    """The last number given out under a name; a row's lock gives each number once on every database."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(20), unique=True)
    value: Mapped[int]


def next_number(session: Session, name: str) -> int:
    """Return the next number of the counter; concurrent callers never get the same one."""
    bumped = update(Counter).where(Counter.name == name).values(value=Counter.value + 1)
    if session.execute(bumped).rowcount != 1:  # type: ignore[attr-defined]
        session.add(Counter(name=name, value=1))
        session.flush()
        return 1
    return session.scalars(select(Counter.value).where(Counter.name == name)).one()
