"""A period that is paid before it begins: a transfer comes when it comes, and is asked for a fortnight ahead."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from models.base import session_of
from models.catalogue import PlanName
from models.payments import Payment, PaymentKind, PaymentState
from models.quotes import Quote
from models.subscriptions import Standing, Subscription, Term

# So long before a period ends the next one is asked for, and can be paid.
AHEAD = timedelta(days=14)


def ahead_of(subscription: Subscription) -> Payment | None:
    """Return the payment of the period that follows the running one, which waits for its beginning; None without."""
    house, back = subscription.organization_id, aliased(Payment)
    mine = (
        (Payment.organization_id == house)
        & (Payment.kind == PaymentKind.RENEWAL)
        & (Payment.state == PaymentState.PAID)
        & (Payment.offline != "")
        & ~exists().where(Term.organization_id == house, Term.payment_id == Payment.id)
        & ~exists().where(back.organization_id == house, back.refund_of == Payment.id)
    )
    newest = session_of(subscription).scalar(select(Payment).where(mine).order_by(Payment.id.desc()).limit(1))
    if newest is None or Quote.from_facts(newest.quote).period_start != subscription.period_end:
        return None
    return newest


def payable_ahead(subscription: Subscription, *, at: datetime) -> bool:
    """Tell whether the next period can be paid now: by who pays without a card, and only once."""
    if subscription.standing is not Standing.ACTIVE or not subscription.pays_offline:
        return False
    if subscription.pending_plan is PlanName.BASIC or at < subscription.period_end - AHEAD:
        return False
    return ahead_of(subscription) is None
