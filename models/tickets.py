"""Tickets: what customers call requests. The tables, the states, and who sees which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    event,
    exists,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, Session, aliased, lazyload, mapped_column, relationship, validates
from sqlalchemy.orm.attributes import set_committed_value

from models.base import Labelled, Model, NotFound, read, session_of, to_write
from models.catalogue import DoorName, PlanName, Severity
from models.organizations import Cluster, Organization, Visibility
from models.people import Person
from models.permissions import Permission, Role, allowed
from models.promises import ResponseTarget
from models.search import STAFF, create_index, found_by, scope_of

# Product rule: replies reopen for so long after Resolved; then Closed is final.
REOPEN_FOR = timedelta(days=14)

Body = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class TicketState(Labelled):
    """The five states; `desk_label` is what staff read, `mark` names the glyph."""

    OPEN = "open", "Open"
    IN_PROGRESS = "in-progress", "In progress"
    WAITING = "waiting", "Waiting for you"
    RESOLVED = "resolved", "Resolved"
    CLOSED = "closed", "Closed"

    @property
    def desk_label(self) -> str:
        """The state in the words of those who answer."""
        return "Waiting for customer" if self is TicketState.WAITING else self.label

    @property
    def mark(self) -> str:
        """The name of the state's glyph and colour."""
        marks = {"in-progress": "progress", "waiting": "you", "resolved": "done"}
        return marks.get(self.value, self.value)


# The last moment that every database can hold to the second.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
BY_DUE = ("due_order", "severity", "updated_at", "id")

ACTIVE = (TicketState.OPEN, TicketState.IN_PROGRESS, TicketState.WAITING)
# In these it is our turn: what is promised runs.
OURS = (TicketState.OPEN, TicketState.IN_PROGRESS)


class Ticket(Model):
    """One request, filed at a door, under the terms that its organization had then."""

    __tablename__ = "tickets"
    __table_args__ = (
        # A customer's list in each of its orders, and the one of those who ask for no organization.
        Index(None, "organization_id", "active", "updated_at", "id"),
        Index(None, "organization_id", "state", "updated_at", "id"),
        Index(None, "organization_id", "updated_at", "id"),
        Index(None, "organization_id", "severity", "updated_at", "id"),
        Index(None, "organization_id", "created_at", "id"),
        Index(None, "opener_id", "updated_at", "id"),
        # The desk's queues.
        Index(None, "active", *BY_DUE),
        Index("ix_tickets_door_active_due", "door", "active", *BY_DUE),
        Index(None, "state", *BY_DUE),
        Index("ix_tickets_assignee_active_due", "assignee_id", "active", *BY_DUE),
        Index("ix_tickets_plan_active_due", "plan", "active", *BY_DUE),
        Index("ix_tickets_severity_active_due", "severity", "active", "due_order", "updated_at", "id"),
        Index(None, "active", "updated_at", "id"),
        Index(None, "closes_at"),
        Index(None, "nudges", "quiet_since"),
        # What the reports count by months.
        Index(None, "created_at", "id"),
        Index(None, "resolved_at", "id"),
    )

    key: Mapped[str] = mapped_column(String(20), unique=True)
    door: Mapped[DoorName]
    state: Mapped[TicketState] = mapped_column(default=TicketState.OPEN)
    severity: Mapped[Severity]
    summary: Mapped[str]
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"))
    cluster_id: Mapped[int | None] = mapped_column(ForeignKey("clusters.id"))
    # A cluster that is deleted later keeps its name here.
    cluster_name: Mapped[str] = mapped_column(default="")
    environment: Mapped[str] = mapped_column(String(60), default="")
    components: Mapped[list[Any]] = mapped_column(default=list)
    version_affected: Mapped[str] = mapped_column(String(60), default="")
    confidential: Mapped[bool] = mapped_column(default=False)
    opener_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    follows_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    # The terms: what the organization had when it filed, kept until the ticket is closed.
    plan: Mapped[PlanName]
    catalogue_version: Mapped[str] = mapped_column(String(20))
    # The random part of the mail thread's id.
    thread: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    closes_at: Mapped[datetime | None]
    severity_asked: Mapped[str] = mapped_column(String(4), default="")
    # When the promise falls due while it runs and it is our turn: a copy for sorting, else null.
    due_at: Mapped[datetime | None]
    # The same for indexes, in which databases put a null at different ends: without a running one, the end of time.
    due_order: Mapped[datetime] = mapped_column(default=NEVER)
    # Whether the state is one of the active ones: so an index gives them in one order.
    active: Mapped[bool] = mapped_column(default=True)
    # While it waits for its customer: since when nothing happened, in the future while it is on hold; reminders since.
    quiet_since: Mapped[datetime | None]
    nudges: Mapped[int] = mapped_column(default=0)
    # Since when it is escalated, while nobody has taken that up; from when on those on call are told of it.
    escalated_at: Mapped[datetime | None] = mapped_column(index=True)
    call_at: Mapped[datetime | None] = mapped_column(index=True)
    revision: Mapped[int] = mapped_column(default=1)

    organization: Mapped[Organization | None] = relationship(lazy="joined")
    opener: Mapped[Person] = relationship(foreign_keys=[opener_id], lazy="joined", innerjoin=True)
    assignee: Mapped[Person | None] = relationship(foreign_keys=[assignee_id], lazy="joined")
    follows: Mapped[Ticket | None] = relationship(remote_side="Ticket.id", foreign_keys=[follows_id])
    targets: Mapped[list[ResponseTarget]] = relationship(order_by=ResponseTarget.cycle)
    cluster: Mapped[Cluster | None] = relationship()

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 (SQLAlchemy reads it from the class)

    @validates("state", "due_at")
    def _copy(self, name: str, value: Any) -> Any:  # noqa: ANN401 (a state, or a moment or none)
        if name == "state":
            self.active = value in ACTIVE
        else:
            self.due_order = value or NEVER
        return value

    @property
    def target(self) -> ResponseTarget | None:
        """The promise of the present cycle; None where the terms promise nothing."""
        return self.targets[-1] if self.targets else None

    def copy_due(self) -> None:
        """Write down when the promise falls due, if it runs; one that was late already waits with its request."""
        target = self.target
        runs = target is not None and target.met_at is None and self.state in OURS
        self.due_at = target.due_at if target is not None and runs else None

    def held_until(self, now: datetime) -> datetime | None:
        """Return until when the customer is not reminded; None when it is not on hold."""
        return self.quiet_since if self.quiet_since is not None and self.quiet_since > now else None

    def is_final(self, now: datetime) -> bool:
        """Tell whether the request is closed for good, also in the minutes before the worker says so."""
        return self.state is TicketState.CLOSED or (self.closes_at is not None and self.closes_at <= now)


# Who makes the table of tickets makes the search index as well.
event.listen(Ticket.__table__, "after_create", create_index)


class Participant(Model):
    """Somebody who reads, answers and gets the mail of one ticket, the one who filed it included."""

    __tablename__ = "participants"
    __table_args__ = (UniqueConstraint("person_id", "ticket_id"), Index(None, "ticket_id"))

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))

    ticket: Mapped[Ticket] = relationship()
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)


class Comment(Model):
    """One message: the description, a reply, or a note that customers never see."""

    __tablename__ = "comments"
    __table_args__ = (Index(None, "ticket_id", "created_at", "id"), Index(None, "author_id", "form_key", unique=True))

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(Body)
    html: Mapped[str] = mapped_column(Body)
    renderer: Mapped[int]
    by_staff: Mapped[bool]
    internal: Mapped[bool] = mapped_column(default=False)
    # The key of the form that it came with, by which it comes once.
    form_key: Mapped[str | None] = mapped_column(String(40))

    ticket: Mapped[Ticket] = relationship()
    # No inner join: timelines read messages beside events that have none.
    author: Mapped[Person] = relationship(lazy="joined")


def sent_with(actor: Person, key: str) -> str | None:
    """Return the key of the ticket to which the person sent the form with that key; None when it is new."""
    return read(session_of(actor), _SENT, person=actor.id, key=key).scalar()


_SENT = (
    select(Ticket.key)
    .join(Comment, Comment.ticket_id == Ticket.id)
    .where(Comment.author_id == bindparam("person"), Comment.form_key == bindparam("key"))
)


def seen_by(person: Person) -> ColumnElement[bool]:
    """Return the condition for tickets that the person sees as a customer.

    One's own, those one takes part in, and those that the organization's visibility shows. Membership comes first:
    who leaves an organization loses its tickets at once. Confidential ones are for their participants alone.
    """
    return _seen(*_sight(person))


def _sight(person: Person) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return what decides what the person sees: who, in which organizations, and which of them show them everything."""
    organizations = tuple(m.organization_id for m in person.memberships)
    open_to_all = (m.organization_id for m in person.memberships if _sees_all(m.role, m.organization.visibility))
    return person.id, organizations, tuple(open_to_all)


# To put the conditions together costs several times what the database needs to answer them, and the same facts always
# make the same ones. What is kept for one person, here and where these conditions are used, takes 55 KB.
@lru_cache(maxsize=128)
def _seen(
    person_id: int,
    organizations: tuple[int, ...],
    open_to_all: tuple[int, ...],
    state: TicketState | None = None,
) -> ColumnElement[bool]:
    # Each side of the "or" begins with the organization, and has the state if one is asked for, so that an index finds
    # both: nobody's list reads all tickets.
    narrowed = () if state is None else (Ticket.state == state,)
    alone = and_(Ticket.organization_id.is_(None), Ticket.opener_id == person_id, *narrowed)
    if not organizations:
        return alone
    part = (Participant.person_id == person_id) & (Participant.ticket_id == Ticket.id)
    shown: ColumnElement[bool] = Ticket.id.in_(select(Participant.ticket_id).where(Participant.person_id == person_id))
    if open_to_all:
        # What nearly every row passes comes first: who takes part is then looked up for the confidential ones alone.
        open_ones: ColumnElement[bool] = Ticket.confidential.is_(False)
        if open_to_all != organizations:
            open_ones = _among(open_to_all) & open_ones
        shown = or_(open_ones, exists().where(part))
    return or_(and_(_among(organizations), *narrowed, shown), alone)


def _among(organizations: tuple[int, ...]) -> ColumnElement[bool]:
    """Return the condition that a ticket is of one of them; for one alone it is a plain one, which costs less."""
    first, *more = organizations
    return Ticket.organization_id.in_(organizations) if more else Ticket.organization_id == first


def _sees_all(role: Role, visibility: Visibility) -> bool:
    if visibility is Visibility.MANAGERS:
        return role in {Role.OWNER, Role.BILLING_ADMIN}
    return visibility is Visibility.EVERYONE


@dataclass(frozen=True)
class Tickets:
    """The tickets that one person sees: everything about tickets is found through it."""

    session: Session
    condition: ColumnElement[bool]
    # Behind which scopes of the search index the tickets stand.
    scopes: tuple[str, ...]
    internal: bool = False

    def within(self, organization: Organization) -> Tickets:
        """Return those of the tickets that are of the organization."""
        return replace(self, condition=and_(self.condition, Ticket.organization_id == organization.id))

    def matching(self, text: str) -> list[ColumnElement[bool]]:
        """Return the conditions that a ticket is found by every word of the text."""
        return found_by(self.session, self.scopes, text, Ticket.id.expression)

    def one_or_404(self, key: str) -> Ticket:
        """Return the ticket of that key; raises NotFound for another's as for none."""
        found = self.find(key)
        if found is None:
            raise NotFound
        return found

    def find(self, key: str) -> Ticket | None:
        """Return the ticket of that key, or None."""
        if len(key) > 20:
            return None
        query = to_write(_whole(self.condition), self.session, Ticket, key=key.upper())
        rows = self.session.execute(query, {"key": key.upper()}).all()
        return _put_together(rows) if rows else None


_OPENER, _ASSIGNEE = aliased(Person), aliased(Person)
_PARTS = (Ticket.organization, Ticket.opener, Ticket.assignee)


# Made once for all who see the same; its rows, put together here, cost a third of eager loading.
@lru_cache(maxsize=128)
def _whole(condition: ColumnElement[bool]) -> Select[Ticket, Organization, Person, Person, ResponseTarget]:
    return (
        select(Ticket, Organization, _OPENER, _ASSIGNEE, ResponseTarget)
        .outerjoin(Organization, Organization.id == Ticket.organization_id)
        .join(_OPENER, _OPENER.id == Ticket.opener_id)
        .outerjoin(_ASSIGNEE, _ASSIGNEE.id == Ticket.assignee_id)
        .outerjoin(ResponseTarget, ResponseTarget.ticket_id == Ticket.id)
        .where(Ticket.key == bindparam("key"), condition)
        .order_by(ResponseTarget.cycle)
        .options(*(lazyload(part) for part in _PARTS))
    )


def _put_together(rows: Sequence[Any]) -> Ticket:
    ticket, *parts, _ = rows[0]
    for part, value in zip(_PARTS, parts, strict=True):
        set_committed_value(ticket, part.key, value)
    set_committed_value(ticket, "targets", [target for *_, target in rows if target])
    return cast("Ticket", ticket)


def tickets_of(actor: Person) -> Tickets:
    """Return the tickets that the person sees as a customer."""
    scopes = [scope_of(m.organization_id, actor.id) for m in actor.memberships]
    return Tickets(session_of(actor), seen_by(actor), (*scopes, scope_of(None, actor.id)))


def desk_of(actor: Person, roles: Iterable[Role]) -> Tickets:
    """Return all tickets for those whose roles let them see the desk, and none for others."""
    may = allowed(roles, Permission.DESK)
    return Tickets(session_of(actor), _EVERY if may else false(), (STAFF,) if may else (), internal=may)


def measured_by(actor: Person, roles: Iterable[Role]) -> Tickets:
    """Return all tickets for those who may count them, to whom their texts are not shown by that."""
    return Tickets(session_of(actor), _EVERY if allowed(roles, Permission.REPORTS) else false(), ())


_EVERY = Ticket.id.is_not(None)


def participants_of(ticket: Ticket) -> list[Person]:
    """Return those who take part, the one who filed first."""
    return list(session_of(ticket).scalars(_PARTICIPANTS, {"ticket": ticket.id}))


_PARTICIPANTS = (
    select(Person)
    .join(Participant, Participant.person_id == Person.id)
    .where(Participant.ticket_id == bindparam("ticket"))
    .order_by(Participant.id)
)


def waiting_for(person: Person) -> int:
    """Return how many requests wait for an answer of the person's side (counted to 99)."""
    return read(session_of(person), _waiting(*_sight(person))).scalar() or 0


@lru_cache(maxsize=128)
def _waiting(*sight: Any) -> Select[int]:  # noqa: ANN401 (what `_sight` returns)
    some = select(Ticket.id).where(_seen(*sight, state=TicketState.WAITING)).limit(99)
    return select(func.count()).select_from(some.subquery())
