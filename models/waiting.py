"""Technical texts that the plan did not let through: kept as drafts, and offered again once it does.

Source: product rule 6.9. One click files such a text after an upgrade, checked anew, or makes it a billing request.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from models.base import session_of
from models.catalogue import DoorName, PlanName, catalogue
from models.drafts import KEPT_FOR, SENT, Draft
from models.events import EventKind, record
from models.organizations import Membership, Organization
from models.outbox import Letter, queue_all
from models.people import Person

# The first so many characters of what was written name a text without a summary.
_WORDS_MOST = 100


def wait_for_plan(draft: Draft, organization: Organization, *, now: datetime) -> None:
    """Keep the draft until the organization's plan opens its door, and record the attempt without its words.

    Sales reads how often the plan kept somebody from a technical request, never what was written.
    """
    if draft.waits_for_id != organization.id:
        draft.waits_for_id, draft.waits_since = organization.id, now
    record(
        session_of(draft), EventKind.TICKET_BLOCKED, now=now, actor_id=draft.person_id, organization_id=organization.id
    )


class Waiting(NamedTuple):
    """A text that waits: `opens` says that the plan of its organization now lets it through."""

    draft: Draft
    organization: Organization
    opens: bool

    @property
    def words(self) -> str:
        """The summary, or how the text begins."""
        return words_of(self.draft)

    @property
    def plan(self) -> str:
        """The name of the plan that the organization has now."""
        return PlanName(self.organization.plan).label


def words_of(draft: Draft) -> str:
    """Return the draft's summary, or how its text begins; where neither is written, what says so."""
    parts = (draft.fields.get(name, [""]) for name in ("summary", "description", "body"))
    found = (part[0].strip()[:_WORDS_MOST] for part in parts if part and part[0].strip())
    return next(found, "a text without a summary")


def waiting_of(person: Person, *, now: datetime, organization: Organization | None = None) -> list[Waiting]:
    """Return the person's waiting texts for organizations of theirs, or for the one, the oldest first (one statement).

    A text for an organization that the person has left waits for nothing: it is an ordinary draft.
    """
    asked = _MINE if organization is None else _MINE.where(Draft.waits_for_id == organization.id)
    rows = session_of(person).execute(asked, {"person": person.id, "kept": now - KEPT_FOR})
    terms = catalogue(now.date())
    return [Waiting(draft, house, terms.opens(PlanName(house.plan), DoorName.TECHNICAL)) for draft, house in rows]


_OPEN: tuple[ColumnElement[bool], ...] = (Draft.updated_at >= bindparam("kept"), ~SENT)
_MINE = (
    select(Draft, Organization)
    .join(Organization, Organization.id == Draft.waits_for_id)
    .join(Membership, (Membership.organization_id == Organization.id) & (Membership.person_id == Draft.person_id))
    .where(Draft.person_id == bindparam("person"), *_OPEN)
    .order_by(Draft.waits_since, Draft.id)
    .limit(20)
)


def waiting_texts(organization: Organization, now: datetime) -> Select[int]:
    """Select how many texts wait for the organization's plan: a figure for sales, who reads none of them."""
    return select(func.count(Draft.id)).where(
        Draft.waits_for_id == organization.id, Draft.updated_at >= now - KEPT_FOR, ~SENT
    )


def call_back(organization: Organization, *, now: datetime) -> int:
    """Tell those whose texts waited that the plan lets them through now; returns how many letters were queued.

    To be called when a plan has risen. Nothing is told while the door stays closed.
    """
    session = session_of(organization)
    if not catalogue(now.date()).opens(PlanName(organization.plan), DoorName.TECHNICAL):
        return 0
    told = session.execute(_ALL, {"organization": organization.id, "kept": now - KEPT_FOR}).all()
    for draft, person in told:
        queue_all(session, Letter.DRAFT_READY, to=[person], now=now, draft=draft.id, plan=organization.plan)
    return len(told)


_ALL = (
    select(Draft, Person)
    .join(Person, Person.id == Draft.person_id)
    .join(Membership, (Membership.person_id == Person.id) & (Membership.organization_id == Draft.waits_for_id))
    .where(Draft.waits_for_id == bindparam("organization"), Person.active, *_OPEN)
    .order_by(Draft.id)
    .limit(100)
)


def ask_billing(draft: Draft) -> None:
    """Turn the waiting text into one for the door that is open on every plan; its files and its key stay with it."""
    fields: dict[str, Sequence[str]] = dict(draft.fields)
    for technical in ("environment", "components", "version", "filled", "severity", "impact"):
        fields.pop(technical, None)
    draft.fields, draft.place = fields, DoorName.BILLING.value
    draft.waits_for_id = draft.waits_since = None
