"""What a seller has to do, by mail each working morning: steps that are due, leads nobody touched, contracts that end.

Nothing to do, no mail. One row for each person and day keeps it from being sent twice, whichever worker comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, delete, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model
from models.catalogue import PlanName
from models.leads import OPEN, STALLED_AFTER, Lead, Stage
from models.numbers import hold
from models.organizations import Organization
from models.outbox import Letter, queue
from models.people import Person, sellers
from models.wording import zone

MORNING = time(8)
# A contract's end is told so many days before it.
AHEAD = (60, 30, 14, 7, 1)
LINES_MOST = 20
KEPT_FOR = timedelta(days=90)


class SellerReminded(Model):
    """That a seller's day was looked at; the one row keeps it from being done twice."""

    __tablename__ = "sellers_reminded"
    __table_args__ = (UniqueConstraint("person_id", "day"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    day: Mapped[date]


def remind_sellers(session: Session, now: datetime) -> int:
    """Write to each seller who has something to do and whose working morning has come; return how many were looked at.

    The morning is from 8:00 in their zone, Monday to Friday.
    """
    hold(session, "chores")
    looked = 0
    for person in sellers(session):
        local = now.astimezone(zone(person.time_zone))
        today = local.date()
        if local.time() < MORNING or today.weekday() > 4 or _was_looked_at(session, person, today):
            continue
        since = session.scalar(select(func.max(SellerReminded.day)).where(SellerReminded.person_id == person.id))
        old = (SellerReminded.person_id == person.id) & (SellerReminded.day < today - KEPT_FOR)
        session.execute(delete(SellerReminded).where(old))
        session.add(SellerReminded(person_id=person.id, day=today))
        facts: dict[str, Any] = todo_of(session, person, today, since=since or today - timedelta(days=1), now=now)
        if any(facts.values()):
            queue(session, Letter.LEAD_REMINDER, to=person, now=now, **facts)
        looked += 1
    session.flush()
    return looked


def todo_of(session: Session, person: Person, today: date, *, since: date, now: datetime) -> dict[str, list[Any]]:
    """Return what the person has to do: leads of theirs and of nobody's, and contracts that end, told since that day.

    Each is a list of JSON facts, twenty at most: keys of leads, and [organization, day] of contracts.
    """
    mine = Lead.stage.in_(OPEN) & or_(Lead.owner_id == person.id, Lead.owner_id.is_(None))
    due = _keys(session, mine & (Lead.next_on <= today))
    late = Lead.first_touch_at.is_(None) & (Lead.touch_by < now)
    untouched = _keys(session, mine & late)
    stalled = _keys(session, mine & (Lead.touched_at < now - STALLED_AFTER))
    return {
        "due": due,
        "untouched": untouched,
        "stalled": stalled,
        "contracts": _contracts(session, person, today, since),
    }


def _keys(session: Session, where: Any) -> list[str]:  # noqa: ANN401 (a condition on leads)
    found = select(Lead.key).where(where).order_by(Lead.next_on.is_(None), Lead.next_on, Lead.id)
    return list(session.scalars(found.limit(LINES_MOST)))


def _contracts(session: Session, person: Person, today: date, since: date) -> list[list[str]]:
    """Return contracts whose end came within one of the distances since the day that was looked at last."""
    days = [today + timedelta(days=ahead) for ahead in AHEAD]
    before = [since + timedelta(days=ahead) for ahead in AHEAD]
    windows = [
        (Organization.contract_end > start) & (Organization.contract_end <= end)
        for start, end in zip(before, days, strict=True)
    ]
    near = (Organization.plan == PlanName.PREMIUM.value) & or_(*windows)
    houses = session.scalars(select(Organization).where(near).order_by(Organization.contract_end)).all()
    owners = _owners(session, [house.id for house in houses])
    return [
        [house.slug, house.contract_end.isoformat() if house.contract_end else ""]
        for house in houses
        if owners.get(house.id) in {None, person.id}
    ][:LINES_MOST]


def _owners(session: Session, houses: Iterable[int]) -> dict[int, int | None]:
    """Return who of sales has the lead that brought each organization's contract; None for who has left sales since."""
    there = {person.id for person in sellers(session)}
    won = select(Lead.organization_id, Lead.owner_id).where(
        Lead.organization_id.in_(list(houses)), Lead.stage == Stage.WON
    )
    return {row[0]: row[1] if row[1] in there else None for row in session.execute(won.order_by(Lead.id))}


def _was_looked_at(session: Session, person: Person, today: date) -> bool:
    mine = (SellerReminded.person_id == person.id) & (SellerReminded.day == today)
    return session.scalar(select(SellerReminded.id).where(mine)) is not None
