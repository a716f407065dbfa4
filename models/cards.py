"""Cards that an organization pays with. Only the gateway knows the number: we keep its token and what is on the front.

Source: product rule 9.7.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, NotFound, Refused, session_of, to_write
from models.events import EventKind, record
from models.organizations import Organization
from models.outside import CardFacts
from models.people import Person

CARDS_MOST = 10


class Card(Model):
    """One saved card; a removed one keeps its row, since payments name it."""

    __tablename__ = "cards"
    __table_args__ = (Index(None, "organization_id", "removed_at"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    token: Mapped[str] = mapped_column(String(120), unique=True)
    brand: Mapped[str] = mapped_column(String(40))
    last4: Mapped[str] = mapped_column(String(4))
    month: Mapped[int]
    year: Mapped[int]
    added_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    added_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    # When the gateway has forgotten it as well.
    forgotten_at: Mapped[datetime | None]
    # The organization whose default this is, null on all its others: so the database, too, lets one be it.
    default_for: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"), unique=True)

    @property
    def words(self) -> str:
        """The card as it reads: "Visa ending 4242"."""
        return f"{self.brand} ending {self.last4}"

    @property
    def expires(self) -> str:
        """The last month that it is good for, as printed on it: "04/29"."""
        return f"{self.month:02}/{self.year % 100:02}"

    def is_over(self, today: date) -> bool:
        """Tell whether the card's last month is past."""
        return (self.year, self.month) < (today.year, today.month)


def cards_of(organization: Organization) -> list[Card]:
    """Return the organization's cards, the default first, then the newest."""
    there = select(Card).where(Card.organization_id == organization.id, Card.removed_at.is_(None))
    cards = session_of(organization).scalars(there.order_by(Card.id.desc()).limit(CARDS_MOST)).all()
    return sorted(cards, key=lambda card: card.default_for is None)


def card_of(organization: Organization, card_id: int) -> Card:
    """Return the organization's card of that id; raises NotFound for any other's, and for a removed one."""
    found = next((card for card in cards_of(organization) if card.id == card_id), None)
    if found is None:
        raise NotFound
    return found


def default_card(organization: Organization) -> Card | None:
    """Return the card that renewals are charged to; None without any."""
    return session_of(organization).scalar(select(Card).where(Card.default_for == organization.id))


def check_room(organization: Organization, replaced: Card | None = None) -> None:
    """Raise Refused when the organization has as many cards as there may be, without the one that is replaced."""
    if sum(card is not replaced for card in cards_of(organization)) >= CARDS_MOST:
        raise Refused(f"{organization.name} has {CARDS_MOST} cards, which is the most. Remove one first.")


def add_card(
    organization: Organization,
    actor_id: int,
    facts: CardFacts,
    *,
    default: bool,
    now: datetime,
    replaced: Card | None = None,
) -> Card:
    """Keep what the gateway says of a card; the first one becomes the default, others if `default` says so.

    Raises Refused as `check_room` does: others may have been added since the card was asked for.
    """
    session = session_of(organization)
    there = session.scalar(select(Card).where(Card.token == facts.token))
    if there is not None:
        # The answer came twice: the first one has been taken.
        return there
    # Two cards that are added at the same moment are counted one after the other.
    alone = select(Organization.id).where(Organization.id == organization.id)
    session.scalars(alone.with_for_update(key_share=True)).one()
    check_room(organization, replaced)
    card = _row(organization, actor_id, facts, now=now)
    session.add(card)
    session.flush()
    if default or default_card(organization) is None:
        _let_be_default(organization, card)
    _note(card, EventKind.CARD_ADDED, actor_id, now=now)
    return card


def turn_away(organization: Organization, actor_id: int, facts: CardFacts, *, now: datetime) -> None:
    """Note a card that the gateway has saved and that nobody gets to see: the worker tells the gateway to forget it."""
    session = session_of(organization)
    if session.scalar(select(Card.id).where(Card.token == facts.token)) is None:
        card = _row(organization, actor_id, facts, now=now)
        card.removed_at = now
        session.add(card)


def _row(organization: Organization, actor_id: int, facts: CardFacts, *, now: datetime) -> Card:
    return Card(
        organization_id=organization.id,
        token=facts.token,
        brand=facts.brand,
        last4=facts.last4,
        month=facts.month,
        year=facts.year,
        added_by=actor_id,
        added_at=now,
        default_for=None,
    )


def owner_of(session: Session, token: str) -> Organization | None:
    """Return the organization that has saved the card with that token; None where nobody here has."""
    mine = select(Card.organization_id).where(Card.token == token, Card.removed_at.is_(None))
    return session.scalar(select(Organization).where(Organization.id.in_(mine)))


def look_again(session: Session, token: str, facts: CardFacts | None, *, now: datetime) -> bool:
    """Take over what the gateway says of a saved card by itself: banks renew cards, and None is one that is gone there.

    A card that nobody here has saved, or that was removed, is passed over. Tells whether renewals are charged to
    another card now, or to one that was renewed.
    """
    mine = select(Card).where(Card.token == token, Card.removed_at.is_(None))
    card = session.scalars(to_write(mine, session, Card)).one_or_none()
    if card is None:
        return False
    was_default = card.default_for is not None
    if facts is None:
        card.default_for, card.removed_at, card.forgotten_at = None, now, now
        session.flush()
        house = session.get_one(Organization, card.organization_id)
        rest = cards_of(house)
        if was_default and rest:
            _let_be_default(house, rest[0])
        _note(card, EventKind.CARD_REMOVED, None, now=now)
        return was_default and bool(rest)
    changed = (facts.brand, facts.last4, facts.month, facts.year) != (
        card.brand,
        card.last4,
        card.month,
        card.year,
    )
    if changed:
        card.brand, card.last4, card.month, card.year = facts.brand, facts.last4, facts.month, facts.year
        _note(card, EventKind.CARD_UPDATED, None, now=now)
    return changed and was_default


def make_default(organization: Organization, actor: Person, card: Card, *, now: datetime) -> None:
    """Charge renewals to this card from now on."""
    if card.default_for is None:
        _let_be_default(organization, card)
        _note(card, EventKind.CARD_DEFAULT, actor.id, now=now)


def check_unused(card: Card, *, renews: bool) -> None:
    """Raise Refused while the card is the one that pays for a plan that renews (`renews`)."""
    if card.default_for is not None and renews:
        raise Refused(
            "This card pays for the plan. Add another card, or make another one the default, and remove it then."
        )


def remove_card(organization: Organization, actor: Person, card: Card, *, renews: bool, now: datetime) -> None:
    """Take the card off; the worker tells the gateway to forget it. Raises Refused as `check_unused` does."""
    check_unused(card, renews=renews)
    card.default_for, card.removed_at = None, now
    session_of(card).flush()
    rest = cards_of(organization)
    if rest and default_card(organization) is None:
        _let_be_default(organization, rest[0])
    _note(card, EventKind.CARD_REMOVED, actor.id, now=now)


def _let_be_default(organization: Organization, card: Card) -> None:
    before = default_card(organization)
    if before is not None:
        before.default_for = None
        session_of(card).flush()
    card.default_for = organization.id
    session_of(card).flush()


def _note(card: Card, kind: EventKind, actor_id: int | None, *, now: datetime) -> None:
    """Record what became of the card, and which one is the default since then: the history is asked for it."""
    session = session_of(card)
    default = default_card(session.get_one(Organization, card.organization_id))
    record(
        session,
        kind,
        now=now,
        actor_id=actor_id,
        organization_id=card.organization_id,
        card=card.words,
        expires=card.expires,
        default=default.words if default is not None else "",
    )
