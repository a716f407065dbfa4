"""The lists that an administrator edits: environments, components and versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, NotFound, Refused, read, session_of
from models.events import EventKind, record
from models.people import Person


class ListName(Labelled):
    """Which list an entry belongs to."""

    ENVIRONMENT = "environment", "Environment"
    COMPONENT = "component", "Components"
    VERSION = "version", "Affects versions"


class ListEntry(Model):
    """One entry of a list. A retired one is no longer offered, and stays on the tickets that name it."""

    __tablename__ = "list_entries"
    __table_args__ = (UniqueConstraint("list", "label"),)

    list: Mapped[ListName]
    label: Mapped[str] = mapped_column(String(60))
    position: Mapped[int]
    retired_at: Mapped[datetime | None]


def choices(session: Session) -> dict[ListName, list[str]]:
    """Return what each list offers now, in its order (one query for all the lists)."""
    return in_order(read(session, OFFERED).all())


def in_order(rows: Sequence[Any]) -> dict[ListName, list[str]]:
    """Return what the rows of `OFFERED` say, each list in its order."""
    found: dict[ListName, list[str]] = {name: [] for name in ListName}
    for name, label, _, _ in sorted(rows, key=lambda row: row[2:]):
        found[name].append(label)
    return found


OFFERED = select(ListEntry.list, ListEntry.label, ListEntry.position, ListEntry.id).where(
    ListEntry.retired_at.is_(None)
)


# What a new installation offers; the administrator changes it.
AT_FIRST = {
    ListName.ENVIRONMENT: ("Development", "Staging", "Production"),
    ListName.COMPONENT: (
        "TiDB", "TiKV", "PD", "TiFlash", "TiProxy", "TiCDC", "Backup & Restore", "Data Migration", "Import", "Console",
        "Networking", "Other",
    ),
    ListName.VERSION: ("v8.5.1", "v8.1.2", "v7.5.6", "v7.1.6", "v6.5.12", "I don’t know"),
}  # fmt: skip


def fill_lists(session: Session) -> None:
    """Write the first entries into lists that are empty."""
    for name, entries in choices(session).items():
        if not entries:
            session.add_all(ListEntry(list=name, label=label, position=n) for n, label in enumerate(AT_FIRST[name], 1))
    session.flush()


MOST = 200


def entries(session: Session) -> dict[ListName, list[ListEntry]]:
    """Return every entry of every list in its order, retired ones as well (one query for all the lists)."""
    found: dict[ListName, list[ListEntry]] = {name: [] for name in ListName}
    for entry in session.scalars(select(ListEntry).order_by(ListEntry.position, ListEntry.id)):
        found[entry.list].append(entry)
    return found


def entry_of(session: Session, number: int) -> ListEntry:
    """Return the entry with that key; raises NotFound."""
    found = session.get(ListEntry, number)
    if found is None:
        raise NotFound
    return found


def add(session: Session, actor: Person, name: ListName, label: str, *, now: datetime) -> ListEntry:
    """Put an entry at the end of a list. Raises Refused for one that the list has, on offer or retired."""
    there = entries(session)[name]
    _check_label(there, label, None)
    if len(there) >= MOST:
        raise Refused(f"A list holds at most {MOST} entries. Rename one that nobody needs any more.", "label")
    entry = ListEntry(list=name, label=label, position=max((one.position for one in there), default=0) + 1)
    session.add(entry)
    session.flush()
    _note(entry, actor, EventKind.LIST_ADDED, now=now)
    return entry


def rename(entry: ListEntry, actor: Person, label: str, *, now: datetime) -> None:
    """Call the entry something else from now on; tickets keep the old word. Raises Refused as `add`."""
    _check_label(entries(session_of(entry))[entry.list], label, entry)
    if label != entry.label:
        before, entry.label = entry.label, label
        _note(entry, actor, EventKind.LIST_RENAMED, now=now, before=before, after=label)


def shift(entry: ListEntry, actor: Person, *, up: bool, now: datetime) -> None:
    """Change places with the entry before or after, retired ones left aside; at the end of the list nothing happens."""
    offered = [one for one in entries(session_of(entry))[entry.list] if one.retired_at is None]
    if entry not in offered:
        raise Refused("A retired entry has no place in the list. Bring it back first.")
    place = offered.index(entry)
    other = place - 1 if up else place + 1
    if 0 <= other < len(offered):
        offered[place], offered[other] = offered[other], offered[place]
        # Counted anew, so that equal positions of older lists do not stay in the way.
        for number, one in enumerate(offered, 1):
            one.position = number
        _note(entry, actor, EventKind.LIST_MOVED, now=now)


def retire(entry: ListEntry, actor: Person, *, now: datetime) -> None:
    """Offer the entry no more; tickets keep it. Raises Refused for the last environment, which every ticket needs."""
    if entry.retired_at is not None:
        return
    offered = [one for one in entries(session_of(entry))[entry.list] if one.retired_at is None]
    if entry.list is ListName.ENVIRONMENT and offered == [entry]:
        raise Refused("Every technical request names an environment, so one stays on offer. Add another one first.")
    entry.retired_at = now
    _note(entry, actor, EventKind.LIST_RETIRED, now=now)


def restore(entry: ListEntry, actor: Person, *, now: datetime) -> None:
    """Offer a retired entry again, at the end of its list."""
    if entry.retired_at is None:
        return
    there = entries(session_of(entry))[entry.list]
    entry.retired_at, entry.position = None, max(one.position for one in there) + 1
    _note(entry, actor, EventKind.LIST_RESTORED, now=now)


def _check_label(there: Sequence[ListEntry], label: str, entry: ListEntry | None) -> None:
    if not label:
        raise Refused("Enter the words of the entry.", "label")
    same = next((one for one in there if one is not entry and one.label.casefold() == label.casefold()), None)
    if same is not None:
        where = "is in the list" if same.retired_at is None else "is retired: bring it back instead"
        raise Refused(f"“{same.label}” {where}.", "label")


def _note(entry: ListEntry, actor: Person, kind: EventKind, *, now: datetime, **data: Any) -> None:  # noqa: ANN401
    facts = {"list": entry.list.label, "entry": entry.label} | data
    record(session_of(entry), kind, now=now, actor_id=actor.id, **facts)
