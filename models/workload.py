"""What each agent did: the report's figures by who has the request, for those who look after the agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, select

from models.base import read
from models.people import Person
from models.periods import Kept, ReportWish
from models.promises import ResponseTarget
from models.ratings import Rating
from models.reports import RESOLVED_AT, Spread, Tally, came_out, narrowing, spreads
from models.tickets import Ticket, Tickets

COLUMNS = (
    "Agent",
    "First replies promised",
    "On time",
    "Late",
    "Kept (%)",
    "Median (minutes)",
    "9 of 10 (minutes)",
    "Resolved",
    "Open now",
    "Rated",
    "Rating",
)


@dataclass(frozen=True)
class AgentRow:
    """The figures of one agent: promises and ratings of the months, requests resolved in them, and open ones now."""

    id: int
    name: str
    active: bool
    tally: Tally
    reply: Spread | None
    resolved: int
    open: int
    rated: int
    stars: float


def by_agent(scope: Tickets, wish: ReportWish, zone: ZoneInfo, *, now: datetime) -> list[AgentRow]:
    """Return a row for each agent who has any of it, by name; six statements, whatever the number of rows.

    A request counts for the agent who has it now, or had it last.
    """
    session, has = scope.session, Ticket.assignee_id
    start, end = wish.since.start(zone), wish.until.plus(1).start(zone)
    seen = [scope.condition, *narrowing(wish), has.is_not(None)]
    began = (ResponseTarget.started_at >= start) & (ResponseTarget.started_at < end)
    counts = [func.sum(case((came_out(kept, now), 1), else_=0)) for kept in (Kept.MET, Kept.MISSED)]
    promised = select(has, func.count(), *counts).join(ResponseTarget, ResponseTarget.ticket_id == Ticket.id)
    kept = {n: Tally(*map(int, tally)) for n, *tally in read(session, promised.where(began, *seen).group_by(has))}
    lengths = select(has.label("key"), ResponseTarget.counted_seconds.label("seconds"))
    answered = lengths.join(ResponseTarget, ResponseTarget.ticket_id == Ticket.id)
    replies = spreads(session, answered.where(began, ResponseTarget.met_at.is_not(None), *seen).subquery())
    done = select(has, func.count()).where(start <= RESOLVED_AT, end > RESOLVED_AT, *seen).group_by(has)
    resolved: dict[int, int] = dict(read(session, done).all())
    opened = select(has, func.count()).where(Ticket.active.is_(True), *seen).group_by(has)
    backlog: dict[int, int] = dict(read(session, opened).all())
    inside = (Rating.at >= start) & (Rating.at < end)
    marks = select(has, func.count(), func.sum(Rating.stars)).join(Rating, Rating.ticket_id == Ticket.id)
    rated = {n: (many, int(stars) / many) for n, many, stars in read(session, marks.where(inside, *seen).group_by(has))}
    known = {*kept, *resolved, *backlog, *rated}
    people = select(Person.id, Person.name, Person.active).where(Person.id.in_(known)).order_by(Person.name, Person.id)
    return [
        AgentRow(
            number,
            name,
            active,
            kept.get(number, Tally()),
            replies.get(number),
            resolved.get(number, 0),
            backlog.get(number, 0),
            *rated.get(number, (0, 0.0)),
        )
        for number, name, active in (session.execute(people) if known else ())
    ]


def sheet_of(rows: Sequence[AgentRow]) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows as lines of a file, in one batch."""
    yield [_line(row) for row in rows]


def _line(row: AgentRow) -> tuple[object, ...]:
    reply: tuple[Any, ...] = (None, None)
    if row.reply is not None:
        reply = tuple(int(length.total_seconds()) // 60 for length in (row.reply.median, row.reply.p90))
    tally = row.tally
    stars = round(row.stars, 2) if row.rated else None
    counts = (tally.promised, tally.met, tally.missed, tally.percent)
    return (row.name, *counts, *reply, row.resolved, row.open, row.rated, stars)
