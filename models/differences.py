"""What some organizations of a directory document would add, change and remove, and how that is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from models.base import Model
from models.calendars import DEFAULT_HOURS, Calendar
from models.catalogue import PlanName
from models.charges import CloudCharge
from models.entries import ChargeRow, Entry, MemberRow
from models.events import EventKind, record_many
from models.organizations import Cluster, Membership, Organization
from models.people import Person

# So many values are named in one statement.
SLICE = 5000
# An event names so many changes of one organization, and says how many more there were.
SAID_MOST = 100

T = TypeVar("T")


@dataclass
class Places:
    """The keys of what a document only names: organizations by slug, people by folded address, calendars by zone.

    A calendar that is still to be made has None.
    """

    organizations: dict[str, int] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    calendars: dict[str, int | None] = field(default_factory=dict)


@dataclass
class Difference:
    """What a batch would add, change and remove; rows of new organizations are known by the slug."""

    founded: list[Entry] = field(default_factory=list)
    people: list[dict[str, Any]] = field(default_factory=list)
    joined: list[tuple[str, MemberRow]] = field(default_factory=list)
    clusters: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    charges: list[tuple[str, ChargeRow]] = field(default_factory=list)
    # The keys of memberships that end.
    left: list[int] = field(default_factory=list)
    # New values of rows that are there, with the key of each.
    changed: dict[type[Model], dict[tuple[str, ...], list[dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    # By slug and by what was done, in words: what the organization's event tells.
    said: dict[str, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def change(self, table: type[Model], key: int, **values: object) -> None:
        """Note new values of the row with that key."""
        self.changed[table][tuple(values)].append({"id": key} | values)

    def write(self, session: Session, places: Places, *, now: datetime) -> None:
        """Write everything, and put the keys of what is new into `places`."""
        self._found(session, places, now)
        self._welcome(session, places)
        members = [
            {"organization_id": places.organizations[slug], "person_id": places.people[row.folded], "role": row.role}
            for slug, row in self.joined
        ]
        clusters = [facts | {"organization_id": places.organizations[slug]} for slug, facts in self.clusters]
        charges = [
            {
                "organization_id": places.organizations[slug],
                "month": row.month,
                "cents": row.cents,
                "imported_at": now,
            }
            for slug, row in self.charges
        ]
        _insert(session, Membership, members)
        _insert(session, Cluster, clusters)
        _insert(session, CloudCharge, charges)
        for table, by_values in self.changed.items():
            for rows in by_values.values():
                session.execute(update(table), rows)
        for some in slices(self.left):
            session.execute(delete(Membership).where(Membership.id.in_(some)))
        told: dict[int, dict[str, Any]] = {
            places.organizations[slug]: {word: _bounded(words) for word, words in said.items()}
            for slug, said in self.said.items()
        }
        record_many(session, EventKind.ORGANIZATION_IMPORTED, told, now=now)

    def _found(self, session: Session, places: Places, now: datetime) -> None:
        """Write new organizations, on Basic, and the calendars that they share by zone."""
        made = [
            Calendar(name=calendar_name(zone), zone=zone, hours=DEFAULT_HOURS, holidays=[])
            for zone, key in places.calendars.items()
            if key is None
        ]
        session.add_all(made)
        session.flush()
        places.calendars |= {calendar.zone: calendar.id for calendar in made}
        rows = [
            {
                "slug": entry.slug,
                "name": entry.name,
                "plan": PlanName.BASIC.value,
                "plan_since": now,
                "calendar_id": places.calendars[entry.zone or ""],
            }
            for entry in self.founded
        ]
        _insert(session, Organization, rows)
        for some in slices([entry.slug for entry in self.founded]):
            keys = select(Organization.slug, Organization.id).where(Organization.slug.in_(some))
            places.organizations |= {row.slug: row.id for row in session.execute(keys)}

    def _welcome(self, session: Session, places: Places) -> None:
        """Write new accounts. They have no password: their people choose one by "Forgot password?"."""
        _insert(session, Person, self.people)
        for some in slices([person["email_folded"] for person in self.people]):
            keys = select(Person.email_folded, Person.id).where(Person.email_folded.in_(some))
            places.people |= {row.email_folded: row.id for row in session.execute(keys)}


def slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values in parts that one statement can name."""
    for start in range(0, len(values), SLICE):
        yield values[start : start + SLICE]


def calendar_name(zone: str) -> str:
    """Return how the calendar is called that new organizations of the zone share."""
    return f"Business hours: {zone}"


def _insert(session: Session, table: type[Model], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _bounded(words: list[str]) -> list[str]:
    more = len(words) - SAID_MOST
    return words if more <= 0 else [*words[:SAID_MOST], f"{more:,} more"]
