"""Told ahead: a free month, a card or a contract that ends soon, once each, to those who may change the plan."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.ahead import AHEAD, ahead_of
from models.base import Labelled, Model
from models.cards import Card
from models.catalogue import PlanName, catalogue
from models.money import dollars
from models.numbers import hold
from models.organizations import Organization
from models.outbox import Letter
from models.subscriptions import Standing, Subscription, subscription_of, tell_managers

BATCH = 50


class Ending(Labelled):
    """What ends."""

    FREE_MONTH = "free-month", "Free month"
    CARD = "card", "Card"
    CONTRACT = "contract", "Contract"
    OFFLINE = "offline", "Period paid by transfer"

    @property
    def ahead(self) -> timedelta:
        """How long before it is told."""
        return timedelta(days={"free-month": 7, "card": 14, "contract": 30, "offline": AHEAD.days}[self.value])


class Told(Model):
    """That an ending was told: the one row keeps it from being told twice."""

    __tablename__ = "endings_told"
    __table_args__ = (UniqueConstraint("organization_id", "kind", "day"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    kind: Mapped[Ending]
    day: Mapped[date]


def tell_endings(session: Session, now: datetime) -> int:
    """Tell of at most fifty endings of each kind that come soon; return how many were told."""
    hold(session, "chores")
    told = 0
    for kind in Ending:
        for organization, day, card in _soon(session, kind, now.astimezone(UTC)):
            session.add(Told(organization_id=organization.id, kind=kind, day=day))
            facts: dict[str, Any] = {"what": kind.value, "on": day.isoformat(), "card": card}
            if kind is Ending.OFFLINE and (subscription := subscription_of(organization)) is not None:
                facts["plan"] = (subscription.pending_plan or subscription.plan).value
            tell_managers(organization, Letter.ENDS_SOON, now=now, **facts)
            told += 1
    session.flush()
    return told


def _soon(session: Session, kind: Ending, now: datetime) -> Iterator[tuple[Organization, date, str]]:
    """Yield what ends soon and was not told, with its day (UTC) and what pays or what it costs, at most fifty."""
    until = now + kind.ahead
    if kind is Ending.CONTRACT:
        told = exists().where(Told.organization_id == Organization.id, Told.day == Organization.contract_end)
        near = (Organization.contract_end >= now.date()) & (Organization.contract_end <= until.date())
        query = select(Organization).where(near, ~told.where(Told.kind == kind)).order_by(Organization.contract_end)
        for house in session.scalars(query.limit(BATCH)).all():
            assert house.contract_end is not None, "only those with an end are found"
            yield house, house.contract_end, ""
        return
    if kind is Ending.OFFLINE:
        # Somebody has to send money, which no card does by itself.
        told = exists().where(Told.organization_id == Subscription.organization_id, Told.kind == kind)
        near = (Subscription.period_end > now) & (Subscription.period_end <= until) & Subscription.pays_offline
        near &= Subscription.pending_plan.is_(None) | (Subscription.pending_plan != PlanName.BASIC)
        # A period is a month: what was told within the last fortnight was told of this one.
        told = told.where(Told.day > now.date() - kind.ahead, Told.day <= until.date())
        sending = select(Subscription).where(Subscription.standing == Standing.ACTIVE, near, ~told)
        # Those who have paid ahead are passed over, and must not stand in the way of others.
        unpaid = (
            one for one in session.scalars(sending.order_by(Subscription.period_end)).all() if ahead_of(one) is None
        )
        for one in islice(unpaid, BATCH):
            on = one.period_end.astimezone(UTC).date()
            next_plan = catalogue(on).plan(one.pending_plan) if one.pending_plan else None
            floor = next_plan.floor_cents if next_plan else one.floor_cents
            yield one.organization, on, dollars(floor or 0)
        return
    paying = select(Subscription, Card).join(Card, Card.default_for == Subscription.organization_id)
    paying = paying.where(Subscription.standing == Standing.ACTIVE).order_by(Subscription.period_end).limit(BATCH)
    told = exists().where(Told.organization_id == Subscription.organization_id, Told.kind == kind)
    if kind is Ending.FREE_MONTH:
        # Only what is sold has a subscription, so a month that costs nothing is a free one; there is one at most.
        free = (Subscription.floor_cents == 0) & Subscription.pending_plan.is_(None)
        near = (Subscription.period_end > now) & (Subscription.period_end <= until)
        # Also where no card is left to be charged: that is what is to be told.
        trying = select(Subscription, Card).outerjoin(Card, Card.default_for == Subscription.organization_id)
        trying = trying.where(Subscription.standing == Standing.ACTIVE, free, near, ~told)
        for running, card in session.execute(trying.order_by(Subscription.period_end).limit(BATCH)).all():
            yield running.organization, running.period_end.astimezone(UTC).date(), card.words if card else ""
        return
    last = date(now.year, now.month, monthrange(now.year, now.month)[1])
    if last <= until.date():
        mine = (Card.year == now.year) & (Card.month == now.month)
        for running, card in session.execute(paying.where(mine, ~told.where(Told.day == last))).all():
            yield running.organization, last, card.words
