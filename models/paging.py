"""Pages of a list: bounded, counted exactly to a thousand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

COUNTED_TO = 1000
NUMBERED_TO = 40
PAGE_MOST = 10_000


def within(page: int, total: int, size: int) -> int:
    """Return the page that there is: the last one for a page beyond it, as far as it is known which that is."""
    return min(page, max(1, -(-total // size))) if total <= COUNTED_TO else page


@dataclass(frozen=True)
class Paging:
    """Which part of a list a page shows, and the links to the others. `total` above a thousand means "more"."""

    page: int
    size: int
    shown: int
    total: int
    href: Callable[[int], str]

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        return (self.page - 1) * self.size

    @property
    def total_words(self) -> str:
        """Such as "1–25 of 87"."""
        if not self.shown:
            return "None"
        many = f"{COUNTED_TO:,}+" if self.total > COUNTED_TO else f"{self.total:,}"
        return f"{self.offset + 1:,}–{self.offset + self.shown:,} of {many}"

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
        return self.href(self.page - 1) if self.page > 1 else None

    @property
    def next(self) -> str | None:
        """The address of the page after, if there is one."""
        more = self.total > self.offset + self.shown if self.total <= COUNTED_TO else self.shown == self.size
        return self.href(self.page + 1) if more and self.page < PAGE_MOST else None
