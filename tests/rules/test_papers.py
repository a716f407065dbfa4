"""Papers as PDF: what stands on them can be read back, in any letters, on as many pages as it takes."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from gateways.papers import pdf
from models.outside import Paper

pytestmark = pytest.mark.plain


def paper(*to: str, rows: int = 1) -> Paper:
    line = ("Standard plan", "Wed 25 Nov 2026, 14:18", "Fri 25 Dec 2026, 14:18", "$29.00")
    return Paper(
        name="INV-1",
        title="Invoice INV-1",
        subtitle="Paid on Wed 25 Nov 2026, 14:18",
        parties=(("For", to),),
        columns=("What", "From", "Until", "Amount"),
        rows=(line,) * rows,
        sums=(("Subtotal", "$29.00"), ("Total in US dollars", "$34.51")),
        foot=("Times are in UTC.",),
    )


def text(given: Paper) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(pdf(given))).pages]


def test_all_that_it_says_can_be_read() -> None:
    (page,) = text(paper("Łódź Őrség Kft.", "Москва", "Αθήνα", "株式会社オーロラ", "서울"))
    for words in (
        "Invoice INV-1",
        "Łódź Őrség Kft.",
        "Москва",
        "Αθήνα",
        "株式会社オーロラ",
        "서울",
        "$34.51",
        "page 1",
    ):
        assert words in page, words


def test_what_no_font_has_is_a_question_mark_and_markup_is_text() -> None:
    (page,) = text(paper("שלום 😀", '<img src="file:///etc/passwd"> & <b>bold</b>'))
    assert "???? ?" in page
    assert '<img src="file:///etc/passwd"> & <b>bold</b>' in page


def test_a_long_one_goes_on_over_pages_without_losing_a_line() -> None:
    pages = text(paper("Lumen", rows=90))
    assert len(pages) > 2
    assert sum(page.count("Standard plan") for page in pages) == 90
    assert [f"page {number}" in page for number, page in enumerate(pages, 1)] == [True] * len(pages)
    assert "$34.51" in pages[-1]


def test_the_same_paper_gives_the_same_bytes() -> None:
    assert pdf(paper("Lumen")) == pdf(paper("Lumen"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=6))
def test_no_text_breaks_it(lines: list[str]) -> None:
    assert text(paper(*lines))
