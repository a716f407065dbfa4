"""Filing a request: what a door offers to an organization, and the one verb that files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.attachments import WAITING_FILES
from models.base import Refused, session_of, token
from models.calendars import HOURS, Hours, hours_from
from models.catalogue import Catalogue, DoorName, PlanName, Severity, Target, catalogue
from models.choices import OFFERED, ListName, in_order
from models.conversations import first_message, start_promise
from models.drafts import Draft
from models.events import EventKind
from models.notices import note_event, post_to
from models.numbers import next_number
from models.organizations import CLUSTERS, Cluster, ClusterLine, Organization, role_in
from models.outbox import Letter
from models.people import Person
from models.promises import due
from models.prose import SUMMARY_MOST, cleaned
from models.tickets import Participant, Ticket, TicketState
from models.together import ask_together


@dataclass(frozen=True)
class Facts:
    """What a form needs: the organization's hours and clusters, what the lists offer, and whether files wait."""

    hours: Hours
    clusters: list[ClusterLine]
    lists: dict[ListName, list[str]]
    files: bool


def facts_for(actor: Person, organization: Organization | None, door: DoorName, key: str) -> Facts:
    """Return them in one statement; the files are those of the actor's draft at the door under the form's key."""
    found = ask_together(
        session_of(actor),
        _FACTS,
        calendar=organization.calendar_id if organization else None,
        organization=organization.id if organization else None,
        person=actor.id,
        place=door.value,
        key=key,
    )
    clusters = sorted((ClusterLine(*row) for row in found["clusters"]), key=lambda cluster: cluster.name)
    return Facts(hours_from(found["hours"]), clusters, in_order(found["lists"]), bool(found["files"]))


_FACTS = (("hours", HOURS), ("clusters", CLUSTERS), ("lists", OFFERED), ("files", WAITING_FILES))


@dataclass(frozen=True)
class Choice:
    """One severity as it is offered: its meaning, and what is promised if the request were sent now."""

    severity: Severity
    text: str
    target: Target | None
    by: datetime | None


@dataclass(frozen=True)
class Offer:
    """What a door offers to an organization: open or closed, and if closed, what would open it."""

    door: DoorName
    plan: PlanName
    open: bool
    needs: PlanName
    choices: tuple[Choice, ...]
    hours: Hours
    catalogue: Catalogue

    @property
    def reason(self) -> str:
        """Why the door is closed, in a sentence."""
        return f"{self.door.label} needs the {self.needs.label} plan or a higher one."

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities on offer."""
        return tuple(choice.severity for choice in self.choices)

    def choice(self, severity: Severity) -> Choice | None:
        """Return what is offered for the severity; None when it is not on offer."""
        return next((choice for choice in self.choices if choice.severity is severity), None)


def plan_of(organization: Organization | None) -> PlanName:
    """Return the organization's plan; whoever asks for no organization has what everybody has."""
    return PlanName(organization.plan) if organization else PlanName.BASIC


def offer(door: DoorName, organization: Organization | None, hours: Hours, *, now: datetime) -> Offer:
    """Return what the door offers to the organization, whose business hours are given, now (rules 6.1, 6.3, 6.4)."""
    terms = catalogue(now.date())
    plan = plan_of(organization)
    offered = []
    for severity in terms.severities(door, plan):
        target = terms.target(plan, door, severity)
        by = due(now, target, hours) if target else None
        offered.append(Choice(severity, terms.text(severity), target, by))
    needs = terms.cheapest_plan_opening(door)
    return Offer(door, plan, terms.opens(plan, door), needs, tuple(offered), hours, terms)


@dataclass(frozen=True)
class Filing:
    """Everything that a form says about a new request."""

    door: DoorName
    organization: Organization | None
    cluster: Cluster | ClusterLine | None
    severity: Severity
    summary: str
    description: str
    environment: str = ""
    components: tuple[str, ...] = ()
    version: str = ""
    confidential: bool = False
    # The organization's business hours, where they were read already.
    hours: Hours | None = None


def file_ticket(
    actor: Person,
    filing: Filing,
    *,
    key: str,
    now: datetime,
    draft: Draft | None = None,
    follows: Ticket | None = None,
) -> str:
    """File the request and return the ticket's key.

    Door, plan, severity, organization and cluster are checked together; raises Refused naming the field that is wrong.
    `key` is the form's own random key: who sends it again meets IntegrityError. `draft` is the one whose files it
    takes along; where it had waited for a plan, timeline and mail say so.
    """
    session = session_of(actor)
    terms = _check(actor, filing, now=now)
    plan = plan_of(filing.organization)
    number = next_number(session, terms.door(filing.door).prefix)
    ticket = Ticket(
        key=f"{terms.door(filing.door).prefix}-{number}",
        door=filing.door,
        state=TicketState.OPEN,
        severity=filing.severity,
        summary=cleaned(filing.summary).strip(),
        organization=filing.organization,
        cluster_id=filing.cluster.id if filing.cluster else None,
        cluster_name=filing.cluster.name if filing.cluster else "",
        environment=filing.environment,
        components=list(filing.components),
        version_affected=filing.version,
        confidential=filing.confidential,
        opener=actor,
        follows=follows,
        plan=plan,
        catalogue_version=terms.version,
        thread=token(),
        created_at=now,
        updated_at=now,
    )
    session.add_all([ticket, Participant(ticket=ticket, person_id=actor.id)])
    # All that belongs to the ticket is written at once, with its first message, and not changed again.
    with session.no_autoflush:
        start_promise(ticket, now=now, hours=filing.hours)
    first_message(ticket, actor, filing.description, now=now, key=key, draft=draft)
    waited: dict[str, Any] = {}
    organization = filing.organization.id if filing.organization else None
    # What waited for one organization's plan says nothing about another's.
    if draft is not None and draft.waits_since is not None and draft.waits_for_id == organization:
        waited = {"waited": draft.waits_since.isoformat()}
        note_event(ticket, actor, EventKind.TICKET_WAITED, now=now, since=waited["waited"], plan=plan.value)
    if follows is not None:
        note_event(follows, actor, EventKind.TICKET_FOLLOWED_UP, now=now, key=ticket.key)
    post_to(ticket, actor, Letter.TICKET_FILED, now=now, actor=actor, **waited)
    return ticket.key


def follow_up(actor: Person, ticket: Ticket, body: str, *, key: str, now: datetime, draft: Draft | None = None) -> str:
    """File a new request that goes on where a closed one ended, and return its key; both name each other.

    Raises Refused when the closed one is not closed, or when the organization's plan no longer opens the door.
    """
    if not ticket.is_final(now):
        raise Refused("This request is not closed. Reply to it instead.", "body")
    filing = Filing(
        door=ticket.door,
        organization=ticket.organization,
        cluster=ticket.cluster,
        severity=ticket.severity,
        summary=f"Follow-up: {ticket.summary.removeprefix('Follow-up: ')}"[:SUMMARY_MOST],
        description=body,
        environment=ticket.environment,
        components=tuple(ticket.components),
        version=ticket.version_affected,
        confidential=ticket.confidential,
    )
    try:
        return file_ticket(actor, filing, key=key, now=now, draft=draft, follows=ticket)
    except Refused as refused:
        raise Refused(refused.reason, "body") from None


def check_gate(door: DoorName, organization: Organization | None, terms: Catalogue) -> None:
    """Raise Refused, naming the form's organization, unless the organization's plan opens the door (rule 6.1)."""
    if door is DoorName.TECHNICAL and organization is None:
        raise Refused("Choose the organization that the request is about.", "organization")
    plan = plan_of(organization)
    if not terms.opens(plan, door):
        needs = terms.cheapest_plan_opening(door).label
        whose = f"{organization.name} is" if organization else "You are"
        raise Refused(
            f"{whose} on the {plan.label} plan: {door.label} needs {needs} or higher. "
            "Choose another organization, or upgrade on its Support page.",
            "organization",
        )


def _check(actor: Person, filing: Filing, *, now: datetime) -> Catalogue:
    """Check everything that hangs together; the same rules hold for forms, forged posts and follow-ups."""
    terms = catalogue(now.date())
    organization, plan = filing.organization, plan_of(filing.organization)
    if organization is not None and role_in(actor, organization) is None:
        raise Refused("Choose one of your organizations.", "organization")
    check_gate(filing.door, organization, terms)
    offered = terms.severities(filing.door, plan)
    if filing.severity not in offered:
        raise Refused(f"Choose one of {', '.join(s.value for s in offered)}.", "severity")
    cluster = filing.cluster
    if cluster is not None and (organization is None or cluster.organization_id != organization.id):
        raise Refused("Choose a cluster of the organization above, or “Not about one cluster”.", "cluster")
    if not filing.summary.strip():
        raise Refused("Enter a summary, for example “Checkout queries time out since 13:40 UTC”.", "summary")
    if len(cleaned(filing.summary).strip()) > SUMMARY_MOST:
        raise Refused(f"Shorten the summary to {SUMMARY_MOST} characters.", "summary")
    return terms
