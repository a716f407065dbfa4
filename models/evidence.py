"""What stands behind the numbers of a report: the list of each, and the files with a line for every promise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from models.base import read
from models.catalogue import Target
from models.lines import Line, lines_of
from models.organizations import Organization
from models.paging import COUNTED_TO, NUMBERED_TO, Paging, within
from models.periods import AGES, Count, Kept, Picked, ReportWish
from models.promises import ResponseTarget
from models.ratings import Rating
from models.reports import FILED_AT, RESOLVED_AT, came_out, narrowing
from models.tickets import Ticket, Tickets, TicketState
from models.wording import utc


def behind(
    scope: Tickets, wish: ReportWish, picked: Picked, zone: ZoneInfo, *, now: datetime, page: int, size: int
) -> tuple[list[Line], Paging]:
    """Return a page of what a number counts, the latest first, and where it stands; three statements.

    A request of which two promises count is there twice. No list goes on behind its thousandth row: the files do.
    """
    start, end = wish.since.start(zone), wish.until.plus(1).start(zone)
    conditions, at = _picked(picked, start, end, now)
    if picked.hour:
        conditions.append(or_(false(), *_hours(picked.hour, start, end, zone)))
    found = select(Ticket.id).where(scope.condition, *narrowing(wish), *conditions)
    if picked.count in _OF_PROMISES:
        found = found.join(ResponseTarget, ResponseTarget.ticket_id == Ticket.id)
    elif picked.count is Count.RATED:
        found = found.join(Rating, Rating.ticket_id == Ticket.id)
    total = read(scope.session, select(func.count()).select_from(found.limit(COUNTED_TO + 1).subquery())).scalar() or 0
    page = min(within(page, total, size), NUMBERED_TO)
    ordered = found.order_by(at.desc(), Ticket.id.desc()).offset((page - 1) * size).limit(size)
    lines = lines_of(scope.session, read(scope.session, ordered).scalars().all())

    def href(number: int) -> str:
        there = {**wish.parts, **picked.parts} | ({"page": str(number)} if number > 1 else {})
        return f"{wish.base}/requests?{urlencode(there)}"

    return lines, Paging(page, size, len(lines), total, href)


# What counts promises, of which a request may have several.
_OF_PROMISES = frozenset({Count.PROMISED, Count.REPLIED})


def _picked(
    picked: Picked, start: datetime, end: datetime, now: datetime
) -> tuple[list[ColumnElement[bool]], ColumnElement[Any]]:
    """Return the conditions of the number, and the column by which its list is in order."""
    at: Any = {
        Count.PROMISED: ResponseTarget.started_at,
        Count.REPLIED: ResponseTarget.started_at,
        Count.FILED: FILED_AT,
        Count.RESOLVED: RESOLVED_AT,
        Count.RATED: Rating.at,
        Count.BACKLOG: FILED_AT,
    }[picked.count]
    conditions: list[ColumnElement[bool]] = [at >= start, at < end]
    if picked.count is Count.BACKLOG:
        conditions = [Ticket.active.is_(True)]
        if picked.age is not None:
            bounds = [now - timedelta(days=days) for days in AGES]
            conditions += [at <= bounds[picked.age - 1]] if picked.age else []
            conditions += [at > bounds[picked.age]] if picked.age < len(bounds) else []
    promised = picked.count in _OF_PROMISES
    if picked.count is Count.REPLIED:
        conditions.append(ResponseTarget.met_at.is_not(None))
    if picked.severity:
        conditions.append((ResponseTarget.severity if promised else Ticket.severity) == picked.severity)
    if picked.kept and promised:
        conditions.append(came_out(picked.kept, now))
    if picked.agent:
        conditions.append(Ticket.assignee_id == picked.agent)
    if picked.of:
        conditions.append((ResponseTarget.plan if promised else Ticket.plan) == picked.of)
    return conditions, at


def _hours(picked: tuple[int, int], start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[ColumnElement[bool]]:
    """Yield a condition for each hour of the span that counts as that hour of the week: hours of UTC, as counted."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        local = hour.astimezone(zone)
        if (local.weekday(), local.hour) == picked:
            yield and_(hour <= FILED_AT, hour + timedelta(hours=1) > FILED_AT)
        hour += timedelta(hours=1)


SHEET = (
    "Request",
    "Organization",
    "Door",
    "Plan",
    "Severity",
    "Target",
    "Started (UTC)",
    "Due (UTC)",
    "First reply (UTC)",
    "Counted minutes",
    "Result",
    "Status",
    "Summary",
)
BATCH = 1000


def sheet_rows(
    scope: Tickets, wish: ReportWish, zone: ZoneInfo, *, now: datetime
) -> Iterator[list[tuple[object, ...]]]:
    """Yield a line for each promise of the months, in batches, in the order in which they began.

    Each batch goes on after the last row of the one before, so that the caller may end its transaction in between.
    """
    columns = (
        ResponseTarget.id,
        ResponseTarget.started_at,
        Ticket.key,
        Organization.name,
        Ticket.door,
        ResponseTarget.plan,
        ResponseTarget.severity,
        ResponseTarget.minutes,
        ResponseTarget.around_the_clock,
        ResponseTarget.due_at,
        ResponseTarget.met_at,
        ResponseTarget.counted_seconds,
        Ticket.state,
        Ticket.summary,
    )
    began, key = ResponseTarget.started_at, ResponseTarget.id
    query = (
        select(*columns)
        .join(Ticket, Ticket.id == ResponseTarget.ticket_id)
        .outerjoin(Organization, Organization.id == Ticket.organization_id)
        .where(began < wish.until.plus(1).start(zone), scope.condition, *narrowing(wish))
        .order_by(began, key)
        .limit(BATCH)
    )
    after = began >= wish.since.start(zone)
    while rows := read(scope.session, query.where(after)).all():
        yield [_sheet_row(row, now, staff=scope.internal) for row in rows]
        last = rows[-1]
        after = and_(began >= last.started_at, or_(began > last.started_at, key > last.id))


def _sheet_row(row: Any, now: datetime, *, staff: bool) -> tuple[object, ...]:  # noqa: ANN401 (a row of so many columns)
    met = row.met_at is not None and row.due_at is not None and row.met_at <= row.due_at
    open_ = row.met_at is None and (row.due_at is None or row.due_at >= now)
    running = Kept.UNANSWERED if row.state is TicketState.CLOSED else Kept.OPEN
    kept = running if open_ else Kept.MET if met else Kept.MISSED
    target = Target(row.minutes, around_the_clock=row.around_the_clock)
    return (
        row.key,
        row.name or "",
        row.door.label,
        row.plan.label,
        row.severity.value,
        target.words,
        *(utc(at) if at else None for at in (row.started_at, row.due_at, row.met_at)),
        row.counted_seconds // 60 if row.met_at else None,
        kept.label,
        row.state.desk_label if staff else row.state.label,
        row.summary,
    )
