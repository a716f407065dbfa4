"""The history of an organization's plan and payments, from the events: what was changed, when, by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select

from models.base import session_of
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.money import dollars
from models.organizations import Organization
from models.paging import COUNTED_TO, Paging, within
from models.payments import Payment, PaymentKind, why_of
from models.people import Person
from models.subscriptions import Term
from models.wording import day

KINDS = (
    EventKind.PLAN_UPGRADED, EventKind.PLAN_RENEWED, EventKind.PLAN_PENDING, EventKind.PLAN_KEPT,
    EventKind.PLAN_DOWNGRADED, EventKind.PLAN_LAPSED, EventKind.CONTRACT_STARTED, EventKind.CONTRACT_RENEWED,
    EventKind.CONTRACT_ENDED,
    EventKind.PAYMENT_FAILED, EventKind.USAGE_PAID, EventKind.REFUNDED,
    EventKind.REFUNDED_BY_HAND,
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One line: when, who ("" for the portal itself), what; `invoice` is the number of the paper, if there is one."""

    at: datetime
    who: str
    words: str
    invoice: str


def history_of(organization: Organization, page: int, size: int, *, bills: bool) -> tuple[list[Change], Paging]:
    """Return one page of the plan's history, the newest first (two statements); cards and amounts for who `bills`."""
    session = session_of(organization)
    mine = (Event.organization_id == organization.id) & Event.kind.in_(KINDS)
    some = select(Event.id).where(mine).limit(COUNTED_TO + 1).subquery()
    total = session.scalar(select(func.count()).select_from(some)) or 0
    page = within(page, total, size)
    query = select(Event, Person.name).outerjoin(Person, Person.id == Event.actor_id).where(mine)
    rows = session.execute(query.order_by(Event.at.desc(), Event.id.desc()).offset((page - 1) * size).limit(size)).all()
    path = f"/console/{organization.slug}/history"
    changes = [
        Change(event.at, name or "", _words(event, bills=bills), str(event.data.get("invoice") or ""))
        for event, name in rows
    ]
    return changes, Paging(page, size, len(rows), total, lambda n: f"{path}?page={n}" if n > 1 else path)


_OF_BILLS = {"card", "cents", "reason"}
# What a payment for a plan is called with the plan's name.
_FOR_PLAN = {PaymentKind.UPGRADE: "Upgrade to", PaymentKind.RENEWAL: "Renewal of"}


def _words(event: Event, *, bills: bool) -> str:
    data = event.data if bills else {name: value for name, value in event.data.items() if name not in _OF_BILLS}
    before, after = (PlanName(data[name]).label if data.get(name) else "" for name in ("before", "after"))
    match event.kind:
        case EventKind.PLAN_UPGRADED:
            words = f"Upgraded from {before} to {after}" + (f", paid with {data['card']}" if data.get("card") else "")
        case EventKind.PLAN_RENEWED:
            words = f"{after} renewed" + (f" with {data['card']}" if data.get("card") else "")
        case EventKind.PLAN_PENDING:
            words = f"Downgrade from {before} to {after} scheduled for {_day(data['on'][:10], event)}"
        case EventKind.PLAN_KEPT:
            words = f"{before} kept: the downgrade to {after} was taken back"
        case EventKind.PLAN_DOWNGRADED:
            words = f"Changed from {before} to {after}"
        case EventKind.PLAN_LAPSED:
            words = f"{before} ended unpaid; {after} began"
        case EventKind.CONTRACT_STARTED | EventKind.CONTRACT_RENEWED:
            what = "Premium by contract" if event.kind is EventKind.CONTRACT_STARTED else "Contract renewed"
            words = f"{what}, from {_day(data['start'], event)} until {_day(data['end'], event)}"
        case EventKind.CONTRACT_ENDED:
            words = f"The contract ended; {after} began"
        case EventKind.PAYMENT_FAILED:
            words = _failed(data, waits=event.data.get("reason") == "offline")
        case _:
            words = "Usage paid" if event.kind is EventKind.USAGE_PAID else "Money given back"
    return words


def _failed(data: Mapping[str, Any], *, waits: bool) -> str:
    """Say what was not paid; `waits` for money that comes by transfer, which is late and not declined."""
    kind, plan, cents = PaymentKind(data["payment"]), data.get("plan"), data.get("cents")
    # What was written down before plans were has none.
    what = f"{_FOR_PLAN[kind]} {PlanName(plan).label}" if plan and kind in _FOR_PLAN else kind.label
    words = f"{what} {'not paid yet' if waits else 'failed'}" + (f": {dollars(cents)}" if cents else "")
    return f"{words}. {why_of(data['reason'])}" if data.get("reason") and not waits else words


def _day(written: str, event: Event) -> str:
    return day(date.fromisoformat(written), event.at.date())


@dataclass(frozen=True)
class Then:
    """What an organization had at a moment: the plan, what it cost with which card, and under which contract."""

    at: datetime
    plan: PlanName
    # Of what was paid by card: the least price of a month and the share of cloud charges; None where nothing was.
    floor_cents: int | None = None
    percent: int = 0
    period_end: datetime | None = None
    card: str = ""
    # The card that renewals were charged to; "" for none, and where that was not written down.
    default: str = ""
    contract: tuple[date, date] | None = None
    # What stands on the contract; "" and None where that was not written down.
    reference: str = ""
    contract_cents: int | None = None
    manager: str = ""


_PLANS = (
    EventKind.PLAN_UPGRADED, EventKind.PLAN_RENEWED, EventKind.PLAN_DOWNGRADED, EventKind.PLAN_LAPSED,
    EventKind.CONTRACT_STARTED, EventKind.CONTRACT_RENEWED, EventKind.CONTRACT_ENDED,
)  # fmt: skip


def had(organization: Organization, at: datetime) -> Then:
    """Return what the organization had at the moment, by what was written down then; four statements at most."""
    return replace(_plan_then(organization, at), default=_default_then(organization, at))


_CARDS = (EventKind.CARD_ADDED, EventKind.CARD_DEFAULT, EventKind.CARD_UPDATED, EventKind.CARD_REMOVED)


def _default_then(organization: Organization, at: datetime) -> str:
    mine = select(Event).where(Event.organization_id == organization.id, Event.kind.in_(_CARDS), Event.at <= at)
    last = session_of(organization).scalars(mine.order_by(Event.at.desc(), Event.id.desc()).limit(1)).first()
    return "" if last is None else str(last.data.get("default", ""))


def _plan_then(organization: Organization, at: datetime) -> Then:
    session = session_of(organization)
    mine = select(Event).where(Event.organization_id == organization.id, Event.kind.in_(_PLANS))
    last = session.scalars(mine.where(Event.at <= at).order_by(Event.at.desc(), Event.id.desc()).limit(1)).first()
    if last is None:
        first = session.scalars(mine.order_by(Event.at, Event.id).limit(1)).first()
        return Then(at, PlanName(first.data["before"] if first is not None else organization.plan))
    plan = PlanName(last.data["after"])
    if last.kind in {EventKind.CONTRACT_STARTED, EventKind.CONTRACT_RENEWED}:
        begin, end = (date.fromisoformat(last.data[name]) for name in ("start", "end"))
        data, cents = last.data, str(last.data.get("cents", ""))
        return Then(
            at,
            plan,
            contract=(begin, end),
            reference=data.get("reference", ""),
            contract_cents=int(cents) if cents else None,
            manager=data.get("manager", ""),
        )
    inside = (Term.organization_id == organization.id) & (Term.starts_at <= at) & (Term.ends_at > at)
    paid = select(Term, Payment).outerjoin(Payment, Payment.id == Term.payment_id).where(inside, Term.plan == plan)
    row = session.execute(paid.order_by(Term.starts_at.desc(), Term.id.desc()).limit(1)).first()
    if row is None:
        return Then(at, plan)
    term, payment = row
    card = ""
    if payment is not None:
        card = payment.card.words if payment.card is not None else payment.offline
    return Then(at, plan, term.floor_cents, term.percent, term.period_end, card)
