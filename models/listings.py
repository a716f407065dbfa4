"""The customers' Requests: filtered, sorted, counted and paged; and how any list of tickets is counted and paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select, true
from sqlalchemy.orm import Session

from models.base import Labelled, read
from models.catalogue import DoorName, Severity
from models.lines import Line, lines_of
from models.paging import COUNTED_TO, NUMBERED_TO, Ends, Order, PagedWish, Paging, within
from models.people import Person
from models.tickets import ACTIVE, Participant, Ticket, Tickets, TicketState

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
class Wish(PagedWish):
    """What somebody asked to see; every choice is in the address."""

    status: Status = Status.OPEN
    sort: Sort = Sort.UPDATED
    by: By = By.ANYONE
    door: DoorName | None = None
    severity: Severity | None = None
    organization: int | None = None
    organization_slug: str = ""
    text: str = ""

    path = "/requests"

    @property
    def parts(self) -> dict[str, str]:
        """The choices as the address has them."""
        return {
            "q": self.text,
            "status": "" if self.status is Status.OPEN else self.status.value,
            "door": self.door.value if self.door else "",
            "severity": self.severity.value if self.severity else "",
            "by": self.by.value,
            "organization": self.organization_slug,
            "sort": "" if self.sort is Sort.UPDATED else self.sort.value,
        }

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
    return Listing(*paged(scope.session, shown, ids, ORDERS[wish.sort], wish, actor.page_size, total), counts)


@lru_cache(maxsize=128)
def _tab(
    found: ColumnElement[bool], status: Status, sort: Sort
) -> tuple[Select[TicketState, int], ColumnElement[bool], Select[int]]:
    """Return what a tab asks: how many there are in each state, what it shows, and the ids of one page."""
    some = select(Ticket.state).where(found).limit(COUNTED_AT_ONCE + 1).subquery()
    per_state = select(some.c.state, func.count()).group_by(some.c.state)
    shown = found if status is Status.ALL else and_(found, _of_status(status))
    return per_state, shown, numbered(shown, ORDERS[sort])


def _of_status(status: Status) -> ColumnElement[bool]:
    """Return the condition of a tab, in the words of the index that gives its rows in order."""
    if status is Status.OPEN:
        return Ticket.active.is_(True)
    return true() if status is Status.ALL else Ticket.state.in_(status.states)


def numbered(shown: ColumnElement[bool], order: Order) -> Select[int]:
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
    counted = read(session, counting([found & _of_status(status) for status in Status])).one()
    return dict(zip(Status, counted, strict=True))


def counting(conditions: Sequence[ColumnElement[bool]], most: int = COUNTED_TO) -> Select[Any]:
    """Return the statement that counts the tickets of each condition, to the most and one more."""
    some = (select(Ticket.id).where(condition).limit(most + 1).subquery() for condition in conditions)
    return select(*(select(func.count()).select_from(each).scalar_subquery() for each in some))


def paged(
    session: Session,
    shown: ColumnElement[bool],
    ids: Select[int],
    order: Order,
    wish: PagedWish,
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
ORDERS = {
    Sort.UPDATED: Order(_LATEST),
    Sort.UPDATED_UP: Order(((Ticket.updated_at, False), (Ticket.id, False))),
    Sort.SEVERITY: Order(((Ticket.severity, False), *_LATEST)),
    Sort.SEVERITY_UP: Order(((Ticket.severity, True), *_LATEST)),
    Sort.CREATED: Order(((Ticket.created_at, True), (Ticket.id, True))),
}
