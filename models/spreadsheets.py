"""Lists as CSV for spreadsheets, where a cell must never become a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

# OWASP ASVS 5.0, 1.2.10: what these begin, a spreadsheet computes, also behind quotes and white space.
_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BEFORE = " \"'\u00a0\u200b\ufeff"


def harmless(value: object) -> str:
    """Return the value as text of a cell that is shown and not computed; an apostrophe in front makes it so."""
    text = "" if value is None else str(value)
    if text.startswith(("\t", "\r", "\n")) or text.lstrip(_BEFORE + "\t\r\n").startswith(_BEGINS):
        return f"'{text}"
    return text


def csv_of(titles: Sequence[str], rows: Iterable[Iterable[Sequence[object]]]) -> Iterator[bytes]:
    """Yield a CSV file in UTF-8, piece by piece: the titles, then each batch of rows.

    It begins with the mark by which spreadsheets know UTF-8; lines end as RFC 4180 says.
    """
    yield "\ufeff".encode() + _lines([titles])
    for batch in rows:
        yield _lines(batch)


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    paper = io.StringIO(newline="")
    csv.writer(paper, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return paper.getvalue().encode("utf-8", "replace")
