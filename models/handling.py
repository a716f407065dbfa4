"""How a ticket is handled: who has it, how severe it is, who takes part, and who may see it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from models.base import Refused, session_of
from models.catalogue import PlanName, Severity, catalogue_at
from models.conversations import FINAL, hand_to, move, timetable_of
from models.events import EventKind
from models.notices import note_event, post_to, tell
from models.oncall import begin_calls
from models.organizations import Membership
from models.outbox import Letter
from models.people import Person
from models.permissions import Role
from models.tickets import Participant, Ticket, TicketState


def take(ticket: Ticket, actor: Person, *, now: datetime) -> None:
    """Make the agent the assignee. Raises Refused when somebody else was quicker."""
    if ticket.is_final(now):
        raise Refused("This request is closed.")
    if ticket.assignee_id == actor.id:
        return
    if ticket.assignee is not None:
        raise Refused(f"{ticket.assignee.name} was quicker and has this ticket. Reassign it if you should have it.")
    hand_to(ticket, actor, actor, now=now)
    if ticket.state is TicketState.OPEN:
        move(ticket, actor, TicketState.IN_PROGRESS, now=now)
        tell(ticket, actor, Letter.TICKET_STATE, now=now)


def assign(ticket: Ticket, actor: Person, assignee: Person | None, *, now: datetime) -> None:
    """Give the ticket to an agent, or to nobody. Raises Refused when the person is no active agent."""
    if ticket.is_final(now):
        raise Refused("This request is closed.", "assignee")
    if assignee is not None and (assignee.staff_role is not Role.AGENT or not assignee.active):
        raise Refused("Choose one of the support agents.", "assignee")
    if ticket.assignee_id != (assignee.id if assignee else None):
        hand_to(ticket, actor, assignee, now=now)
        if assignee is not None and assignee.id != actor.id:
            post_to(ticket, assignee, Letter.TICKET_ASSIGNED, now=now, actor=actor)


def may_set_severity(ticket: Ticket, severity: Severity) -> bool:
    """Tell whether its customer may set this severity at once: lowering always, raising until somebody owns it."""
    return severity.value >= ticket.severity.value or ticket.assignee_id is None


def change_severity(ticket: Ticket, actor: Person, severity: Severity, reason: str, *, now: datetime) -> bool:
    """Let a customer change the severity; raising an owned ticket becomes a request to its agent.

    Source: product rule 7.6. Returns whether the severity changed at once. Raises Refused for one that the door and
    the ticket's plan do not offer, and on a closed request.
    """
    if ticket.is_final(now):
        raise Refused(FINAL, "severity")
    _check_severity(ticket, severity)
    if severity is ticket.severity:
        raise Refused(f"The severity is {severity.value} already. Choose another one.", "severity")
    if may_set_severity(ticket, severity):
        _reclassify(ticket, actor, severity, reason, now=now)
        tell(ticket, actor, Letter.TICKET_STATE, now=now)
        return True
    if not reason:
        raise Refused("Say what changed, for example “All writes fail since 14:20”.", "reason")
    ticket.severity_asked = severity.value
    asked = {"before": ticket.severity.value, "after": severity.value, "reason": reason}
    note_event(ticket, actor, EventKind.TICKET_SEVERITY_ASKED, now=now, **asked)
    if ticket.assignee is not None:
        post_to(ticket, ticket.assignee, Letter.TICKET_SEVERITY_ASKED, now=now, actor=actor)
    return False


def reclassify(ticket: Ticket, actor: Person, severity: Severity, reason: str, *, now: datetime) -> None:
    """Let an agent change the severity with a reason that the customer reads."""
    if ticket.is_final(now):
        raise Refused("This request is closed.", "severity")
    _check_severity(ticket, severity)
    if severity is ticket.severity:
        raise Refused(f"The severity is {severity.value} already. Choose another one.", "severity")
    if not reason:
        raise Refused("Say why, in words that the customer can read.", "reason")
    _reclassify(ticket, actor, severity, reason, now=now)
    tell(ticket, actor, Letter.TICKET_STATE, now=now)


def _check_severity(ticket: Ticket, severity: Severity) -> None:
    offered = catalogue_at(ticket.catalogue_version).severities(ticket.door, ticket.plan)
    if severity not in offered:
        raise Refused(
            f"{severity.value} is not offered here. Choose one of {', '.join(s.value for s in offered)}.", "severity"
        )


def _reclassify(ticket: Ticket, actor: Person, severity: Severity, reason: str, *, now: datetime) -> None:
    before = ticket.severity
    ticket.severity = severity
    ticket.severity_asked = ""
    target = ticket.target
    terms = catalogue_at(ticket.catalogue_version)
    promised = terms.target(ticket.plan, ticket.door, severity)
    if target is not None and target.met_at is None and promised is not None:
        risen = [terms.target(PlanName(plan), ticket.door, severity) for _, plan, *_ in target.rises]
        target.reclassify(severity, promised, timetable_of(ticket, target), now, risen)
        ticket.copy_due()
        if severity is Severity.S1 or before is Severity.S1:
            begin_calls(ticket, now=now)
    changed = {"before": before.value, "after": severity.value, "reason": reason}
    note_event(ticket, actor, EventKind.TICKET_SEVERITY, now=now, **changed)


def add_participant(ticket: Ticket, actor: Person, person: Person, *, now: datetime) -> None:
    """Let a member of the ticket's organization take part. Raises Refused for anybody else."""
    if ticket.is_final(now):
        raise Refused(FINAL, "person")
    if not _belongs(ticket, person):
        raise Refused("Only members of the request’s organization can take part.", "person")
    if takes_part(ticket, person):
        return
    session_of(ticket).add(Participant(ticket_id=ticket.id, person_id=person.id))
    note_event(ticket, actor, EventKind.TICKET_PARTICIPANT, now=now, added=person.name)
    post_to(ticket, person, Letter.TICKET_PARTICIPANT, now=now, actor=actor)


def remove_participant(ticket: Ticket, actor: Person, person: Person, *, now: datetime) -> None:
    """End somebody's part in the ticket. Raises Refused for the one who filed it."""
    if actor.id != person.id and not takes_part(ticket, actor):
        raise Refused("Only those who take part can take others off.", "person")
    if person.id == ticket.opener_id:
        raise Refused("Whoever filed a request stays on it.", "person")
    gone = delete(Participant).where(Participant.ticket_id == ticket.id, Participant.person_id == person.id)
    if session_of(ticket).execute(gone).rowcount:  # type: ignore[attr-defined]
        note_event(ticket, actor, EventKind.TICKET_PARTICIPANT, now=now, removed=person.name)


def candidates(ticket: Ticket) -> list[Person]:
    """Return the members of the ticket's organization who could still be added, by name (two hundred at most)."""
    if ticket.organization_id is None:
        return []
    there = select(Participant.person_id).where(Participant.ticket_id == ticket.id)
    members = select(Membership.person_id).where(Membership.organization_id == ticket.organization_id)
    query = select(Person).where(Person.id.in_(members), Person.id.not_in(there), Person.active).order_by(Person.name)
    return list(session_of(ticket).scalars(query.limit(200)))


def set_confidential(ticket: Ticket, actor: Person, confidential: bool, *, now: datetime) -> None:
    """Hide the request from everybody in the organization but its participants, or show it again."""
    if not takes_part(ticket, actor):
        raise Refused("Only those who take part can change who sees the request.")
    if ticket.confidential is not confidential:
        ticket.confidential = confidential
        note_event(ticket, actor, EventKind.TICKET_CONFIDENTIAL, now=now, confidential=confidential)


def takes_part(ticket: Ticket, person: Person) -> bool:
    """Tell whether the person is one of the ticket's participants."""
    there = select(Participant.id).where(Participant.ticket_id == ticket.id, Participant.person_id == person.id)
    return session_of(ticket).scalar(there) is not None


def _belongs(ticket: Ticket, person: Person) -> bool:
    if ticket.organization_id is None or not person.active:
        return False
    there = select(Membership.id).where(
        Membership.organization_id == ticket.organization_id, Membership.person_id == person.id
    )
    return session_of(ticket).scalar(there) is not None
