"""What is not paid: a renewal that was declined, usage that could not be charged, and the end of a plan.

Source: product rule 9.5.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from models.cards import Card, default_card, look_again, make_default, owner_of
from models.catalogue import PlanName
from models.events import EventKind
from models.organizations import Organization
from models.outbox import Letter
from models.outside import CardFacts
from models.payments import Payment
from models.people import Person
from models.subscriptions import (
    RETRIES,
    Standing,
    Subscription,
    end,
    hold_plan,
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


def charge_again(organization: Organization, *, now: datetime) -> bool:
    """Let the worker's next round charge a renewal that is past due, and tell whether there is one.

    For a card that has become good: it is another one than before, or its bank has renewed it. However the last one
    was declined, and whichever day would come next.
    """
    subscription, card = hold_plan(organization), default_card(organization)
    if subscription is None or subscription.standing is not Standing.PAST_DUE or subscription.pays_offline:
        return False
    over = subscription.last_day_at is not None and subscription.last_day_at <= now
    if over or card is None or card.is_over(now.date()):
        return False
    subscription.retry_at = now
    return True


def is_charged_soon(organization: Organization, card: Card | None, *, now: datetime) -> bool:
    """Tell whether a renewal that is past due is charged to the card in the worker's next round."""
    subscription = subscription_of(organization)
    if subscription is None or card is None or card.default_for is None or subscription.retry_at is None:
        return False
    return subscription.standing is Standing.PAST_DUE and subscription.retry_at <= now


def use_card(organization: Organization, actor: Person, card: Card, *, now: datetime) -> bool:
    """Charge renewals to this card from now on, and tell whether one that is past due is charged to it right away."""
    other = card.default_for is None
    make_default(organization, actor, card, now=now)
    return other and charge_again(organization, now=now)


def hear_of_card(session: Session, token: str, facts: CardFacts | None, *, now: datetime) -> None:
    """Take over what the gateway says of a saved card by itself (`models/cards.py::look_again`)."""
    house = owner_of(session, token)
    if house is None:
        return
    # First the organization, then its card: whoever works on the card's page holds them in this order.
    hold_plan(house)
    if look_again(session, token, facts, now=now):
        charge_again(house, now=now)


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
    # A worker that was down for days has warned nobody: then the days of grace begin with the first try.
    late = not again and now >= subscription.period_end + RETRIES[0]
    since = now if late else subscription.grace_from
    subscription.standing, subscription.last_day_at = Standing.PAST_DUE, since + subscription.grace
    subscription.retry_at = None if payment.reason in HARD else next_retry(since, now)
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
