"""CSV for spreadsheets: no cell is computed, and every cell comes back as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spreadsheets import csv_of, harmless

pytestmark = pytest.mark.plain


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\rx", "\nx", " =1", '"=1', "' =1", '" "=1', "\u00a0=1", "＝1"]
)
def test_what_a_spreadsheet_would_compute_is_kept_from_it(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Lumen", "3 - 2", "a=b", "2026-11-25", "“quoted”", "maya@example.com"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_every_cell_comes_back(rows: list[tuple[str, str]]) -> None:
    written = b"".join(csv_of(("A", "B"), [rows])).decode("utf-8-sig")
    back = list(csv.reader(io.StringIO(written, newline="")))
    kept = [[harmless(cell).encode("utf-8", "replace").decode() for cell in row] for row in rows]
    assert back == [["A", "B"], *kept]
    assert not [cell for row in back for cell in row if cell.lstrip(" \"'\t\r\n").startswith("=") and cell[0] != "'"]
