"""The state of the installation in figures, and the few facts that all its machines must agree upon."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import String, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model
from models.organizations import Organization
from models.outbox import Message, MessageState
from models.people import Person
from models.tickets import ACTIVE, Ticket

# The fact under which the fingerprint of SECRET_KEY is kept.
KEY_MARK = "secret-key"


class Fact(Model):
    """Something that is the same for every machine of the installation, whatever their settings say."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(String(40), unique=True)
    value: Mapped[str] = mapped_column(String(200))


def fact(session: Session, name: str, *, or_else: str) -> str:
    """Return the fact of that name; where there is none yet it becomes `or_else`: of two at once, one's is taken."""
    known = select(Fact.value).where(Fact.name == name)
    if session.scalar(known) is None:
        with suppress(IntegrityError), session.begin_nested():
            session.add(Fact(name=name, value=or_else))
    return session.scalars(known).one()


def set_fact(session: Session, name: str, value: str) -> None:
    """Set the fact of that name, whatever it was."""
    fact(session, name, or_else=value)
    session.execute(update(Fact).where(Fact.name == name).values(value=value))


@dataclass(frozen=True)
class Figures:
    """How much there is of everything."""

    people: int
    organizations: int
    open_tickets: int
    mail: dict[MessageState, int]


def overview(session: Session) -> Figures:
    """Return the figures; four statements."""
    by_state = session.execute(select(Message.state, func.count()).group_by(Message.state)).all()
    found = {row[0]: row[1] for row in by_state}
    return Figures(
        people=session.scalar(select(func.count(Person.id)).where(Person.active)) or 0,
        organizations=session.scalar(select(func.count(Organization.id))) or 0,
        open_tickets=session.scalar(select(func.count(Ticket.id)).where(Ticket.state.in_(ACTIVE))) or 0,
        mail={state: found.get(state, 0) for state in MessageState},
    )


def ping(session: Session) -> None:
    """Ask the database for anything; raises SQLAlchemy's DBAPIError when it does not answer."""
    session.scalar(select(1))
