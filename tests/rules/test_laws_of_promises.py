"""Laws of a promise over anything that may happen to it: product rule 8, tried with many histories.

What never reaches a promise, such as a note or a downgrade, is in test_laws_of_requests.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.accounts import way_of
from models.calendars import Hours
from models.catalogue import PlanName, Severity, Target
from models.promises import ZERO, ResponseTarget, Result, used
from models.timetables import EVER, Timetable

pytestmark = pytest.mark.plain

START = datetime(2027, 3, 26, 13, tzinfo=UTC)  # the Friday before Berlin's clocks go forward
MINUTE = timedelta(minutes=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
WEEKS = (
    (((540, 1080),),) * 5 + ((), ()),
    (((480, 720), (780, 1020)),) * 5 + ((), ()),
    (((0, 1440),),) * 7,
    ((), (), ((600, 660),), (), (), ((0, 90), (1380, 1440)), ()),
)
TARGETS = st.builds(Target, st.integers(1, 1500), st.booleans())
HOURS = st.builds(
    lambda zone, week, off: Hours(ZoneInfo(zone), week, {START.date() + timedelta(days=off): "Holiday"}),
    st.sampled_from(ZONES),
    st.sampled_from(WEEKS),
    st.integers(0, 6),
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(("pause", "resume", "reply", "reopen")), st.none()),
    st.tuples(st.just("severity"), TARGETS),
    st.tuples(st.just("upgrade"), TARGETS),
    st.tuples(st.just("hours"), HOURS),
)
# A clock may be set back: between two things that happen, less than no time passes then.
STORIES = st.lists(st.tuples(st.integers(-90, 2000), STEPS), max_size=12)


class Story:
    """A promise with its calendar, and what happens to both."""

    def __init__(self, hours: Hours, target: Target) -> None:
        self.steps: list[tuple[datetime, Hours]] = [(EVER, replace(hours, version=1))]
        self.now, self.cycle = START, 1
        self.made = self._begin(target)
        self.old: list[ResponseTarget] = []

    def _begin(self, target: Target) -> ResponseTarget:
        terms: dict[str, Any] = {"catalogue": "2026-01", "plan": PlanName.STANDARD, "severity": Severity.S3}
        hours = self.steps[-1][1]
        return ResponseTarget.begin(cycle=self.cycle, target=target, calendar_id=1, hours=hours, now=self.now, **terms)

    @property
    def hours(self) -> Timetable:
        return Timetable(tuple(self.steps))

    def do(self, kind: str, what: Any) -> None:
        made = self.made
        match kind:
            case "pause":
                made.pause(self.now, self.hours)
            case "resume":
                made.resume(self.now, self.hours)
            case "reply":
                made.meet(self.now, self.hours)
            case "reopen" if made.met_at is not None:
                self.old.append(made)
                self.cycle += 1
                self.made = self._begin(made.target)
            case "severity":
                made.reclassify(Severity.S1, what, self.hours, self.now, [what for _ in made.rises])
            case "upgrade":
                before = made.due_at
                gained = made.rise(PlanName.ENTERPRISE, what, self.hours, self.now)
                assert not gained or before is None or (made.due_at is not None and made.due_at < before)
                assert gained or made.due_at == before or made.met_at is not None
            case "hours":
                begin = max(self.now, self.steps[-1][0])
                self.steps.append((begin, replace(what, version=len(self.steps) + 1)))


@settings(max_examples=150, deadline=None)
@given(HOURS, TARGETS, STORIES)
def test_a_promise_keeps_its_laws_whatever_happens(
    hours: Hours, target: Target, happens: list[tuple[int, tuple[str, Any]]]
) -> None:
    story = Story(hours, target)
    for minutes, (kind, what) in happens:
        made, then = story.made, story.now
        terms = (made.minutes, made.around_the_clock)
        before = made.used(then, story.hours)
        story.now = then + minutes * MINUTE
        story.do(kind, what)
        if story.made is not made:
            continue
        if (made.minutes, made.around_the_clock) == terms and story.now >= then:
            assert made.used(story.now, story.hours) >= before, "used time shrinks"
        _check(made, story, fresh=kind != "hours")
    for past in story.old:
        assert past.result in {Result.MET, Result.MISSED}, "an old result stays on record"


def _check(made: ResponseTarget, story: Story, *, fresh: bool) -> None:
    """Stored facts give the stored due time, the explanation adds up to it, and a paused clock stands.

    A promise that is not `fresh` waits to be counted by hours that have changed just now.
    """
    stored = made.due_at
    if made.met_at is None:
        # As the worker would, once and again.
        for _ in range(2):
            made.recount(story.hours)
        if fresh:
            assert made.due_at == stored
    if made.paused_at is not None:
        later = made.paused_at + timedelta(days=9)
        assert made.used(later, story.hours) == made.used(made.paused_at, story.hours), "a paused clock runs"
    told = way_of(made, story.hours, max(story.now, made.started_at), ZoneInfo("Asia/Kolkata"))
    whole = sum((segment.length for segment in told.segments if segment.counted), ZERO)
    hours = story.hours if made.met_at is None else story.hours.known(made.hours_version)
    start, way = made.way(story.now, hours)
    if made.due_at is None:
        assert made.paused_at is not None
        assert whole == used(start, made.paused_at, way, story.hours, made.all_pauses())
    else:
        assert (told.due, whole) == (made.due_at, timedelta(minutes=way.minutes))
        assert told.segments[-1].end == made.due_at or not told.segments
    assert sum((s.length for s in told.shown if s.counted), ZERO) == whole


@settings(max_examples=100, deadline=None)
@given(HOURS, HOURS, TARGETS, st.integers(0, 3000), st.integers(0, 3000))
def test_counting_late_gives_what_counting_at_once_gives(
    hours: Hours, new: Hours, target: Target, change: int, reply: int
) -> None:
    prompt, late = Story(hours, target), Story(hours, target)
    for story in (prompt, late):
        story.now = START + change * MINUTE
        story.do("hours", new)
    prompt.made.recount(prompt.hours)
    for story in (prompt, late):
        story.now += reply * MINUTE
        story.do("reply", None)
    assert (late.made.due_at, late.made.result, late.made.counted_seconds) == (
        prompt.made.due_at,
        prompt.made.result,
        prompt.made.counted_seconds,
    )
