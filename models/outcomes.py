"""What an answer of the gateway brings: the card, the plan, the invoice, the mail; or that nothing was charged.

Nothing changes unless the charge succeeded (product rule 9.2), and what an answer changes is changed once, however
often the answer comes. Each verb is one transaction.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select, update

from models.base import NotFound, Refused, session_of
from models.cards import Card, add_card, default_card, make_default, remove_card, turn_away
from models.catalogue import PlanName
from models.charges import CloudCharge
from models.dunning import charge_again, renewal_failed, to_basic, usage_failed
from models.events import EventKind, record
from models.invoices import Invoice, InvoiceKind, write_invoice
from models.money import next_month
from models.organizations import Organization
from models.outbox import Letter
from models.outside import CardFacts
from models.payments import (
    ANSWER_WITHIN,
    ASK_AGAIN,
    LEFT,
    LOOK_AFTER,
    LOOK_GAPS,
    REFUND_GAP,
    Payment,
    PaymentKind,
    PaymentState,
    tell_administrators,
)
from models.people import Person
from models.quotes import Quote
from models.receipts import send_receipt
from models.refunds import send_back
from models.subscriptions import (
    Standing,
    Subscription,
    Term,
    by_contract,
    close_term,
    hold_plan,
    live_subscription,
    open_term,
    set_plan,
    subscription_of,
    tell_managers,
)


def put_off(payment: Payment, *, now: datetime) -> None:
    """Ask again later, since no answer came; whatever was charged is found by its key then."""
    payment.attempts += 1
    slow = payment.kind is PaymentKind.REFUND and payment.attempts > len(LOOK_GAPS)
    payment.next_at = now + (REFUND_GAP if slow else LOOK_GAPS[min(payment.attempts, len(LOOK_GAPS)) - 1])


def let_bank_ask(payment: Payment, call: str, url: str, *, now: datetime) -> None:
    """Wait for the cardholder, whom the bank asks at `url` about one of the payment's calls.

    Who answers and closes the page has answered all the same: the gateway is asked every other minute.
    """
    if payment.is_open:
        payment.state, payment.asks, payment.url = PaymentState.ASKING, call, url[:500]
        payment.next_at = min(payment.created_at + ANSWER_WITHIN, now + ASK_AGAIN)


def take_card(payment: Payment, facts: CardFacts, *, now: datetime) -> None:
    """Keep the card that the gateway has saved; with it a payment goes on to its charge."""
    if not payment.is_open or payment.card_id is not None:
        return
    assert payment.actor_id is not None, "only people save cards"
    organization = payment.organization
    replaced = session_of(payment).get(Card, payment.replaces_id) if payment.replaces_id else None
    subscription, before = hold_plan(organization), default_card(organization)
    first = replaced is not None and replaced.default_for is not None
    if subscription is not None and subscription.standing is Standing.PAST_DUE and before is not None:
        # Whoever adds a card then means it to pay, when the one that should have paid is over.
        first = first or before.is_over(now.date())
    try:
        payment.card = add_card(organization, payment.actor_id, facts, default=first, now=now, replaced=replaced)
    except Refused:
        turn_away(organization, payment.actor_id, facts, now=now)
        refuse(payment, PaymentState.DECLINED, "no_room", now=now)
        return
    if default_card(organization) is not before:
        charge_again(organization, now=now)
    payment.state, payment.asks, payment.url = PaymentState.PENDING, "", ""
    if payment.kind is PaymentKind.CARD:
        if replaced is not None and replaced.removed_at is None:
            remove_card(organization, _actor(payment), replaced, renews=False, now=now)
        payment.close(PaymentState.PAID, now=now)


def refuse(payment: Payment, state: PaymentState, reason: str, *, now: datetime) -> None:
    """Write down that no money moved: declined by the bank, ended by the customer, or not confirmed in time."""
    if not payment.is_open:
        return
    hold_plan(payment.organization)
    payment.close(state, now=now, reason=reason if state is PaymentState.DECLINED else "")
    _note_refusal(payment, now=now)
    if payment.kind is PaymentKind.UPGRADE:
        _let_card_go(payment, now=now)
    elif payment.kind is PaymentKind.RENEWAL:
        renewal_failed(payment, now=now)
    elif payment.kind is PaymentKind.USAGE and payment.actor_id is None:
        usage_failed(payment, now=now)
    elif payment.kind is PaymentKind.REFUND:
        tell_administrators(payment, now=now)


def _note_refusal(payment: Payment, *, now: datetime) -> None:
    record(
        session_of(payment),
        EventKind.PAYMENT_FAILED if payment.state is PaymentState.DECLINED else EventKind.PAYMENT_ENDED,
        now=now,
        actor_id=payment.actor_id,
        organization_id=payment.organization_id,
        payment=payment.kind.value,
        plan=payment.plan.value if payment.plan else "",
        state=payment.state.value,
        reason=payment.reason,
        cents=payment.cents,
    )


def leave(payment: Payment, *, now: datetime) -> None:
    """End a payment that has not got as far as a card, at its customer's word; any other stays as it is.

    The gateway may be saving a card for it just now: it is asked later what it has kept (`forget_left`).
    """
    if payment.state is PaymentState.PENDING and payment.card_id is None:
        refuse(payment, PaymentState.ABANDONED, "", now=now)
        payment.asks, payment.next_at = LEFT, now + LOOK_AFTER


def take_payment(payment: Payment, *, now: datetime) -> Invoice | None:
    """Give what was paid for, once: the plan, the invoice, the mail. None when it was given before."""
    if not payment.is_open:
        return None
    organization = payment.organization
    hold_plan(organization)
    payment.close(PaymentState.PAID, now=now)
    quote = Quote.from_facts(payment.quote)
    invoice = None
    if quote.lines:
        invoice = _write(payment, InvoiceKind.INVOICE, quote, card=payment.card, now=now)
        payer = None if payment.offline else _actor_or_none(payment)
        send_receipt(organization, invoice.number, now=now, also=payer)
    _settle(payment, quote, now=now)
    number = invoice.number if invoice else ""
    if payment.kind is PaymentKind.UPGRADE:
        _upgrade(payment, quote, number, now=now)
    elif payment.kind is PaymentKind.RENEWAL:
        _renew(payment, quote, number, now=now)
    elif payment.kind is PaymentKind.USAGE:
        _usage_paid(payment, number, now=now)
    return invoice


def take_refund(payment: Payment, *, now: datetime) -> Invoice | None:
    """Write the credit note of money that went back, once."""
    return _gone_back(payment, EventKind.REFUNDED, None, now=now) if payment.is_open else None


def paid_back_by_hand(payment: Payment, actor: Person, *, now: datetime) -> Invoice:
    """Return the credit note of a refund that the gateway declined and that an administrator made.

    It is written now, unless the gateway had said first that it was done. Raises Refused for any other payment, and
    when it is marked already.
    """
    if payment.kind is not PaymentKind.REFUND or payment.state is not PaymentState.DECLINED:
        raise Refused("This refund is not waiting any more: it is marked as paid back.")
    # What was paid back by hand went to no card.
    payment.card = None
    return _gone_back(payment, EventKind.REFUNDED_BY_HAND, actor, now=now)


def refund_came_back(payment: Payment, *, now: datetime) -> None:
    """Let a refund wait for an administrator whose money the bank has sent back after it was done."""
    if payment.kind is PaymentKind.REFUND and payment.state is PaymentState.PAID:
        payment.close(PaymentState.DECLINED, now=now, reason="refund_failed")
        _note_refusal(payment, now=now)
        tell_administrators(payment, now=now)


def _gone_back(payment: Payment, kind: EventKind, actor: Person | None, *, now: datetime) -> Invoice:
    payment.close(PaymentState.PAID, now=now)
    note = session_of(payment).scalar(select(Invoice).where(Invoice.payment_id == payment.id))
    fresh = note is None
    if note is None:
        note = _write(payment, InvoiceKind.CREDIT_NOTE, Quote.from_facts(payment.quote), card=payment.card, now=now)
    record(
        session_of(payment),
        kind,
        now=now,
        actor_id=actor.id if actor else None,
        organization_id=payment.organization_id,
        invoice=note.number,
    )
    if fresh:
        send_receipt(payment.organization, note.number, now=now)
    return note


def begin_paid(payment: Payment, *, now: datetime) -> None:
    """Begin the period that was paid ahead, now that the one before it is over."""
    number = session_of(payment).scalar(select(Invoice.number).where(Invoice.payment_id == payment.id))
    _renew(payment, Quote.from_facts(payment.quote), number or "", now=now)


def _upgrade(payment: Payment, quote: Quote, number: str, *, now: datetime) -> None:
    organization, plan = payment.organization, payment.plan
    assert plan is not None
    if by_contract(organization):
        send_back(payment, now=now)
        return
    running = live_subscription(organization)
    if running is None:
        # A whole period begins when it is paid: nobody pays for the minutes in which their bank asked them.
        running = _subscription(organization, plan)
        running.period_start, running.period_end, running.anchor = now, next_month(now, now.day), now.day
    else:
        close_term(running, now=now)
    running.plan, running.standing, running.floor_cents = plan, Standing.ACTIVE, quote.floor_cents
    running.pending_plan = running.last_day_at = running.owed_since = None
    running.pays_offline = bool(payment.offline)
    session_of(payment).flush()
    open_term(
        running,
        catalogue=quote.catalogue,
        percent=quote.percent,
        starts_at=now,
        payment_id=payment.id,
        free=quote.free,
        now=now,
    )
    if payment.card is not None and payment.card.removed_at is None:
        # The card that buys a plan renews it: the page says so.
        make_default(organization, _actor(payment), payment.card, now=now)
    set_plan(organization, plan, EventKind.PLAN_UPGRADED, now=now, actor_id=payment.actor_id, **_facts(payment, number))


def _renew(payment: Payment, quote: Quote, number: str, *, now: datetime) -> None:
    """Begin the next period; a pending plan holds from its start.

    What was paid is given also when the plan has ended meanwhile, or it goes back where a contract has begun.
    """
    organization, subscription = payment.organization, subscription_of(payment.organization)
    if quote.plan is None:
        # The plan was given up: only its usage was paid.
        if subscription is not None and subscription.is_live:
            to_basic(subscription, EventKind.PLAN_DOWNGRADED, now=now)
        return
    if subscription is None or by_contract(organization):
        send_back(payment, now=now)
        return
    if payment.offline and subscription.standing is Standing.ACTIVE and quote.period_start > now:
        # Paid ahead: the worker begins the period when its time has come.
        return
    before = PlanName(organization.plan)
    subscription.plan, subscription.standing = quote.plan, Standing.ACTIVE
    subscription.period_start, subscription.period_end = quote.period_start, quote.period_end
    subscription.floor_cents = quote.floor_cents
    subscription.pending_plan = subscription.last_day_at = subscription.retry_at = None
    if payment.offline or payment.card is not None:
        subscription.pays_offline = bool(payment.offline)
    session_of(payment).flush()
    open_term(
        subscription,
        catalogue=quote.catalogue,
        percent=quote.percent,
        starts_at=quote.period_start,
        payment_id=payment.id,
        free=quote.free,
        now=now,
    )
    lower = quote.plan.rank < before.rank
    kind = EventKind.PLAN_DOWNGRADED if lower else EventKind.PLAN_RENEWED
    set_plan(organization, quote.plan, kind, now=now, actor_id=payment.actor_id, **_facts(payment, number))
    if lower:
        tell_managers(
            organization, Letter.PLAN_CHANGED, now=now, before=before.value, after=quote.plan.value, why="downgrade"
        )


def _let_card_go(payment: Payment, *, now: datetime) -> None:
    """Take a card off again that was typed for this payment: one that did not pay is not kept for the next one."""
    card = payment.card
    if card is not None and card.added_at >= payment.created_at and card.removed_at is None:
        remove_card(payment.organization, _actor(payment), card, renews=False, now=now)


def _usage_paid(payment: Payment, number: str, *, now: datetime) -> None:
    subscription = subscription_of(payment.organization)
    if subscription is not None:
        subscription.owed_since = None
    record(
        session_of(payment),
        EventKind.USAGE_PAID,
        now=now,
        actor_id=payment.actor_id,
        organization_id=payment.organization_id,
        invoice=number,
        cents=payment.cents,
    )


def _write(payment: Payment, kind: InvoiceKind, quote: Quote, *, card: Card | None, now: datetime) -> Invoice:
    return write_invoice(
        payment.organization,
        kind,
        quote.lines,
        payment_id=payment.id,
        card=card.words if card else payment.offline,
        tax_basis_points=quote.tax_basis_points,
        now=now,
    )


def _settle(payment: Payment, quote: Quote, *, now: datetime) -> None:
    """Mark the usage as invoiced, and the months' charges as counted."""
    session = session_of(payment)
    if quote.settles:
        session.execute(update(Term).where(Term.id.in_(quote.settles)).values(settled_at=now))
    for month in quote.months:
        mine = (CloudCharge.organization_id == payment.organization_id) & (
            CloudCharge.month == date.fromisoformat(month)
        )
        session.execute(update(CloudCharge).where(mine).values(invoiced_at=now))


def _subscription(organization: Organization, plan: PlanName) -> Subscription:
    there = subscription_of(organization)
    if there is not None:
        return there
    fresh = Subscription(organization=organization, plan=plan, standing=Standing.ENDED, pending_plan=None)
    session_of(organization).add(fresh)
    return fresh


def _facts(payment: Payment, number: str) -> dict[str, str]:
    card = payment.card.words if payment.card else payment.offline
    return {"invoice": number, "card": card}


def _actor(payment: Payment) -> Person:
    person = _actor_or_none(payment)
    if person is None:
        raise NotFound
    return person


def _actor_or_none(payment: Payment) -> Person | None:
    if payment.actor_id is None:
        return None
    return session_of(payment).scalar(select(Person).where(Person.id == payment.actor_id))
