"""The state of the installation in figures, for its administrator."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.organizations import Organization
from models.outbox import Message, MessageState
from models.people import Person
from models.tickets import ACTIVE, Ticket


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
