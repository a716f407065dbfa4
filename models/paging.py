"""Pages of a list: counted exactly to a thousand, numbered to the fortieth, and from there on reached step by step.

A numbered page is found by counting rows, which costs more the farther it is. Behind the last number a page is found by
the row that it goes on from, whose place its address names: it costs the same at any depth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, UnaryExpression, and_, or_

from models.base import Instant

COUNTED_TO = 1000
NUMBERED_TO = 40
PAGE_MOST = 1_000_000


@dataclass(frozen=True)
class PagedWish:
    """What somebody asked to see of a list, and which page of it; every choice is in the address."""

    page: int = 1
    # The place of a row: behind the numbered pages, a page goes on after it, or ends before it.
    after: str = ""
    before: str = ""

    path: ClassVar[str]

    @property
    def parts(self) -> dict[str, str]:
        """The choices as the address has them; what is the default is "" and left out."""
        raise NotImplementedError

    def href(self, **changes: object) -> str:
        """Return the address of the list with these changes, on its first page unless one is among them."""
        wish = replace(self, **{"page": 1, "after": "", "before": "", **changes})  # type: ignore[arg-type]
        place = {"page": str(wish.page) if wish.page > 1 else "", "after": wish.after, "before": wish.before}
        query = urlencode({name: value for name, value in (wish.parts | place).items() if value})
        return f"{self.path}?{query}" if query else self.path

    def beyond(self, page: int, side: str, place: str) -> str:
        """Return the address of a page that goes on from a place; `side` is "after" or "before"."""
        return self.href(page=page, **{side: place})


def many(number: int) -> str:
    """Return a count in words: "1,000+" for one that was not counted any farther."""
    return f"{COUNTED_TO:,}+" if number > COUNTED_TO else f"{number:,}"


def within(page: int, total: int, size: int) -> int:
    """Return the page that there is: the last one for a page beyond it, as far as it is known which that is."""
    return min(page, max(1, -(-total // size))) if total <= COUNTED_TO else page


@dataclass(frozen=True)
class Order:
    """The order of a list: its columns, each with whether it falls. The last one is different for every row."""

    columns: tuple[tuple[Any, bool], ...]

    def clauses(self, *, backwards: bool = False) -> list[UnaryExpression[Any]]:
        """Return what ORDER BY takes, or what turns the order round."""
        return [column.desc() if falls is not backwards else column.asc() for column, falls in self.columns]

    def place_of(self, row: Any) -> str:  # noqa: ANN401 (a row of whatever is listed)
        """Return where the row stands, as an address names it."""
        return "~".join(_written(getattr(row, column.key)) for column, _ in self.columns)

    def beyond(self, place: str, *, backwards: bool = False) -> ColumnElement[bool] | None:
        """Return the condition for what comes after the place, or before it; None for what is no place."""
        parts = place.split("~")
        if len(parts) != len(self.columns):
            return None
        try:
            values = [_read(part, column) for part, (column, _) in zip(parts, self.columns, strict=True)]
        except ValueError:
            return None
        ways, same = [], list[ColumnElement[bool]]()
        for (column, falls), value in zip(self.columns, values, strict=True):
            ways.append(and_(*same, column < value if falls is not backwards else column > value))
            same.append(column == value)
        # The first column alone bounds what an index has to give.
        (column, falls), value = self.columns[0], values[0]
        return and_(column <= value if falls is not backwards else column >= value, or_(*ways))


def _written(value: Any) -> str:  # noqa: ANN401 (a moment, a number, or a member of an enum)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return str(getattr(value, "value", value))


def _read(written: str, column: Any) -> Any:  # noqa: ANN401 (what the column holds)
    """Return the value that was written; raises ValueError for any other text."""
    if isinstance(column.type, Instant):
        return datetime.strptime(written, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    kind = column.type.python_type
    if issubclass(kind, int):
        if not (written.isascii() and written.isdigit() and len(written) < 19):
            raise ValueError(written)
        return int(written)
    return kind(written)


@dataclass(frozen=True)
class Ends:
    """Where the first and the last row of a page stand, and the address of a page that goes on from such a place."""

    first: str
    last: str
    href: Callable[[int, str, str], str]


@dataclass(frozen=True)
class Paging:
    """Which part of a list a page shows, and the links to the others. `total` above a thousand means "more"."""

    page: int
    size: int
    shown: int
    total: int
    href: Callable[[int], str]
    # None where a list is numbered to its end.
    ends: Ends | None = None

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        return (self.page - 1) * self.size

    @property
    def total_words(self) -> str:
        """Such as "1–25 of 87"."""
        if not self.shown:
            return "None"
        return f"{self.offset + 1:,}–{self.offset + self.shown:,} of {many(self.total)}"

    @property
    def last(self) -> int:
        """The last page that can be numbered."""
        return max(1, -(-min(self.total, COUNTED_TO) // self.size))

    @property
    def numbers(self) -> list[tuple[int | None, str, bool]]:
        """The numbered links, None for a gap: first, last, and those around this page."""
        wanted = sorted({1, min(self.last, NUMBERED_TO), *range(self.page - 1, self.page + 2)})
        links: list[tuple[int | None, str, bool]] = []
        for number in (n for n in wanted if 1 <= n <= min(self.last, NUMBERED_TO)):
            previous = links[-1][0] if links else None
            if previous is not None and number > previous + 1:
                links.append((None, "", False))
            links.append((number, self.href(number), number == self.page))
        return links

    @property
    def previous(self) -> str | None:
        """The address of the page before, if there is one."""
        before = self.page - 1
        if self.ends is not None and before > NUMBERED_TO:
            return self.ends.href(before, "before", self.ends.first)
        return self.href(before) if before else None

    @property
    def next(self) -> str | None:
        """The address of the page after, if there is one."""
        more = self.total > self.offset + self.shown if self.total <= COUNTED_TO else self.shown == self.size
        after = self.page + 1
        if not more or after > PAGE_MOST:
            return None
        if self.ends is not None and after > NUMBERED_TO:
            return self.ends.href(after, "after", self.ends.last)
        return self.href(after)
