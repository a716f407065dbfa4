"""Less, kept, or by contract: what changes a plan without a charge.

Source: product rules 9.4 and 9.6.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from models.ahead import ahead_of
from models.base import Refused, session_of
from models.catalogue import PlanName
from models.events import EventKind, record
from models.invoices import Invoice, Line, LineKind, lines_of
from models.money import share
from models.organizations import Organization
from models.outbox import Letter
from models.payments import Payment, check_free
from models.people import Person
from models.refunds import give_back, send_back
from models.subscriptions import (
    Standing,
    Subscription,
    Term,
    end,
    hold_plan,
    live_subscription,
    set_plan,
    tell_managers,
)


def check_downgrade(organization: Organization, plan: PlanName, *, now: datetime) -> Subscription:
    """Return the subscription that can be downgraded to the plan. Raises Refused with what to do instead."""
    present, running = PlanName(organization.plan), live_subscription(organization)
    if running is None:
        how = "is managed by contract" if present is PlanName.PREMIUM else "costs nothing"
        raise Refused(f"{organization.name} has the {present.label} plan, which {how}: there is nothing to downgrade.")
    if plan.rank >= present.rank:
        raise Refused(f"{plan.label} is not less than {present.label}, which {organization.name} has.")
    if running.standing is Standing.PAST_DUE:
        plan_label = running.plan.label
        raise Refused(f"The renewal of {plan_label} is not paid. Unpaid, the plan ends by itself: do nothing.")
    if running.period_end <= now:
        raise Refused(f"The renewal of {running.plan.label} is being charged. Downgrade in a few minutes.")
    return running


def schedule_downgrade(organization: Organization, actor: Person, plan: PlanName, *, now: datetime) -> Subscription:
    """Let the lower plan begin when the period that is paid for ends. Raises Refused, or Busy while somebody pays."""
    running = check_downgrade(organization, plan, now=now)
    check_free(organization)
    if running.pending_plan is plan:
        return running
    running.pending_plan = plan
    facts: dict[str, Any] = {"before": organization.plan, "after": plan.value, "on": running.period_end.isoformat()}
    record(
        session_of(organization),
        EventKind.PLAN_PENDING,
        now=now,
        actor_id=actor.id,
        organization_id=organization.id,
        **facts,
    )
    tell_managers(organization, Letter.PLAN_PENDING, now=now, also=actor, **facts)
    return running


def keep_plan(organization: Organization, actor: Person, *, now: datetime) -> None:
    """Take a scheduled downgrade back. Raises Refused when there is none, Busy while somebody pays."""
    running = live_subscription(organization)
    if running is None or running.pending_plan is None:
        raise Refused("No change of the plan is scheduled: there is nothing to take back.")
    check_free(organization)
    record(
        session_of(organization),
        EventKind.PLAN_KEPT,
        now=now,
        actor_id=actor.id,
        organization_id=organization.id,
        before=organization.plan,
        after=running.pending_plan.value,
    )
    running.pending_plan = None


def start_contract(organization: Organization, actor: Person, *, now: datetime, **facts: str) -> None:
    """Let a contract set the plan from now on: Premium. What was paid for the rest of a period goes back to its card.

    Raises Busy while a payment of the organization is under way.
    """
    running = hold_plan(organization)
    check_free(organization)
    if running is not None and running.is_live:
        if (ahead := ahead_of(running)) is not None:
            send_back(ahead, now=now)
        _give_back(running, now=now)
        end(running, now=now)
    set_plan(organization, PlanName.PREMIUM, EventKind.CONTRACT_STARTED, now=now, actor_id=actor.id, **facts)


def _give_back(running: Subscription, *, now: datetime) -> None:
    """Write the intents to refund the unused rest of the period, with its tax, to the charges that paid for it.

    The newest charge is given back first: an upgrade was charged less what had been paid for the plan before it.
    """
    rest, whole = running.period_end - now, running.period_end - running.period_start
    left = share(running.floor_cents, rest, whole)
    if running.standing is not Standing.ACTIVE:
        return
    for payment, invoice in _paid_for(running):
        lines = lines_of(session_of(running), [invoice.id])
        cents = min(left, sum(line.cents for line in lines if line.kind is not LineKind.USAGE))
        if cents > 0:
            line = Line(LineKind.CREDIT, f"Unused {running.plan.label} plan", -cents, now, running.period_end)
            give_back(payment, line, invoice.tax_basis_points, now=now)
            left -= cents


def _paid_for(running: Subscription) -> list[tuple[Payment, Invoice]]:
    """Return the charges of the subscription's period with their invoices, the newest first."""
    this = (Term.organization_id == running.organization_id) & (Term.period_start == running.period_start)
    paid = (
        select(Payment, Invoice)
        .join(Invoice, Invoice.payment_id == Payment.id)
        .where(Payment.id.in_(select(Term.payment_id).where(this)), Payment.cents > 0)
        .order_by(Payment.id.desc())
    )
    return [(payment, invoice) for payment, invoice in session_of(running).execute(paid)]
