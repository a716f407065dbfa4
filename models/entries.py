"""What a directory document says: its rows checked one by one, each fault with its line. No database is asked.

docs/directory.md describes the format to those who write such documents.
"""

from __future__ import annotations

import re
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from sys import intern
from typing import Any

from models.documents import Items, Lines, Malformed, Number, Part, Table, parts
from models.entrance import is_address
from models.people import folded
from models.permissions import ORGANIZATION_ROLES, Role
from models.wording import zones

FORMAT = "1"
EVERY = 1000

_SLUG = re.compile(r"[a-z0-9-]{1,60}")
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_KINDS = {Table: "an object", Items: "a list", Number: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True, order=True)
class Fault:
    """What is wrong in a line, and what to do; a column is named where the document is no JSON."""

    line: int
    reason: str
    column: int = 0

    def __str__(self) -> str:
        """Return the fault as one line of text."""
        return f"line {self.line}{f', column {self.column}' if self.column else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class MemberRow:
    """Somebody who belongs to the organization; `name` is empty when the document gives none."""

    line: int
    email: str
    folded: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """A cluster of the organization, known by its name; None is what the document leaves out."""

    line: int
    name: str
    tier: str | None
    region: str | None
    environment: str | None
    version: str | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """What the organization's clusters cost in the month that begins on `month`, in US cents."""

    line: int
    month: date
    cents: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One organization of the document. A list that the document leaves out is None."""

    line: int
    slug: str
    name: str | None
    zone: str | None
    complete: bool
    members: list[MemberRow] | None
    clusters: list[ClusterRow] | None
    charges: list[ChargeRow] | None


def entries_of(content: bytes, faults: list[Fault], *, today: date, tell: Callable[[str], None]) -> list[Entry]:
    """Return the organizations of the document without a fault of their own; every fault goes to `faults`.

    `today` (UTC) decides which months have begun; `tell` hears how far it is, every thousand organizations.
    """
    content = content.removeprefix(BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        faults.append(Fault(line, "This is not UTF-8. Save the file with that encoding."))
        return []
    reader = _Reader(text, faults, today)
    try:
        for part in parts(text):
            reader.take(part)
            if part.element and len(reader.slugs) % EVERY == 0 and reader.slugs:
                tell(f"Read {len(reader.slugs):,} organizations.")
        reader.finish()
    except Malformed as end:
        faults.append(Fault(reader.lines.line(end.place), end.reason, reader.lines.column(end.place)))
    return reader.entries


class _Reader:
    """Takes the document part by part."""

    def __init__(self, text: str, faults: list[Fault], today: date) -> None:
        self.lines, self.faults, self.today = Lines(text), faults, today
        self.entries: list[Entry] = []
        self.slugs: dict[str, int] = {}
        self.seen: set[str] = set()
        self.zones = frozenset(zones())

    def take(self, part: Part) -> None:
        """Take what stands at the top of the document, or one organization."""
        if not part.element:
            self.seen.add(part.key)
        if part.key == "organizations" and part.element:
            self._organization(part)
        elif part.key == "organizations" and not isinstance(part.value, Items):
            self.fault(part.place, "“organizations” must be a list.")
        elif part.key == "format" and not part.element and not _is_ours(part.value):
            self.fault(part.place, f"This format is not known. Write “format”: {FORMAT}.")
        elif part.key not in {"format", "organizations"} and not part.element:
            self.fault(part.place, f"{shown(part.key)} is not known here. Known are: format, organizations.")

    def finish(self) -> None:
        """Say what is missing at the top."""
        for key in ("format", "organizations"):
            if key not in self.seen:
                self.faults.append(Fault(1, f"The document has no “{key}”. docs/directory.md shows a complete one."))

    def fault(self, place: int, reason: str) -> None:
        """Note a fault in the line of the place."""
        self.faults.append(Fault(self.lines.line(place), reason))

    def _organization(self, part: Part) -> None:
        before = len(self.faults)
        row = _Row(self, part.value, part.place, "An organization")
        row.known("slug", "name", "zone", "complete", "members", "clusters", "charges")
        slug = row.text("slug", 60, required=True)
        if slug is not None and not _SLUG.fullmatch(slug):
            row.fault("slug", "A slug has small letters a to z, digits and hyphens only.")
        if slug is not None and slug in self.slugs:
            row.fault("slug", f"{shown(slug)} stands in line {self.slugs[slug]} already. Make one of the two.")
        name, zone = row.text("name", 120), row.text("zone", 64)
        if zone is not None and zone not in self.zones:
            row.fault("zone", f"{shown(zone)} is no time zone that we know. Write it as Europe/Berlin.")
        entry = Entry(
            line=row.line,
            slug=slug or "",
            name=name,
            zone=zone,
            complete=row.flag("complete"),
            members=self._listed(row, "members", self._member, lambda member: member.folded),
            clusters=self._listed(row, "clusters", self._cluster, lambda cluster: cluster.name),
            charges=self._listed(row, "charges", self._charge, lambda charge: f"{charge.month:%Y-%m}"),
        )
        self.slugs.setdefault(entry.slug, entry.line)
        if len(self.faults) == before:
            self.entries.append(entry)

    def _listed(
        self, row: _Row, key: str, read: Callable[[_Row], Any], known_by: Callable[[Any], str]
    ) -> list[Any] | None:
        """Return the rows of the list without a fault, None without the list; two rows of the same thing are one."""
        values = row.given(key, Items)
        if values is None:
            return None
        found: dict[str, Any] = {}
        for value, place in zip(values, values.places, strict=True):
            before = len(self.faults)
            one = read(_Row(self, value, place, f"Each of “{key}”"))
            if len(self.faults) > before:
                continue
            if (same := found.get(known_by(one))) is not None:
                self.fault(place, f"{shown(known_by(one))} stands in line {same.line} already. Delete one of the two.")
            else:
                found[known_by(one)] = one
        return list(found.values())

    def _member(self, row: _Row) -> MemberRow:
        row.known("email", "name", "role")
        email, name = row.text("email", 254, required=True) or "", row.text("name", 100) or ""
        if email and not (is_address(email) and email.isprintable()):
            row.fault("email", f"{shown(email)} is no email address. Write it as maya@example.com.")
        role, roles = row.text("role", 40, required=True), {one.value: one for one in ORGANIZATION_ROLES}
        if role is not None and role not in roles:
            row.fault("role", f"{shown(role)} is no role of an organization. Write one of: {', '.join(roles)}.")
        return MemberRow(row.line, email, folded(email), name, roles.get(role or "", Role.MEMBER))

    def _cluster(self, row: _Row) -> ClusterRow:
        row.known("name", "tier", "region", "environment", "version", "deleted")
        name = row.text("name", 120, required=True) or ""
        tier, region = row.text("tier", 40), row.text("region", 40)
        environment, version = row.text("environment", 60, blank=True), row.text("version", 60, blank=True)
        return ClusterRow(row.line, name, tier, region, environment, version, row.flag("deleted"))

    def _charge(self, row: _Row) -> ChargeRow:
        row.known("month", "amount")
        month, amount = row.text("month", 20, required=True), row.text("amount", 40, required=True)
        first, cents = self.today, 0
        if month is not None and (digits := _MONTH.fullmatch(month)) is None:
            row.fault("month", f"{shown(month)} is no month. Write it as 2026-10.")
        elif month is not None and digits is not None:
            first = date(int(digits[1]), int(digits[2]), 1)
            if first > self.today:
                row.fault("month", f"{month} has not begun yet. Give the charges of months that have.")
        if amount is not None and (money := _AMOUNT.fullmatch(amount)) is None:
            row.fault("amount", f"{shown(amount)} is no amount. Write US dollars as “1234.56”, not below zero.")
        elif amount is not None and money is not None:
            cents = int(money[1]) * 100 + int((money[2] or "").ljust(2, "0"))
        return ChargeRow(row.line, first, cents)


class _Row:
    """One object of the document; what it lacks and what is wrong in it is noted with its line."""

    def __init__(self, reader: _Reader, value: object, place: int, what: str) -> None:
        self._reader, self._place = reader, place
        self._read: set[str] = set()
        self.line = reader.lines.line(place)
        # Nothing more is asked of what is no object at all.
        self._table, self._sound = (value, True) if isinstance(value, Table) else (Table(place), False)
        if not self._sound:
            reader.fault(place, f"{what} must be an object, in {{ and }}.")

    def known(self, *keys: str) -> None:
        """Note each key that is not among these."""
        for key in self._table:
            if key not in keys:
                self.fault(key, f"{shown(key)} is not known here. Known are: {', '.join(keys)}.")

    def text(self, key: str, most: int, *, required: bool = False, blank: bool = False) -> str | None:
        """Return the text, None where there is none or it is wrong; it may be empty only where it may be `blank`."""
        if required and self._sound and key not in self._table:
            self.fault(key, f"“{key}” is missing.")
        value = self.given(key, str)
        if value is None:
            return None
        tidy = unicodedata.normalize("NFC", value).strip()
        if _UNSEEN.search(value):
            self.fault(key, f"“{key}” has a character that cannot be shown. Delete it.")
        elif len(tidy) > most:
            self.fault(key, f"“{key}” has {len(tidy)} characters. Shorten it to {most}.")
        elif not tidy and not blank:
            self.fault(key, f"“{key}” is empty. Write it, or leave it out where it may be missing.")
        else:
            return intern(tidy)
        return None

    def flag(self, key: str) -> bool:
        """Return true or false; what is missing is false."""
        return bool(self.given(key, bool))

    def given(self, key: str, kind: type[Any]) -> Any:  # noqa: ANN401 (it is of the kind that was asked for)
        """Return the value if it is of the kind, None where it is missing or of another."""
        if key not in self._table:
            return None
        value = self._table[key]
        if type(value) is kind:
            return value
        quotes = " Put it in double quotes." if kind is str and isinstance(value, Number) else ""
        self.fault(key, f"“{key}” must be {_KINDS[kind]}, not {_KINDS.get(type(value), 'null')}.{quotes}")
        return None

    def fault(self, key: str, reason: str) -> None:
        """Note a fault in the line of the key, or of the whole row where it has none such."""
        self._reader.fault(self._table.places.get(key, self._place), reason)


def _is_ours(value: object) -> bool:
    return isinstance(value, Number) and value == FORMAT


def shown(text: str) -> str:
    """Return a text of the document as a message can show it: short, and without what a terminal would obey."""
    short = text if len(text) <= 60 else f"{text[:60]}…"
    return f"“{short if short.isprintable() else ascii(short)[1:-1]}”"
