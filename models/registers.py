"""The registers of an administrator: people and organizations, searched, counted and paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session, selectinload

from models.base import Labelled, NotFound, to_write
from models.calendars import Calendar
from models.organizations import Membership, Organization
from models.paging import Paging
from models.people import Person, SignIn, folded
from models.permissions import Role
from models.tickets import ACTIVE, Ticket


class Kind(Labelled):
    """The tabs above the list of people."""

    EVERYBODY = "all", "Everybody"
    AGENTS = "agents", "Support agents"
    SALES = "sales", "Sales"
    ADMINISTRATORS = "administrators", "Administrators"
    CUSTOMERS = "customers", "Customers"
    DEACTIVATED = "deactivated", "Deactivated"

    def takes(self, active: bool, role: Role | None) -> bool:
        """Tell whether somebody is shown under the tab; those who are deactivated have one of their own."""
        if self is Kind.DEACTIVATED or not active:
            return self is Kind.DEACTIVATED and not active
        return self is Kind.EVERYBODY or _ROLES[self] is role

    @property
    def condition(self) -> ColumnElement[bool]:
        """The same as a condition on people."""
        if self is Kind.DEACTIVATED:
            return Person.active.is_(False)
        if self is Kind.EVERYBODY:
            return Person.active.is_(True)
        return and_(Person.active, Person.staff_role.is_not_distinct_from(_ROLES[self]))


_ROLES = {
    Kind.AGENTS: Role.AGENT,
    Kind.SALES: Role.SALES,
    Kind.ADMINISTRATORS: Role.ADMINISTRATOR,
    Kind.CUSTOMERS: None,
}


@dataclass(frozen=True)
class PeopleWish:
    """What an administrator asked to see of the people; every choice is in the address."""

    kind: Kind = Kind.EVERYBODY
    text: str = ""
    page: int = 1

    def href(self, **changes: object) -> str:
        """Return the address of the list with these changes; what is the default is left out."""
        wish = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        kind = "" if wish.kind is Kind.EVERYBODY else wish.kind.value
        return _address("/admin/people", q=wish.text, kind=kind, page=wish.page)


@dataclass(frozen=True)
class People:
    """One page of people, when each was last there, and the counts of all tabs."""

    rows: Sequence[Person]
    seen: dict[int, datetime]
    counts: dict[Kind, int]
    paging: Paging


@dataclass(frozen=True)
class OrganizationsWish:
    """What an administrator asked to see of the organizations."""

    text: str = ""
    page: int = 1

    def href(self, **changes: object) -> str:
        """Return the address of the list with these changes."""
        wish = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        return _address("/admin/organizations", q=wish.text, page=wish.page)


@dataclass(frozen=True)
class Organizations:
    """One page of organizations, with the numbers of members and open requests and the calendar's name of each."""

    rows: Sequence[Organization]
    members: dict[int, int]
    requests: dict[int, int]
    calendars: dict[int, str]
    paging: Paging


def people(session: Session, wish: PeopleWish, *, size: int) -> People:
    """Return the page that was asked for, by name; five statements, whatever the number of rows."""
    matching = _has(wish.text, Person.email_folded, Person.name)
    grouped = select(Person.active, Person.staff_role, func.count()).where(matching)
    groups = session.execute(grouped.group_by(Person.active, Person.staff_role)).all()
    counts = {kind: sum(number for active, role, number in groups if kind.takes(active, role)) for kind in Kind}
    total = counts[wish.kind]
    page = min(wish.page, max(1, -(-total // size)))
    query = select(Person).where(matching, wish.kind.condition).order_by(Person.name, Person.id)
    shown = query.options(selectinload(Person.memberships)).offset((page - 1) * size).limit(size)
    rows = session.scalars(shown).all()
    paging = Paging(page, size, len(rows), total, lambda n: wish.href(page=n))
    return People(rows, last_seen(session, [person.id for person in rows]), counts, paging)


def last_seen(session: Session, ids: Sequence[int]) -> dict[int, datetime]:
    """Return when each of those people used a sign-in last; who never did is not in it."""
    last = select(SignIn.person_id, func.max(SignIn.last_seen_at)).where(SignIn.person_id.in_(ids))
    return {row[0]: row[1] for row in session.execute(last.group_by(SignIn.person_id))}


def person_of(session: Session, number: int) -> Person:
    """Return the person with that key, memberships read; raises NotFound."""
    found = session.get(Person, number, options=[selectinload(Person.memberships)])
    if found is None:
        raise NotFound
    return found


def organizations(session: Session, wish: OrganizationsWish, *, size: int) -> Organizations:
    """Return the page that was asked for, by name; five statements, whatever the number of rows."""
    matching = _has(wish.text, Organization.slug, Organization.name)
    total = session.scalar(select(func.count(Organization.id)).where(matching)) or 0
    page = min(wish.page, max(1, -(-total // size)))
    query = select(Organization).where(matching).order_by(Organization.name, Organization.id)
    rows = session.scalars(query.offset((page - 1) * size).limit(size)).all()
    ids = [organization.id for organization in rows]
    members = select(Membership.organization_id, func.count()).where(Membership.organization_id.in_(ids))
    open_ = select(Ticket.organization_id, func.count()).where(
        Ticket.organization_id.in_(ids), Ticket.state.in_(ACTIVE)
    )
    names = select(Calendar.id, Calendar.name).where(Calendar.id.in_({o.calendar_id for o in rows}))
    return Organizations(
        rows,
        {row[0]: row[1] for row in session.execute(members.group_by(Membership.organization_id))},
        {row[0]: row[1] for row in session.execute(open_.group_by(Ticket.organization_id)) if row[0] is not None},
        {row[0]: row[1] for row in session.execute(names)},
        Paging(page, size, len(rows), total, lambda n: wish.href(page=n)),
    )


def organization_named(session: Session, slug: str) -> Organization:
    """Return any organization, whoever's; for administrators alone. Raises NotFound."""
    mine = to_write(select(Organization).where(Organization.slug == slug), session, Organization)
    found = session.scalars(mine).one_or_none()
    if found is None:
        raise NotFound
    return found


def open_requests(session: Session, organization: Organization) -> int:
    """Return how many requests of the organization are open."""
    mine = select(func.count(Ticket.id)).where(Ticket.organization_id == organization.id, Ticket.state.in_(ACTIVE))
    return session.scalar(mine) or 0


def _has(text: str, key: object, name: object) -> ColumnElement[bool]:
    """Return the condition that every word is in the key (which is stored folded) or in the name."""
    found = [
        or_(key.contains(folded(word), autoescape=True), name.icontains(word, autoescape=True))  # type: ignore[attr-defined]
        for word in text.split()[:8]
    ]
    return and_(true(), *found)


def _address(path: str, *, page: int, **parts: str) -> str:
    given = {**parts, "page": str(page) if page > 1 else ""}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path
