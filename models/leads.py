"""Leads: what becomes of a customer's wish for Premium. The tables, the submission, and what its customer may know.

Sources: product rules 9.6 and 10. What sales does with a lead is in selling.py, their inbox in pipeline.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, ForeignKey, Index, String, false, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Labelled, Model, NotFound, Refused, session_of, to_write
from models.calendars import hours_for, spans
from models.catalogue import PlanName, catalogue
from models.events import Event, EventKind, record
from models.hooks import Topic, queue_hook
from models.numbers import next_number
from models.organizations import Organization, role_in
from models.outbox import Letter, queue
from models.people import Person, sellers
from models.permissions import Permission, Role, allowed
from models.prose import RENDERER, cleaned, rendered, searchable
from models.tickets import Body

COUNTER = "LEAD"
TEXT_MOST = 5_000


class Stage(Labelled):
    """How far a lead has come, in the words of sales; `seen` is what its customer reads of it."""

    NEW = "new", "New"
    CONTACTED = "contacted", "Contacted"
    QUALIFIED = "qualified", "Qualified"
    WON = "won", "Won"
    LOST = "lost", "Lost"
    SPAM = "spam", "Spam"

    @property
    def seen(self) -> str:
        """The stage as the customer reads it: that somebody takes a wish for lost is nobody's business there."""
        if self is Stage.NEW:
            return "Received"
        return "In contact" if self in OPEN else "Closed"


# An open lead that nobody has touched for so long is stalled.
STALLED_AFTER = timedelta(days=7)
# So long after a lead was found to be spam, what its sender sends stays with it, and alerts nobody.
QUIET_FOR = timedelta(days=90)
OPEN = (Stage.NEW, Stage.CONTACTED, Stage.QUALIFIED)
CLOSED = (Stage.WON, Stage.LOST, Stage.SPAM)


class Lead(Model):
    """One wish of an organization for Premium, from the first form to its end."""

    __tablename__ = "leads"
    __table_args__ = (
        Index(None, "stage", "next_on"),
        Index(None, "stage", "touched_at"),
        Index(None, "organization_id"),
        Index(None, "created_at", "id"),
        Index(None, "closed_at"),
    )

    key: Mapped[str] = mapped_column(String(20), unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    # The organization while the lead is open, then null: so the database, too, lets one be open at a time.
    open_for: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"), unique=True)
    sender_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str]
    email: Mapped[str] = mapped_column(String(254))
    company: Mapped[str]
    phone: Mapped[str] = mapped_column(String(40), default="")
    need: Mapped[str] = mapped_column(String(TEXT_MOST))
    contact_time: Mapped[str] = mapped_column(default="")
    # Long, and never shown.
    search_text: Mapped[str] = mapped_column(Body, deferred=True)
    stage: Mapped[Stage] = mapped_column(default=Stage.NEW)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    next_step: Mapped[str] = mapped_column(default="")
    # A day, not a moment: it is over when the day of whoever reads it is.
    next_on: Mapped[date | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # When the customer wrote last, and when sales did anything last.
    sent_at: Mapped[datetime]
    worked_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    # When a person, theirs or ours, last did anything: a lead that nobody touches for long is stalled.
    touched_at: Mapped[datetime]
    # By when sales is to be in touch for the first time, and when it was; null for both where nothing was promised.
    touch_by: Mapped[datetime | None]
    first_touch_at: Mapped[datetime | None]
    # Unguessable: who answers a mail about the lead carries it back.
    thread: Mapped[str] = mapped_column(String(40), unique=True, default=lambda: secrets.token_hex(16))
    revision: Mapped[int] = mapped_column(default=1)

    organization: Mapped[Organization] = relationship(foreign_keys=[organization_id], lazy="joined", innerjoin=True)
    sender: Mapped[Person] = relationship(foreign_keys=[sender_id], lazy="joined", innerjoin=True)
    owner: Mapped[Person | None] = relationship(foreign_keys=[owner_id], lazy="joined")

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 (SQLAlchemy reads it from the class)

    @property
    def is_open(self) -> bool:
        """Whether the lead is neither won, lost nor spam."""
        return self.stage in OPEN

    def stalled_for(self, now: datetime) -> timedelta | None:
        """Return for how long nobody has touched the open lead, once that is too long; None otherwise."""
        still = now - self.touched_at
        return still if self.is_open and still > STALLED_AFTER else None

    @property
    def wrote_again(self) -> bool:
        """Whether the customer sent the form once more, and nobody of sales has done anything since."""
        return self.sent_at > self.created_at and (self.worked_at is None or self.worked_at < self.sent_at)


class LeadNote(Model):
    """A text about a lead that only sales reads."""

    __tablename__ = "lead_notes"
    __table_args__ = (Index(None, "lead_id"),)

    lead_id: Mapped[int] = mapped_column(ForeignKey("leads.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(TEXT_MOST))
    html: Mapped[str] = mapped_column(Body)
    renderer: Mapped[int]


@dataclass(frozen=True)
class Enquiry:
    """What the form Contact Us says."""

    name: str
    email: str
    company: str
    phone: str
    need: str
    contact_time: str


@dataclass(frozen=True)
class Receipt:
    """What the sender of an enquiry is told.

    `answer_by` is the working day of the organization's calendar by whose end we write; None when the enquiry updated
    one that was open already, whose next step sales has planned.
    """

    lead: Lead
    answer_by: date | None


@dataclass(frozen=True)
class Leads:
    """The leads that somebody may work on: sales finds every lead through it."""

    session: Session
    condition: ColumnElement[bool]

    def one_or_404(self, key: str) -> Lead:
        """Return the lead of that key; raises NotFound for none, and for everybody else than sales."""
        if len(key) > 20:
            raise NotFound
        mine = select(Lead).where(Lead.key == key.upper(), self.condition)
        found = self.session.scalars(to_write(mine, self.session, Lead)).one_or_none()
        if found is None:
            raise NotFound
        return found


def inbox_of(actor: Person, roles: Iterable[Role]) -> Leads:
    """Return all leads for those whose roles let them work on leads, and none for others."""
    may = allowed(roles, Permission.SALES)
    return Leads(session_of(actor), Lead.id.is_not(None) if may else false())


def open_lead_of(organization: Organization) -> Lead | None:
    """Return the organization's open lead, of which there is one at most."""
    return session_of(organization).scalars(select(Lead).where(Lead.open_for == organization.id)).one_or_none()


def latest_lead_of(organization: Organization) -> Lead | None:
    """Return the organization's open lead, else the one that came last; None without any."""
    mine = select(Lead).where(Lead.organization_id == organization.id)
    return session_of(organization).scalars(mine.order_by(Lead.open_for.is_(None), Lead.id.desc()).limit(1)).first()


def by_contract(organization: Organization, *, now: datetime) -> bool:
    """Tell whether a contract sets the organization's plan, so that nobody can ask for it or buy it."""
    return catalogue(now.date()).plan(PlanName(organization.plan)).by_contract


def submit(organization: Organization, actor: Person, enquiry: Enquiry, *, now: datetime) -> Receipt:
    """Take a member's enquiry for Premium: a new lead, or new facts for the one that is open (product rule 10).

    Sales is alerted once a lead; each sender gets one receipt a lead, at the address of their account, so that nobody
    can have mail sent to strangers. No mail repeats what was typed. Raises NotFound for somebody who is no member, and
    Refused while a contract sets the plan.
    """
    if role_in(actor, organization) is None:
        raise NotFound
    if by_contract(organization, now=now):
        raise Refused(f"{organization.name} has Premium by contract already. Nothing was sent.")
    session = session_of(organization)
    # Two members who send at the same moment come one after the other, on databases that do not see to it themselves.
    session.execute(select(Organization.id).where(Organization.id == organization.id).with_for_update())
    there = open_lead_of(organization)
    spam = None if there is not None else _spam_of(organization, actor, now=now)
    if spam is not None:
        # Whoever sends spam learns nothing of it, and nobody is disturbed: sales finds it with the rest.
        _update(spam, actor, enquiry, now=now, quiet=True)
        return Receipt(spam, None)
    if there is not None:
        if not _has_written(there, actor):
            queue(session, Letter.LEAD_RECEIVED, to=actor, now=now, lead=there.key, by="")
        _update(there, actor, enquiry, now=now)
        return Receipt(there, None)
    answer_by = next_working_day(organization, now=now)
    lead = _open(organization, actor, enquiry, answer_by, now=now)
    by = answer_by.isoformat()
    queue(session, Letter.LEAD_RECEIVED, to=actor, now=now, lead=lead.key, by=by)
    for person in sellers(session):
        queue(session, Letter.LEAD_ALERT, to=person, now=now, lead=lead.key, by=by)
    return Receipt(lead, answer_by)


def _open(organization: Organization, actor: Person, enquiry: Enquiry, answer_by: date, *, now: datetime) -> Lead:
    session = session_of(organization)
    lead = Lead(
        key=f"{COUNTER}-{next_number(session, COUNTER)}",
        organization=organization,
        open_for=organization.id,
        sender=actor,
        search_text="",
        stage=Stage.NEW,
        next_step="Write to the customer",
        next_on=answer_by,
        touch_by=end_of(organization, answer_by, now=now),
        touched_at=now,
        created_at=now,
        updated_at=now,
        sent_at=now,
        **asdict(enquiry),
    )
    _index(lead)
    session.add(lead)
    session.flush()
    note_lead(lead, actor, EventKind.LEAD_SUBMITTED, now=now)
    tell_systems(lead, "lead.received", now=now)
    return lead


def _update(lead: Lead, actor: Person, enquiry: Enquiry, *, now: datetime, quiet: bool = False) -> None:
    """Write what is new into the open lead; the old text stays on the timeline, and the same form again is nothing."""
    fresh = asdict(enquiry)
    changed = [name for name, value in fresh.items() if getattr(lead, name) != value]
    if not changed and lead.sender_id == actor.id:
        return
    old = keep_note(lead, lead.sender, lead.need, now=now).id if "need" in changed else None
    for name, value in fresh.items():
        setattr(lead, name, value)
    lead.sender = actor
    lead.sent_at = lead.touched_at = now
    _index(lead)
    note_lead(lead, actor, EventKind.LEAD_UPDATED, now=now, changed=changed, note=old)
    if not quiet:
        tell_systems(lead, "lead.updated", now=now)


def _spam_of(organization: Organization, actor: Person, *, now: datetime) -> Lead | None:
    """Return the person's last lead for the organization if it was found to be spam, not long ago."""
    mine = select(Lead).where(Lead.organization_id == organization.id, Lead.sender_id == actor.id)
    last = session_of(organization).scalars(mine.order_by(Lead.id.desc()).limit(1)).first()
    if last is None or last.stage is not Stage.SPAM or last.closed_at is None:
        return None
    return last if last.closed_at > now - QUIET_FOR else None


def _index(lead: Lead) -> None:
    lead.search_text = searchable(
        lead.key, lead.organization.name, lead.name, lead.email, lead.company, lead.phone, lead.need
    )


def _has_written(lead: Lead, person: Person) -> bool:
    sent = Event.kind.in_((EventKind.LEAD_SUBMITTED, EventKind.LEAD_UPDATED))
    mine = select(Event.id).where(Event.lead_id == lead.id, Event.actor_id == person.id, sent)
    return session_of(lead).scalar(mine.limit(1)) is not None


def next_working_day(organization: Organization, *, now: datetime) -> date:
    """Return the first day after today on which the organization's calendar has an open hour, in its zone."""
    hours = hours_for(session_of(organization), organization.calendar_id)
    today = now.astimezone(hours.zone).date()
    days = (opens.astimezone(hours.zone).date() for opens, _ in spans(hours, now))
    return next(day for day in days if day > today)


def end_of(organization: Organization, on: date, *, now: datetime) -> datetime:
    """Return when the organization's business hours end on that working day, which is still to come."""
    hours = hours_for(session_of(organization), organization.calendar_id)
    closing = None
    for opens, closes in spans(hours, now):
        day = opens.astimezone(hours.zone).date()
        if day > on:
            break
        closing = closes if day == on else closing
    assert closing is not None, "a working day has business hours"
    return closing


def tell_systems(lead: Lead, kind: str, *, now: datetime, **more: str) -> None:
    """Tell the company's own systems, a CRM for example, how the lead stands: what its form says, and its stage."""
    facts = {
        "key": lead.key,
        "organization": lead.organization.slug,
        "organization_name": lead.organization.name,
        "plan": lead.organization.plan,
        "stage": lead.stage.value,
        "owner": lead.owner.email if lead.owner else None,
        "name": lead.name,
        "email": lead.email,
        "company": lead.company,
        "phone": lead.phone,
        "need": lead.need,
        "contact_time": lead.contact_time,
        "received_at": lead.created_at.isoformat(),
        "path": f"/sales/{lead.key}",
    }
    queue_hook(session_of(lead), Topic.LEADS, kind, facts | more, now=now)


def note_lead(lead: Lead, actor: Person | None, kind: EventKind, *, now: datetime, **data: object) -> Event:
    """Record what happened to a lead; no customer's timeline shows it."""
    lead.updated_at = now
    event = record(
        session_of(lead),
        kind,
        now=now,
        actor_id=actor.id if actor else None,
        organization_id=lead.organization_id,
        lead_id=lead.id,
        internal=True,
        **data,  # type: ignore[arg-type]
    )
    session_of(lead).flush()
    return event


def keep_note(lead: Lead, author: Person, text: str, *, now: datetime) -> LeadNote:
    """Store a text about the lead, rendered once, and return it with its key."""
    source = cleaned(text).strip()
    note = LeadNote(
        lead_id=lead.id,
        author_id=author.id,
        created_at=now,
        source=source,
        html=rendered(source),
        renderer=RENDERER,
    )
    session_of(lead).add(note)
    session_of(lead).flush()
    return note
