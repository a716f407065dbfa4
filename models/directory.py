"""The directory import: organizations, people, clusters and charges as another system knows them.

Everything is asked and written in batches, in the transaction of the caller, who takes all of it back when there is a
fault anywhere. docs/directory.md says what a document may hold and what becomes of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.calendars import Calendar
from models.charges import CloudCharge
from models.differences import SLICE, Difference, Places, calendar_name, slices
from models.entries import EVERY, ClusterRow, Entry, Fault, MemberRow, entries_of, shown
from models.events import EventKind, record
from models.organizations import Cluster, Membership, Organization
from models.people import Person
from models.permissions import Role

# So many organizations are compared and written at a time.
BATCH = 500
_NOUNS = {
    "organization": "organizations",
    "calendar": "calendars",
    "person": "people",
    "member": "members",
    "cluster": "clusters",
    "charge": "charges",
}
_VERBS = {"add": "added", "change": "changed", "remove": "removed"}


class BadDocument(Exception):  # noqa: N818 (the document is bad)
    """The document has faults: `faults` are all of them by line, and nothing of it may be kept."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = sorted(faults)

    def __str__(self) -> str:
        """Return the faults, one a line, and what to do about them."""
        return "\n".join([*map(str, self.faults), "Nothing was imported. Mend these lines and import the file again."])


@dataclass
class Report:
    """What was done, or would be: lines in the order of the document, and how many of each kind."""

    dry: bool = False
    lines: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def words(self, verb: str) -> list[str]:
        """Return the counts of "add", "change" or "remove": "3 members"."""
        said = ((noun, self.counts[verb, noun]) for noun in _NOUNS)
        return [f"{count:,} {noun if count == 1 else _NOUNS[noun]}" for noun, count in said if count]

    @property
    def summary(self) -> str:
        """The counts as one line: "Added 2 organizations, 5 members. Removed 1 cluster.", or "Would add …"."""
        verbs = {verb: f"Would {verb}" if self.dry else word.capitalize() for verb, word in _VERBS.items()}
        said = [f"{word} {', '.join(self.words(verb))}." for verb, word in verbs.items()]
        return " ".join(words for words in said if not words.endswith(" .")) or "Everything is as the document says."

    def __str__(self) -> str:
        """Return what the command prints: the counts, and every line of what was only tried."""
        return "\n".join(
            [*self.lines, self.summary, "This was a dry run: nothing was written."] if self.dry else [self.summary]
        )


def import_directory(
    session: Session, content: bytes, *, now: datetime, tell: Callable[[str], None], dry_run: bool = False
) -> Report:
    """Make what the document says and return what was done; with `dry_run`, only find out and write nothing.

    Raises BadDocument with every fault; what was written until then is the caller's to take back. `tell` hears how far
    a long document is. Nobody gets mail, and no plan changes: a new organization is on Basic.
    """
    faults: list[Fault] = []
    entries = entries_of(content, faults, today=now.date(), tell=tell)
    run = _Import(session, faults, now)
    run.report.dry = dry_run
    for entry in entries:
        for member in entry.members or ():
            if member.name:
                run.names.setdefault(member.folded, member.name)
    done = 0
    for batch in _batches(entries):
        run.ask(batch)
        for entry in batch:
            run.plan(entry)
        if not dry_run and not faults:
            run.difference.write(session, run.places, now=now)
        if (done + len(batch)) // EVERY > done // EVERY:
            tell(f"{'Compared' if dry_run or faults else 'Wrote'} {done + len(batch):,} of {len(entries):,}.")
        done += len(batch)
    if faults:
        raise BadDocument(faults)
    if run.report.counts and not dry_run:
        facts: dict[str, Any] = {word: said for verb, word in _VERBS.items() if (said := run.report.words(verb))}
        record(session, EventKind.DIRECTORY_IMPORTED, now=now, **facts)
    session.expire_all()
    return run.report


class _Import:
    """Compares batch after batch with the database, and writes the difference."""

    def __init__(self, session: Session, faults: list[Fault], now: datetime) -> None:
        self.session, self.faults, self.now = session, faults, now
        self.report = Report()
        # The first name that the document gives for an address.
        self.names: dict[str, str] = {}
        self.places = Places()
        # Who got an account, or a name, in this run: a dry run cannot ask the database for them.
        self.made: set[str] = set()
        self.named: set[str] = set()

    def ask(self, batch: Sequence[Entry]) -> None:
        """Read what the database knows about the organizations of the batch: six statements, whatever its rows."""
        get = self.session.execute
        self.difference = Difference()
        known = select(Organization.id, Organization.slug, Organization.name, Calendar.zone).join(
            Calendar, Calendar.id == Organization.calendar_id
        )
        rows = get(known.where(Organization.slug.in_([entry.slug for entry in batch]))).all()
        self.organizations = {row.slug: row for row in rows}
        self.places.organizations |= {row.slug: row.id for row in rows}
        ids = [row.id for row in rows]
        belongs = select(Membership.id, Membership.organization_id, Membership.role, Person.email_folded).join(
            Person, Person.id == Membership.person_id
        )
        self.members: dict[int, dict[str, Any]] = defaultdict(dict)
        for row in get(belongs.where(Membership.organization_id.in_(ids)).order_by(Membership.id)):
            self.members[row.organization_id][row.email_folded] = row
        self.clusters: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for row in get(select(*Cluster.__table__.c).where(Cluster.organization_id.in_(ids)).order_by(Cluster.id)):
            self.clusters[row.organization_id][row.name].append(row)
        self.charges: dict[int, dict[Any, Any]] = defaultdict(dict)
        for row in get(select(*CloudCharge.__table__.c).where(CloudCharge.organization_id.in_(ids))):
            self.charges[row.organization_id][row.month] = row
        self.people: dict[str, Any] = {}
        wanted = {member.folded for entry in batch for member in entry.members or ()}
        account = select(Person.id, Person.email_folded, Person.name, Person.staff_role)
        for some in slices(sorted(wanted)):
            self.people |= {row.email_folded: row for row in get(account.where(Person.email_folded.in_(some)))}
        self.places.people |= {folded: row.id for folded, row in self.people.items()}
        zones = {entry.zone for entry in batch if entry.zone} - self.places.calendars.keys()
        shared = select(Calendar.id, Calendar.zone).where(Calendar.name.in_([calendar_name(zone) for zone in zones]))
        present = {row.zone: row.id for row in get(shared.order_by(Calendar.id.desc()))} if zones else {}
        self.places.calendars |= {zone: present[zone] for zone in zones if zone in present}

    def plan(self, entry: Entry) -> None:
        """Note what differs for one organization, and what may not be."""
        row = self.organizations.get(entry.slug)
        if row is None:
            self._found(entry)
        elif entry.name is not None and entry.name != row.name:
            words = f"name from {shown(row.name)} to {shown(entry.name)}"
            self._note(entry, entry.line, "change", "organization", words)
            self.difference.change(Organization, row.id, name=entry.name)
        key = row.id if row else 0
        zone = row.zone if row else entry.zone or "UTC"
        self._plan_members(entry, self.members[key] if row else {}, zone)
        self._plan_clusters(entry, self.clusters[key] if row else {})
        self._plan_charges(entry, self.charges[key] if row else {})

    def _found(self, entry: Entry) -> None:
        if entry.name is None:
            self._refuse(entry.line, f"{shown(entry.slug)} is not there yet. Give its “name”.")
        if entry.zone is None:
            self._refuse(entry.line, f"{shown(entry.slug)} is not there yet. Give its “zone”, for its business hours.")
        if all(member.role is not Role.OWNER for member in entry.members or ()):
            self._refuse(entry.line, f"{shown(entry.slug)} would have no Owner. Give one member the role owner.")
        zone = entry.zone or "UTC"
        if zone not in self.places.calendars:
            self.places.calendars[zone] = None
            self._note(entry, entry.line, "add", "calendar", f"calendar {shown(calendar_name(zone))}")
        self._note(entry, entry.line, "add", "organization", f"organization {shown(entry.name or '')}, on Basic")
        self.difference.founded.append(entry)

    def _plan_members(self, entry: Entry, there: dict[str, Any], zone: str) -> None:
        rows = entry.members or []
        for row in rows:
            self._plan_person(entry, row, zone)
            before = there.get(row.folded)
            if before is not None and before.role is row.role:
                continue
            account = self.people.get(row.folded)
            if account is not None and account.staff_role is not None:
                self._refuse(row.line, f"{shown(row.email)} belongs to your staff. Leave this member out.")
            elif before is None:
                self._note(entry, row.line, "add", "member", f"member {row.email} as {row.role.label}")
                self.difference.joined.append((entry.slug, row))
            else:
                words = f"member {row.email} from {before.role.label} to {row.role.label}"
                self._note(entry, row.line, "change", "member", words)
                self.difference.change(Membership, before.id, role=row.role)
        after = {email: one.role for email, one in there.items()} | {row.folded: row.role for row in rows}
        if entry.complete and entry.members is not None:
            for email in sorted(there.keys() - {row.folded for row in rows}):
                self._note(entry, entry.line, "remove", "member", f"member {email}")
                self.difference.left.append(there[email].id)
                del after[email]
        owned = any(one.role is Role.OWNER for one in there.values())
        if owned and Role.OWNER not in after.values():
            self._refuse(entry.line, f"{shown(entry.slug)} would lose its last Owner. Give one member the role owner.")

    def _plan_person(self, entry: Entry, row: MemberRow, zone: str) -> None:
        account, name = self.people.get(row.folded), self.names.get(row.folded, "")
        if account is None and row.folded not in self.made:
            self.made.add(row.folded)
            if not name:
                self._refuse(row.line, f"Nobody has the address {shown(row.email)} yet. Give the “name” as well.")
            self._note(entry, row.line, "add", "person", f"account of {row.email}, {shown(name)}")
            person = {"email": row.email, "email_folded": row.folded, "name": name, "time_zone": zone}
            self.difference.people.append(person | {"created_at": self.now})
        elif account is not None and name and not account.name.strip() and row.folded not in self.named:
            self.named.add(row.folded)
            self._note(entry, row.line, "change", "person", f"account of {row.email}: name to {shown(name)}")
            self.difference.change(Person, account.id, name=name)

    def _plan_clusters(self, entry: Entry, there: dict[str, list[Any]]) -> None:
        rows = entry.clusters or []
        gone = [one for row in rows if row.deleted for one in there.get(row.name, ())]
        if entry.complete and entry.clusters is not None:
            names = {row.name for row in rows}
            gone += [one for name, same in there.items() if name not in names for one in same]
        lines = {row.name: row.line for row in rows}
        for one in gone:
            if one.deleted_at is None:
                self._note(entry, lines.get(one.name, entry.line), "remove", "cluster", f"cluster {shown(one.name)}")
                self.difference.change(Cluster, one.id, deleted_at=self.now)
        for row in rows:
            if not row.deleted:
                self._plan_cluster(entry, row, there.get(row.name, []))

    def _plan_cluster(self, entry: Entry, row: ClusterRow, same: list[Any]) -> None:
        facts = {"tier": row.tier, "region": row.region, "environment": row.environment, "version": row.version}
        given = {key: value for key, value in facts.items() if value is not None}
        if not same:
            lacks = [f"“{key}”" for key in ("tier", "region") if key not in given]
            if lacks:
                words = f"The cluster {shown(row.name)} is not there yet. Give its {' and '.join(lacks)} as well."
                self._refuse(row.line, words)
            self._note(entry, row.line, "add", "cluster", f"cluster {shown(row.name)}")
            self.difference.clusters.append((entry.slug, {"environment": "", "version": "", "name": row.name} | given))
            return
        # Several may have had the name; the one that is there, else the latest, is meant.
        one = max(same, key=lambda other: (other.deleted_at is None, other.id))
        kept = {key: str(getattr(one, key)) for key in ("tier", "region", "environment", "version")}
        changes = {key: value for key, value in given.items() if kept[key] != value}
        said = [f"{key} from {shown(kept[key])} to {shown(value)}" for key, value in changes.items()]
        said = (["no longer deleted"] if one.deleted_at else []) + said
        if said:
            self._note(entry, row.line, "change", "cluster", f"cluster {shown(row.name)}: {', '.join(said)}")
            self.difference.change(Cluster, one.id, deleted_at=None, **(kept | changes))

    def _plan_charges(self, entry: Entry, there: dict[Any, Any]) -> None:
        for row in entry.charges or ():
            before, words = there.get(row.month), f"charges of {row.month:%Y-%m}"
            if before is None:
                self._note(entry, row.line, "add", "charge", f"{words}: {_dollars(row.cents)}")
                self.difference.charges.append((entry.slug, row))
            elif before.cents != row.cents and before.invoiced_at is not None:
                reason = f"The {words} are invoiced as {_dollars(before.cents)} and stay so. Give that amount, or none."
                self._refuse(row.line, reason)
            elif before.cents != row.cents:
                words = f"{words} from {_dollars(before.cents)} to {_dollars(row.cents)}"
                self._note(entry, row.line, "change", "charge", words)
                self.difference.change(CloudCharge, before.id, cents=row.cents, imported_at=self.now)

    def _note(self, entry: Entry, line: int, verb: str, noun: str, words: str) -> None:
        self.report.counts[verb, noun] += 1
        self.report.lines.append(f"line {line}: {entry.slug}: {verb} {words}")
        self.difference.said[entry.slug][_VERBS[verb]].append(words)

    def _refuse(self, line: int, reason: str) -> None:
        self.faults.append(Fault(line, reason))


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the entries in batches, none with much more than its number of rows."""
    batch: list[Entry] = []
    rows = 0
    for entry in entries:
        batch.append(entry)
        rows += sum(len(some or ()) for some in (entry.members, entry.clusters, entry.charges))
        if len(batch) == BATCH or rows >= SLICE:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02}"
