"""What the Support page says about an organization: its plan, the others beside it, and how its requests stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, case, func, select

from models.ahead import ahead_of
from models.base import Labelled, session_of
from models.calendars import HOURS, Hours, hours_from
from models.cards import Card, default_card
from models.catalogue import Catalogue, DoorName, Plan, PlanName, Severity, Target, catalogue
from models.leads import Lead, latest_lead_of
from models.money import dollars
from models.organizations import Organization, managers_of, role_in
from models.payments import Payment, open_payment_of
from models.people import Person
from models.permissions import Permission, Role, allowed
from models.subscriptions import Subscription, Term, subscription_of
from models.tickets import ACTIVE, Ticket, Tickets, TicketState
from models.together import ask_together


class Way(Labelled):
    """What can be done about a plan from where the organization is; the label is the button's."""

    CURRENT = "current", "Current plan"
    UPGRADE = "upgrade", "Upgrade"
    DOWNGRADE = "downgrade", "Downgrade"
    CONTACT = "contact", "Contact Sales"
    CONTRACT = "contract", "Managed by contract"


@dataclass(frozen=True)
class Pane:
    """One plan beside the others: `price` large, `terms` small below it; `gains` beyond the plan before it."""

    plan: Plan
    way: Way
    price: str
    terms: str
    targets: Sequence[tuple[Severity, Target | None]]
    before: str
    gains: Sequence[str]


@dataclass(frozen=True)
class Overview:
    """The facts of the Support page."""

    plan: Plan
    panes: Sequence[Pane]
    hours: Hours
    open_requests: int
    waiting: int
    late: int
    next_due: datetime | None
    may_change: bool
    managers: Sequence[Person]
    technical: bool
    needs: PlanName
    enquiry: Lead | None
    subscription: Subscription | None
    # What renewals are charged to; none where they are paid another way.
    card: Card | None
    payment: Payment | None
    # Whether the period that follows the running one is paid.
    ahead: bool


def overview(actor: Person, scope: Tickets, organization: Organization, *, now: datetime) -> Overview:
    """Return the facts for this reader: counts hold what the reader may see."""
    terms, name = catalogue(now.date()), PlanName(organization.plan)
    here = scope.condition & (Ticket.organization_id == organization.id) & Ticket.state.in_(ACTIVE)
    late = func.count(case((Ticket.due_at < now, 1)))
    figures = select(Ticket.state, func.count(), func.min(Ticket.due_at), late).where(here).group_by(Ticket.state)
    by_state = {row[0]: (row[1], row[2], row[3]) for row in scope.session.execute(figures)}
    dues = [due for _, due, _ in by_state.values() if due is not None and due >= now]
    door = DoorName.TECHNICAL
    subscription = subscription_of(organization)
    live = subscription is not None and subscription.is_live
    offline = subscription is not None and subscription.pays_offline
    found = ask_together(
        scope.session, _HOURS_AND_PLANS, calendar=organization.calendar_id, organization=organization.id
    )
    had = {row[0] for row in found["had"]}
    return Overview(
        plan=terms.plan(name),
        panes=[_pane(terms, plan, name, had=plan in had) for plan in PlanName],
        hours=hours_from(found["hours"]),
        open_requests=sum(number for number, _, _ in by_state.values()),
        waiting=by_state.get(TicketState.WAITING, (0, None, 0))[0],
        late=sum(late for _, _, late in by_state.values()),
        next_due=min(dues, default=None),
        may_change=allowed((role_in(actor, organization) or Role.NOBODY,), Permission.BILLING),
        managers=session_of(organization).scalars(managers_of(organization)).all(),
        technical=terms.opens(name, door),
        needs=terms.cheapest_plan_opening(door),
        enquiry=latest_lead_of(organization),
        subscription=subscription,
        card=default_card(organization) if live and not offline else None,
        payment=open_payment_of(organization),
        ahead=subscription is not None and live and offline and ahead_of(subscription) is not None,
    )


# The business hours, and which plans were ever bought: each first month is free once.
_HOURS_AND_PLANS = (
    ("hours", HOURS),
    # Grouped, not "distinct": that would compare the columns of the hours, which not every database can.
    ("had", select(Term.plan).where(Term.organization_id == bindparam("organization")).group_by(Term.plan)),
)


def _pane(terms: Catalogue, name: PlanName, present: PlanName, *, had: bool) -> Pane:
    plan, door = terms.plan(name), DoorName.TECHNICAL
    free = plan.first_month_free and not had
    lower = list(PlanName)[name.rank - 1] if name.rank else None
    gains = [one.name for one in terms.services if name in one.plans and (lower is None or lower not in one.plans)]
    return Pane(
        plan=plan,
        way=_way(plan, terms.plan(present)),
        price=_price(plan),
        terms=_terms(plan, free=free),
        targets=[(severity, terms.target(name, door, severity)) for severity in Severity],
        before=lower.label if lower else "",
        gains=gains,
    )


def _way(plan: Plan, present: Plan) -> Way:
    if plan.key is present.key:
        return Way.CURRENT
    if present.by_contract:
        return Way.CONTRACT
    if plan.by_contract:
        return Way.CONTACT
    return Way.UPGRADE if plan.key.rank > present.key.rank else Way.DOWNGRADE


def _price(plan: Plan) -> str:
    if plan.floor_cents is None:
        return "Custom"
    return dollars(plan.floor_cents).removesuffix(".00") if plan.floor_cents else "Free"


def _terms(plan: Plan, *, free: bool) -> str:
    if plan.floor_cents is None:
        return "by contract"
    if not plan.floor_cents:
        return ""
    more = f"per month, or {plan.percent} % of cloud charges if that is more"
    return f"{more}; first month free" if free else more
