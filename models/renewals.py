"""What comes by itself: the next period, the last usage, the end of what was not paid, and of a contract.

Source: product rules 9.5 and 9.6. Each verb is one transaction that writes intents; models/collecting.py charges them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from models.ahead import ahead_of
from models.cards import default_card
from models.catalogue import PlanName
from models.charges import CloudCharge
from models.dunning import give_up, lapse
from models.events import EventKind
from models.numbers import hold
from models.organizations import Organization
from models.outbox import Letter
from models.outcomes import begin_paid, refuse, take_payment
from models.payments import Busy, Payment, PaymentKind, PaymentState, begin, open_payment_of
from models.quotes import quote_renewal, quote_usage
from models.refunds import send_back
from models.subscriptions import (
    Standing,
    Subscription,
    Term,
    by_contract,
    contracts_over,
    hold_plan,
    next_retry,
    set_plan,
    tell_managers,
)

BATCH = 20
_BUSY = exists().where(Payment.open_for == Subscription.organization_id)


def begin_renewals(session: Session, now: datetime) -> int:
    """Write the intents of at most twenty renewals that are due, or end what is to end; return how many."""
    hold(session, "chores")
    due = (Subscription.standing == Standing.ACTIVE) & (Subscription.period_end <= now) & ~_BUSY
    found = session.scalars(select(Subscription).where(due).order_by(Subscription.period_end).limit(BATCH)).all()
    for subscription in found:
        hold_plan(subscription.organization)
        if subscription.standing is not Standing.ACTIVE or subscription.period_end > now:
            continue
        # Somebody who has just begun to pay comes first: the next round finds what they made of it.
        with suppress(Busy):
            _renew(subscription, now=now)
    session.flush()
    return len(found)


def _renew(subscription: Subscription, *, now: datetime) -> Payment | None:
    ahead = ahead_of(subscription)
    if ahead is not None:
        if ahead.plan is (subscription.pending_plan or subscription.plan):
            begin_paid(ahead, now=now)
            return ahead
        # Another plan was chosen after this one was paid.
        send_back(ahead, now=now)
    quote, organization = quote_renewal(subscription), subscription.organization
    if quote.plan is None and quote.total == 0 and not quote.settles:
        give_up(subscription, now=now)
        return None
    payment = begin(
        organization,
        PaymentKind.RENEWAL,
        quote=quote.as_facts(),
        cents=quote.total,
        plan=quote.plan,
        card=None if subscription.pays_offline else default_card(organization),
        now=now,
    )
    # The worker charges it in this very round: nobody else has to come and look first.
    payment.next_at = now
    if payment.cents == 0:
        take_payment(payment, now=now)
    elif subscription.pays_offline:
        refuse(payment, PaymentState.DECLINED, "offline", now=now)
    return payment


def begin_retries(session: Session, now: datetime) -> int:
    """Write the intents of at most twenty declined renewals whose day has come again; return how many.

    Each day is tried once, and a worker that was down tries once for all that it missed.
    """
    hold(session, "chores")
    due = (Subscription.standing == Standing.PAST_DUE) & (Subscription.retry_at <= now) & ~_BUSY
    found = session.scalars(select(Subscription).where(due).order_by(Subscription.retry_at).limit(BATCH)).all()
    for subscription in found:
        hold_plan(subscription.organization)
        if subscription.standing is not Standing.PAST_DUE or subscription.retry_at is None:
            continue
        subscription.retry_at = next_retry(subscription.grace_from, now)
        if subscription.last_day_at is not None and subscription.last_day_at <= now:
            continue
        with suppress(Busy):
            _renew(subscription, now=now)
    session.flush()
    return len(found)


def begin_last_usage(session: Session, now: datetime) -> int:
    """Write the intents for usage of plans that have ended, whose cloud charges are known by now; return how many."""
    hold(session, "chores")
    over = (Subscription.standing == Standing.ENDED) & Subscription.owed_since.is_(None) & ~_BUSY
    open_usage = exists().where(
        Term.organization_id == Subscription.organization_id, Term.settled_at.is_(None), Term.period_end <= now
    )
    # Only who has charges that no invoice has counted: months of which nothing is known are waited for.
    charged = exists().where(
        CloudCharge.organization_id == Subscription.organization_id, CloudCharge.invoiced_at.is_(None)
    )
    found = session.scalars(select(Subscription).where(over, open_usage, charged).limit(BATCH)).all()
    begun = 0
    for subscription in found:
        organization = subscription.organization
        hold_plan(organization)
        quote = quote_usage(organization, at=now)
        if subscription.standing is not Standing.ENDED or subscription.owed_since is not None or not quote.settles:
            continue
        facts = quote.as_facts()
        card = None if subscription.pays_offline else default_card(organization)
        try:
            payment = begin(organization, PaymentKind.USAGE, quote=facts, cents=quote.total, card=card, now=now)
        except Busy:
            continue
        payment.next_at = now
        if payment.cents == 0:
            take_payment(payment, now=now)
        elif subscription.pays_offline:
            refuse(payment, PaymentState.DECLINED, "offline", now=now)
        begun += 1
    session.flush()
    return begun


def end_unpaid(session: Session, now: datetime) -> int:
    """End the plans whose last day has passed unpaid, at most twenty; return how many."""
    hold(session, "chores")
    over = (Subscription.standing == Standing.PAST_DUE) & (Subscription.last_day_at <= now) & ~_BUSY
    found = session.scalars(select(Subscription).where(over).limit(BATCH)).all()
    for subscription in found:
        # Whoever has begun to pay at this very moment keeps the plan if they succeed.
        hold_plan(subscription.organization)
        due = subscription.last_day_at is not None and subscription.last_day_at <= now
        if due and open_payment_of(subscription.organization) is None:
            lapse(subscription, now=now)
    session.flush()
    return len(found)


def end_contracts(session: Session, now: datetime) -> int:
    """End Premium where the contract's last day is past (by UTC), at most a hundred; return how many."""
    hold(session, "chores")
    found: Sequence[Organization] = contracts_over(session, now.date())
    for organization in found:
        hold_plan(organization)
        last = organization.contract_end
        if not by_contract(organization) or last is None or last >= now.date():
            continue  # it was renewed at this very moment
        set_plan(organization, PlanName.BASIC, EventKind.CONTRACT_ENDED, now=now, end=last.isoformat())
        before, after = PlanName.PREMIUM.value, PlanName.BASIC.value
        tell_managers(organization, Letter.PLAN_CHANGED, now=now, before=before, after=after, why="contract")
        organization.contract_start = organization.contract_end = None
        organization.contract_note = organization.account_manager = None
        organization.contract_reference = organization.contract_cents = None
    session.flush()
    return len(found)
