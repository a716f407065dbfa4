"""Lists of tickets: the customers' Requests and the desk's queues, filtered, sorted, counted and paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, select, true
from sqlalchemy.orm import Session

from models.base import Instant, Labelled, read
from models.catalogue import DoorName, Severity
from models.lines import Line, lines_of
from models.paging import COUNTED_TO, NUMBERED_TO, Ends, Order, Paging, within
from models.people import Person
from models.tickets import ACTIVE, Participant, Ticket, Tickets, TicketState

# A value, or its place in a kept statement.
Moment = datetime | BindParameter[datetime]
Number = int | BindParameter[int]

# Up to so many a person's requests are counted in one go.
COUNTED_AT_ONCE = 5000


class Status(Labelled):
    """The tabs above the list of requests."""

    OPEN = "open", "Open"
    WAITING = "waiting", "Waiting for you"
    RESOLVED = "resolved", "Resolved"
    CLOSED = "closed", "Closed"
    ALL = "all", "All"

    @property
    def states(self) -> tuple[TicketState, ...]:
        """The states that the tab shows."""
        return {
            Status.OPEN: ACTIVE,
            Status.WAITING: (TicketState.WAITING,),
            Status.RESOLVED: (TicketState.RESOLVED,),
            Status.CLOSED: (TicketState.CLOSED,),
        }.get(self, tuple(TicketState))


class Sort(Labelled):
    """Orders of the list of requests."""

    UPDATED = "updated", "Newest update first"
    UPDATED_UP = "updated-up", "Oldest update first"
    SEVERITY = "severity", "Gravest first"
    SEVERITY_UP = "severity-up", "Least grave first"
    CREATED = "created", "Newest first"


class By(Labelled):
    """Whose requests."""

    ANYONE = "", "Anyone"
    ME = "me", "Created by me"
    PART = "part", "I take part"
    ORGANIZATION = "organization", "My organization"


@dataclass(frozen=True)
class Wish:
    """What somebody asked to see; every choice is in the address."""

    status: Status = Status.OPEN
    sort: Sort = Sort.UPDATED
    by: By = By.ANYONE
    door: DoorName | None = None
    severity: Severity | None = None
    organization: int | None = None
    organization_slug: str = ""
    text: str = ""
    page: int = 1
    # The place of a row: behind the numbered pages, a page goes on after it, or ends before it.
    after: str = ""
    before: str = ""

    def beyond(self, page: int, side: str, place: str) -> str:
        """Return the address of a page that goes on from a place; `side` is "after" or "before"."""
        return self.href(page=page, **{side: place})

    def href(self, **changes: object) -> str:
        """Return the address of the list with these changes; what is the default is left out."""
        wish = replace(self, **{"page": 1, "after": "", "before": "", **changes})  # type: ignore[arg-type]
        parts = {
            "q": wish.text,
            "status": "" if wish.status is Status.OPEN else wish.status.value,
            "door": wish.door.value if wish.door else "",
            "severity": wish.severity.value if wish.severity else "",
            "by": wish.by.value,
            "organization": wish.organization_slug,
            "sort": "" if wish.sort is Sort.UPDATED else wish.sort.value,
            "page": str(wish.page) if wish.page > 1 else "",
            "after": wish.after,
            "before": wish.before,
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"/requests?{query}" if query else "/requests"

    @property
    def filtered(self) -> bool:
        """Whether anything but the status narrows the list."""
        return bool(self.text or self.door or self.severity or self.by is not By.ANYONE or self.organization_slug)


@dataclass(frozen=True)
class Listing:
    """One page of tickets, with the counts of all tabs."""

    rows: Sequence[Line]
    paging: Paging
    counts: dict[Status, int]

    @property
    def total_words(self) -> str:
        """How many there are, in words."""
        total = self.paging.total
        return f"{COUNTED_TO:,}+ requests" if total > COUNTED_TO else f"{total} request{'' if total == 1 else 's'}"


def requests_of(actor: Person, scope: Tickets, wish: Wish) -> Listing:
    """Return the page of requests that the person asked for; three statements, whatever the number of rows."""
    narrowed = _narrowed(actor, scope, wish)
    found = and_(scope.condition, *narrowed) if narrowed else scope.condition
    # What nobody narrows is asked again and again: its statements are kept.
    per_state, shown, ids = (_tab.__wrapped__ if narrowed else _tab)(found, wish.status, wish.sort)
    counts = _per_status(scope.session, per_state, found)
    total = counts[wish.status]
    return Listing(*_paged(scope.session, shown, ids, _ORDERS[wish.sort], wish, actor.page_size, total), counts)


@lru_cache(maxsize=128)
def _tab(
    found: ColumnElement[bool], status: Status, sort: Sort
) -> tuple[Select[TicketState, int], ColumnElement[bool], Select[int]]:
    """Return what a tab asks: how many there are in each state, what it shows, and the ids of one page."""
    some = select(Ticket.state).where(found).limit(COUNTED_AT_ONCE + 1).subquery()
    per_state = select(some.c.state, func.count()).group_by(some.c.state)
    shown = found if status is Status.ALL else and_(found, _of_status(status))
    return per_state, shown, _numbered(shown, _ORDERS[sort])


def _of_status(status: Status) -> ColumnElement[bool]:
    """Return the condition of a tab, in the words of the index that gives its rows in order."""
    if status is Status.OPEN:
        return Ticket.active.is_(True)
    return true() if status is Status.ALL else Ticket.state.in_(status.states)


def _numbered(shown: ColumnElement[bool], order: Order) -> Select[int]:
    """Return the statement for the ids of a page that is found by its number."""
    ids = select(Ticket.id).where(shown).order_by(*order.clauses())
    return ids.offset(bindparam("skip")).limit(bindparam("size"))


def latest_of(scope: Tickets, most: int = 3) -> Sequence[Line]:
    """Return the person's latest requests."""
    *_, ids = _tab(scope.condition, Status.ALL, Sort.UPDATED)
    return lines_of(scope.session, read(scope.session, ids, skip=0, size=most).scalars().all())


def _per_status(session: Session, per_state: Select[TicketState, int], found: ColumnElement[bool]) -> dict[Status, int]:
    """Count what is in each tab, exactly to a thousand.

    At once, while there are few; where there are many, each tab alone and no farther than needed.
    """
    by_state = {state: number for state, number in read(session, per_state)}  # noqa: C416 (rows are no pairs)
    if sum(by_state.values()) <= COUNTED_AT_ONCE:
        return {status: sum(by_state.get(state, 0) for state in status.states) for status in Status}
    counted = read(session, _counting([found & _of_status(status) for status in Status])).one()
    return dict(zip(Status, counted, strict=True))


def _counting(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return the statement that counts the tickets of each condition, to a thousand and one more."""
    some = (select(Ticket.id).where(condition).limit(COUNTED_TO + 1).subquery() for condition in conditions)
    return select(*(select(func.count()).select_from(each).scalar_subquery() for each in some))


def _paged(
    session: Session,
    shown: ColumnElement[bool],
    ids: Select[int],
    order: Order,
    wish: Wish | DeskWish,
    size: int,
    total: int,
) -> tuple[list[Line], Paging]:
    """Return the page that was asked for: by its number, or by the place that it goes on from.

    First the ids, which indexes give, then the rows: sorting rows that are joined already costs several times as much.
    """
    page, back = within(wish.page, total, size), bool(wish.before)
    beyond = order.beyond(wish.before or wish.after, backwards=back) if page > NUMBERED_TO else None
    if beyond is None:
        page, back = min(page, NUMBERED_TO), False
        wanted = read(session, ids, skip=(page - 1) * size, size=size).scalars().all()
    else:
        query = select(Ticket.id).where(shown, beyond).order_by(*order.clauses(backwards=back))
        wanted = read(session, query.limit(size)).scalars().all()
    rows = lines_of(session, wanted)
    rows = rows[::-1] if back else rows
    ends = Ends(order.place_of(rows[0]), order.place_of(rows[-1]), wish.beyond) if rows else None
    return rows, Paging(page, size, len(rows), total, lambda n: wish.href(page=n), ends)


def _narrowed(actor: Person, scope: Tickets, wish: Wish) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wish.door:
        found.append(Ticket.door == wish.door)
    if wish.severity:
        found.append(Ticket.severity == wish.severity)
    if wish.organization is not None:
        found.append(Ticket.organization_id == wish.organization)
    if wish.by is By.ME:
        found.append(Ticket.opener_id == actor.id)
    elif wish.by is By.PART:
        found.append(Ticket.id.in_(select(Participant.ticket_id).where(Participant.person_id == actor.id)))
    elif wish.by is By.ORGANIZATION:
        found.append(Ticket.organization_id.in_([m.organization_id for m in actor.memberships]))
    return found + scope.matching(wish.text)


_LATEST = ((Ticket.updated_at, True), (Ticket.id, True))
_ORDERS = {
    Sort.UPDATED: Order(_LATEST),
    Sort.UPDATED_UP: Order(((Ticket.updated_at, False), (Ticket.id, False))),
    Sort.SEVERITY: Order(((Ticket.severity, False), *_LATEST)),
    Sort.SEVERITY_UP: Order(((Ticket.severity, True), *_LATEST)),
    Sort.CREATED: Order(((Ticket.created_at, True), (Ticket.id, True))),
}
_BY_DUE = Order(((Ticket.due_order, False), (Ticket.severity, False), (Ticket.updated_at, False), (Ticket.id, False)))


class Queue(Labelled):
    """The desk's lists."""

    DUE = "due", "Due next"
    UNASSIGNED = "unassigned", "Unassigned"
    MINE = "mine", "Mine"
    WAITING = "waiting", "Waiting for customer"
    ALL = "all", "All open"
    DONE = "done", "Resolved and closed"

    @property
    def icon(self) -> str:
        """The name of its icon."""
        return _ICONS[self.value]


_ICONS = {
    "due": "timer",
    "unassigned": "inbox",
    "mine": "user",
    "waiting": "circle-pause",
    "all": "list-checks",
    "done": "history",
}


# The queues that the desk has a figure for.
_FIGURES = tuple(queue for queue in Queue if queue is not Queue.DONE)


@dataclass(frozen=True)
class DeskCounts:
    """The figures above and beside the queues."""

    queues: dict[Queue, int]
    doors: dict[DoorName, int]
    late: int
    soon: int


@dataclass(frozen=True)
class DeskWish:
    """What an agent asked to see."""

    queue: Queue = Queue.DUE
    door: DoorName | None = None
    when: str = ""
    text: str = ""
    page: int = 1
    after: str = ""
    before: str = ""

    def beyond(self, page: int, side: str, place: str) -> str:
        """Return the address of a page that goes on from a place; `side` is "after" or "before"."""
        return self.href(page=page, **{side: place})

    def href(self, **changes: object) -> str:
        """Return the address of the queue with these changes."""
        wish = replace(self, **{"page": 1, "after": "", "before": "", **changes})  # type: ignore[arg-type]
        parts = {
            "queue": "" if wish.queue is Queue.DUE else wish.queue.value,
            "door": wish.door.value if wish.door else "",
            "when": wish.when,
            "q": wish.text,
            "page": str(wish.page) if wish.page > 1 else "",
            "after": wish.after,
            "before": wish.before,
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"/desk?{query}" if query else "/desk"


def queue_of(actor: Person, scope: Tickets, wish: DeskWish, *, now: datetime) -> tuple[Sequence[Line], Paging]:
    """Return the page of the queue, soonest due first, those without a running promise last."""
    narrowed = _desk_narrowed(scope, wish, now)
    counting, found, ids, order = (_queue.__wrapped__ if narrowed else _queue)(
        and_(scope.condition, *narrowed) if narrowed else scope.condition, wish.queue, wish.door, actor.id
    )
    total = read(scope.session, counting).scalar() or 0
    return _paged(scope.session, found, ids, order, wish, actor.page_size, total)


@lru_cache(maxsize=128)
def _queue(
    condition: ColumnElement[bool], queue: Queue, door: DoorName | None, person_id: int
) -> tuple[Select[int], ColumnElement[bool], Select[int], Order]:
    """Return what a queue asks: how many there are, what it shows, and the ids of one page in its order."""
    there = [Ticket.door == door] if door else []
    found = and_(condition, _in_queue(queue, person_id), *there)
    order = _ORDERS[Sort.UPDATED] if queue is Queue.DONE else _BY_DUE
    return _counting([found]), found, _numbered(found, order), order


def desk_counts(actor: Person, scope: Tickets, *, now: datetime) -> DeskCounts:
    """Return all figures of the desk in one statement, each counted to a thousand and one more."""
    asked = _desk_figures(scope.condition)
    figures = read(scope.session, asked, me=actor.id, now=now, soon=now + timedelta(hours=1)).one()
    queues, doors = list(_FIGURES), figures[len(_FIGURES) : len(_FIGURES) + len(DoorName)]
    return DeskCounts(
        dict(zip(queues, figures, strict=False)),
        dict(zip(DoorName, doors, strict=True)),
        late=figures[-2],
        soon=figures[-1],
    )


@lru_cache(maxsize=8)
def _desk_figures(condition: ColumnElement[bool]) -> Select[Any]:
    wanted = [
        *(_in_queue(queue, bindparam("me")) for queue in _FIGURES),
        *(Ticket.active.is_(True) & (Ticket.door == door) for door in DoorName),
        _due_before(bindparam("now", type_=Instant)),
        _due_soon(bindparam("now", type_=Instant), bindparam("soon", type_=Instant)),
    ]
    return _counting([condition & one for one in wanted])


def _due_before(now: Moment) -> ColumnElement[bool]:
    return Ticket.active.is_(True) & (Ticket.due_order < now)


def _due_soon(now: Moment, soon: Moment) -> ColumnElement[bool]:
    return Ticket.active.is_(True) & (Ticket.due_order >= now) & (Ticket.due_order <= soon)


def _in_queue(queue: Queue, person_id: Number) -> ColumnElement[bool]:
    active = Ticket.active.is_(True)
    return {
        # Those that wait for their customer have no running promise: in the order of this queue they come last.
        Queue.DUE: active & (Ticket.state != TicketState.WAITING),
        Queue.UNASSIGNED: active & Ticket.assignee_id.is_(None),
        Queue.MINE: active & (Ticket.assignee_id == person_id),
        Queue.WAITING: Ticket.state == TicketState.WAITING,
        Queue.ALL: active,
        Queue.DONE: Ticket.active.is_(False),
    }[queue]


def _desk_narrowed(scope: Tickets, wish: DeskWish, now: datetime) -> list[ColumnElement[bool]]:
    found = scope.matching(wish.text)
    if wish.when:
        found.append(_due_before(now) if wish.when == "late" else _due_soon(now, now + timedelta(hours=1)))
    return found
