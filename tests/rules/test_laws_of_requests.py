"""Laws of a request over anything that people do with it, by the real verbs, on a clock that may step back."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from factories import LUMEN, Town
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from models import handling, schedules
from models.base import Refused
from models.catalogue import PlanName, Severity
from models.organizations import Organization
from models.promises import ResponseTarget, Result
from models.tickets import OURS, Ticket, TicketState
from models.timetables import CalendarVersion, timetable_for
from models.upgrades import bring_forward

OWNER, AGENT, ADMIN = "owner@lumen.example", "agent@support.example", "admin@support.example"
START = datetime(2027, 3, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEEKS: list[Any] = [[[["09:00", "18:00"]]] * 5 + [[], []], [[["08:00", "12:00"]]] * 7, [[["00:00", "24:00"]]] * 7]
STEPS = st.one_of(
    st.tuples(st.sampled_from(("note", "answer", "reply", "downgrade", "upgrade")), st.none()),
    st.tuples(st.just("state"), st.sampled_from((TicketState.IN_PROGRESS, TicketState.WAITING, TicketState.RESOLVED))),
    st.tuples(st.just("severity"), st.sampled_from(Severity)),
    st.tuples(st.just("hours"), st.sampled_from(WEEKS)),
)
STORIES = st.lists(st.tuples(st.integers(-90, 900), STEPS), min_size=1, max_size=8)
FACTS = ("cycle", "severity", "minutes", "around_the_clock", "started_at", "due_at", "paused_at", "pauses", "met_at")


class Story:
    """A request, the time, and what people do."""

    def __init__(self, town: Town) -> None:
        # Stories share a calendar: each begins after whatever happened to it in the ones before.
        past = max((one.from_at for one in town.scalars(select(CalendarVersion))), default=START)
        self.town, self.now = town, max(past, START) + timedelta(days=1)
        town.set_house(LUMEN, plan=PlanName.STANDARD.value)
        self.key = town.file(severity=Severity.S2, at=self.now)
        # The clock steps back behind anything but a change of the hours, which holds from when it was made.
        self.least = self.now - timedelta(hours=2)

    def pass_(self, minutes: int) -> None:
        self.now = max(self.now + minutes * MINUTE, self.least)

    def do(self, kind: str, what: Any) -> None:
        match kind:
            case "note":
                self.town.note(self.key, at=self.now)
            case "answer":
                self.town.answer(self.key, at=self.now)
            case "reply":
                self.town.reply(self.key, OWNER, at=self.now)
            case "state":
                self.town.move(self.key, what, at=self.now)
            case "downgrade":
                self.town.set_house(LUMEN, plan=PlanName.BASIC.value)
            case "upgrade":
                self.town.set_house(LUMEN, plan=PlanName.ENTERPRISE.value)
                with self.town.open() as session:
                    house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
                    bring_forward(house, PlanName.ENTERPRISE, now=self.now)
            case "severity":
                with self.town.open() as session:
                    agent = self.town._person(session, AGENT)
                    handling.reclassify(self.town._ticket(session, self.key), agent, what, "Seen closer.", now=self.now)
            case "hours":
                with self.town.open() as session:
                    calendar = schedules.calendar_of(session, 1)
                    schedules.change(calendar, self.town._person(session, ADMIN), "Weekdays", "UTC", what, now=self.now)
                self.least = self.now


def facts_of(target: ResponseTarget) -> list[Any]:
    return [getattr(target, name) for name in FACTS]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STORIES)
def test_a_request_keeps_its_laws_whatever_people_do(town: Town, happens: list[tuple[int, tuple[str, Any]]]) -> None:
    story = Story(town)
    for minutes, (kind, what) in happens:
        before = town.ticket(story.key)
        story.pass_(minutes)
        with suppress(Refused):
            story.do(kind, what)
            if kind == "answer":
                assert town.ticket(story.key).target.met_at is not None, "an answer that answers nothing"
        after = town.ticket(story.key)
        _check(town, before, after, kind)


def _check(town: Town, before: Ticket, after: Ticket, kind: str) -> None:
    was, made = before.target, after.target
    assert was is not None
    assert made is not None
    if kind in {"note", "downgrade"}:
        assert facts_of(made) == facts_of(was), "a note answers nothing, and terms stay those it was opened under"
    if kind != "answer" and made.cycle == was.cycle:
        assert made.met_at == was.met_at, "only an answer answers"
    for past in after.targets[:-1]:
        assert past.result in {Result.MET, Result.MISSED}
        if past.cycle < was.cycle:
            [same] = [one for one in before.targets if one.cycle == past.cycle]
            assert facts_of(past) == facts_of(same), "an old result stays on record"
    if made.met_at is not None:
        assert made.met_at >= made.started_at
    else:
        stored = made.due_at
        with town.open() as session:
            made.recount(timetable_for(session, made.calendar_id, made.started_at))
        assert made.due_at == stored, "stored facts give the stored due time"
    runs = made.met_at is None and after.state in OURS
    assert after.due_at == (made.due_at if runs else None), "lists sort by what runs"
    assert (made.paused_at is None) is (made.met_at is not None or after.state in OURS)
