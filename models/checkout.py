"""Buying: each verb writes an intent down, in one transaction, before anybody calls the gateway.

models/collecting.py makes the calls, models/outcomes.py does what their answers bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.base import Refused
from models.cards import Card, card_of, check_room, default_card
from models.catalogue import PlanName
from models.money import dollars
from models.organizations import Organization
from models.payments import Payment, PaymentKind, begin
from models.people import Person
from models.quotes import Quote, quote_renewal, quote_upgrade, quote_usage
from models.subscriptions import (
    Standing,
    hold_plan,
    subscription_of,
)

# A price is held for so long after it was shown.
QUOTE_HOLDS = timedelta(minutes=30)


@dataclass(frozen=True)
class Price:
    """What a page showed to who confirms it: the total in cents, and when it was worked out."""

    at: datetime
    cents: int


def begin_upgrade(
    organization: Organization,
    actor: Person,
    plan: PlanName,
    *,
    price: Price,
    card: Card | None,
    now: datetime,
) -> Payment:
    """Write down the intent to buy the plan at the price that was shown, with that card or with one to be saved.

    Raises Refused for a plan that cannot be bought, a price shown too long ago or another one by now (the tax was set,
    or cloud charges came), or a card that is over; Busy while another payment of the organization is under way.
    """
    if not now - QUOTE_HOLDS <= price.at <= now:
        raise Refused(
            "The price was worked out anew, since this page was open for long. Check it, and confirm once more."
        )
    hold_plan(organization)
    quote = quote_upgrade(organization, plan, at=price.at)
    if quote.total != price.cents:
        raise Refused(f"What is due was worked out anew: {dollars(quote.total)}. Check it, and confirm once more.")
    if card is None:
        check_room(organization)
    elif card.is_over(now.date()):
        raise Refused(f"{card.words} has expired. Add another card.")
    return begin(
        organization,
        PaymentKind.UPGRADE,
        quote=quote.as_facts(),
        cents=quote.total,
        plan=plan,
        card=card,
        actor_id=actor.id,
        now=now,
    )


def begin_saving(organization: Organization, actor: Person, *, replaces: int | None, now: datetime) -> Payment:
    """Write down the intent to save a card, in the place of another one if `replaces` names it.

    Raises NotFound for a card that is not the organization's, Refused when it has the most that there may be.
    """
    old = card_of(organization, replaces) if replaces is not None else None
    if old is None:
        check_room(organization)
    return begin(
        organization, PaymentKind.CARD, quote={}, cents=0, replaces=old, actor_id=actor.id, now=now, alone=False
    )


def arrears_of(organization: Organization, *, now: datetime) -> Quote | None:
    """Return what could not be charged and can be paid now: a renewal, or usage of a plan that ended; None for neither.

    A renewal comes with the usage of the period before it.
    """
    subscription = subscription_of(organization)
    if subscription is None:
        return None
    if subscription.standing is Standing.PAST_DUE:
        return quote_renewal(subscription)
    return quote_usage(organization, at=now) if subscription.owed_since is not None else None


def begin_arrears(organization: Organization, actor: Person, *, shown: str, now: datetime) -> Payment:
    """Write down the intent to pay what could not be charged, with the default card.

    Raises Refused when nothing is owed, there is no card, or another amount was `shown` (in cents) to who pays; Busy as
    `begin_upgrade` does.
    """
    hold_plan(organization)
    quote, card = arrears_of(organization, now=now), default_card(organization)
    if quote is None:
        raise Refused("Nothing is owed: there is nothing to pay.")
    if card is None or card.is_over(now.date()):
        raise Refused("Add a card first.")
    if shown != str(quote.total):
        raise Refused(f"What is due was worked out anew: {dollars(quote.total)}. Check it, and pay once more.")
    kind = PaymentKind.RENEWAL if quote.plan is not None else PaymentKind.USAGE
    facts = quote.as_facts()
    return begin(
        organization, kind, quote=facts, cents=quote.total, plan=quote.plan, card=card, actor_id=actor.id, now=now
    )
