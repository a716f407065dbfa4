"""What a downgrade would take away, told on the organization's own open requests, before anybody confirms it.

Source: product rule 9.4. Open requests keep the terms that they were opened under (rule 8.6); what is lost is what the
next request of that kind, or the same one reopened, would be promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from models.catalogue import Catalogue, DoorName, PlanName, Severity, Target
from models.organizations import Organization
from models.tickets import ACTIVE, Ticket, Tickets

SHOWN_MOST = 10


@dataclass(frozen=True)
class Affected:
    """One open request: what it is promised now, and what it would be promised under the lower plan (None: nothing)."""

    ticket: Ticket
    now: Target | None
    then: Target | None


@dataclass(frozen=True)
class Impact:
    """What is lost: services, targets by severity (now, then), and the open requests that they concern.

    The open ones are counted for the whole organization, since its plan is theirs as well; `seen` are the reader's.
    """

    services: Sequence[str]
    targets: Sequence[tuple[Severity, Target | None, Target | None]]
    tickets: Sequence[Affected]
    open_by: Sequence[tuple[Severity, int]]
    open_technical: int
    seen: int
    door_closes: bool


def impact_of(scope: Tickets, organization: Organization, plan: PlanName, terms: Catalogue) -> Impact:
    """Return what the change to the lower plan means; the requests it names are those that the reader sees."""
    present, door = PlanName(organization.plan), DoorName.TECHNICAL

    def pair(severity: Severity) -> tuple[Target | None, Target | None]:
        return terms.target(present, door, severity), terms.target(plan, door, severity)

    here = (Ticket.organization_id == organization.id) & Ticket.state.in_(ACTIVE) & (Ticket.door == door)
    found = scope.session.scalars(
        select(Ticket)
        .where(scope.condition, here)
        .order_by(Ticket.severity, Ticket.updated_at.desc())
        .limit(SHOWN_MOST)
    )
    tickets = [Affected(ticket, *pair(ticket.severity)) for ticket in found.unique()]
    counted = select(Ticket.severity, func.count(Ticket.id), func.sum(case((scope.condition, 1), else_=0))).where(here)
    by = scope.session.execute(counted.group_by(Ticket.severity).order_by(Ticket.severity)).all()
    return Impact(
        services=[one.name for one in terms.services if present in one.plans and plan not in one.plans],
        targets=[(severity, *pair(severity)) for severity in Severity if pair(severity)[0] != pair(severity)[1]],
        tickets=tickets,
        open_by=[(severity, count) for severity, count, _ in by],
        open_technical=sum(count for _, count, _ in by),
        seen=sum(int(seen) for *_, seen in by),
        door_closes=not terms.opens(plan, door),
    )
