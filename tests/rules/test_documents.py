"""JSON documents read with their lines: what Python's own reader takes is read the same, what it refuses is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.documents import DEPTH_MOST, Items, Lines, Malformed, Number, Table, parts

pytestmark = pytest.mark.plain

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
quick = settings(max_examples=150, derandomize=True, deadline=None, database=None)


def whole(text: str) -> dict[str, Any]:
    """Put the parts together again."""
    found: dict[str, Any] = {}
    for part in parts(text):
        if part.element:
            found[part.key].append(part.value)
        else:
            found[part.key] = part.value
    return found


def plain(value: Any) -> Any:
    """Return the value as `json.loads` gives it, numbers as they are written."""
    if isinstance(value, Number):
        return ("number", str(value))
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def by_python(text: str) -> Any:
    return json.loads(text, parse_int=lambda written: ("number", written), parse_float=lambda w: ("number", w))


@quick
@given(st.dictionaries(st.text(), values, max_size=4), st.sampled_from([None, 0, 2]), st.booleans())
def test_documents_read_as_python_reads_them(document: dict[str, Any], indent: int | None, escaped: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=escaped)
    assert plain(whole(text)) == by_python(text)


@quick
@given(st.text(alphabet='{}[]",:\\ \n\t0123456789.-+eEtruefalsnu\x00é', max_size=40).map(lambda text: "{" + text))
@example('{"a": 1}')
@example('{"a": [1, 2,]}')
def test_what_is_taken_is_what_python_takes(text: str) -> None:
    with suppress(Malformed):
        assert plain(whole(text)) == by_python(text)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "begins with {"),
        ("[]", 1, 1, "begins with {"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, "A comma or } is missing"),
        ('{\n  "a" 1}', 2, 7, "A colon is missing"),
        ('{"a": 1,}', 1, 9, "A key in double quotes is missing"),
        ("{a: 1}", 1, 2, "A key in double quotes is missing"),
        ('{"a":\n [1, 2,\n]}', 3, 1, "Delete the comma"),
        ('{"a": [1 2]}', 1, 10, "A comma or ] is missing"),
        ('{"a": NaN}', 1, 7, "A value is missing"),
        ('{"a": 01}', 1, 8, "A comma or } is missing"),
        ('{"a": "b\n"}', 1, 9, "line break"),
        ('{"a": "\\x"}', 1, 8, "backslash"),
        ('{"a":\n"b}', 2, 1, "no closing quote"),
        ('{"a": {"b": 1}', 1, 15, "ends here"),
        ('{"a": [', 1, 8, "ends here"),
        ('{"a": 1}\n}', 2, 1, "what follows"),
        ("{} x", 1, 4, "what follows"),
        ('{"a": 1,\n"a": 2}', 2, 1, "stands twice"),
        ('{"a": {"b": 1,\n "b": 2}}', 2, 2, "stands twice"),
    ],
)
def test_the_place_of_a_fault_is_told(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(Malformed) as fault:
        list(parts(text))
    lines = Lines(text)
    assert words in fault.value.reason
    assert (lines.line(fault.value.place), lines.column(fault.value.place)) == (line, column)


def test_deep_nesting_is_refused_before_it_costs_anything() -> None:
    for opening in ("[", '{"a":'):
        with pytest.raises(Malformed, match="nested too deeply"):
            list(parts('{"a": ' + opening * 100_000))
    least = '{"a": ' + "[" * (DEPTH_MOST - 1) + "]" * (DEPTH_MOST - 1) + "}"
    assert whole(least)


def test_rows_and_their_keys_know_where_they_stand() -> None:
    text = '{"rows": [\n {"a": 1,\n  "b": [2,\n 3]}]}'
    (_, row) = parts(text)
    lines = Lines(text)
    assert isinstance(row.value, Table)
    assert isinstance(row.value["b"], Items)
    places = [row.place, row.value.place, row.value.places["a"], row.value.places["b"], row.value["b"].places[1]]
    assert [lines.line(place) for place in places] == [2, 2, 2, 3, 4]
    assert lines.line(0) == 1
