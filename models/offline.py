"""Payments that came another way than by card: an administrator records them, and they give what a charge would.

The same rows and the same verbs as for a card (models/outcomes.py): an intent, its outcome, the plan, the invoice and
the mail, in one transaction. No gateway is asked, so nothing is ever under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from models.ahead import payable_ahead
from models.base import Labelled, Refused, session_of
from models.catalogue import PlanName, catalogue
from models.checkout import QUOTE_HOLDS, arrears_of
from models.collecting import give
from models.events import EventKind, record
from models.money import dollars
from models.organizations import Organization
from models.payments import Payment, PaymentKind, begin
from models.people import Person
from models.prose import cleaned
from models.quotes import Quote, quote_next, quote_upgrade
from models.subscriptions import hold_plan, live_subscription
from models.wording import MONTHS, zone

REFERENCE_MOST = 60
# A longer time ago is a slip of the key.
EARLIEST = timedelta(days=366)
ARREARS, NEXT = "arrears", "renewal"


class Method(Labelled):
    """How money comes without a card."""

    TRANSFER = "transfer", "Bank transfer"
    ORDER = "purchase-order", "Purchase order"


@dataclass(frozen=True)
class Due:
    """Something that can be recorded as paid: `key` names it in the form."""

    key: str
    words: str
    quote: Quote


def higher_plans(organization: Organization, *, at: datetime) -> list[PlanName]:
    """Return the plans above the organization's own that are sold without a contract."""
    terms, present = catalogue(at.date()), PlanName(organization.plan)
    return [plan for plan in PlanName if plan.rank > present.rank and not terms.plan(plan).by_contract]


def offers(organization: Organization, *, at: datetime) -> dict[str, str]:
    """Return what can be recorded as paid besides arrears, by key, in words: the next period, or a higher plan."""
    running, found = live_subscription(organization), {}
    if running is not None and payable_ahead(running, at=at):
        plan = running.pending_plan or running.plan
        found[NEXT] = f"Renewal of {plan.label}, from {_on(running.period_end.astimezone(UTC).date())}"
    return found | {plan.value: f"Upgrade to {plan.label}" for plan in higher_plans(organization, at=at)}


def due_of(organization: Organization, what: str, *, at: datetime, offered: dict[str, str] | None = None) -> Due:
    """Return what the organization can have paid at the moment: what it owes, or else what `what` names of its offers.

    Without a name it is the first of them: the next period, or the next plan up. Raises Refused where that cannot be
    bought now, with the reason. `offered` are the offers, for who has asked for them already.
    """
    owed = arrears_of(organization, now=at)
    if owed is not None:
        words = f"Renewal of {owed.plan.label}" if owed.plan is not None else "Usage of the plan that has ended"
        return Due(ARREARS, words, owed)
    offered = offers(organization, at=at) if offered is None else offered
    key = next((key for key in offered if what in {key, ""}), None)
    if key is None:
        raise Refused("Nothing of that kind can be paid now. Choose what was paid.", "what")
    if key == NEXT and (running := live_subscription(organization)) is not None:
        return Due(key, offered[key], quote_next(running))
    return Due(key, offered[key], quote_upgrade(organization, PlanName(key), at=at))


@dataclass(frozen=True)
class Came:
    """What came, as an administrator says it; `shown` is the total that the page showed, in cents as text."""

    method: Method
    reference: str
    received: date
    shown: str


def record_payment(
    organization: Organization, actor: Person, what: str, came: Came, *, quoted_at: datetime, now: datetime
) -> Payment:
    """Record that a transfer or a purchase order has come in full, and give what it paid for; return the payment.

    `what` is the key of what was due at `quoted_at` (`due_of`). Raises Refused, naming the field, for what is not due,
    a price shown too long ago or another one by now, a missing reference and a day that cannot be; Busy while a payment
    is under way.
    """
    session = session_of(organization)
    # Nothing stays open that a second administrator could run into, so they come one after the other here.
    hold_plan(organization)
    reference, received = cleaned(came.reference).strip(), came.received
    if not now - QUOTE_HOLDS <= quoted_at <= now:
        raise Refused("The amounts were worked out anew, since this page was open for long. Check them, then record.")
    due = due_of(organization, what, at=quoted_at)
    if due.key != what:
        raise Refused(f"Something else is due now: {due.words}. Check it, then record.")
    if not reference:
        raise Refused("Enter the reference of the transfer or the number of the order.", "reference")
    if len(reference) > REFERENCE_MOST:
        raise Refused(f"Shorten the reference to {REFERENCE_MOST} characters.", "reference")
    today = now.astimezone(zone(actor.time_zone)).date()
    if not today - EARLIEST <= received <= today:
        raise Refused("Enter the day on which it came: today or an earlier one, within a year.", "received")
    if due.quote.total <= 0:
        raise Refused("Nothing is due for this. It begins with a card, on the organization’s Support page.")
    if came.shown != str(due.quote.total):
        raise Refused(f"What is due was worked out anew: {dollars(due.quote.total)}. Check it, then record.")
    payment = begin(
        organization,
        _kind(due),
        quote=due.quote.as_facts(),
        cents=due.quote.total,
        plan=due.quote.plan,
        actor_id=actor.id,
        now=now,
    )
    payment.offline = f"{came.method.label} {reference}, received on {_on(received)}"
    record(
        session,
        EventKind.PAYMENT_RECORDED,
        now=now,
        actor_id=actor.id,
        organization_id=organization.id,
        words=payment.offline,
        cents=payment.cents,
    )
    give(payment, now=now)
    return payment


def _on(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _kind(due: Due) -> PaymentKind:
    if due.key not in {ARREARS, NEXT}:
        return PaymentKind.UPGRADE
    return PaymentKind.RENEWAL if due.quote.plan is not None else PaymentKind.USAGE
