"""What sales does with a lead, and its timeline. Source: product rule 10."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import or_, select

from models.base import Refused, session_of
from models.catalogue import PlanName
from models.changes import start_contract
from models.events import Event, EventKind, record
from models.leads import CLOSED, OPEN, Lead, LeadNote, Stage, keep_note, note_lead, open_lead_of, tell_systems
from models.organizations import Organization
from models.people import Person
from models.permissions import Role
from models.prose import cleaned
from models.upgrades import bring_forward
from models.waiting import call_back
from models.wording import day, zone

ENTRIES = 200
STEP_MOST = 200
# $10,000,000 a month: more is a slip of the key.
CENTS_MOST = 1_000_000_000
_OVER = "This lead is closed. Reopen it first."


@dataclass(frozen=True)
class Contract:
    """What makes an organization Premium: first and last day, the price as agreed, and who looks after it.

    The customer reads all but the note; `cents` is the price of a month, in US cents.
    """

    start: date
    end: date
    note: str
    manager: str
    reference: str
    cents: int


@dataclass(frozen=True)
class Entry:
    """One line of a lead's timeline; `html` is a text that belongs to it, already safe, `mail` the key of its mail."""

    id: int
    at: datetime
    who: str
    words: str
    html: str
    mail: int | None = None


def take(lead: Lead, actor: Person, *, now: datetime) -> None:
    """Make the person of sales the owner. Raises Refused when somebody else was quicker."""
    if lead.owner_id == actor.id:
        return
    if lead.owner is not None:
        raise Refused(f"{lead.owner.name} was quicker and has this lead. Give it to yourself if you should have it.")
    assign(lead, actor, actor, now=now)


def assign(lead: Lead, actor: Person, owner: Person | None, *, now: datetime) -> None:
    """Give the lead to somebody of sales, or to nobody. Raises Refused for anybody else, and on a closed lead."""
    _check_open(lead, "owner")
    if owner is not None and (owner.staff_role is not Role.SALES or not owner.active):
        raise Refused("Choose one of the people of sales.", "owner")
    if lead.owner_id != (owner.id if owner else None):
        lead.owner = owner
        taken = owner is not None and owner.id == actor.id
        _work(lead, actor, EventKind.LEAD_OWNER, now=now, after=owner.name if owner else "", taken=taken)


def set_stage(lead: Lead, actor: Person, stage: Stage, *, now: datetime) -> None:
    """Move an open lead to another stage; Lost and Spam close it. Raises Refused for Won, which needs a contract."""
    _check_open(lead, "stage")
    if stage is Stage.WON:
        raise Refused("To mark the lead as won, say what the contract is.", "stage")
    if stage is not lead.stage:
        _move(lead, actor, stage, now=now)


def reopen(lead: Lead, actor: Person, *, now: datetime) -> None:
    """Open a lost lead again as Contacted, and one that was no spam as New.

    Raises Refused when it is open or won, and while the organization has another open lead.
    """
    if lead.is_open:
        raise Refused("This lead is open.")
    if lead.stage is Stage.WON:
        raise Refused("This lead is won, and its contract stands.")
    other = open_lead_of(lead.organization)
    if other is not None:
        raise Refused(f"{lead.organization.name} has another open lead: {other.key}. Work on that one.")
    _move(lead, actor, Stage.CONTACTED if lead.stage is Stage.LOST else Stage.NEW, now=now)


def win(lead: Lead, actor: Person, contract: Contract, *, now: datetime) -> None:
    """Close the lead as won: from now the contract sets its organization's plan.

    Raises Refused naming the field that is wrong: every part is needed, the contract must hold today (by the calendar
    of the one who acts), and end after it starts.
    """
    _check_open(lead, "")
    today = now.astimezone(zone(actor.time_zone)).date()
    if contract.start > today:
        raise Refused("Premium begins at once: choose today or an earlier day, or come back on the first day.", "start")
    agreed = _checked(contract, today)
    _activate(lead.organization, actor, agreed, now=now)
    bring_forward(lead.organization, PlanName.PREMIUM, now=now)
    call_back(lead.organization, now=now)
    _move(
        lead,
        actor,
        Stage.WON,
        now=now,
        start=agreed.start.isoformat(),
        end=agreed.end.isoformat(),
        manager=agreed.manager,
    )


def _activate(organization: Organization, actor: Person, contract: Contract, *, now: datetime) -> None:
    """Let the contract set the plan; nothing renews or is charged any more."""
    # First the plan: it is refused while somebody pays.
    facts = {"start": contract.start.isoformat(), "end": contract.end.isoformat(), "reference": contract.reference}
    start_contract(organization, actor, now=now, **facts, cents=str(contract.cents), manager=contract.manager)
    _write(organization, contract)


def _write(organization: Organization, contract: Contract) -> None:
    organization.contract_start, organization.contract_end = contract.start, contract.end
    organization.contract_note, organization.account_manager = contract.note, contract.manager
    organization.contract_reference, organization.contract_cents = contract.reference, contract.cents


def _checked(contract: Contract, today: date) -> Contract:
    """Return the contract with its words tidied; raises Refused naming the part that is wrong."""
    manager, note = cleaned(contract.manager).strip(), cleaned(contract.note).strip()
    reference = cleaned(contract.reference).strip()
    if contract.end <= contract.start:
        raise Refused("Choose an end that is after the start.", "end")
    if contract.end < today:
        raise Refused("This contract has ended already. Choose an end that is still to come.", "end")
    if not reference:
        raise Refused("Enter the reference of the contract, for example “PREM-2026-014”.", "reference")
    if not 0 < contract.cents <= CENTS_MOST:
        raise Refused("Enter the price of a month, for example 4200 or 4,200.00.", "price")
    if not note:
        raise Refused("Say what was agreed about the price, for example “$4,200 a month, yearly in advance”.", "note")
    if not manager:
        raise Refused("Name the Technical Account Manager.", "manager")
    return Contract(contract.start, contract.end, note, manager, reference, contract.cents)


def renew(lead: Lead, actor: Person, contract: Contract, *, now: datetime) -> None:
    """Let the running contract of a won lead's organization go on as agreed: until another day, at another price.

    Raises Refused, naming the field, where no contract runs, the lead did not bring it, or it would end no later.
    """
    organization = lead.organization
    # The worker may be ending it just now: one of the two comes first.
    held = select(Organization).where(Organization.id == organization.id).with_for_update()
    session_of(lead).scalars(held.execution_options(populate_existing=True)).one()
    if not runs(lead):
        raise Refused("No contract of this lead runs. A new enquiry brings the next one.")
    assert organization.contract_end is not None, "what runs has an end"
    today = now.astimezone(zone(actor.time_zone)).date()
    agreed = _checked(contract, today)
    if agreed.start > today:
        raise Refused("What you save holds from now on: leave the start as it is, or choose an earlier day.", "start")
    if agreed.end <= organization.contract_end:
        raise Refused(f"Choose an end after {organization.contract_end.isoformat()}, when it ends now.", "end")
    before = organization.contract_end.isoformat()
    _write(organization, agreed)
    record(
        session_of(lead),
        EventKind.CONTRACT_RENEWED,
        now=now,
        actor_id=actor.id,
        organization_id=organization.id,
        start=agreed.start.isoformat(),
        end=agreed.end.isoformat(),
        before=PlanName.PREMIUM.value,
        after=PlanName.PREMIUM.value,
        was=before,
        reference=agreed.reference,
        cents=str(agreed.cents),
        manager=agreed.manager,
    )
    _work(lead, actor, EventKind.LEAD_RENEWED, now=now, end=agreed.end.isoformat(), reference=agreed.reference)
    tell_systems(lead, "lead.renewed", now=now, end=agreed.end.isoformat())


def runs(lead: Lead) -> bool:
    """Tell whether the contract that the won lead brought, or its renewal, sets its organization's plan now."""
    organization = lead.organization
    latest = latest_won(organization)
    premium = organization.plan == PlanName.PREMIUM.value and organization.contract_end is not None
    return premium and latest is not None and latest.id == lead.id


def latest_won(organization: Organization) -> Lead | None:
    """Return the organization's lead that was won last."""
    won = (Lead.organization_id == organization.id) & (Lead.stage == Stage.WON)
    return session_of(organization).scalars(select(Lead).where(won).order_by(Lead.id.desc()).limit(1)).first()


def note(lead: Lead, actor: Person, text: str, *, spoke: bool = False, now: datetime) -> None:
    """Add a note that only sales reads, on an open lead or a closed one. Raises Refused for an empty one.

    `spoke` says that it is of a talk with the customer, who was promised to hear of us by then.
    """
    if not cleaned(text).strip():
        raise Refused("Write the note first.", "body")
    if spoke:
        touch(lead, now=now)
    _work(lead, actor, EventKind.LEAD_NOTED, now=now, note=keep_note(lead, actor, text, now=now).id)


def plan_next(lead: Lead, actor: Person, step: str, on: date | None, *, now: datetime) -> None:
    """Say what is to be done next, and on which day; nothing of both takes it off.

    Raises Refused when one of the two is missing, for a day before today (where the actor is), and on a closed lead.
    """
    _check_open(lead, "step")
    text = cleaned(step).strip()
    if on is not None and not text:
        raise Refused("Say what is to be done on that day, for example “Call about the price”.", "step")
    if text and on is None:
        raise Refused("Choose the day of the next step.", "on")
    if on is not None and on != lead.next_on and on < now.astimezone(zone(actor.time_zone)).date():
        raise Refused("Choose today or a later day.", "on")
    if (text, on) != (lead.next_step, lead.next_on):
        lead.next_step, lead.next_on = text, on
        _work(lead, actor, EventKind.LEAD_STEP, now=now, step=text, on=on.isoformat() if on else "")


def history_of(lead: Lead, *, now: datetime, before: int = 0) -> list[Entry]:
    """Return what happened to the lead, oldest first: the latest two hundred things, or those before that entry."""
    return _entries(lead, *([Event.id < before] if before else []), now=now)


def changes_since(lead: Lead, actor: Person, seen: int, *, now: datetime) -> list[Entry]:
    """Return what others did on the lead after the event with the id `seen`, oldest first."""
    others = or_(Event.actor_id != actor.id, Event.actor_id.is_(None))
    return _entries(lead, Event.id > seen, others, now=now)


def _entries(lead: Lead, *where: object, now: datetime) -> list[Entry]:
    session = session_of(lead)
    query = (
        select(Event, Person.name)
        .outerjoin(Person, Person.id == Event.actor_id)
        .where(Event.lead_id == lead.id, *where)  # type: ignore[arg-type]
        .order_by(Event.id.desc())
        .limit(ENTRIES)
    )
    rows = session.execute(query).all()[::-1]
    shown = [event.data["note"] for event, _ in rows if event.data.get("note")]
    texts = select(LeadNote).where(LeadNote.lead_id == lead.id, LeadNote.id.in_(shown))
    notes = {one.id: one.html for one in session.scalars(texts)} if shown else {}
    return [
        Entry(
            event.id,
            event.at,
            name or event.data.get("address", ""),
            _words(event, now),
            notes.get(event.data.get("note") or 0, ""),
            event.data.get("mail"),
        )
        for event, name in rows
    ]


def _words(event: Event, now: datetime) -> str:
    data = event.data
    match event.kind:
        case EventKind.LEAD_STAGE:
            words = f"changed the stage from {Stage(data['before']).label} to {Stage(data['after']).label}"
            if "manager" in data:
                last = day(date.fromisoformat(data["end"]), now.date())
                words += f": Premium until {last}, Technical Account Manager {data['manager']}"
        case EventKind.LEAD_OWNER:
            words = f"gave this lead to {data['after']}" if data["after"] else "took the owner off"
            words = "took this lead" if data["taken"] else words
        case EventKind.LEAD_STEP:
            words = "took the next step off"
            if data["on"]:
                words = f"planned “{data['step']}” for {day(date.fromisoformat(data['on']), now.date())}"
        case EventKind.LEAD_RENEWED:
            last = day(date.fromisoformat(data["end"]), now.date())
            words = f"renewed the contract until {last}, reference {data['reference']}"
        case EventKind.LEAD_UPDATED:
            words = "sent the form again" + (" in place of what is below" if data["note"] else "")
        case _:
            words = event.kind.label
    return words


def _move(lead: Lead, actor: Person, stage: Stage, *, now: datetime, **data: str) -> None:
    before, lead.stage = lead.stage, stage
    if stage in {Stage.CONTACTED, Stage.QUALIFIED, Stage.WON}:
        touch(lead, now=now)
    if stage in CLOSED:
        lead.closed_at, lead.open_for = now, None
        lead.next_step, lead.next_on = "", None
    elif before in CLOSED:
        lead.closed_at, lead.open_for = None, lead.organization_id
    _work(lead, actor, EventKind.LEAD_STAGE, now=now, before=before.value, after=stage.value, **data)
    tell_systems(lead, "lead.stage", now=now, before=before.value)


def _work(lead: Lead, actor: Person, kind: EventKind, *, now: datetime, **data: object) -> None:
    lead.worked_at = lead.touched_at = now
    note_lead(lead, actor, kind, now=now, **data)


def touch(lead: Lead, *, now: datetime) -> None:
    """Stop the first-touch clock: a note of a talk, a mail or a stage that follows one says that we were in touch."""
    if lead.first_touch_at is None:
        lead.first_touch_at = now


def _check_open(lead: Lead, field: str) -> None:
    if lead.stage not in OPEN:
        raise Refused(_OVER, field)
