"""How first replies were promised and kept, and what there was to do: counted by month, plan and severity.

A promise belongs to the month in which it began, a request to the one in which it was filed, a solution to the one in
which it was resolved; months are those of the reader's zone. Every number has the condition that it counts, so that the
list behind it holds just as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    extract,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from models.base import read
from models.catalogue import PlanName, Severity
from models.elapsed import seconds_between
from models.periods import AGES, Kept, Month, ReportWish
from models.promises import ResponseTarget
from models.ratings import Rating
from models.tickets import Ticket, Tickets, TicketState


@dataclass(frozen=True)
class Tally:
    """How promises came out."""

    promised: int = 0
    met: int = 0
    missed: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(self.promised + other.promised, self.met + other.met, self.missed + other.missed)

    @property
    def settled(self) -> int:
        """How many are over, kept or not."""
        return self.met + self.missed

    @property
    def percent(self) -> int | None:
        """The share of those that are over which was kept, rounded down so that 100 means all; None without any."""
        return self.met * 100 // self.settled if self.settled else None


@dataclass(frozen=True)
class Spread:
    """How long something took: the median and the length within which nine of ten lay; in how many cases."""

    cases: int
    median: timedelta
    p90: timedelta


@dataclass(frozen=True)
class Report:
    """Everything that the report shows."""

    months: list[Month]
    kept: dict[tuple[Month, PlanName, Severity], Tally]
    filed: dict[tuple[Month, Severity], int]
    resolved: dict[Month, int]
    replies: dict[Month, Spread]
    solutions: dict[Month, Spread]
    ratings: dict[Month, tuple[int, float]]
    backlog: dict[tuple[int, Severity], int]
    # How many were filed, by weekday (Monday is 0) and hour of the reader's zone.
    load: dict[tuple[int, int], int]

    def tally(
        self, month: Month | None = None, plan: PlanName | None = None, severity: Severity | None = None
    ) -> Tally:
        """Return how the promises of these came out together."""
        fits = ((month, 0), (plan, 1), (severity, 2))
        return sum(
            (tally for key, tally in self.kept.items() if all(one is None or key[at] == one for one, at in fits)),
            Tally(),
        )

    @property
    def promised(self) -> list[tuple[PlanName, Severity]]:
        """The plans and severities for which anything was promised, in their order."""
        there = {key[1:] for key in self.kept}
        return [(plan, severity) for plan in PlanName for severity in Severity if (plan, severity) in there]

    @property
    def plans(self) -> list[PlanName]:
        """The plans under which anything was promised."""
        return [plan for plan in PlanName if any(key[1] is plan for key in self.kept)]


def report(scope: Tickets, wish: ReportWish, zone: ZoneInfo, *, now: datetime) -> Report:
    """Return the report on the tickets of the scope; eight statements, whatever the number of rows."""
    session, seen = scope.session, [scope.condition, *narrowing(wish)]
    spans = _spans(wish, zone)
    return Report(
        months=wish.months,
        kept=_kept(session, seen, spans, now),
        filed={(m, s): n for m, s, n in _by_month(session, spans, FILED_AT, seen, Ticket.severity)},
        resolved={m: n for m, n in _by_month(session, spans, RESOLVED_AT, seen)},  # noqa: C416 (rows are no pairs)
        replies=_spreads(session, spans, _replied(seen)),
        solutions=_spreads(session, spans, _solved(seen)),
        ratings=_ratings(session, spans, seen),
        backlog=_backlog(session, seen, now),
        load=_load(session, spans, seen, zone),
    )


FILED_AT, RESOLVED_AT = Ticket.created_at, Ticket.resolved_at
Spans = list[tuple[Month, datetime, datetime]]


def _spans(wish: ReportWish, zone: ZoneInfo) -> Spans:
    return [(month, month.start(zone), month.plus(1).start(zone)) for month in wish.months]


def narrowing(wish: ReportWish) -> list[ColumnElement[bool]]:
    """Return the conditions that door and plan put on the tickets."""
    found: list[ColumnElement[bool]] = []
    if wish.door:
        found.append(Ticket.door == wish.door)
    if wish.plan:
        found.append(Ticket.plan == wish.plan)
    return found


def came_out(kept: Kept, now: datetime) -> ColumnElement[bool]:
    """Return the condition that the promise of a ticket came out so, by now."""
    at, due = ResponseTarget.met_at, ResponseTarget.due_at
    met = and_(at.is_not(None), due.is_not(None), at <= due)
    missed = or_(and_(at.is_not(None), or_(due.is_(None), at > due)), and_(at.is_(None), due.is_not(None), due < now))
    if kept in {Kept.OPEN, Kept.UNANSWERED}:
        # What was closed before it was due, merged or by its customer, comes due no more.
        closed = Ticket.state == TicketState.CLOSED
        return and_(at.is_(None), or_(due.is_(None), due >= now), closed if kept is Kept.UNANSWERED else ~closed)
    return met if kept is Kept.MET else missed


def _month_of(number: int) -> ColumnElement[int]:
    return literal_column(str(number)).label("month")


def _kept(
    session: Session, seen: Sequence[ColumnElement[bool]], spans: Spans, now: datetime
) -> dict[tuple[Month, PlanName, Severity], Tally]:
    plan, severity = ResponseTarget.plan, ResponseTarget.severity
    counts = [func.sum(case((came_out(kept, now), 1), else_=0)) for kept in (Kept.MET, Kept.MISSED)]
    each = [
        select(_month_of(n), plan, severity, func.count(), *counts)
        .join(Ticket, Ticket.id == ResponseTarget.ticket_id)
        .where(ResponseTarget.started_at >= start, ResponseTarget.started_at < end, *seen)
        .group_by(plan, severity)
        for n, (_, start, end) in enumerate(spans)
    ]
    rows = read(session, _together(each))
    return {(spans[n][0], plan, severity): Tally(*map(int, tally)) for n, plan, severity, *tally in rows}


def _together(each: Sequence[Any]) -> Select[*tuple[Any, ...]]:
    return select(union_all(*each).subquery())


def _by_month(
    session: Session,
    spans: Spans,
    at: Any,  # noqa: ANN401 (a column)
    seen: Sequence[ColumnElement[bool]],
    *by: Any,  # noqa: ANN401 (columns)
) -> Iterator[Any]:
    each = [
        select(_month_of(n), *by, func.count()).where(at >= start, at < end, *seen).group_by(*by)
        for n, (_, start, end) in enumerate(spans)
    ]
    for number, *values, count in read(session, _together(each)):
        if count:
            yield (spans[number][0], *values, count)


def _replied(seen: Sequence[ColumnElement[bool]]) -> Any:  # noqa: ANN401 (a maker of selects)
    def of(number: int, start: datetime, end: datetime) -> Select[*tuple[Any, ...]]:
        began = (ResponseTarget.started_at >= start) & (ResponseTarget.started_at < end)
        return (
            select(_month_of(number), ResponseTarget.counted_seconds.label("seconds"))
            .join(Ticket, Ticket.id == ResponseTarget.ticket_id)
            .where(began, ResponseTarget.met_at.is_not(None), *seen)
        )

    return of


def _solved(seen: Sequence[ColumnElement[bool]]) -> Any:  # noqa: ANN401 (a maker of selects)
    length = seconds_between(Ticket.created_at, Ticket.resolved_at)

    def of(number: int, start: datetime, end: datetime) -> Select[*tuple[Any, ...]]:
        inside = (Ticket.resolved_at >= start) & (Ticket.resolved_at < end)
        return select(_month_of(number), length.label("seconds")).where(inside, *seen)

    return of


def _spreads(session: Session, spans: Spans, of: Any) -> dict[Month, Spread]:  # noqa: ANN401 (a maker of selects)
    lengths = union_all(*(of(n, start, end) for n, (_, start, end) in enumerate(spans))).subquery()
    return {spans[number][0]: spread for number, spread in spreads(session, lengths).items()}


def spreads(session: Session, lengths: Subquery) -> dict[int, Spread]:
    """Return median and ninth decile by nearest rank: the least value that half, or nine of ten, do not exceed.

    The first column of `lengths` is what each is told apart by, the second the seconds of one case.
    """
    key, seconds = lengths.c
    ranked = select(
        key,
        seconds,
        func.row_number().over(partition_by=key, order_by=seconds).label("rank"),
        func.count().over(partition_by=key).label("cases"),
    ).subquery()
    rank, cases = ranked.c.rank, ranked.c.cases
    half = and_(2 * rank >= cases, 2 * (rank - 1) < cases)
    nine = and_(10 * rank >= 9 * cases, 10 * (rank - 1) < 9 * cases)
    found: dict[int, dict[str, Any]] = {}
    marked = select(ranked, case((half, 1), else_=0), case((nine, 1), else_=0)).where(or_(half, nine))
    for number, length, _, many, is_half, is_nine in read(session, marked):
        here = found.setdefault(int(number), {"cases": int(many)})
        if is_half:
            here["median"] = timedelta(seconds=int(length))
        if is_nine:
            here["p90"] = timedelta(seconds=int(length))
    return {number: Spread(**values) for number, values in found.items()}


def _ratings(session: Session, spans: Spans, seen: Sequence[ColumnElement[bool]]) -> dict[Month, tuple[int, float]]:
    each = [
        select(_month_of(n), func.count(), func.sum(Rating.stars))
        .join(Ticket, Ticket.id == Rating.ticket_id)
        .where(Rating.at >= start, Rating.at < end, *seen)
        for n, (_, start, end) in enumerate(spans)
    ]
    rows = read(session, _together(each))
    return {spans[n][0]: (many, int(stars) / many) for n, many, stars in rows if many}


def _backlog(session: Session, seen: Sequence[ColumnElement[bool]], now: datetime) -> dict[tuple[int, Severity], int]:
    """Return how many are open, by age (the number of the span between two of AGES) and severity."""
    bounds = [now - timedelta(days=days) for days in AGES]
    age = case(*((Ticket.created_at > at, n) for n, at in enumerate(bounds)), else_=len(bounds))
    query = (
        select(age, Ticket.severity, func.count()).where(Ticket.active.is_(True), *seen).group_by(age, Ticket.severity)
    )
    return {(number, severity): many for number, severity, many in read(session, query)}


def _load(
    session: Session, spans: Spans, seen: Sequence[ColumnElement[bool]], zone: ZoneInfo
) -> dict[tuple[int, int], int]:
    """Count by hours of UTC, then say which hour that was for the reader; one that falls into two is the first."""
    parts = [extract(part, Ticket.created_at) for part in ("year", "month", "day", "hour")]
    whole = and_(Ticket.created_at >= spans[0][1], Ticket.created_at < spans[-1][2])
    found: dict[tuple[int, int], int] = {}
    for *when, many in read(session, select(*parts, func.count()).where(whole, *seen).group_by(*parts)):
        year, month, day, hour = map(int, when)
        local = datetime(year, month, day, hour, tzinfo=UTC).astimezone(zone)
        place = local.weekday(), local.hour
        found[place] = found.get(place, 0) + many
    return found
