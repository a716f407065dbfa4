"""Macros: texts that agents use again and again, with placeholders that are data, never a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, ForeignKey, Index, String, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Model, NotFound, Refused, Stale, session_of
from models.catalogue import PlanName
from models.events import EventKind, record
from models.organizations import Organization
from models.paging import COUNTED_TO, Paging, within
from models.people import Person
from models.prose import cleaned
from models.tickets import Body, Ticket, TicketState
from models.wording import day, zone

NAME_MOST, BODY_MOST = 80, 10_000
# More do not fit a list to choose from; the page of macros has all.
CHOICES_MOST = 200
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class Macro(Model):
    """One text: its owner's, or shared by all agents where it has none."""

    __tablename__ = "macros"
    __table_args__ = (Index(None, "owner_id", "name"), Index(None, "name", "id"))

    owner_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str] = mapped_column(String(NAME_MOST))
    body: Mapped[str] = mapped_column(Body)
    # What the reply does besides, where the writer does not choose otherwise.
    then: Mapped[TicketState | None]
    take: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=1)

    owner: Mapped[Person | None] = relationship()

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 (SQLAlchemy reads it from the class)

    @property
    def shared(self) -> bool:
        """Whether all agents have it."""
        return self.owner_id is None


class MacroChoice(NamedTuple):
    """What a list to choose from shows of a macro."""

    id: int
    name: str
    shared: bool


class MacroText(NamedTuple):
    """What an agent writes about a macro."""

    name: str
    body: str
    then: TicketState | None
    take: bool
    shared: bool


class _Scene(NamedTuple):
    ticket: Ticket
    agent: Person
    now: datetime


def _due(scene: _Scene) -> str:
    at = scene.ticket.due_at
    if at is None:
        return "no first-reply target runs"
    opener = scene.ticket.opener
    local = at.astimezone(zone(opener.time_zone))
    today = scene.now.astimezone(local.tzinfo).date()
    return f"{day(local.date(), today)}, {local:%H:%M} ({opener.time_zone})"


def _plan(scene: _Scene) -> str:
    organization: Organization | None = scene.ticket.organization
    return (PlanName(organization.plan) if organization else scene.ticket.plan).label


def _first(person: Person) -> str:
    return person.name.split()[0] if person.name.split() else person.name


# The whole language: what may stand between the braces, what it means to whoever writes a macro, and its value.
PLACEHOLDERS: dict[str, tuple[str, Callable[[_Scene], str]]] = {
    "customer.first_name": ("The first name of whoever filed the request", lambda s: _first(s.ticket.opener)),
    "customer.name": ("Their whole name", lambda s: s.ticket.opener.name),
    "organization": (
        "The organization’s name",
        lambda s: s.ticket.organization.name if s.ticket.organization else "your organization",
    ),
    "plan": ("The organization’s plan today", _plan),
    "ticket.key": ("The request’s number, such as TECH-1284", lambda s: s.ticket.key),
    "ticket.summary": ("Its summary", lambda s: s.ticket.summary),
    "severity": ("Its severity, such as S2", lambda s: s.ticket.severity.value),
    "cluster": ("The cluster that it is about", lambda s: s.ticket.cluster_name or "your cluster"),
    "due": ("When the first reply is due, in the customer’s time zone", _due),
    "agent.first_name": ("Your first name", lambda s: _first(s.agent)),
    "agent.name": ("Your whole name", lambda s: s.agent.name),
}


def filled(body: str, ticket: Ticket, agent: Person, *, now: datetime) -> str:
    """Return the text with the values of the ticket; a value is put in as it is and never looked through again."""
    scene = _Scene(ticket, agent, now)

    def value(found: re.Match[str]) -> str:
        known = PLACEHOLDERS.get(found[1])
        return known[1](scene) if known else found[0]

    return _PLACEHOLDER.sub(value, body)


def _usable(agent: Person) -> ColumnElement[bool]:
    return or_(Macro.owner_id.is_(None), Macro.owner_id == agent.id)


def macro_of(agent: Person, macro_id: int) -> Macro:
    """Return the macro if it is shared or the agent's own; raises NotFound otherwise."""
    macro: Macro | None = session_of(agent).scalar(select(Macro).where(Macro.id == macro_id, _usable(agent)))
    if macro is None:
        raise NotFound
    return macro


def choices_of(agent: Person) -> list[MacroChoice]:
    """Return what the agent can insert, their own first, each by name (two hundred at most)."""
    query = select(Macro.id, Macro.name, Macro.owner_id).where(_usable(agent))
    rows = session_of(agent).execute(query.order_by(Macro.owner_id.is_(None), Macro.name, Macro.id).limit(CHOICES_MOST))
    return [MacroChoice(row.id, row.name, row.owner_id is None) for row in rows]


def macros_of(agent: Person, page: int, size: int) -> tuple[Sequence[Macro], Paging]:
    """Return one page of what the agent can insert, by name (two statements)."""
    session = session_of(agent)
    some = select(Macro.id).where(_usable(agent)).limit(COUNTED_TO + 1).subquery()
    total = session.scalar(select(func.count()).select_from(some)) or 0
    page = within(page, total, size)
    query = select(Macro).where(_usable(agent)).order_by(Macro.name, Macro.id)
    rows = session.scalars(query.offset((page - 1) * size).limit(size)).all()
    return rows, Paging(page, size, len(rows), total, lambda n: f"/desk/macros?page={n}" if n > 1 else "/desk/macros")


def create(agent: Person, text: MacroText, *, now: datetime) -> Macro:
    """Write a macro down. Raises Refused, naming the field, for what cannot be one."""
    session = session_of(agent)
    macro = Macro(owner_id=None if text.shared else agent.id, **_checked(text), changed_at=now)
    session.add(macro)
    session.flush()
    _note(session, macro, agent, EventKind.MACRO_CREATED, now=now)
    return macro


def change(macro: Macro, agent: Person, text: MacroText, *, seen: int, now: datetime) -> None:
    """Change it. `seen` is the revision that the agent read; raises Stale for an older one, Refused as `create`.

    What all agents have stays theirs: nobody makes it their own.
    """
    if macro.revision != seen:
        raise Stale
    was_shared = macro.shared
    if was_shared and not text.shared:
        words = "All agents use this macro, and whoever wrote it would lose it. Write one of your own with its text."
        raise Refused(words, "whose")
    for name, value in _checked(text).items():
        setattr(macro, name, value)
    macro.owner_id, macro.changed_at = None if text.shared else agent.id, now
    session = session_of(macro)
    session.flush()
    if was_shared or macro.shared:
        record(session, EventKind.MACRO_CHANGED, now=now, actor_id=agent.id, name=macro.name)


def remove(macro: Macro, agent: Person, *, now: datetime) -> None:
    """Delete it; texts that were made from it stay."""
    session = session_of(macro)
    _note(session, macro, agent, EventKind.MACRO_DELETED, now=now)
    session.delete(macro)
    session.flush()


def _note(session: Session, macro: Macro, agent: Person, kind: EventKind, *, now: datetime) -> None:
    if macro.shared:
        record(session, kind, now=now, actor_id=agent.id, name=macro.name)


def _checked(text: MacroText) -> dict[str, object]:
    name, body = cleaned(text.name).strip(), cleaned(text.body).strip("\n")
    if not name:
        raise Refused("Name the macro, for example “Ask for the slow query log”.", "name")
    if len(name) > NAME_MOST:
        raise Refused(f"Shorten the name to {NAME_MOST} characters.", "name")
    if not body.strip():
        raise Refused("Write the text that the macro inserts.", "body")
    if len(body) > BODY_MOST:
        raise Refused(f"Shorten the text to {BODY_MOST:,} characters.", "body")
    unknown = list(dict.fromkeys(found[1] for found in _PLACEHOLDER.finditer(body) if found[1] not in PLACEHOLDERS))
    if unknown:
        first = unknown[0] if len(unknown[0]) <= 40 else f"{unknown[0][:40]}…"
        known = ", ".join(f"{{{{{one}}}}}" for one in PLACEHOLDERS)
        raise Refused(f"{{{{{first}}}}} is no placeholder. Known are: {known}.", "body")
    if text.then is TicketState.CLOSED:
        raise Refused("Requests close by themselves. Choose Resolved.", "then")
    return {"name": name, "body": body, "then": text.then, "take": text.take}
