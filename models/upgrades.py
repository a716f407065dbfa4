"""What a higher plan does to first replies that are promised already: it brings them forward, and never puts them off.

Source: product rule 8.5. Due is the earlier of the old due time and the moment of the upgrade plus the new target. The
request's own catalogue counts: terms that came later promise nothing to requests that run.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from models.base import session_of
from models.catalogue import PlanName, catalogue_at
from models.events import EventKind
from models.notices import audience_of, note_event, post
from models.organizations import Organization
from models.outbox import Letter
from models.promises import ResponseTarget
from models.tickets import ACTIVE, Ticket, TicketState
from models.timetables import timetable_for

BATCH = 200


def bring_forward(organization: Organization, plan: PlanName, *, now: datetime) -> int:
    """Promise the plan's targets from now on to the organization's unanswered requests; return how many gain by it."""
    session, gained, last = session_of(organization), 0, 0
    mine = (
        select(ResponseTarget, Ticket)
        .join(Ticket, Ticket.id == ResponseTarget.ticket_id)
        .where(Ticket.organization_id == organization.id, Ticket.state != TicketState.CLOSED)
        .where(ResponseTarget.met_at.is_(None))
        .order_by(Ticket.id)
        .limit(BATCH)
        .with_for_update(of=Ticket)
        .execution_options(populate_existing=True)
    )
    while rows := session.execute(mine.where(Ticket.id > last)).unique().all():
        for target, ticket in rows:
            last = ticket.id
            better = catalogue_at(ticket.catalogue_version).target(plan, ticket.door, ticket.severity)
            hours = timetable_for(session, target.calendar_id, target.started_at)
            if better is not None and target.rise(plan, better, hours, now):
                gained += 1
                ticket.copy_due()
                note_event(ticket, None, EventKind.PROMISE_RAISED, now=now, plan=plan.value, words=better.words)
                # What is resolved waits for no reply: it is told where it is opened again.
                people = audience_of(ticket, None) if ticket.state in ACTIVE else []
                rise = {"plan": plan.value, "words": better.words}
                post(ticket, people, Letter.PROMISE_RAISED, now=now, actor=None, comment=None, **rise)
    return gained
