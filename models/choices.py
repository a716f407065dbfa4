"""The lists that an administrator edits: environments, components and versions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model


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
    offered = select(ListEntry.list, ListEntry.label).where(ListEntry.retired_at.is_(None))
    found: dict[ListName, list[str]] = {name: [] for name in ListName}
    for name, label in session.execute(offered.order_by(ListEntry.position, ListEntry.id)):
        found[name].append(label)
    return found


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
