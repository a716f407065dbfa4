"""JSON documents read piece by piece, so that what is wrong in one can be shown by its line.

Python's own reader gives no places. This one keeps them, leaves numbers as they are written, and refuses a key that
stands twice, of which one would be lost without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# No format of ours nests deeper than half of it.
DEPTH_MOST = 12

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'"([^"\\\x00-\x1f]*)"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_WORD = re.compile("true|false|null")
_strings = json.JSONDecoder()


class Malformed(Exception):  # noqa: N818 (the document is malformed)
    """The text is no JSON document; `place` is where it stops being one."""

    def __init__(self, reason: str, place: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


class Number(str):
    """A number as it is written: nothing is rounded."""

    __slots__ = ()


class Table(dict[str, Any]):
    """An object; `place` is where it begins, `places` where each of its keys does."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, int] = {}


class Items(list[Any]):
    """A list; `places` is where each of its elements begins."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[int] = []


@dataclass(frozen=True)
class Part:
    """A piece of the outermost object: the value of a key, or one `element` of the list that is its value."""

    key: str
    place: int
    value: Any
    element: bool = False


class Lines:
    """Counts lines from where it last was, so that a walk through a long text stays one walk."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._line = text, 0, 1

    def line(self, place: int) -> int:
        """Return the number of the line in which the place is; the first is 1."""
        if place >= self._place:
            self._line += self._text.count("\n", self._place, place)
        else:
            self._line -= self._text.count("\n", place, self._place)
        self._place = place
        return self._line

    def column(self, place: int) -> int:
        """Return the number of the character in its line; the first is 1."""
        return place - self._text.rfind("\n", 0, place)


def parts(text: str) -> Iterator[Part]:
    """Yield what the outermost object holds, in its order; raises Malformed where the text is no JSON object.

    A list comes first as an empty one, then element by element, so that a long one is never held whole.
    """
    place = _skip(text, 0)
    if not text.startswith("{", place):
        raise Malformed("A document begins with {.", place)
    seen: set[str] = set()
    for key, begin, at in _keys(text, place):
        _once(key, begin, seen)
        if text.startswith("[", at.place):
            yield Part(key, begin, Items())
            for element in _elements(text, at):
                value, at.place = _value(text, element, 2)
                yield Part(key, element, value, element=True)
        else:
            value, at.place = _value(text, at.place, 1)
            yield Part(key, begin, value)
        place = at.place
    place = _skip(text, _skip(text, place if seen else place + 1) + 1)
    if place < len(text):
        raise Malformed(
            "The document ends before this, with its last }. Delete what follows, or mend the brackets.", place
        )


class _At:
    """Where the reader is; who takes a value moves it behind that."""

    def __init__(self, place: int) -> None:
        self.place = place


def _keys(text: str, place: int) -> Iterator[tuple[str, int, _At]]:
    """Yield each key of the object that begins here, where it stands, and where its value begins."""
    at = _At(_skip(text, place + 1))
    if text.startswith("}", at.place):
        return
    while True:
        begin = at.place
        if not text.startswith('"', begin):
            raise _stopped(text, begin, "A key in double quotes is missing here.")
        key, end = _string(text, begin)
        at.place = _skip(text, end)
        if not text.startswith(":", at.place):
            raise _stopped(text, at.place, "A colon is missing here, between the key and its value.")
        at.place = _skip(text, at.place + 1)
        yield key, begin, at
        at.place = _skip(text, at.place)
        if text.startswith("}", at.place):
            return
        at.place = _comma(text, at.place, "}")


def _elements(text: str, at: _At) -> Iterator[int]:
    """Yield where each element of the list at this place begins; at the end, `at` is behind the list."""
    at.place = _skip(text, at.place + 1)
    while not text.startswith("]", at.place):
        yield at.place
        at.place = _skip(text, at.place)
        if not text.startswith("]", at.place):
            at.place = _comma(text, at.place, "]")
            if text.startswith("]", at.place):
                raise _stopped(text, at.place, "A comma stands before this, and nothing follows it. Delete the comma.")
    at.place += 1


def _value(text: str, place: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins here, and where it ends."""
    if depth > DEPTH_MOST:
        raise Malformed("This is nested too deeply.", place)
    first = text[place : place + 1]
    if first == '"':
        return _string(text, place)
    if first == "{":
        return _table(text, place, depth)
    if first == "[":
        items, at = Items(), _At(place)
        for element in _elements(text, at):
            value, at.place = _value(text, element, depth + 1)
            items.append(value)
            items.places.append(element)
        return items, at.place
    if word := _WORD.match(text, place):
        return _WORDS[word[0]], word.end()
    if number := _NUMBER.match(text, place):
        return Number(number[0]), number.end()
    raise _stopped(text, place, "A value is missing here: text in double quotes, a number, true, false, null, { or [.")


def _table(text: str, place: int, depth: int) -> tuple[Table, int]:
    table, end = Table(place), _skip(text, place + 1)
    for key, begin, at in _keys(text, place):
        _once(key, begin, table)
        table[key], at.place = _value(text, at.place, depth + 1)
        table.places[key] = begin
        end = _skip(text, at.place)
    return table, end + 1


def _string(text: str, place: int) -> tuple[str, int]:
    if plain := _PLAIN.match(text, place):
        return plain[1], plain.end()
    try:
        value, end = _strings.raw_decode(text, place)
    except json.JSONDecodeError as fault:
        if fault.msg.startswith("Unterminated"):
            raise Malformed("This text has no closing quote.", place) from None
        words = "This text has a line break, a tab or a backslash that JSON does not know. Write \\n, \\t or \\\\."
        raise Malformed(words, min(fault.pos, len(text))) from None
    return str(value), end


def _once(key: str, place: int, seen: set[str] | Table) -> None:
    if key in seen:
        raise Malformed("This key stands twice in the same object. Delete one of them.", place)
    if isinstance(seen, set):
        seen.add(key)


def _comma(text: str, place: int, closing: str) -> int:
    if not text.startswith(",", place):
        raise _stopped(text, place, f"A comma or {closing} is missing here.")
    return _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    """Return the place of the next character that is no white space."""
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _stopped(text: str, place: int, reason: str) -> Malformed:
    if place >= len(text):
        return Malformed("The document ends here, before it is complete.", len(text))
    return Malformed(reason, place)
