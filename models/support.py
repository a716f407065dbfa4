"""What the Support page says about an organization: its plan, its targets, and how its requests stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from models.base import session_of
from models.calendars import Hours, hours_for
from models.catalogue import DoorName, Plan, PlanName, Severity, Target, catalogue
from models.leads import Lead, latest_lead_of
from models.organizations import Organization, managers_of, role_in
from models.people import Person
from models.permissions import Role
from models.tickets import ACTIVE, Ticket, Tickets, TicketState


@dataclass(frozen=True)
class Overview:
    """The facts of the Support page."""

    plan: Plan
    targets: Sequence[tuple[Severity, Target | None]]
    hours: Hours
    open_requests: int
    waiting: int
    next_due: datetime | None
    may_change: bool
    managers: Sequence[Person]
    technical: bool
    needs: PlanName
    enquiry: Lead | None


def overview(actor: Person, scope: Tickets, organization: Organization, *, now: datetime) -> Overview:
    """Return the facts for this reader: counts hold what the reader may see."""
    terms, name = catalogue(now.date()), PlanName(organization.plan)
    here = scope.condition & (Ticket.organization_id == organization.id) & Ticket.state.in_(ACTIVE)
    figures = select(Ticket.state, func.count(), func.min(Ticket.due_at)).where(here).group_by(Ticket.state)
    by_state = {row[0]: (row[1], row[2]) for row in scope.session.execute(figures)}
    dues = [due for _, due in by_state.values() if due is not None and due >= now]
    door = DoorName.TECHNICAL
    return Overview(
        plan=terms.plan(name),
        targets=[(severity, terms.target(name, door, severity)) for severity in Severity],
        hours=hours_for(scope.session, organization.calendar_id),
        open_requests=sum(number for number, _ in by_state.values()),
        waiting=by_state.get(TicketState.WAITING, (0, None))[0],
        next_due=min(dues, default=None),
        may_change=role_in(actor, organization) in {Role.OWNER, Role.BILLING_ADMIN},
        managers=session_of(organization).scalars(managers_of(organization)).all(),
        technical=terms.opens(name, door),
        needs=terms.cheapest_plan_opening(door),
        enquiry=latest_lead_of(organization),
    )
