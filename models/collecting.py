"""Talking with the gateway: one call at a time, outside of transactions, every answer written down in one of its own.

Like the outbox, this is its own caller: web pages, the worker and the demo give it a way to open sessions. It may die
anywhere: the row says how far it came, the key makes the same call again, and the gateway does nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from models.cards import Card, turn_away
from models.catalogue import PlanName
from models.outcomes import leave, let_bank_ask, put_off, refund_came_back, refuse, take_card, take_payment, take_refund
from models.outside import CardDetails, Clock, GatewayAnswer, Payments, Unanswered, UnknownPayer, Verdict
from models.payments import (
    ANSWER_WITHIN,
    LEFT,
    Payment,
    PaymentKind,
    PaymentState,
    drop_payer,
    due_payments,
    find,
    is_new,
    is_there,
    keep_payer,
    payer_of,
)
from models.upgrades import bring_forward
from models.waiting import call_back

log = logging.getLogger(__name__)

Sessions = Callable[[], AbstractContextManager[Session]]

CARD, CHARGE, REFUND = "card", "charge", "refund"
# Save, charge, settle: no payment needs more calls than this in a row.
_CALLS_MOST = 5


@dataclass(frozen=True)
class _Call:
    """The next call that a payment needs: which of its three, and how to make it for that payer.

    `known` is the answer where nobody has to be asked.
    """

    name: str
    make: Callable[[Payments, str], GatewayAnswer | None]
    known: GatewayAnswer | None = None


def save_card(
    sessions: Sessions, gateway: Payments, key: str, details: CardDetails | None, clock: Clock
) -> PaymentState:
    """Hand a card that somebody typed to the gateway for the payment `key`, then go on with it; return its state.

    The details are in no row and in no log: when no answer comes, the gateway is asked later what it has kept. There
    are none where the gateway has the card typed elsewhere: it then asks the cardholder, as a bank does.
    """
    with sessions() as session:
        payment = find(session, key)
        back, fresh = payment.back, payment.is_open and payment.card_id is None
    if fresh:
        try:
            answer = _save(sessions, gateway, key, details, back)
        except Unanswered:
            return _wait(sessions, key, clock.now())
        _take(sessions, key, CARD, answer, clock.now())
    return advance(sessions, gateway, key, clock)


def _save(sessions: Sessions, gateway: Payments, key: str, details: CardDetails | None, back: str) -> GatewayAnswer:
    """Hand the card over; a payer whom the gateway does not know any more is enrolled anew, once.

    That is safe here, where nothing can have been charged yet. What older payments were charged is not found under the
    new name: it is not given back by itself, and administrators are told so.
    """
    payer = payer_for(sessions, gateway, key)
    try:
        return gateway.save_card(payer, details, key=f"{key}:{CARD}", back=back)
    except UnknownPayer:
        log.warning("The gateway does not know %s any more, who is enrolled anew.", payer)
    with sessions() as session:
        drop_payer(session, find(session, key).organization_id, gateway.name, payer)
        session.commit()
    return gateway.save_card(payer_for(sessions, gateway, key), details, key=f"{key}:{CARD}", back=back)


def advance(sessions: Sessions, gateway: Payments, key: str, clock: Clock) -> PaymentState:
    """Do what the payment needs next until it is settled, or somebody else has to act; return its state."""
    for _ in range(_CALLS_MOST):
        with sessions() as session:
            payment = find(session, key)
            state, call = payment.state, _next(payment, clock.now())
        if call is None:
            return state
        try:
            answer = call.known or call.make(gateway, payer_for(sessions, gateway, key))
        except Unanswered:
            return _wait(sessions, key, clock.now())
        _take(sessions, key, call.name, answer, clock.now())
        if answer is not None and answer.verdict is Verdict.ASKS:
            return PaymentState.ASKING
    return _state(sessions, key)


def abandon(sessions: Sessions, gateway: Payments, key: str, clock: Clock) -> PaymentState:
    """End a payment that waits for the bank; return its state, which is Paid when the bank was quicker.

    One that never got as far as a charge ends at once; one whose charge has no answer yet goes on.
    """
    with sessions() as session:
        payment = find(session, key)
        state, asks, untouched = payment.state, payment.asks, payment.card_id is None and not payment.asks
    if state is PaymentState.ASKING and asks:
        try:
            answer = gateway.cancel(payer_for(sessions, gateway, key), f"{key}:{asks}")
        except Unanswered:
            return _wait(sessions, key, clock.now())
        _take(sessions, key, asks, answer, clock.now())
    elif state is PaymentState.PENDING and untouched:
        with sessions() as session:
            # Whether it is still without a card is asked again: a charge that has begun must be heard to its end.
            leave(find(session, key), now=clock.now())
            session.commit()
    return _state(sessions, key)


def heard(sessions: Sessions, gateway: Payments, event: str, key: str, clock: Clock) -> bool:
    """Go on with the payment whose call an event of the gateway is about; tell whether the event was a new one.

    Events come twice, late and in any order, and are believed in nothing: how the call stands is asked of the gateway.
    Raises Unanswered where nobody but the event would ask, so that it must be sent again.
    """
    public_id = key.rpartition(":")[0]
    with sessions() as session:
        mine = is_there(session, public_id)
    if mine:
        _look_at_refund(sessions, gateway, public_id, clock)
    with sessions() as session:
        new = is_new(session, gateway.name, event, now=clock.now())
        session.commit()
    if new and mine:
        advance(sessions, gateway, public_id, clock)
    return new


def _look_at_refund(sessions: Sessions, gateway: Payments, key: str, clock: Clock) -> None:
    """Find out whether a refund that was done has failed since: a bank may send it back days later."""
    with sessions() as session:
        payment = find(session, key)
        # One that was paid back by hand went to no card.
        done = payment.kind is PaymentKind.REFUND and payment.state is PaymentState.PAID and payment.card_id is not None
        charged = str(payment.quote.get("charge", ""))
    if not done:
        return
    answer = gateway.refunded(payer_for(sessions, gateway, key), charged, f"{key}:{REFUND}")
    if answer is not None and answer.verdict is Verdict.DECLINED:
        with sessions() as session:
            refund_came_back(find(session, key), now=clock.now())
            session.commit()


def advance_due(sessions: Sessions, gateway: Payments, clock: Clock) -> int:
    """Ask about each open payment whose time has come; return how many there were. The worker does so each minute."""
    with sessions() as session:
        keys = due_payments(session, clock.now())
    for key in keys:
        with _each(sessions, key, clock):
            advance(sessions, gateway, key, clock)
    return len(keys)


@contextmanager
def _each(sessions: Sessions, key: str, clock: Clock) -> Iterator[None]:
    """Put a payment off that cannot be worked on for whatever reason: the others have their turn all the same."""
    try:
        yield
    except (OperationalError, StaleDataError, OSError):
        raise  # not the payment's fault: the next round looks again
    except Exception as trouble:
        if not isinstance(trouble, Unanswered):
            log.exception("Payment %s cannot be worked on.", key)
        with sessions() as session:
            put_off(find(session, key), now=clock.now())
            session.commit()


def forget_left(sessions: Sessions, gateway: Payments, clock: Clock, most: int = 20) -> int:
    """Ask what became of cards whose payment was ended while they were being saved; return how many there were.

    The gateway forgets such a card with those that were removed.
    """
    left = (Payment.state == PaymentState.ABANDONED) & (Payment.asks == LEFT) & (Payment.next_at <= clock.now())
    with sessions() as session:
        keys = session.scalars(select(Payment.public_id).where(left).order_by(Payment.next_at).limit(most)).all()
    for key in keys:
        with _each(sessions, key, clock):
            _forget_one(sessions, gateway, key, clock)
    return len(keys)


def _forget_one(sessions: Sessions, gateway: Payments, key: str, clock: Clock) -> None:
    payer = payer_for(sessions, gateway, key)
    answer = gateway.look(payer, f"{key}:{CARD}")
    if answer is not None and answer.verdict is Verdict.ASKS:
        answer = gateway.cancel(payer, f"{key}:{CARD}")
    with sessions() as session:
        payment = find(session, key)
        payment.asks = ""
        if answer is not None and answer.card is not None and payment.actor_id is not None:
            turn_away(payment.organization, payment.actor_id, answer.card, now=clock.now())
        session.commit()


def forget_removed(sessions: Sessions, gateway: Payments, clock: Clock, most: int = 20) -> int:
    """Have the gateway delete cards that were removed here; return how many it did."""
    gone = (Card.removed_at.is_not(None)) & (Card.forgotten_at.is_(None))
    with sessions() as session:
        cards = session.execute(select(Card.id, Card.token).where(gone).order_by(Card.id).limit(most)).all()
    done = 0
    for card_id, token in cards:
        try:
            gateway.forget(token)
        except Unanswered:
            continue
        except Exception:
            log.exception("Card %d cannot be forgotten.", card_id)
            continue
        with sessions() as session:
            session.get_one(Card, card_id).forgotten_at = clock.now()
            session.commit()
        done += 1
    return done


def payer_for(sessions: Sessions, gateway: Payments, key: str) -> str:
    """Return what the gateway calls who pays for the payment `key`, whom it gets to know now if it does not yet.

    Raises Unanswered.
    """
    with sessions() as session:
        house = find(session, key).organization
        there, number, slug, name = payer_of(session, house.id, gateway.name), house.id, house.slug, house.name
    if there is not None:
        return there
    token = gateway.enroll(slug, name)
    with sessions() as session:
        kept = keep_payer(session, number, gateway.name, token)
        session.commit()
    return kept


def _next(payment: Payment, now: datetime) -> _Call | None:
    key = payment.public_id
    if payment.state is PaymentState.ASKING:
        asked = f"{key}:{payment.asks}"
        over = now >= payment.created_at + ANSWER_WITHIN
        return _Call(
            payment.asks, lambda gateway, payer: gateway.cancel(payer, asked) if over else gateway.look(payer, asked)
        )
    if payment.state is not PaymentState.PENDING:
        return None
    if payment.kind is PaymentKind.REFUND:
        charged, cents = str(payment.quote["charge"]), payment.cents
        return _Call(REFUND, lambda gateway, payer: gateway.refund(payer, charged, cents, key=f"{key}:{REFUND}"))
    if payment.card is None and payment.kind in {PaymentKind.CARD, PaymentKind.UPGRADE}:
        return _Call(CARD, lambda gateway, payer: gateway.look(payer, f"{key}:{CARD}"))
    return _charging(payment, now)


def _charging(payment: Payment, now: datetime) -> _Call:
    """Return how to charge the payment; what needs no gateway is answered here."""
    card, cents, key = payment.card, payment.cents, f"{payment.public_id}:{CHARGE}"
    back, present, known = payment.back, payment.actor_id is not None, None
    if cents == 0:
        known = GatewayAnswer(Verdict.DONE, "")
    elif card is None or card.is_over(now.date()):
        known = GatewayAnswer(Verdict.DECLINED, "", "no_card" if card is None else "expired_card")
    token = card.token if card is not None else ""
    return _Call(
        CHARGE,
        lambda gateway, payer: gateway.charge(payer, token, cents, key=key, back=back, present=present),
        known,
    )


def _take(sessions: Sessions, key: str, call: str, answer: GatewayAnswer | None, now: datetime) -> None:
    """Write down the answer to one call, in one transaction."""
    with sessions() as session:
        payment = find(session, key)
        take(payment, call, answer, now=now)
        session.commit()


def take(payment: Payment, call: str, answer: GatewayAnswer | None, *, now: datetime) -> None:
    """Do what the answer to a payment's call brings; without any call that arrived, nothing was charged."""
    if answer is None and call == CARD and payment.state is PaymentState.PENDING:
        # It did not arrive, or not yet: its customer may ask while it is on its way.
        leave(payment, now=now)
    elif answer is None or answer.verdict is Verdict.CANCELED:
        late = payment.state is PaymentState.ASKING and now >= payment.created_at + ANSWER_WITHIN
        refuse(payment, PaymentState.EXPIRED if late else PaymentState.ABANDONED, "", now=now)
    elif answer.verdict is Verdict.DECLINED:
        refuse(payment, PaymentState.DECLINED, answer.reason, now=now)
    elif answer.verdict is Verdict.ASKS:
        let_bank_ask(payment, call, answer.url, now=now)
    elif call == CARD:
        if answer.card is not None:
            take_card(payment, answer.card, now=now)
    elif call == REFUND:
        take_refund(payment, now=now)
    else:
        give(payment, now=now)


def give(payment: Payment, *, now: datetime) -> None:
    """Give what was paid for, and let a higher plan do its work on running promises and on texts that waited for it."""
    before = PlanName(payment.organization.plan)
    take_payment(payment, now=now)
    after = PlanName(payment.organization.plan)
    # A contract that began meanwhile has done so already.
    if payment.plan is after and after.rank > before.rank:
        bring_forward(payment.organization, after, now=now)
        call_back(payment.organization, now=now)


def next_call(payment: Payment, *, now: datetime) -> tuple[str, Callable[[Payments], GatewayAnswer | None]] | None:
    """Return the payment's next call for whoever drives it in a transaction of their own: the demo world."""
    call, house = _next(payment, now), payment.organization
    if call is None:
        return None
    return call.name, lambda gateway: call.known or call.make(gateway, gateway.enroll(house.slug, house.name))


def _wait(sessions: Sessions, key: str, now: datetime) -> PaymentState:
    with sessions() as session:
        payment = find(session, key)
        if payment.is_open:
            put_off(payment, now=now)
            log.warning("The gateway gave no answer about payment %s; it is asked again.", key)
        session.commit()
        return payment.state


def _state(sessions: Sessions, key: str) -> PaymentState:
    with sessions() as session:
        return find(session, key).state
