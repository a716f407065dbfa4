"""The desk's queues: what waits for whom, soonest due first; narrowed, counted and paged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, Text, and_, bindparam, cast, or_, select

from models.base import Instant, Labelled, read
from models.catalogue import DoorName, PlanName, Severity
from models.following import Follower
from models.lines import Line
from models.listings import ORDERS, Sort, counting, numbered, paged
from models.organizations import Organization
from models.paging import COUNTED_TO, Order, PagedWish, Paging
from models.people import Person, folded
from models.tags import tagged
from models.tickets import BY_DUE, Ticket, Tickets, TicketState

# Whose tickets they are that nobody has.
NOBODY = "nobody"
# What else narrows a queue: each says something of the ticket, or of who looks at it.
ONLY = {"confidential": "Confidential", "followed": "Followed by me"}
CHANGED_MOST = 99

# A value, or its place in a kept statement.
Moment = datetime | BindParameter[datetime]
Number = int | BindParameter[int]

BY_DUE_ORDER = Order(tuple((getattr(Ticket, name), False) for name in BY_DUE))


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


# Of how many figures a queue's is the sum, where it is none of its own.
_PARTS = {Queue.DUE: 2}
# The queues that the desk has a figure for.
_FIGURES = tuple(queue for queue in Queue if queue is not Queue.DONE)


@dataclass(frozen=True)
class DeskCounts:
    """The figures above and beside the queues."""

    queues: dict[Queue, int]
    doors: dict[DoorName, int]
    late: int
    soon: int
    escalated: int

    def of(self, wish: DeskWish) -> int | None:
        """Return how many tickets the queue has that the wish names, if one of the figures says so."""
        if wish.door:
            return self.doors[wish.door] if wish.queue is Queue.ALL else None
        return self.queues.get(wish.queue)


@dataclass(frozen=True)
class DeskWish(PagedWish):
    """What an agent asked to see."""

    queue: Queue = Queue.DUE
    door: DoorName | None = None
    when: str = ""
    plan: PlanName | None = None
    severity: Severity | None = None
    state: TicketState | None = None
    # The id of an agent, or "nobody".
    assignee: str = ""
    # The short name or the name of an organization; the address of whoever filed it.
    organization: str = ""
    requester: str = ""
    environment: str = ""
    component: str = ""
    cluster: str = ""
    # A key of ONLY.
    only: str = ""
    tag: str = ""
    text: str = ""

    path = "/desk"

    @property
    def parts(self) -> dict[str, str]:
        """The choices as the address has them."""
        return {
            "queue": "" if self.queue is Queue.DUE else self.queue.value,
            "door": self.door.value if self.door else "",
            "when": self.when,
            "plan": self.plan.value if self.plan else "",
            "severity": self.severity.value if self.severity else "",
            "state": self.state.value if self.state else "",
            "assignee": self.assignee,
            "organization": self.organization,
            "requester": self.requester,
            "environment": self.environment,
            "component": self.component,
            "cluster": self.cluster,
            "only": self.only,
            "tag": self.tag,
            "q": self.text,
        }

    @property
    def filtered(self) -> bool:
        """Whether anything but the queue narrows what is shown."""
        return bool(self.door or self.when or self.text or self.chosen)

    @property
    def chosen(self) -> bool:
        """Whether one of the lists above the queue narrows it."""
        unchosen = {"queue", "door", "when", "q"}
        return any(value for name, value in self.parts.items() if name not in unchosen)

    def alone(self, queue: Queue, **changes: object) -> str:
        """Return the address of a queue without anything that narrows this one."""
        return _address(queue, **changes)


@lru_cache(maxsize=256)
def _address(queue: Queue, **changes: object) -> str:
    return DeskWish(queue=queue, **changes).href()  # type: ignore[arg-type]


def queue_of(
    actor: Person, scope: Tickets, wish: DeskWish, counts: DeskCounts, *, now: datetime
) -> tuple[Sequence[Line], Paging]:
    """Return the page of the queue, soonest due first, those without a running promise last.

    What `counts` has counted already is not counted again.
    """
    narrowed = _desk_narrowed(actor, scope, wish, now)
    total_of, found, ids, order = (_queue.__wrapped__ if narrowed else _queue)(
        and_(scope.condition, *narrowed) if narrowed else scope.condition, wish.queue, wish.door, actor.id
    )
    total = None if narrowed else counts.of(wish)
    if total is None:
        total = min(sum(read(scope.session, total_of).one()), COUNTED_TO + 1)
    return paged(scope.session, found, ids, order, wish, actor.page_size, total)


@lru_cache(maxsize=128)
def _queue(
    condition: ColumnElement[bool], queue: Queue, door: DoorName | None, person_id: int
) -> tuple[Select[int], ColumnElement[bool], Select[int], Order]:
    """Return what a queue asks: how many there are, what it shows, and the ids of one page in its order."""
    there = [Ticket.door == door] if door else []
    found = and_(condition, _in_queue(queue, person_id), *there)
    order = ORDERS[Sort.UPDATED] if queue is Queue.DONE else BY_DUE_ORDER
    halves = [and_(condition, half, *there) for half in _halves(queue, person_id)]
    return counting(halves), found, numbered(found, order), order


def desk_counts(actor: Person, scope: Tickets, *, now: datetime) -> DeskCounts:
    """Return all figures of the desk in one statement, each counted to a thousand and one more."""
    asked = _desk_figures(scope.condition)
    figures = iter(read(scope.session, asked, me=actor.id, now=now, soon=now + timedelta(hours=1)).one())
    queues: dict[Queue, int] = {
        queue: min(sum(next(figures) for _ in range(_PARTS.get(queue, 1))), COUNTED_TO + 1) for queue in _FIGURES
    }
    return DeskCounts(queues, {door: next(figures) for door in DoorName}, *figures)


@lru_cache(maxsize=8)
def _desk_figures(condition: ColumnElement[bool]) -> Select[Any]:
    wanted = [
        *(half for queue in _FIGURES for half in _halves(queue, bindparam("me"))),
        *(Ticket.active.is_(True) & (Ticket.door == door) for door in DoorName),
        _due_before(bindparam("now", type_=Instant)),
        _due_soon(bindparam("now", type_=Instant), bindparam("soon", type_=Instant)),
        Ticket.escalated_at.is_not(None),
    ]
    return counting([condition & one for one in wanted])


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


def _halves(queue: Queue, person_id: Number) -> list[ColumnElement[bool]]:
    """Return what a queue is counted by, part by part: each an index has, while none has what does not wait."""
    if queue is Queue.DUE:
        return [Ticket.state == state for state in (TicketState.OPEN, TicketState.IN_PROGRESS)]
    return [_in_queue(queue, person_id)]


def _desk_narrowed(actor: Person, scope: Tickets, wish: DeskWish, now: datetime) -> list[ColumnElement[bool]]:
    found = [*scope.matching(wish.text), *_described(actor, wish)]
    chosen: list[tuple[Any, object]] = [
        (Ticket.plan, wish.plan),
        (Ticket.severity, wish.severity),
        (Ticket.state, wish.state),
        (Ticket.environment, wish.environment),
        (Ticket.cluster_name, wish.cluster),
    ]
    found += [column == value for column, value in chosen if value]
    if wish.assignee:
        mine = Ticket.assignee_id.is_(None) if wish.assignee == NOBODY else Ticket.assignee_id == int(wish.assignee)
        found.append(mine)
    if wish.when == "escalated":
        found.append(Ticket.escalated_at.is_not(None))
    elif wish.when:
        found.append(_due_before(now) if wish.when == "late" else _due_soon(now, now + timedelta(hours=1)))
    return found


def _described(actor: Person, wish: DeskWish) -> list[ColumnElement[bool]]:
    """Return the conditions of what a ticket is about, whose it is and how it is marked."""
    found: list[ColumnElement[bool]] = []
    if wish.organization:
        named = or_(Organization.slug == wish.organization, Organization.name == wish.organization)
        found.append(Ticket.organization_id.in_(select(Organization.id).where(named)))
    if wish.requester:
        theirs = select(Person.id).where(Person.email_folded == folded(wish.requester)).scalar_subquery()
        found.append(Ticket.opener_id == theirs)
    if wish.component:
        # The list as it is stored: ["TiDB", "PD"].
        found.append(cast(Ticket.components, Text).contains(json.dumps(wish.component), autoescape=True))
    if wish.only == "confidential":
        found.append(Ticket.confidential.is_(True))
    elif wish.only == "followed":
        found.append(Ticket.id.in_(select(Follower.ticket_id).where(Follower.person_id == actor.id)))
    if wish.tag:
        found.append(tagged(wish.tag))
    return found


def changed_since(actor: Person, scope: Tickets, wish: DeskWish, since: datetime) -> int:
    """Return how many tickets have changed since then, counted to a hundred; each half comes from an index.

    Of a queue those count that it can show: door, plan, organization and requester of a ticket stay what they are.
    What has left it, taken by somebody or resolved, has changed as well.
    """
    stays = DeskWish(door=wish.door, plan=wish.plan, organization=wish.organization, requester=wish.requester)
    there = _desk_narrowed(actor, scope, stays, since) + ([Ticket.door == wish.door] if wish.door else [])
    if wish.queue is Queue.MINE:
        there.append(Ticket.assignee_id == actor.id)
    later = Ticket.updated_at > bindparam("since", type_=Instant)
    halves = [and_(scope.condition, Ticket.active.is_(active), later, *there) for active in (True, False)]
    counted = read(scope.session, counting(halves, CHANGED_MOST), since=since).one()
    return min(int(sum(counted)), CHANGED_MOST + 1)


def first_waiting(scope: Tickets, but: Sequence[str] = ()) -> str | None:
    """Return the key of the unassigned ticket that is due next and waits for us; None when there is none."""
    waits = _in_queue(Queue.UNASSIGNED, 0) & (Ticket.state != TicketState.WAITING)
    query = select(Ticket.key).where(scope.condition, waits).order_by(*BY_DUE_ORDER.clauses()).limit(1)
    if but:
        query = query.where(Ticket.key.not_in(but))
    if scope.session.get_bind().dialect.name == "postgresql":
        # What somebody else is taking just now is not waited for.
        query = query.with_for_update(skip_locked=True, key_share=True)
    return scope.session.scalar(query)
