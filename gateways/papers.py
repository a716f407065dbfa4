"""Writes papers as PDF: facts in, bytes out. Text is drawn as it stands; nothing is fetched and no markup is read.

The font beside this file holds Latin, Greek, Cyrillic, Armenian and Georgian letters. Chinese, Japanese and Korean ones
are left to the fonts that PDF readers bring for them; what neither has is drawn as “?”.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.outside import Paper

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

FONT, CJK, HANGUL = "paper", "HeiseiKakuGo-W5", "HYGothic-Medium"
MARGIN, WIDTH, HEIGHT = 56.0, 595.0, 842.0  # A4, in points
RIGHT = WIDTH - MARGIN
LEADING = 1.45
COLUMNS = (MARGIN, 270.0, 370.0, RIGHT)


def pdf(paper: Paper) -> bytes:
    """Return the paper as a PDF of as many pages as it needs; the same paper gives the same bytes."""
    sheet = _Sheet(paper.title)
    sheet.text(paper.title, size=18, bold=True)
    sheet.text(paper.subtitle, grey=True)
    sheet.down(14)
    for heading, lines in paper.parties:
        sheet.text(heading, size=8, grey=True)
        for line in lines:
            sheet.text(line)
        sheet.down(8)
    sheet.down(6)
    sheet.row(paper.columns, bold=True, rule=True)
    for row in paper.rows:
        sheet.row(row, rule=True)
    for name, amount in paper.sums:
        sheet.row((name, "", "", amount), bold=name == paper.sums[-1][0])
    sheet.down(14)
    for line in paper.foot:
        sheet.text(line, size=8, grey=True)
    return sheet.done()


class _Sheet:
    """One document that is written from top to bottom."""

    def __init__(self, title: str) -> None:
        # Some 15 MB of memory, for who prints.
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
        from reportlab.pdfbase.ttfonts import TTFont
        from reportlab.pdfgen.canvas import Canvas

        if FONT not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(FONT, str(Path(__file__).parent / "paper.ttf")))
            for name in (CJK, HANGUL):
                pdfmetrics.registerFont(UnicodeCIDFont(name))
        self._metrics: Any = pdfmetrics
        self._has = pdfmetrics.getFont(FONT).face.charToGlyph
        self._bytes = BytesIO()
        self._canvas: Canvas = Canvas(self._bytes, pagesize=(WIDTH, HEIGHT), invariant=1)
        self._canvas.setTitle(title)
        self._title, self._page, self._y = title, 1, HEIGHT - MARGIN

    def down(self, points: float) -> None:
        """Leave so much room."""
        self._y -= points

    def text(self, words: str, *, size: float = 10, bold: bool = False, grey: bool = False) -> None:
        """Write a paragraph of the whole width."""
        for line in self._wrapped(words, size, RIGHT - MARGIN):
            self._room(size * LEADING)
            self._draw(MARGIN, line, size, bold=bold, grey=grey)

    def row(self, cells: tuple[str, str, str, str], *, bold: bool = False, rule: bool = False) -> None:
        """Write a line of the table: three cells from the left, the last one to the right."""
        size, ends = 9.0, (*COLUMNS[1:3], COLUMNS[3] - 75)
        wrapped = [self._wrapped(cells[at], size, end - COLUMNS[at] - 8) for at, end in enumerate(ends)]
        tall = max(map(len, wrapped))
        self._room(tall * size * LEADING + 6, whole=True)
        top = self._y
        for at, lines in enumerate(wrapped):
            self._y = top
            for line in lines:
                self._y -= size * LEADING
                self._draw(COLUMNS[at], line, size, bold=bold)
        self._y = top - size * LEADING
        self._draw(RIGHT - self._wide(cells[3], size), cells[3], size, bold=bold)
        self._y = top - tall * size * LEADING - 6
        if rule:
            self._canvas.setStrokeGray(0.8)
            self._canvas.setLineWidth(0.5)
            self._canvas.line(MARGIN, self._y, RIGHT, self._y)

    def done(self) -> bytes:
        """End the document and return it."""
        self._foot()
        self._canvas.save()
        return self._bytes.getvalue()

    def _room(self, points: float, *, whole: bool = False) -> None:
        if self._y - points < MARGIN + 20:
            self._foot()
            self._canvas.showPage()
            self._page, self._y = self._page + 1, HEIGHT - MARGIN
        if not whole:
            self._y -= points

    def _foot(self) -> None:
        self._y = MARGIN - 10
        words = f"{self._title}, page {self._page}"
        self._draw(RIGHT - self._wide(words, 8), words, 8, grey=True)

    def _runs(self, words: str) -> Iterator[tuple[str, str]]:
        """Yield the text in pieces, each with the font that has its letters."""
        run, font = "", FONT
        for letter in words:
            wanted = self._font(letter)
            if wanted == "":
                letter, wanted = "?", FONT  # noqa: PLW2901 (a letter that no font has)
            if wanted != font and run:
                yield font, run
                run = ""
            run, font = run + letter, wanted
        if run:
            yield font, run

    def _font(self, letter: str) -> str:
        at = ord(letter)
        if at in self._has:
            return FONT
        if 0xAC00 <= at <= 0xD7A3 or 0x1100 <= at <= 0x11FF or 0x3130 <= at <= 0x318F:
            return HANGUL
        return CJK if 0x3000 <= at <= 0x9FFF or 0xFF00 <= at <= 0xFFEF else ""

    def _wide(self, words: str, size: float) -> float:
        return sum(float(self._metrics.stringWidth(run, font, size)) for font, run in self._runs(words))

    def _wrapped(self, words: str, size: float, room: float) -> list[str]:
        """Return the text as lines that fit, broken between words, or within one that is too long."""
        lines, line = [], ""
        for word in words.split():
            longer = f"{line} {word}" if line else word
            if self._wide(longer, size) <= room:
                line = longer
                continue
            if line:
                lines.append(line)
            line = ""
            for letter in word:
                if line and self._wide(line + letter, size) > room:
                    lines.append(line)
                    line = ""
                line += letter
        return [*lines, line] if line or not lines else lines

    def _draw(self, x: float, words: str, size: float, *, bold: bool = False, grey: bool = False) -> None:
        self._canvas.saveState()
        self._canvas.setLineWidth(size * 0.04)
        pen = self._canvas.beginText(x, self._y)
        shade = 0.35 if grey else 0.0
        pen.setFillGray(shade)
        pen.setStrokeGray(shade)
        # One font for both weights: bold letters are drawn with an outline.
        if bold:
            pen.setTextRenderMode(2)
        for font, run in self._runs(words):
            pen.setFont(font, size)
            pen.textOut(run)
        self._canvas.drawText(pen)
        self._canvas.restoreState()
