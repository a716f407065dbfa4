"""What an administrator changes about an organization. Its plan is changed by its contract or by its own people."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.base import Refused, session_of
from models.calendars import Calendar
from models.catalogue import PlanName
from models.events import EventKind, record
from models.organizations import Organization
from models.people import Person, digest


def mark_of(organization: Organization) -> str:
    """Return a mark that changes when anything does that the administrator's form sets."""
    return digest(f"{organization.calendar_id}:{organization.name}")[:16]


def organizations_by_plan(session: Session) -> dict[PlanName, int]:
    """Return how many organizations have each plan."""
    counted = session.execute(select(Organization.plan, func.count()).group_by(Organization.plan)).all()
    found = {PlanName(plan): number for plan, number in counted}
    return {plan: found.get(plan, 0) for plan in PlanName}


def calendars_on_offer(session: Session) -> list[tuple[str, str]]:
    """Return the keys and names of all calendars, by name (five hundred at most)."""
    rows = session.execute(select(Calendar.id, Calendar.name).order_by(Calendar.name, Calendar.id).limit(500))
    return [(str(row[0]), row[1]) for row in rows]


def change(organization: Organization, actor: Person, name: str, calendar: str, *, now: datetime) -> bool:
    """Set the name and the calendar (the key of one, as text); return whether anything changed.

    Requests filed from now on are promised by the new calendar; those that run keep theirs. Raises Refused for an empty
    name and for a calendar that does not exist.
    """
    session = session_of(organization)
    if not name:
        raise Refused("Enter the name of the organization.", "name")
    offered = dict(calendars_on_offer(session))
    if calendar not in offered:
        raise Refused("Choose a calendar from the list.", "calendar")
    before = {"name": organization.name, "calendar": offered.get(str(organization.calendar_id), "")}
    after = {"name": name, "calendar": offered[calendar]}
    if name == organization.name and int(calendar) == organization.calendar_id:
        return False
    changed = [part for part in before if before[part] != after[part]]
    organization.name, organization.calendar_id = name, int(calendar)
    record(
        session,
        EventKind.ORGANIZATION_CHANGED,
        now=now,
        actor_id=actor.id,
        organization_id=organization.id,
        before={part: before[part] for part in changed},
        after={part: after[part] for part in changed},
    )
    return True
