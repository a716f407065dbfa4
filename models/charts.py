"""Where the points, bars and squares of a chart stand: numbers for an SVG, whose words the template writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# All charts are drawn on paper of this size; the browser scales it to its column.
WIDTH, HEIGHT = 640, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 20, 26


@dataclass(frozen=True)
class Dot:
    """A value of a line: where it stands, and how it reads."""

    x: float
    y: float
    label: str
    words: str
    # Whether it lies below the goal, which a shape tells as well as a colour.
    below: bool


@dataclass(frozen=True)
class Tick:
    """A word at an axis."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class LineChart:
    """Shares from 0 to 100 over time; a value that is missing leaves a gap in the line."""

    dots: tuple[Dot, ...]
    paths: tuple[str, ...]
    below: tuple[Tick, ...]
    beside: tuple[Tick, ...]
    goal_y: float


@dataclass(frozen=True)
class Bar:
    """A bar that begins at zero, with its number above it."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    count: int
    words: str


def line_chart(values: Sequence[tuple[str, int | None]], goal: int) -> LineChart:
    """Return the line of these shares in percent, each with its label; the goal is a share as well."""
    places = _across(len(values))
    dots, runs = [], [list[Dot]()]
    for (label, share), (x, _) in zip(values, places, strict=True):
        if share is None:
            runs.append([])
            continue
        dot = Dot(x, _up(share, 100), label, f"{share} %", share < goal)
        dots.append(dot)
        runs[-1].append(dot)
    paths = (" ".join(f"{'L' if n else 'M'}{dot.x:.1f} {dot.y:.1f}" for n, dot in enumerate(run)) for run in runs)
    return LineChart(
        tuple(dots),
        tuple(path for path in paths if path),
        _labels([label for label, _ in values], places),
        tuple(Tick(_LEFT - 8, _up(share, 100), f"{share} %") for share in (0, 50, 100)),
        _up(goal, 100),
    )


def bar_chart(
    values: Sequence[tuple[str, int]], most: int, words: Callable[[int], str] | None = None
) -> tuple[Bar, ...]:
    """Return a bar for each value; `most` is what the whole height stands for, so that charts can be compared.

    A value is written above its bar; where `words` make more of it, above as many as have room for that.
    """
    places, step = _across(len(values)), _step(len(values))
    bars = []
    for n, ((label, count), (x, width)) in enumerate(zip(values, places, strict=True)):
        top, room = _up(count, most), width * 0.7
        above = str(count) if words is None else words(count) if count and n % step == 0 else ""
        bars.append(Bar(x - room / 2, top, room, HEIGHT - _BOTTOM - top, x, label, count, above))
    return tuple(bars)


def labels_below(values: Sequence[str]) -> tuple[Tick, ...]:
    """Return the words under a chart of so many places: every second or third one where all have no room."""
    return _labels(values, _across(len(values)))


def shade(counts: Mapping[tuple[int, int], int], most: int) -> dict[tuple[int, int], float]:
    """Return how dark each square is, from 0 to 1; one that is not empty can be told from one that is."""
    return {place: round(0.12 + 0.88 * count / most, 2) if count else 0.0 for place, count in counts.items()}


def _labels(values: Sequence[str], places: Sequence[tuple[float, float]]) -> tuple[Tick, ...]:
    step = _step(len(values))
    return tuple(
        Tick(x, HEIGHT - 8, label)
        for n, (label, (x, _)) in enumerate(zip(values, places, strict=True))
        if n % step == 0
    )


def _step(many: int) -> int:
    return -(-many // 8) or 1


def _across(many: int) -> list[tuple[float, float]]:
    """Return the middle and the width of each of so many places side by side."""
    width = (WIDTH - _LEFT - _RIGHT) / max(many, 1)
    return [(_LEFT + width * (n + 0.5), width) for n in range(many)]


def _up(value: int, most: int) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * value / max(most, 1)
