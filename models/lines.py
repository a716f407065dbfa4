"""Tickets as the rows of a list show them: plain values, which cost a fifth of what objects of the session cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from models.base import read
from models.catalogue import DoorName, PlanName, Severity
from models.faces import Standing
from models.organizations import Organization
from models.people import Badge, Person, badge_of
from models.promises import ResponseTarget
from models.tickets import Ticket, TicketState


@dataclass(frozen=True)
class Line:
    """All that a list tells of one ticket: the promise of its present cycle, and the organization's name or ""."""

    organization: str
    opener: Badge
    assignee: Badge | None
    target: Standing | None
    id: int
    key: str
    door: DoorName
    state: TicketState
    severity: Severity
    severity_asked: str
    summary: str
    cluster_name: str
    confidential: bool
    plan: PlanName
    updated_at: datetime
    # By these, too, lists are in order.
    created_at: datetime
    due_order: datetime
    escalated_at: datetime | None


def lines_of(session: Session, ids: Sequence[int]) -> list[Line]:
    """Return the tickets with these ids as lines, in the order of the ids; one statement."""
    found = {row.id: _line(row) for row in read(session, _LINES, ids=ids)} if ids else {}
    return [found[number] for number in ids if number in found]


def _line(row: Any) -> Line:  # noqa: ANN401 (a type of a row of so many columns says nothing)
    organization, opener, opener_email, assignee, assignee_email, *promise = row[_OWN:]
    return Line(
        organization or "",
        badge_of(opener, opener_email),
        badge_of(assignee, assignee_email) if assignee_email else None,
        Standing(*promise) if promise[0] is not None else None,
        *row[:_OWN],
    )


# Tables, not classes: the statement is made once, and no part of it knows of objects.
_TICKETS, _TARGETS, _ORGANIZATIONS = Ticket.__table__, ResponseTarget.__table__, Organization.__table__
_OPENERS, _ASSIGNEES = Person.__table__.alias("openers"), Person.__table__.alias("assignees")
_SHOWN = (
    "id",
    "key",
    "door",
    "state",
    "severity",
    "severity_asked",
    "summary",
    "cluster_name",
    "confidential",
    "plan",
    "updated_at",
    "created_at",
    "due_order",
    "escalated_at",
)
_OWN = len(_SHOWN)
_OF_THE_TICKET = _TARGETS.alias("cycles")
_PRESENT = select(func.max(_OF_THE_TICKET.c.cycle)).where(_OF_THE_TICKET.c.ticket_id == _TICKETS.c.id).scalar_subquery()
_LINES = (
    select(
        *(_TICKETS.c[name] for name in _SHOWN),
        _ORGANIZATIONS.c.name,
        _OPENERS.c.name,
        _OPENERS.c.email_folded,
        _ASSIGNEES.c.name,
        _ASSIGNEES.c.email_folded,
        *(_TARGETS.c[field.name] for field in fields(Standing)),
    )
    .join(_OPENERS, _OPENERS.c.id == _TICKETS.c.opener_id)
    .outerjoin(_ASSIGNEES, _ASSIGNEES.c.id == _TICKETS.c.assignee_id)
    .outerjoin(_ORGANIZATIONS, _ORGANIZATIONS.c.id == _TICKETS.c.organization_id)
    .outerjoin(_TARGETS, (_TARGETS.c.ticket_id == _TICKETS.c.id) & (_TARGETS.c.cycle == _PRESENT))
    .where(_TICKETS.c.id.in_(bindparam("ids", expanding=True)))
)
