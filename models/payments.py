"""Payments: the row that is written before the gateway is called, and what is known of its outcome.

A row is the intent; its `public_id` is the idempotency key of every call that it makes (quality: decision 7).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, lazyload, mapped_column, relationship

from models.base import Labelled, Model, NotFound, Refused, session_of, to_write, token
from models.cards import CARDS_MOST, Card
from models.catalogue import PlanName
from models.organizations import Organization
from models.outbox import Letter, queue
from models.people import Person
from models.permissions import Role

# A call to the gateway is given up long before this, so nobody asks about one that is still being made.
LOOK_AFTER = timedelta(minutes=1)
# So long the bank's question may stand before the payment is ended.
ANSWER_WITHIN = timedelta(hours=1)
ASK_AGAIN = timedelta(minutes=2)
# What `Payment.asks` says of one that was ended before anybody knew whether the gateway had saved its card.
LEFT = "left"
# A refund may be under way at its bank for days, and nobody waits for it on a page.
REFUND_GAP = timedelta(hours=1)
LOOK_GAPS = tuple(timedelta(minutes=minutes) for minutes in (1, 1, 2, 4))


class PaymentKind(Labelled):
    """What a payment is for."""

    CARD = "card", "Saving a card"
    UPGRADE = "upgrade", "Upgrade"
    RENEWAL = "renewal", "Renewal"
    USAGE = "usage", "Usage"
    REFUND = "refund", "Refund"


class PaymentState(Labelled):
    """How far a payment has come."""

    PENDING = "pending", "Under way"
    ASKING = "asking", "Waits for the bank’s confirmation"
    PAID = "paid", "Paid"
    DECLINED = "declined", "Declined"
    ABANDONED = "abandoned", "Ended before it was paid"
    EXPIRED = "expired", "Not confirmed in time"


OPEN = (PaymentState.PENDING, PaymentState.ASKING)

_WORDS = {
    "card_declined": "The bank declined this card. {nothing} Try another card, or ask your bank.",
    "insufficient_funds": "There is not enough money on this card. {nothing} Try another card.",
    "expired_card": "This card has expired. {nothing} Use another card.",
    "incorrect_cvc": "The security code does not fit this card. {nothing} Type the code again.",
    "processing_error": "The bank could not process the payment. {nothing} Try again in a few minutes, or use another "
    "card.",
    "authentication_failed": "Your bank did not confirm that it is you. {nothing} Try again, or use another card.",
    "authentication_required": "Your bank wants you to confirm this payment. {nothing} Pay it here yourself, and your "
    "bank asks you.",
    "not_a_test_card": "This portal takes published test card numbers only, for example 4242 4242 4242 4242. Never "
    "type a real one. {nothing}",
    "no_room": f"There are {CARDS_MOST} cards already, which is the most: others were added meanwhile. {{nothing}} "
    "Remove one first.",
    "offline": "This plan is paid by bank transfer or purchase order, and the payment has not arrived yet. {nothing}",
    "resource_missing": "Our payment service does not know this card any more. {nothing} Add it again, or another one.",
    "amount_too_small": "This amount is too small for a card. {nothing}",
    "no_card": "There is no card to charge. {nothing} Add a card.",
}


def words_of(reason: str) -> str:
    """Return what a gateway's code for a refusal means, and what to do next."""
    return _WORDS.get(reason, _WORDS["card_declined"]).format(nothing="Nothing was charged.")


def why_of(reason: str) -> str:
    """Return what a gateway's code for a refusal means, for whoever reads of it when it is long over."""
    return _WORDS.get(reason, _WORDS["card_declined"]).partition(" {nothing}")[0]


class Payer(Model):
    """What a gateway calls an organization: its customer there. Another gateway knows nothing of it."""

    __tablename__ = "payers"
    __table_args__ = (UniqueConstraint("organization_id", "gateway"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    gateway: Mapped[str] = mapped_column(String(20))
    token: Mapped[str] = mapped_column(String(80))


class GatewayEvent(Model):
    """One event of a gateway that has arrived: the same comes again, and is then passed over."""

    __tablename__ = "gateway_events"
    __table_args__ = (UniqueConstraint("gateway", "event"), Index(None, "received_at"))

    gateway: Mapped[str] = mapped_column(String(20))
    event: Mapped[str] = mapped_column(String(120))
    received_at: Mapped[datetime]


class Busy(Refused):
    """Another payment of the organization is under way: somebody else was quicker."""


class Payment(Model):
    """One intent to charge, to give back, or to save a card."""

    __tablename__ = "payments"
    __table_args__ = (
        Index(None, "organization_id", "created_at", "id"),
        Index(None, "state", "next_at"),
        Index(None, "kind", "state", "created_at"),
    )

    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[PaymentKind]
    state: Mapped[PaymentState]
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    # The organization while the payment may still change its plan, then null: one at a time.
    open_for: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"), unique=True)
    plan: Mapped[PlanName | None]
    cents: Mapped[int] = mapped_column(BigInteger)
    # What is bought, as it was quoted: models/quotes.py writes and reads it.
    quote: Mapped[dict[str, Any]]
    card_id: Mapped[int | None] = mapped_column(ForeignKey("cards.id"))
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("cards.id"))
    # Who pays; nobody when the worker does.
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    refund_of: Mapped[int | None] = mapped_column(ForeignKey("payments.id"))
    # Which of its calls the bank asks about (or LEFT), and where the cardholder answers.
    asks: Mapped[str] = mapped_column(String(20), default="")
    url: Mapped[str] = mapped_column(String(500), default="")
    reason: Mapped[str] = mapped_column(String(60), default="")
    # How it came where no card was charged, as an administrator recorded it.
    offline: Mapped[str] = mapped_column(String(160), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    # When the worker looks at it next; when an unanswered question of the bank ends it.
    next_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)

    organization: Mapped[Organization] = relationship(foreign_keys=[organization_id], lazy="joined", innerjoin=True)
    card: Mapped[Card | None] = relationship(foreign_keys=[card_id], lazy="joined")

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 (SQLAlchemy reads it from the class)

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.state in OPEN

    @property
    def words(self) -> str:
        """Why it was declined and what to do next; empty for any other."""
        return words_of(self.reason) if self.reason else ""

    @property
    def back(self) -> str:
        """The page that shows it, and to which a bank leads back."""
        return f"/console/{self.organization.slug}/payments/{self.public_id}"

    def close(self, state: PaymentState, *, now: datetime, reason: str = "") -> None:
        """Write down the outcome; from now on another payment may begin."""
        self.state, self.reason, self.settled_at = state, reason, now
        self.open_for, self.url, self.asks = None, "", ""


def payer_of(session: Session, organization_id: int, gateway: str) -> str | None:
    """Return what the gateway calls the organization; None before it was asked."""
    mine = (Payer.organization_id == organization_id) & (Payer.gateway == gateway)
    return session.scalar(select(Payer.token).where(mine))


def keep_payer(session: Session, organization_id: int, gateway: str, token: str) -> str:
    """Write down what the gateway calls the organization, and return it: what was written first stays."""
    try:
        with session.begin_nested():
            session.add(Payer(organization_id=organization_id, gateway=gateway, token=token))
    except IntegrityError:
        return payer_of(session, organization_id, gateway) or token
    return token


def drop_payer(session: Session, organization_id: int, gateway: str, token: str) -> None:
    """Forget what the gateway called the organization, since it knows that name no more."""
    mine = (Payer.organization_id == organization_id) & (Payer.gateway == gateway) & (Payer.token == token)
    session.execute(delete(Payer).where(mine))


def is_there(session: Session, public_id: str) -> bool:
    """Tell whether there is a payment of that id."""
    return session.scalar(select(Payment.id).where(Payment.public_id == public_id)) is not None


def is_new(session: Session, gateway: str, event: str, *, now: datetime) -> bool:
    """Write down that a gateway's event has arrived, and tell whether it is the first time."""
    try:
        with session.begin_nested():
            session.add(GatewayEvent(gateway=gateway, event=event, received_at=now))
    except IntegrityError:
        return False
    return True


def open_payment_of(organization: Organization) -> Payment | None:
    """Return the payment of the organization that may still change its plan, of which there is one at most."""
    return session_of(organization).scalars(select(Payment).where(Payment.open_for == organization.id)).one_or_none()


def check_free(organization: Organization) -> None:
    """Raise Busy while another payment of the organization may change its plan."""
    there = open_payment_of(organization)
    if there is not None:
        raise Busy(
            f"A payment of {organization.name} is under way ({there.kind.label.lower()}, {there.state.label.lower()}). "
            "Nothing was changed: wait for it, or end it on the Support page."
        )


def payment_of(organization: Organization, public_id: str) -> Payment:
    """Return the organization's payment of that id; raises NotFound for any other's."""
    mine = (Payment.organization_id == organization.id) & (Payment.public_id == public_id)
    found = session_of(organization).scalars(select(Payment).where(mine)).one_or_none()
    if found is None:
        raise NotFound
    return found


def find(session: Session, public_id: str) -> Payment:
    """Return the payment of that id for writing: whoever comes second waits, and sees what the first one wrote."""
    mine = select(Payment).where(Payment.public_id == public_id)
    # Some databases cannot lock what is joined from outside, so only the row itself is read.
    alone = mine.options(lazyload(Payment.organization), lazyload(Payment.card))
    return session.scalars(alone.with_for_update().execution_options(populate_existing=True)).one()


def begin(  # noqa: PLR0913 (each is a fact of the row)
    organization: Organization,
    kind: PaymentKind,
    *,
    quote: dict[str, Any],
    cents: int,
    now: datetime,
    plan: PlanName | None = None,
    card: Card | None = None,
    replaces: Card | None = None,
    actor_id: int | None = None,
    refund_of: int | None = None,
    alone: bool = True,
) -> Payment:
    """Write the intent and return it; the caller commits before anybody calls the gateway.

    `alone` says that it may change the plan: raises Busy while another such payment is open.
    """
    session = session_of(organization)
    payment = Payment(
        public_id=token(),
        kind=kind,
        state=PaymentState.PENDING,
        organization=organization,
        open_for=organization.id if alone else None,
        plan=plan,
        cents=cents,
        quote=quote,
        card=card,
        replaces_id=replaces.id if replaces else None,
        actor_id=actor_id,
        refund_of=refund_of,
        created_at=now,
        next_at=now + LOOK_AFTER,
    )
    if alone:
        check_free(organization)
    try:
        # Two at the same moment: the database lets one of them in.
        with session.begin_nested():
            session.add(payment)
    except IntegrityError:
        raise Busy(
            "Another payment of your organization has just begun. Nothing was changed: look at the plan again."
        ) from None
    return payment


def due_payments(session: Session, now: datetime, most: int = 20) -> list[str]:
    """Return the ids of open payments that somebody should ask the gateway about, the longest waiting first."""
    waiting = Payment.state.in_(OPEN) & (Payment.next_at <= now)
    return list(session.scalars(select(Payment.public_id).where(waiting).order_by(Payment.next_at).limit(most)))


def declined_refunds(session: Session) -> list[Payment]:
    """Return the refunds that the gateway declined and nobody has paid back by hand, the oldest first (100 at most)."""
    waiting = (Payment.state == PaymentState.DECLINED) & (Payment.kind == PaymentKind.REFUND)
    return list(session.scalars(select(Payment).where(waiting).order_by(Payment.created_at, Payment.id).limit(100)))


def declined_refund(session: Session, number: int) -> Payment:
    """Return the refund with that key that waits to be paid back by hand; raises NotFound for any other payment."""
    mine = (Payment.id == number) & (Payment.kind == PaymentKind.REFUND)
    found = session.scalars(to_write(select(Payment).where(mine), session, Payment)).one_or_none()
    if found is None:
        raise NotFound
    return found


def tell_administrators(refund: Payment, *, now: datetime) -> None:
    """Write to each administrator that the gateway has declined a refund, which somebody must pay back by hand."""
    session = session_of(refund)
    whom = (Person.staff_role == Role.ADMINISTRATOR) & Person.active
    for administrator in session.scalars(select(Person).where(whom).order_by(Person.id)):
        queue(session, Letter.REFUND_FAILED, to=administrator, now=now, payment=refund.id)
