"""Back-test: the first replies of the last 90 days, counted once more as if another version had promised them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select

from models.base import Refused
from models.catalogue import Catalogue, PlanName, Severity
from models.promises import Pause, ResponseTarget, due
from models.reports import Tally
from models.tickets import Ticket, Tickets
from models.timetables import Timetable, timetable_for

DAYS = timedelta(days=90)
BATCH = 500
# More are not replayed while somebody waits for the page: the latest count.
MOST = 20_000


@dataclass
class Outcome:
    """How the promises of one plan and severity came out, and would have; `busiest` is the most due in one hour."""

    was: Tally = field(default_factory=Tally)
    would_be: Tally = field(default_factory=Tally)
    busiest_was: int = 0
    busiest_would_be: int = 0


@dataclass(frozen=True)
class Replay:
    """The outcomes by plan and severity, how many were replayed, and from when on."""

    outcomes: dict[tuple[PlanName, Severity], Outcome]
    replayed: int
    since: datetime
    cut: bool


def replay(scope: Tickets, terms: Catalogue, *, now: datetime) -> Replay:
    """Replay what began in the 90 days before `now` under `terms`; a few statements for each five hundred.

    A promise keeps its start, its pauses and its first reply; what changes is the length and the kind of clock. What
    the version does not promise is not counted under it.
    """
    since, outcomes, number = now - DAYS, dict[tuple[PlanName, Severity], Outcome](), 0
    hours = dict[tuple[tuple[PlanName, Severity], bool], dict[datetime, int]]()
    tables = dict[int | None, Timetable]()
    began = since
    for target in _promises(scope, since, now):
        number += 1
        began = target.started_at
        key = target.plan, target.severity
        here = outcomes.setdefault(key, Outcome())
        here.was += _tally(target.met_at, target.due_at, now)
        _add(hours, (key, False), target.due_at)
        promised = terms.target(target.plan, target.door, target.severity)
        if promised is None:
            continue
        if target.calendar_id not in tables:
            tables[target.calendar_id] = timetable_for(scope.session, target.calendar_id, since)
        try:
            by = due(target.started_at, promised, tables[target.calendar_id], _pauses(target))
        except Refused:
            # The calendar has too few hours for it by now: nobody could keep that.
            by = target.started_at
        here.would_be += _tally(target.met_at, by, now)
        _add(hours, (key, True), by)
    for (key, new), found in hours.items():
        busiest = max(found.values(), default=0)
        if new:
            outcomes[key].busiest_would_be = busiest
        else:
            outcomes[key].busiest_was = busiest
    order = sorted(outcomes.items(), key=lambda one: (one[0][0].rank, one[0][1]))
    return Replay(dict(order), number, began if number >= MOST else since, number >= MOST)


def _tally(met_at: datetime | None, due_at: datetime | None, now: datetime) -> Tally:
    if met_at is None:
        return Tally(1, 0, int(due_at is not None and due_at < now))
    kept = due_at is not None and met_at <= due_at
    return Tally(1, int(kept), int(not kept))


def _add(hours: dict[Any, dict[datetime, int]], key: Any, at: datetime | None) -> None:  # noqa: ANN401 (as above)
    if at is not None:
        found, hour = hours.setdefault(key, {}), at.replace(minute=0, second=0, microsecond=0)
        found[hour] = found.get(hour, 0) + 1


def _promises(scope: Tickets, since: datetime, now: datetime) -> Iterator[Any]:
    """Yield the promises that began then, the latest first, as rows of plain values, five hundred at a time."""
    began, key = ResponseTarget.started_at, ResponseTarget.id
    query = (
        select(
            key,
            began,
            ResponseTarget.plan,
            ResponseTarget.severity,
            ResponseTarget.calendar_id,
            ResponseTarget.due_at,
            ResponseTarget.met_at,
            ResponseTarget.pauses,
            ResponseTarget.paused_at,
            Ticket.door,
        )
        .join(Ticket, Ticket.id == ResponseTarget.ticket_id)
        .where(began >= since, began <= now, scope.condition)
        .order_by(began.desc(), key.desc())
        .limit(BATCH)
    )
    before, left = began <= now, MOST
    while left > 0:
        rows = scope.session.execute(query.where(before)).all()
        yield from rows[:left]
        if len(rows) < BATCH:
            return
        left -= len(rows)
        last = rows[-1]
        before = or_(began < last.started_at, and_(began == last.started_at, key < last.id))


def _pauses(row: Any) -> list[Pause]:  # noqa: ANN401 (a row of _promises)
    ended: list[Pause] = [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in row.pauses]
    return ended if row.paused_at is None else [*ended, (row.paused_at, None)]
