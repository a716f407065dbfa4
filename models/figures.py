"""Figures of the business, for administrators and sales: plans and revenue, ups and downs, renewals, the pipeline.

Months are those of UTC, as invoices are. Amounts are US cents without tax. Each part is one statement, whatever the
number of rows; what it reads is bounded by the months that were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, exists, func, select
from sqlalchemy.orm import Session, aliased

from models.base import Labelled
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.invoices import Invoice
from models.leads import OPEN, Lead, Stage
from models.organizations import Organization
from models.payments import Payment, PaymentKind, PaymentState
from models.periods import Month
from models.subscriptions import Standing, Subscription

UTC_ZONE = ZoneInfo("UTC")
# Where one age of open leads ends and the next begins, in days.
AGES = (7, 30, 90)
AGE_WORDS = ("Up to 7 days", "8 to 30 days", "31 to 90 days", "More than 90 days")
MONTHS_OFFERED = (6, 12, 24)


class Move(Labelled):
    """What became of a plan in a month."""

    UPGRADED = "upgraded", "Upgrades"
    PREMIUM = "premium", "Contracts begun"
    DOWNGRADED = "downgraded", "Downgrades"
    LAPSED = "lapsed", "Ended unpaid"
    CONTRACT_ENDED = "contract-ended", "Contracts ended"


_MOVES = {
    EventKind.PLAN_UPGRADED: Move.UPGRADED,
    EventKind.CONTRACT_STARTED: Move.PREMIUM,
    EventKind.PLAN_DOWNGRADED: Move.DOWNGRADED,
    EventKind.PLAN_LAPSED: Move.LAPSED,
    EventKind.CONTRACT_ENDED: Move.CONTRACT_ENDED,
}


@dataclass(frozen=True)
class Dunning:
    """Organizations whose renewal by card failed in a month: how many of them have paid since, and how many lost it."""

    failed: int = 0
    recovered: int = 0

    @property
    def percent(self) -> int | None:
        """The share that has paid, in percent; None where nothing failed."""
        return round(100 * self.recovered / self.failed) if self.failed else None


@dataclass(frozen=True)
class FirstTouch:
    """Leads received in a month whose first touch is due or done: in time, or late."""

    met: int = 0
    late: int = 0


@dataclass(frozen=True)
class Figures:
    """What the page shows; what is missing in a mapping is nothing."""

    months: Sequence[Month]
    organizations: Mapping[PlanName, int]
    # What a month brings at least: the floors of plans paid by period, the prices of contracts.
    recurring: Mapping[PlanName, int]
    invoiced: Mapping[tuple[Month, PlanName | None], int]
    moves: Mapping[tuple[Month, Move], int]
    dunning: Mapping[Month, Dunning]
    pipeline: Mapping[tuple[Stage, int], int]
    touches: Mapping[Month, FirstTouch]

    @property
    def recurring_total(self) -> int:
        """The sum over all plans."""
        return sum(self.recurring.values())

    def invoiced_in(self, month: Month) -> int:
        """What was invoiced in the month, less credit notes."""
        return sum(cents for (when, _), cents in self.invoiced.items() if when == month)


def figures(session: Session, months: int, *, now: datetime) -> Figures:
    """Return the figures of the last so many months, the running one included; eight statements."""
    last = Month.of(now.date())
    asked = [last.plus(-back) for back in range(months - 1, -1, -1)]
    return Figures(
        months=asked,
        organizations=_organizations(session),
        recurring=_recurring(session),
        invoiced=_invoiced(session, asked),
        moves=_moves(session, asked),
        dunning=_dunning(session, asked),
        pipeline=_pipeline(session, now),
        touches=_touches(session, asked, now),
    )


def _organizations(session: Session) -> dict[PlanName, int]:
    rows = session.execute(select(Organization.plan, func.count()).group_by(Organization.plan))
    return {PlanName(plan): number for plan, number in rows}


def _recurring(session: Session) -> dict[PlanName, int]:
    """Add up floors and contracts in one statement; a free month brings nothing yet."""
    live = Subscription.standing != Standing.ENDED
    sold = select(Subscription.plan, func.sum(Subscription.floor_cents)).where(live).group_by(Subscription.plan)
    agreed = select(func.sum(Organization.contract_cents)).where(Organization.plan == PlanName.PREMIUM.value)
    found = {PlanName(plan): int(cents or 0) for plan, cents in session.execute(sold)}
    contracts = int(session.scalar(agreed) or 0)
    return found | ({PlanName.PREMIUM: contracts} if contracts else {})


def _invoiced(session: Session, months: Sequence[Month]) -> dict[tuple[Month, PlanName | None], int]:
    month = _month_of(Invoice.issued_at, months)
    query = (
        select(month, Payment.plan, func.sum(Invoice.subtotal))
        .join(Payment, Payment.id == Invoice.payment_id)
        .where(_within(Invoice.issued_at, months))
        .group_by(month, Payment.plan)
    )
    return {(months[at], plan): int(cents or 0) for at, plan, cents in session.execute(query)}


def _moves(session: Session, months: Sequence[Month]) -> dict[tuple[Month, Move], int]:
    month = _month_of(Event.at, months)
    query = (
        select(month, Event.kind, func.count())
        .where(Event.kind.in_(list(_MOVES)), _within(Event.at, months))
        .group_by(month, Event.kind)
    )
    return {(months[at], _MOVES[kind]): number for at, kind, number in session.execute(query)}


def _dunning(session: Session, months: Sequence[Month]) -> dict[Month, Dunning]:
    """Count organizations whose card failed at a renewal, and those of them that a renewal was paid by since."""
    month = _month_of(Payment.created_at, months)
    renewal = (Payment.kind == PaymentKind.RENEWAL) & (Payment.state == PaymentState.DECLINED)
    failed = (
        select(Payment.organization_id.label("house"), month.label("month"), func.min(Payment.created_at).label("at"))
        # Who pays by transfer has not failed: nothing was tried.
        .where(renewal, Payment.reason != "offline", Payment.plan.is_not(None), _within(Payment.created_at, months))
        .group_by(Payment.organization_id, month)
        .subquery()
    )
    later = aliased(Payment)
    lapsed = exists().where(
        Event.organization_id == failed.c.house,
        Event.kind == EventKind.PLAN_LAPSED,
        Event.at > failed.c.at,
        Event.at < later.settled_at,
    )
    # Who lost the plan and bought it anew has not been won back by trying the card again.
    paid = exists().where(
        later.organization_id == failed.c.house,
        later.kind == PaymentKind.RENEWAL,
        later.state == PaymentState.PAID,
        later.settled_at > failed.c.at,
        ~lapsed,
    )
    query = select(failed.c.month, func.count(), func.sum(case((paid, 1), else_=0))).group_by(failed.c.month)
    return {months[at]: Dunning(number, int(good or 0)) for at, number, good in session.execute(query)}


def _pipeline(session: Session, now: datetime) -> dict[tuple[Stage, int], int]:
    bounds = [now - timedelta(days=days) for days in AGES]
    age: ColumnElement[int] = case(*((Lead.created_at > at, n) for n, at in enumerate(bounds)), else_=len(bounds))
    query = select(Lead.stage, age, func.count()).where(Lead.stage.in_(OPEN)).group_by(Lead.stage, age)
    return {(stage, at): number for stage, at, number in session.execute(query)}


def _touches(session: Session, months: Sequence[Month], now: datetime) -> dict[Month, FirstTouch]:
    """Count leads by whether somebody was in touch in time; spam is nobody's to answer."""
    month = _month_of(Lead.created_at, months)
    met = Lead.first_touch_at <= Lead.touch_by
    late = and_(Lead.first_touch_at.is_(None), Lead.touch_by < now) | (Lead.first_touch_at > Lead.touch_by)
    query = (
        select(month, func.sum(case((met, 1), else_=0)), func.sum(case((late, 1), else_=0)))
        .where(Lead.touch_by.is_not(None), Lead.stage != Stage.SPAM, _within(Lead.created_at, months))
        .group_by(month)
    )
    return {months[at]: FirstTouch(int(good or 0), int(bad or 0)) for at, good, bad in session.execute(query)}


def _within(column: Any, months: Sequence[Month]) -> ColumnElement[bool]:  # noqa: ANN401 (a column of instants)
    return and_(column >= months[0].start(UTC_ZONE), column < months[-1].plus(1).start(UTC_ZONE))


def _month_of(column: Any, months: Sequence[Month]) -> ColumnElement[int]:  # noqa: ANN401
    """Return which of the months an instant within them falls into, as a column."""
    earlier = [(column < month.start(UTC_ZONE), at) for at, month in enumerate(months[1:])]
    return case(*earlier, else_=len(months) - 1) if earlier else func.coalesce(0, 0)


COLUMNS = ("Figure", "Month", "Of", "Value")


def sheet_of(found: Figures) -> Iterator[list[tuple[object, ...]]]:
    """Yield every figure as a line of a spreadsheet: what it is, of which month, of what, and its value.

    Amounts are in dollars.
    """
    yield [("Organizations", "now", plan.label, found.organizations.get(plan, 0)) for plan in PlanName]
    yield [("Recurring a month", "now", plan.label, _dollars(found.recurring.get(plan, 0))) for plan in PlanName]
    for month in found.months:
        yield [
            ("Invoiced", month.written, plan.label if plan else "Usage and refunds", _dollars(cents))
            for (when, plan), cents in sorted(found.invoiced.items(), key=str)
            if when == month
        ]
        yield [(move.label, month.written, "", found.moves.get((month, move), 0)) for move in Move]
        dunning, touch = found.dunning.get(month, Dunning()), found.touches.get(month, FirstTouch())
        yield [
            ("Renewals that failed", month.written, "", dunning.failed),
            ("of them paid since", month.written, "", dunning.recovered),
            ("First touches in time", month.written, "", touch.met),
            ("First touches late", month.written, "", touch.late),
        ]
    yield [
        ("Open leads", "now", f"{stage.label}, {words}", found.pipeline.get((stage, at), 0))
        for stage in OPEN
        for at, words in enumerate(AGE_WORDS)
    ]


def _dollars(cents: int) -> str:
    return f"{cents / 100:.2f}"
