"""The audit log: every event in words, found by kind, person, organization, day and key; read page by page.

No text that anybody wrote into a message, a note or a reason is part of it, and no secret: events hold none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import product
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from models.base import Labelled, NotFound
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.leads import Lead, Stage
from models.organizations import Organization, Visibility
from models.people import Person, folded
from models.permissions import Role
from models.tickets import Ticket, TicketState
from models.wording import utc

BATCH = 1000


class Group(Labelled):
    """What the log can be narrowed down to; the value is how the kinds of its events begin."""

    TICKETS = "ticket", "Requests"
    PROMISES = "promise", "First-reply targets"
    LEADS = "lead", "Enquiries"
    PEOPLE = "person", "People and sign-ins"
    ORGANIZATIONS = "organization", "Organizations"
    MEMBERS = "member", "Members"
    PLANS = "plan", "Plans"
    PAYMENTS = "payment", "Payments"
    CARDS = "card", "Cards"
    CATALOGUE = "catalogue", "Plan catalogue"
    ANNOUNCEMENTS = "announcement", "Announcements"
    LISTS = "list", "Lists"
    MACROS = "macro", "Macros"
    CALENDARS = "calendar", "Business hours"
    INSTALLATION = "installation", "Installation"
    WEBHOOKS = "webhook", "Webhooks"
    AUDIT = "audit", "Audit log"

    @property
    def kinds(self) -> tuple[EventKind, ...]:
        """The kinds of its events."""
        return tuple(kind for kind in EventKind if kind.value.partition(".")[0] == self.value)


@dataclass(frozen=True)
class AuditWish:
    """What somebody asked to see of the log; every choice is in the address. `before` is the id of an event."""

    kind: str = ""
    person: str = ""
    organization: str = ""
    since: date | None = None
    until: date | None = None
    key: str = ""
    before: int = 0

    @property
    def kinds(self) -> tuple[EventKind, ...]:
        """The kinds that are wanted: all without any."""
        group = next((g for g in Group if g.value == self.kind), None)
        return group.kinds if group else tuple(k for k in EventKind if k.value == self.kind)

    @property
    def parts(self) -> dict[str, str]:
        """The choices as the address has them."""
        given = {
            "kind": self.kind,
            "person": self.person,
            "organization": self.organization,
            "from": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
            "key": self.key,
        }
        return {name: value for name, value in given.items() if value}

    def href(self, **changes: object) -> str:
        """Return the address of the log with these changes."""
        wish = replace(self, **{"before": 0, **changes})  # type: ignore[arg-type]
        query = urlencode(wish.parts | ({"before": str(wish.before)} if wish.before else {}))
        return f"/admin/audit?{query}" if query else "/admin/audit"


@dataclass(frozen=True)
class Line:
    """One event as it reads: `facts` is what changed, `about` and `organization` say on what."""

    id: int
    at: datetime
    kind: EventKind
    who: str
    email: str
    who_id: int | None
    facts: str
    about: str
    about_href: str
    organization: str
    slug: str

    @property
    def by(self) -> str:
        """Who did it: a person, somebody who was not signed in, or the portal by itself."""
        return self.who or ("Nobody signed in" if self.kind in Group.PEOPLE.kinds else "The portal")

    @property
    def elsewhere(self) -> str:
        """What it is about when it names nothing: one's own account, or the installation as a whole."""
        return "Their own account" if self.who and self.kind in Group.PEOPLE.kinds else "The installation"


@dataclass(frozen=True)
class Log:
    """A part of the log, newest first. `older` leads on; `unknown` names a filter that fits nothing we know."""

    lines: Sequence[Line]
    older: str
    unknown: str = ""


def log(session: Session, wish: AuditWish, zone: ZoneInfo, *, size: int) -> Log:
    """Return one page of the log; days are those of the reader's zone. At most five statements."""
    try:
        where = _Found(session, wish, zone)
    except NotFound as nothing:
        return Log((), "", str(nothing))
    lines = where.page(wish.before, size + 1)
    older = wish.href(before=lines[size - 1].id) if len(lines) > size else ""
    return Log(lines[:size], older)


def lines_of(session: Session, wish: AuditWish, zone: ZoneInfo) -> Iterator[Sequence[Line]]:
    """Yield the whole log that fits, newest first, in pieces of a thousand: never all of it is in memory."""
    try:
        where = _Found(session, wish, zone)
    except NotFound:
        return
    before = 0
    while lines := where.page(before, BATCH):
        yield lines
        before = lines[-1].id


def recent(session: Session, *, person: int = 0, organization: int = 0, most: int = 10) -> Sequence[Line]:
    """Return the latest events of and about a person, or about an organization; one statement."""
    where = [Event.organization_id == organization] if organization else []
    who = [Event.actor_id == person, Event.person_id == person]
    return _read(session, [[*where, one] for one in who] if person else [where], most)


class _Found:
    """The filters as conditions: one branch for each index that can answer it in the log's order."""

    def __init__(self, session: Session, wish: AuditWish, zone: ZoneInfo) -> None:
        self._session = session
        same: list[ColumnElement[bool]] = []
        if wish.organization:
            same.append(Event.organization_id == self._organization(wish.organization))
        if wish.key:
            same.append(self._thing(wish.key))
        if wish.since:
            same.append(Event.at >= datetime.combine(wish.since, time.min, zone))
        if wish.until and wish.until < date.max:
            same.append(Event.at < datetime.combine(wish.until + timedelta(days=1), time.min, zone))
        kinds: list[ColumnElement[bool] | None] = [Event.kind == kind for kind in wish.kinds]
        if kinds and (wish.person or wish.key):
            # Following a person or a thing is shorter than following each kind.
            kinds = [Event.kind.in_(wish.kinds)]
        people: list[ColumnElement[bool] | None] = []
        if wish.person:
            number = self._person(wish.person)
            people = [Event.actor_id == number, Event.person_id == number]
        self._branches = [
            [*same, *(part for part in parts if part is not None)]
            for parts in product(kinds or [None], people or [None])
        ]

    def page(self, before: int, most: int) -> Sequence[Line]:
        if before:
            at = self._session.scalar(select(Event.at).where(Event.id == before))
            if at is None:
                return ()
            older = (Event.at <= at) & or_(Event.at < at, Event.id < before)
            return _read(self._session, [[*branch, older] for branch in self._branches], most)
        return _read(self._session, self._branches, most)

    def _organization(self, slug: str) -> int:
        found = self._session.scalar(select(Organization.id).where(Organization.slug == slug.casefold()))
        return _known(found, f"No organization has the short name {slug}.")

    def _person(self, email: str) -> int:
        found = self._session.scalar(select(Person.id).where(Person.email_folded == folded(email)))
        return _known(found, f"Nobody has the address {email}.")

    def _thing(self, key: str) -> ColumnElement[bool]:
        ticket = self._session.scalar(select(Ticket.id).where(Ticket.key == key.upper()))
        if ticket is not None:
            return Event.ticket_id == ticket
        lead = self._session.scalar(select(Lead.id).where(Lead.key == key.upper()))
        return Event.lead_id == _known(lead, f"Nothing has the reference {key}.")


def _known(found: int | None, words: str) -> int:
    if found is None:
        raise NotFound(words)
    return found


def _read(session: Session, branches: Sequence[Sequence[ColumnElement[bool]]], most: int) -> Sequence[Line]:
    """Read the newest events of all branches: each branch follows its own index and stops after `most`."""
    newest = [
        select(Event.id).where(*branch).order_by(Event.at.desc(), Event.id.desc()).limit(most) for branch in branches
    ]
    subject = aliased(Person)
    wanted = (
        select(Event, Person.name, Person.email, subject, Ticket.key, Lead.key, Organization.name, Organization.slug)
        .outerjoin(Person, Person.id == Event.actor_id)
        .outerjoin(subject, subject.id == Event.person_id)
        .outerjoin(Ticket, Ticket.id == Event.ticket_id)
        .outerjoin(Lead, Lead.id == Event.lead_id)
        .outerjoin(Organization, Organization.id == Event.organization_id)
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(most)
    )
    if len(newest) == 1:
        found = wanted.where(Event.id.in_(newest[0].subquery().select()))
    else:
        found = wanted.where(Event.id.in_(union_all(*(part.subquery().select() for part in newest))))
    return [_line(*row) for row in session.execute(found)]


def _line(
    event: Event,
    name: str | None,
    email: str | None,
    subject: Person | None,
    ticket: str | None,
    lead: str | None,
    organization: str | None,
    slug: str | None,
) -> Line:
    about, href = ticket or lead or "", ""
    if subject is not None:
        about, href = subject.name, f"/admin/people/{subject.id}"
    return Line(
        id=event.id,
        at=event.at,
        kind=event.kind,
        who=name or "",
        email=email or "",
        who_id=event.actor_id,
        facts=facts_of(event),
        about=about,
        about_href=href,
        organization=organization or "",
        slug=slug or "",
    )


# What may be said of an event, and how it is called. Everything else stays out: reasons, steps and notes are texts.
_SAID = {
    "list": "list",
    "entry": "entry",
    "title": "title",
    "name": "name",
    "email": "email",
    "role": "role",
    "plan": "plan",
    "plans": "plans",
    "zone": "time zone",
    "hours": "hours",
    "calendar": "calendar",
    "visibility": "visibility",
    "date": "day",
    "start": "from",
    "end": "until",
    "manager": "account manager",
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "card": "card",
    "invoice": "invoice",
    "payment": "payment",
    "permission": "permission",
    "address": "address",
    "minutes": "target in minutes",
    "freed": "tickets and leads handed back",
    "running": "running targets",
    "lines": "lines",
    "filters": "filters",
}
_LABELS: dict[str, str] = {
    one.value: one.label for words in (TicketState, Stage, Role, PlanName, Visibility) for one in words
}
_CHANGES = frozenset({EventKind.LEAD_STEP})


def facts_of(event: Event) -> str:
    """Return the facts of an event in words: "from Open to Resolved; calendar: Berlin"."""
    if event.kind in _CHANGES:
        return ""
    data, words = event.data, []
    if "before" in data or "after" in data:
        before, after = data.get("before"), data.get("after")
        if isinstance(before, dict) and isinstance(after, dict):
            words += [
                f"{_SAID.get(part, part)} from {_word(before[part])} to {_word(after.get(part))}" for part in before
            ]
        elif before:
            words.append(f"from {_word(before)} to {_word(after)}")
        else:
            words.append(f"to {_word(after)}")
    words += [f"{said}: {_word(data[part])}" for part, said in _SAID.items() if part in data and data[part] != ""]
    return "; ".join(words)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_word, value)) or "none"
    if value in {None, ""}:
        return "nothing"
    return _LABELS.get(str(value), str(value))


def sheet_of(lines: Sequence[Line], zone: ZoneInfo) -> Iterator[tuple[str, ...]]:
    """Yield the lines as rows of a spreadsheet, under the titles of `SHEET`."""
    for line in lines:
        local = f"{line.at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        what = (line.kind.label, line.facts, line.about, line.organization, line.kind.value, str(line.id))
        yield (utc(line.at), local, line.by, line.email, *what)


SHEET = ("Time (UTC)", "Local time", "Who", "Email", "What", "Details", "About", "Organization", "Kind", "Number")
