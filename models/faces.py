"""How a promise reads at a moment: met, missed, late, due, paused or none, in the reader's words and zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from models import wording
from models.promises import ResponseTarget
from models.wording import HOUR, MINUTE, dated, duration, inside, moment

SOON = timedelta(minutes=60)
NEAR = 6 * HOUR
# How a point in time reads for whoever looks.
Told = Callable[[datetime], str]


@dataclass(frozen=True)
class Standing:
    """What is read of a promise to say how it stands, without the object that can change it."""

    minutes: int
    counted_seconds: int
    due_at: datetime | None
    met_at: datetime | None
    # Since when its clock stands.
    paused_at: datetime | None
    started_at: datetime
    around_the_clock: bool
    pauses: Sequence[Any]


@dataclass(frozen=True)
class ClockFace:
    """How a promise reads now: `mark` is ok, soon, over, paused, met, missed or none; `at` is its due time in UTC."""

    mark: str
    icon: str
    words: str
    detail: str
    at: datetime | None


def face(
    promise: ResponseTarget | Standing | None,
    zone: ZoneInfo,
    now: datetime,
    *,
    why: str = "",
    staff: bool = False,
    done: bool = False,
    paper: bool = False,
) -> ClockFace:
    """Return the face of a promise in the reader's zone, or of none with `why` there is none ("Basic plan").

    Time until and after the due moment is calendar time, which is what people wait; what was used of a promise is
    counted time, which is what was promised. `staff` chooses the words for the desk; `done` says that nobody waits for
    a reply any more; on `paper`, which is read on another day, moments have their date.
    """
    told: Told = partial(dated, zone=zone) if paper else partial(moment, zone=zone, now=now)
    if promise is None:
        return ClockFace("none", "minus", "No target", why, None)
    if promise.met_at is not None:
        return _answered(promise, promise.met_at, told, staff=staff)
    if done:
        return _unanswered(promise.due_at, told)
    if promise.due_at is None:
        left = timedelta(minutes=promise.minutes, seconds=-promise.counted_seconds)
        waits = "when the customer replies" if staff else "when you reply"
        return ClockFace("paused", "circle-pause", "Paused", f"{wording.hours(left)} left {waits}", None)
    if promise.paused_at is not None:
        # It was late before the customer was asked: it grows no later.
        late, was = duration(promise.paused_at - promise.due_at), inside(told(promise.due_at))
        return ClockFace("paused", "circle-pause", f"Paused, late by {late}", f"Was due {was}", promise.due_at)
    return _running(promise.due_at, now, told)


def _unanswered(due_at: datetime | None, told: Told) -> ClockFace:
    """Return the face of a promise whose request was resolved or closed without a reply."""
    if due_at is None:
        return ClockFace("none", "minus", "No reply given", "Resolved or closed before one was due", None)
    return ClockFace("missed", "triangle-alert", "Missed", f"Was due {inside(told(due_at))}", due_at)


def _answered(promise: ResponseTarget | Standing, met_at: datetime, told: Told, *, staff: bool) -> ClockFace:
    at = promise.due_at
    if at is not None and met_at > at:
        late = f"Missed by {duration(met_at - at)}"
        return ClockFace("missed", "triangle-alert", late, f"Was due {inside(told(at))}", at)
    return ClockFace(
        "met", "circle-check", f"Met {_taken(promise, met_at, staff=staff)}", f"Replied {inside(told(met_at))}", at
    )


def _taken(promise: ResponseTarget | Standing, met_at: datetime, *, staff: bool) -> str:
    """Return in how much counted time a reply came; nobody who waited for hours reads that it came within a minute."""
    length = timedelta(seconds=promise.counted_seconds)
    if length >= MINUTE or promise.around_the_clock or met_at - promise.started_at < MINUTE:
        return f"in {wording.hours(length)}"
    # Business hours may have passed in a pause, so that there the same words would be wrong.
    if length or promise.pauses:
        return "in under 1 min" if staff else "in under 1 business minute"
    # The desk knows its hours, and its column is narrow.
    return "out of hours" if staff else "before business hours began"


def _running(at: datetime, now: datetime, told: Told) -> ClockFace:
    words = told(at)
    if now > at:
        return ClockFace("over", "triangle-alert", f"Late by {duration(now - at)}", f"Was due {inside(words)}", at)
    left = f"Due in {duration(at - now)}"
    if at - now <= SOON:
        return ClockFace("soon", "clock-alert", left, words, at)
    return ClockFace("ok", "clock", left, words, at) if at - now < NEAR else ClockFace("ok", "clock", words, left, at)
