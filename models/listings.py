"""Lists of tickets: the customers' Requests and the desk's queues, filtered, sorted, counted and paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, UnaryExpression, and_, bindparam, case, func, or_, select
from sqlalchemy.orm import Session

from models.base import Labelled, read
from models.catalogue import DoorName, Severity
from models.lines import Line, lines_of
from models.paging import COUNTED_TO, Paging
from models.people import Person
from models.prose import searchable
from models.tickets import ACTIVE, OURS, Participant, Ticket, Tickets, TicketState

WORDS_MOST = 8


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

    def href(self, **changes: object) -> str:
        """Return the address of the list with these changes; what is the default is left out."""
        wish = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        parts = {
            "q": wish.text,
            "status": "" if wish.status is Status.OPEN else wish.status.value,
            "door": wish.door.value if wish.door else "",
            "severity": wish.severity.value if wish.severity else "",
            "by": wish.by.value,
            "organization": wish.organization_slug,
            "sort": "" if wish.sort is Sort.UPDATED else wish.sort.value,
            "page": str(wish.page) if wish.page > 1 else "",
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
    counts: dict[Status, int]
    paging: Paging

    @property
    def total_words(self) -> str:
        """How many there are, in words."""
        total = self.paging.total
        return f"{COUNTED_TO:,}+ requests" if total > COUNTED_TO else f"{total} request{'' if total == 1 else 's'}"


def requests_of(actor: Person, scope: Tickets, wish: Wish) -> Listing:
    """Return the page of requests that the person asked for; three statements, whatever the number of rows."""
    narrowed = _narrowed(actor, wish)
    # What nobody narrows is asked again and again: its statements are kept.
    make = _tab.__wrapped__ if narrowed else _tab
    per_state, ids = make(and_(scope.condition, *narrowed) if narrowed else scope.condition, wish.status, wish.sort)
    by_state = {state: number for state, number in read(scope.session, per_state)}  # noqa: C416 (rows are no pairs)
    counts = {status: sum(by_state.get(state, 0) for state in status.states) for status in Status}
    size, total = actor.page_size, counts[wish.status]
    page = min(wish.page, max(1, -(-total // size)))
    rows = lines_of(scope.session, read(scope.session, ids, skip=(page - 1) * size, size=size).scalars().all())
    return Listing(rows, counts, Paging(page, size, len(rows), total, lambda n: wish.href(page=n)))


@lru_cache(maxsize=128)
def _tab(found: ColumnElement[bool], status: Status, sort: Sort) -> tuple[Select[TicketState, int], Select[int]]:
    """Return the statements of a tab: how many there are in each state, and the ids of one page."""
    per_state = select(Ticket.state, func.count()).where(found).group_by(Ticket.state)
    shown = [] if status is Status.ALL else [Ticket.state.in_(status.states)]
    ids = select(Ticket.id).where(found, *shown).order_by(*_order(sort))
    return per_state, ids.offset(bindparam("skip")).limit(bindparam("size"))


def latest_of(scope: Tickets, most: int = 3) -> Sequence[Line]:
    """Return the person's latest requests."""
    _, ids = _tab(scope.condition, Status.ALL, Sort.UPDATED)
    return lines_of(scope.session, read(scope.session, ids, skip=0, size=most).scalars().all())


def _rows(session: Session, wanted: Select[int]) -> list[Line]:
    """Return the tickets in the order of their ids, with all that a row shows.

    First the ids, which indexes give, then the rows: sorting rows that are joined already costs several times as much.
    """
    return lines_of(session, session.scalars(wanted).all())


def _narrowed(actor: Person, wish: Wish) -> list[ColumnElement[bool]]:
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
    return found + matching(wish.text)


def matching(text: str) -> list[ColumnElement[bool]]:
    """Return the conditions that a ticket holds every word of the text, without case and accents."""
    words = searchable(text).split()[:WORDS_MOST]
    return [Ticket.search_text.contains(word, autoescape=True) for word in words]


def _order(sort: Sort) -> tuple[UnaryExpression[Any], ...]:
    latest = (Ticket.updated_at.desc(), Ticket.id.desc())
    orders: dict[Sort, tuple[UnaryExpression[Any], ...]] = {
        Sort.UPDATED_UP: (Ticket.updated_at.asc(), Ticket.id.asc()),
        Sort.SEVERITY: (Ticket.severity.asc(), *latest),
        Sort.SEVERITY_UP: (Ticket.severity.desc(), *latest),
        Sort.CREATED: (Ticket.created_at.desc(), Ticket.id.desc()),
    }
    return orders.get(sort, latest)


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

    def href(self, **changes: object) -> str:
        """Return the address of the queue with these changes."""
        wish = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        parts = {
            "queue": "" if wish.queue is Queue.DUE else wish.queue.value,
            "door": wish.door.value if wish.door else "",
            "when": wish.when,
            "q": wish.text,
            "page": str(wish.page) if wish.page > 1 else "",
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"/desk?{query}" if query else "/desk"


def queue_of(actor: Person, scope: Tickets, wish: DeskWish, *, now: datetime) -> tuple[Sequence[Line], Paging]:
    """Return the page of the queue, soonest due first, those without a running promise last."""
    found = and_(scope.condition, _in_queue(wish.queue, actor), *_desk_narrowed(wish, now))
    session, size = scope.session, actor.page_size
    total = _count(session, select(Ticket.id).where(found))
    page = min(wish.page, max(1, -(-total // size))) if total <= COUNTED_TO else wish.page
    latest_first = wish.queue is Queue.DONE
    order = (
        (Ticket.updated_at.desc(), Ticket.id.desc())
        if latest_first
        else (Ticket.due_at.is_(None), Ticket.due_at, Ticket.severity, Ticket.updated_at, Ticket.id)
    )
    rows = _rows(session, select(Ticket.id).where(found).order_by(*order).offset((page - 1) * size).limit(size))
    return rows, Paging(page, size, len(rows), total, lambda n: wish.href(page=n))


def desk_counts(actor: Person, scope: Tickets, *, now: datetime) -> DeskCounts:
    """Return all figures of the desk in one statement."""

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    ours = Ticket.state.in_(OURS)
    queues = [queue for queue in Queue if queue is not Queue.DONE]
    columns = [
        *(number(_in_queue(queue, actor)) for queue in queues),
        *(number(Ticket.door == door) for door in DoorName),
        number(ours & (Ticket.due_at < now)),
        number(ours & (Ticket.due_at >= now) & (Ticket.due_at <= now + timedelta(hours=1))),
    ]
    figures = list(scope.session.execute(select(*columns).where(scope.condition, Ticket.state.in_(ACTIVE))).one())
    doors = figures[len(queues) : len(queues) + len(DoorName)]
    return DeskCounts(
        dict(zip(queues, figures, strict=False)),
        dict(zip(DoorName, doors, strict=True)),
        late=figures[-2],
        soon=figures[-1],
    )


def others_of(ticket: Ticket, scope: Tickets, most: int = 5) -> Sequence[Any]:
    """Return key, severity and summary of other active tickets of the same organization, soonest due first."""
    if ticket.organization_id is None:
        return []
    asked = _others(scope.condition)
    return read(scope.session, asked, organization=ticket.organization_id, ticket=ticket.id, most=most).all()


@lru_cache(maxsize=8)
def _others(condition: ColumnElement[bool]) -> Select[str, Severity, str]:
    same = (Ticket.organization_id == bindparam("organization")) & (Ticket.id != bindparam("ticket"))
    query = select(Ticket.key, Ticket.severity, Ticket.summary).where(condition, same, Ticket.state.in_(ACTIVE))
    return query.order_by(Ticket.due_at.is_(None), Ticket.due_at, Ticket.id).limit(bindparam("most"))


def _in_queue(queue: Queue, actor: Person) -> ColumnElement[bool]:
    ours, active = Ticket.state.in_(OURS), Ticket.state.in_(ACTIVE)
    return {
        Queue.DUE: ours,
        Queue.UNASSIGNED: active & Ticket.assignee_id.is_(None),
        Queue.MINE: active & (Ticket.assignee_id == actor.id),
        Queue.WAITING: Ticket.state == TicketState.WAITING,
        Queue.ALL: active,
        Queue.DONE: or_(Ticket.state == TicketState.RESOLVED, Ticket.state == TicketState.CLOSED),
    }[queue]


def _desk_narrowed(wish: DeskWish, now: datetime) -> list[ColumnElement[bool]]:
    found = matching(wish.text)
    if wish.door:
        found.append(Ticket.door == wish.door)
    if wish.when == "late":
        found.append(Ticket.due_at < now)
    if wish.when == "soon":
        found.append((Ticket.due_at >= now) & (Ticket.due_at <= now + timedelta(hours=1)))
    return found


def _count(session: Session, query: Select[int]) -> int:
    """Count exactly to a thousand and one more."""
    return session.scalar(select(func.count()).select_from(query.limit(COUNTED_TO + 1).subquery())) or 0
