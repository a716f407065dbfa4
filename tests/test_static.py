"""What the browser is sent: its weight, its contrast in both themes, its icons, and what is not ours."""

import base64
import gzip
import hashlib
import re
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "static"
HTMX = "sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"

CSS = (STATIC / "app.css").read_text()
COLOURS = dict(re.findall(r"--([a-z0-9-]+):\s*light-dark\(([^)]*)\)", CSS))

# The text that lies on each background. Text needs 4.5, what only marks the edge of a control needs 3 (WCAG 2.2 AA).
TEXT = [
    *product(("text", "muted", "accent"), ("surface", "canvas", "inset", "hover")),
    *product(("warn", "bad", "good"), ("surface", "canvas", "inset")),
    *product(("text", "muted", "warn"), ("warn-tint",)),
    *product(("text", "muted", "accent"), ("accent-tint",)),
    ("bad", "bad-tint"),
    ("good", "good-tint"),
    ("accent", "warn-tint"),
    ("on-primary", "primary"),
    ("on-primary", "primary-hover"),
    ("on-bad", "bad-solid"),
]
EDGES = [*product(("control", "accent", "bad"), ("surface", "canvas")), ("warn", "warn-tint"), ("surface", "good")]


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(front: str, back: str, theme: int) -> float:
    first, second = (luminance(COLOURS[name].split(",")[theme].strip()) for name in (front, back))
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def minified(css: str) -> bytes:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"\s+", " ", css))
    return re.sub(r":\s+", ":", css).replace(";}", "}").strip().encode()


def test_contrast_is_computed_as_wcag_says() -> None:
    assert luminance("#ffffff") == pytest.approx(1)
    assert luminance("#000000") == 0
    assert contrast("text", "text", 0) == 1


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_edges_can_be_read_in_both_themes(theme: int) -> None:
    weak = [f"{a} on {b}: {contrast(a, b, theme):.2f}" for a, b in TEXT if contrast(a, b, theme) < 4.5]
    weak += [f"edge {a} on {b}: {contrast(a, b, theme):.2f}" for a, b in EDGES if contrast(a, b, theme) < 3]
    assert not weak


def test_a_colour_is_written_once_as_a_token() -> None:
    rules = CSS[CSS.index("@font-face") :]
    # #0000 is "transparent", and paper is white whatever the theme.
    assert set(re.findall(r"(?<![\w-])#[0-9a-f]{3,8}\b", rules)) <= {"#0000", "#fff"}


def test_every_custom_property_that_is_used_is_defined() -> None:
    sources = CSS + (STATIC / "icons.svg").read_text()
    used = set(re.findall(r"var\(--([\w-]+)", sources))
    assert used - set(re.findall(r"--([\w-]+):", CSS)) == set()


def test_the_stylesheet_stays_light() -> None:
    small = minified(CSS)
    assert len(small) < 24_000
    assert len(gzip.compress(small, 9)) < 7_000


def test_the_script_stays_light_and_obeys_the_policy() -> None:
    script = (STATIC / "app.js").read_bytes()
    assert len(gzip.compress(script, 9)) < 3_000
    code = re.sub(rb"//.*", b"", script)
    for banned in (rb"\beval\b", rb"\bFunction\(", rb"HTML\b", rb"\.on\w+ *=", rb"\.style\b", rb"document\.write"):
        assert not re.search(banned, code), banned


def test_htmx_is_byte_for_byte_the_released_file() -> None:
    content = (STATIC / "vendor/htmx-2.0.11.min.js").read_bytes()
    assert "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode() == HTMX


def symbols() -> set[str]:
    # The sprite is a file of this repository, and the parser is not asked for entities.
    root = ET.fromstring((STATIC / "icons.svg").read_text())  # noqa: S314
    ids = [symbol.attrib["id"] for symbol in root.iter("{http://www.w3.org/2000/svg}symbol")]
    assert len(ids) == len(set(ids))
    return set(ids)


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    named: set[str] = set()
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        named |= set(re.findall(r"""\bicon\(\s*["']([a-z0-9-]+)["']\s*\)""", text))
        named |= set(re.findall(r"""\bempty\(\s*["']([a-z0-9-]+)["']""", text))
        named |= set(re.findall(r"""\bsubmit\([^)]*\bicon=["']([a-z0-9-]+)["']""", text))
        for inside in re.findall(r"\bicon\(([^()]*(?:\([^()]*\)[^()]*)*)\)", text):
            named |= set(re.findall(r"""["']([a-z]+(?:-[a-z0-9]+)+)["']""", inside))
    named.discard("st-")
    assert named - symbols() == set()
    assert {"building-2", "circle-alert", "st-you"} - (named | {"st-you"}) == set()


def test_the_five_status_marks_and_the_brand_are_in_the_sprite() -> None:
    assert {"st-open", "st-progress", "st-you", "st-done", "st-closed", "brand"} <= symbols()


def test_the_licences_of_what_is_not_ours_are_shipped() -> None:
    text = (STATIC / "LICENSES.txt").read_text()
    for name in ("SIL OPEN FONT LICENSE", "ISC License", "Zero-Clause BSD", "Cole Bemis", "Bitstream Vera"):
        assert name in text
