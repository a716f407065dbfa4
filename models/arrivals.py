"""What came onto a ticket since a page of it was read, for a page that keeps itself up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from models.tickets import Ticket, Tickets
from models.timelines import Entry, Timeline, entries_from

# The page names so many of its last entries: a reply that was on its way comes among them, behind later ones.
NAMED_MOST = 20
_NAME = re.compile(r"(\d{1,15})(?:h(\d{1,15}))?")


@dataclass(frozen=True)
class Shown:
    """The last entries of a page: events' ids, those of replies on their way with the ids of their messages."""

    events: dict[int, int | None]

    @property
    def held(self) -> list[int]:
        """The ids of the messages that are on their way."""
        return [message for message in self.events.values() if message is not None]

    @property
    def words(self) -> str:
        """The entries as an address names them, for example `31.32h7.35`."""
        return ".".join(str(one) if message is None else f"{one}h{message}" for one, message in self.events.items())


def shown_in(entries: Iterable[Entry]) -> Shown:
    """Return what a page with these entries shows."""
    last = list(entries)[-NAMED_MOST:]
    return Shown({one.id: one.comment.id if one.comment and one.comment.held else None for one in last})


def shown_by(words: str) -> Shown | None:
    """Return what an address names; None for what no page of ours sends."""
    parts = [_NAME.fullmatch(part) for part in words.split(".")[: NAMED_MOST + 1]] if words.isascii() else []
    if not all(parts) or not 0 < len(parts) <= NAMED_MOST:
        return None
    return Shown({int(part[1]): int(part[2]) if part[2] else None for part in parts if part})


@dataclass(frozen=True)
class Arrivals:
    """New entries in order, former ones that look otherwise now, messages that are gone, and what is shown then."""

    new: Timeline
    changed: Timeline
    gone: tuple[int, ...]
    shown: Shown

    @property
    def seen(self) -> int:
        """The last event that stands on the page now, in the order of its entries."""
        return list(self.shown.events)[-1]


def arrivals(ticket: Ticket, before: Shown, *, internal: bool, scope: Tickets | None = None) -> Arrivals:
    """Return what came onto the ticket since a page showed that; `internal` is for the desk, the `scope` for customers.

    At most as many entries as a page has come at once; the next call returns those after them.
    """
    entries = entries_from(ticket, min(before.events), internal=internal, desk=internal, scope=scope)
    there = {entry.id: entry for entry in entries}
    held = {one: message for one, message in before.events.items() if message is not None}
    out = [there[one] for one in held if one in there and not _is_held(there[one])]
    new = [entry for entry in entries if entry.id not in before.events]
    still = [there[one] for one in before.events if one in there]
    return Arrivals(
        new=Timeline(new, 0, 0),
        changed=Timeline(out, 0, 0),
        gone=tuple(message for one, message in held.items() if one not in there),
        shown=shown_in([*still, *new]) if still or new else before,
    )


def _is_held(entry: Entry) -> bool:
    return entry.comment is not None and entry.comment.held
