"""Numbers that are given out one after the other, each once: of tickets, leads and invoices."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import String, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model


class Counter(Model):
    """The last number given out under a name; a row's lock gives each number once on every database."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(20), unique=True)
    value: Mapped[int]


def hold(session: Session, name: str) -> None:
    """Let nobody else hold the name until this transaction ends: whoever comes second waits.

    For what is counted and then written, over rows that are not there yet to be locked.
    """
    if session.get_bind().dialect.name == "sqlite":
        return  # the transaction has the only write lock there is
    mine = select(Counter.id).where(Counter.name == f"hold:{name}")
    # Not locked yet: where there is no row, two that lock what is around it would wait for each other.
    if session.scalar(mine) is None:
        with suppress(IntegrityError), session.begin_nested():
            session.add(Counter(name=f"hold:{name}", value=0))
    session.scalars(mine.with_for_update()).one()


def next_number(session: Session, name: str) -> int:
    """Return the next number of the counter; concurrent callers never get the same one."""
    number = _bump(session, name)
    if number is None:
        session.add(Counter(name=name, value=1))
        session.flush()
        return 1
    return number


def _bump(session: Session, name: str) -> int | None:
    """Count one on and return the number, in one statement; None when nobody has counted under the name."""
    if session.get_bind().dialect.name == "mysql":
        # It has no RETURNING; what LAST_INSERT_ID was given comes back beside the number of rows.
        done = session.execute(_BUMP.values(value=func.last_insert_id(_COUNTERS.c.value + 1)), {"counter": name})
        return int(done.context.cursor.lastrowid) if done.rowcount else None  # type: ignore[attr-defined]
    bump = _BUMP.values(value=_COUNTERS.c.value + 1).returning(_COUNTERS.c.value)
    return session.execute(bump, {"counter": name}).scalar()


# The table, not the class: no session holds an object of it that would have to be kept the same.
_COUNTERS = Counter.__table__
_BUMP = update(_COUNTERS).where(_COUNTERS.c.name == bindparam("counter"))  # type: ignore[arg-type]  # a class has its table, whatever the stubs say
