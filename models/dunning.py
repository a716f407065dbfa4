"""What is not paid: a renewal that was declined, usage that could not be charged, and the end of a plan.

Source: product rule 9.5.
"""

from __future__ import annotations

from datetime import datetime

from models.catalogue import PlanName
from models.events import EventKind
from models.outbox import Letter
from models.payments import Payment
from models.subscriptions import (
    Standing,
    Subscription,
    end,
    live_subscription,
    next_retry,
    set_plan,
    subscription_of,
    tell_managers,
)

# What no second try changes: somebody has to come, with another card or to be asked by the bank. The codes are those
# after which Stripe says not to try again (docs.stripe.com/declines/codes), and ours for a card that is not there.
HARD = frozenset(
    {
        "authentication_required",
        "expired_card",
        "highest_risk_level",
        "incorrect_number",
        "lost_card",
        "no_card",
        "offline",
        "pickup_card",
        "resource_missing",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "transaction_not_allowed",
    }
)


def renewal_failed(payment: Payment, *, now: datetime) -> None:
    """Keep the plan for the days of grace, and say until when; a pending plan begins all the same."""
    subscription = live_subscription(payment.organization)
    if subscription is None:
        return
    if payment.plan is None:
        # The plan ends as was asked; its usage stays owed.
        subscription.owed_since = now
        to_basic(subscription, EventKind.PLAN_DOWNGRADED, now=now)
        return
    again = subscription.standing is Standing.PAST_DUE
    if again and payment.actor_id is not None:
        # Who tries to pay reads on the page why it failed.
        return
    organization, before = payment.organization, PlanName(payment.organization.plan)
    subscription.standing, subscription.last_day_at = Standing.PAST_DUE, subscription.period_end + subscription.grace
    subscription.retry_at = None if payment.reason in HARD else next_retry(subscription.period_end, now)
    if payment.plan is not before:
        subscription.plan, subscription.pending_plan = payment.plan, None
        set_plan(organization, payment.plan, EventKind.PLAN_DOWNGRADED, now=now)
    tell_managers(
        organization,
        Letter.PAYMENT_FAILED,
        now=now,
        reason=payment.reason,
        cents=payment.cents,
        plan=payment.plan.value,
        last_day=subscription.last_day_at.isoformat(),
        retry=subscription.retry_at.isoformat() if subscription.retry_at else "",
    )


def usage_failed(payment: Payment, *, now: datetime) -> None:
    """Note that usage of an ended plan is owed, and say so."""
    subscription = subscription_of(payment.organization)
    if subscription is not None:
        subscription.owed_since = now
    reason, cents = payment.reason, payment.cents
    tell_managers(
        payment.organization, Letter.PAYMENT_FAILED, now=now, reason=reason, cents=cents, plan="", last_day=""
    )


def to_basic(subscription: Subscription, kind: EventKind, *, now: datetime) -> None:
    """End the paid plan; the organization goes on with Basic."""
    organization, before = subscription.organization, subscription.organization.plan
    end(subscription, now=now)
    set_plan(organization, PlanName.BASIC, kind, now=now)
    why = "lapse" if kind is EventKind.PLAN_LAPSED else "downgrade"
    tell_managers(organization, Letter.PLAN_CHANGED, now=now, before=before, after=PlanName.BASIC.value, why=why)


def lapse(subscription: Subscription, *, now: datetime) -> None:
    """End a plan whose renewal was not paid by its last day (product rule 9.5)."""
    if subscription.standing is Standing.PAST_DUE:
        to_basic(subscription, EventKind.PLAN_LAPSED, now=now)


def give_up(subscription: Subscription, *, now: datetime) -> None:
    """Let a plan end as was asked, when nothing is left to be charged."""
    to_basic(subscription, EventKind.PLAN_DOWNGRADED, now=now)
