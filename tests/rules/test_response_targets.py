"""The promise of a request through its life, and how it reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from models.accounts import way_of
from models.calendars import Hours
from models.catalogue import PlanName, Severity, Target
from models.faces import ClockFace, face
from models.promises import ResponseTarget, Result
from models.timetables import EVER, SETTLED, Timetable

pytestmark = pytest.mark.plain

BERLIN = ZoneInfo("Europe/Berlin")
NINE_TO_FIVE = (((540, 1020),),) * 5 + ((), ())
WHOLE = (((0, 1440),),) * 7
ZERO, MINUTE, HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours_in(zone: str, week: tuple[tuple[tuple[int, int], ...], ...] = NINE_TO_FIVE, *holidays: str) -> Hours:
    return Hours(ZoneInfo(zone), week, {date.fromisoformat(day): f"Holiday {day}" for day in holidays})


UTC_HOURS = hours_in("UTC")
START = at("2027-06-04 14:00")  # Friday
NOON = at("2027-06-07 10:00")


def promise(minutes: int = 240, around_the_clock: bool = False, start: datetime = START) -> ResponseTarget:
    return ResponseTarget.begin(
        cycle=1,
        catalogue="2026-01",
        plan=PlanName.STANDARD,
        severity=Severity.S3,
        target=Target(minutes, around_the_clock),
        calendar_id=None,
        hours=UTC_HOURS,
        now=start,
    )


def test_the_first_reply_meets_it_and_the_second_changes_nothing() -> None:
    made = promise()
    assert (made.due_at, made.result) == (at("2027-06-07 10:00"), Result.DUE)
    made.meet(at("2027-06-07 10:00"), UTC_HOURS)
    assert (made.result, made.counted_seconds) == (Result.MET, 4 * 3600)
    made.meet(at("2027-06-08 10:00"), UTC_HOURS)
    assert made.met_at == at("2027-06-07 10:00")


def test_a_moment_too_late_is_missed() -> None:
    made = promise()
    made.meet(at("2027-06-07 10:00:01"), UTC_HOURS)
    assert made.result is Result.MISSED


def test_a_silent_customer_never_causes_a_miss() -> None:
    made = promise()
    made.pause(at("2027-06-04 16:00"), UTC_HOURS)
    assert (made.due_at, made.result, made.counted_seconds) == (None, Result.PAUSED, 2 * 3600)
    made.pause(at("2027-06-05 16:00"), UTC_HOURS)
    assert made.paused_at == at("2027-06-04 16:00")
    made.resume(at("2027-06-07 10:00"), UTC_HOURS)
    assert (made.due_at, made.result) == (at("2027-06-07 12:00"), Result.DUE)
    made.resume(at("2027-06-08 10:00"), UTC_HOURS)
    assert len(made.pauses) == 1
    answered = promise()
    answered.pause(at("2027-06-04 16:00"), UTC_HOURS)
    answered.meet(at("2027-12-04 16:00"), UTC_HOURS)
    assert (answered.result, answered.counted_seconds) == (Result.MET, 2 * 3600)


def test_a_pause_does_not_save_a_late_reply() -> None:
    made = promise(60)
    made.pause(at("2027-06-04 16:00"), UTC_HOURS)
    assert (made.due_at, made.result) == (at("2027-06-04 15:00"), Result.DUE)
    made.resume(at("2027-06-07 10:00"), UTC_HOURS)
    made.meet(at("2027-06-07 10:00"), UTC_HOURS)
    assert (made.due_at, made.result) == (at("2027-06-04 15:00"), Result.MISSED)


def test_a_clock_set_back_makes_no_negative_pause() -> None:
    made = promise()
    made.pause(at("2027-06-04 16:00"), UTC_HOURS)
    made.resume(at("2027-06-04 15:00"), UTC_HOURS)
    assert made.due_at == at("2027-06-07 10:00")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        # From the original start, on its own kind of clock: two hours have passed.
        (Target(180, True), "2027-06-04 17:00"),
        (Target(60, True), "2027-06-04 15:00"),
        (Target(60, False), "2027-06-04 15:00"),
        (Target(480, False), "2027-06-07 14:00"),
    ],
)
def test_a_new_severity_counts_from_the_original_start(target: Target, expected: str) -> None:
    made = promise()
    made.reclassify(Severity.S1, target, UTC_HOURS, at("2027-06-04 16:00"))
    assert (made.severity, made.target, made.due_at) == (Severity.S1, target, at(expected))


def test_a_new_severity_keeps_the_pauses_also_those_of_a_late_promise() -> None:
    made = promise(60)
    made.pause(at("2027-06-04 16:00"), UTC_HOURS)  # an hour late
    made.reclassify(Severity.S4, Target(240, False), UTC_HOURS, at("2027-06-04 16:30"))
    assert (made.due_at, made.counted_seconds) == (None, 2 * 3600)
    made.resume(at("2027-06-07 10:00"), UTC_HOURS)
    assert made.due_at == at("2027-06-07 12:00")
    made.reclassify(Severity.S2, Target(240, True), UTC_HOURS, at("2027-06-07 10:30"))
    assert made.due_at == at("2027-06-07 12:00")
    made.meet(at("2027-06-07 11:00"), UTC_HOURS)
    made.reclassify(Severity.S1, Target(30, True), UTC_HOURS, at("2027-06-07 11:30"))
    assert (made.severity, made.result) == (Severity.S2, Result.MET)


def changed(*steps: tuple[str, Hours]) -> Timetable:
    """Return hours that gave way to others at instants."""
    first = (EVER, UTC_HOURS)
    return Timetable((first, *((at(when), replace(hours, version=n + 2)) for n, (when, hours) in enumerate(steps))))


def test_new_hours_leave_what_was_used_and_count_on_from_now() -> None:
    made, late_shift = promise(480), hours_in("UTC", (((720, 1320),),) * 5 + ((), ()))  # 12:00 to 22:00
    now = at("2027-06-07 10:00")  # Monday: 3 h of Friday and 1 h of today are used
    hours = changed(("2027-06-07 10:00", late_shift))
    made.recount(hours)
    assert made.used(now, hours) == 4 * HOUR
    assert (made.due_at, made.hours_version) == (at("2027-06-07 16:00"), 2)
    made.pause(at("2027-06-07 13:00"), hours)
    made.resume(at("2027-06-07 14:00"), hours)
    assert made.due_at == at("2027-06-07 17:00")
    hours = changed(("2027-06-07 10:00", late_shift), ("2027-06-07 15:00", UTC_HOURS))
    made.recount(hours)
    assert made.used(at("2027-06-07 15:00"), hours) == 6 * HOUR
    assert made.due_at == at("2027-06-07 17:00")
    made.reclassify(Severity.S4, Target(720, False), hours, at("2027-06-07 15:00"))
    assert made.due_at == at("2027-06-08 13:00")


def test_new_hours_change_nothing_that_is_late_or_runs_around_the_clock() -> None:
    late, hours = promise(60), changed(("2027-06-04 16:00", hours_in("UTC", WHOLE)))
    late.recount(hours)
    assert late.due_at == at("2027-06-04 15:00")
    late.pause(at("2027-06-04 16:30"), hours)
    late.resume(at("2027-06-07 10:00"), hours)
    assert late.due_at == at("2027-06-04 15:00")
    urgent = promise()
    urgent.reclassify(Severity.S1, Target(90, True), hours, at("2027-06-04 16:10"))
    assert (urgent.due_at, urgent.hours_version) == (at("2027-06-04 15:30"), SETTLED)
    urgent.reclassify(Severity.S3, Target(240, False), hours, at("2027-06-04 16:20"))
    assert urgent.hours_version == 2, "back on business time, the next change of hours counts"
    quick = promise(120, around_the_clock=True)
    quick.recount(changed(("2027-06-04 15:00", hours_in("UTC", WHOLE))))
    assert quick.due_at == at("2027-06-04 16:00")


def test_a_reply_before_the_worker_came_is_measured_by_the_new_hours() -> None:
    early, hours = promise(480), changed(("2027-06-04 15:00", hours_in("UTC", WHOLE)))
    assert early.due_at == at("2027-06-07 14:00"), "as nobody has counted again yet"
    early.meet(at("2027-06-05 10:00"), hours)
    # An hour of the old hours, and seven around the clock.
    assert (early.due_at, early.result) == (at("2027-06-04 22:00"), Result.MISSED)
    assert early.counted_seconds == 20 * 3600


def test_what_was_carried_before_hours_had_a_history_stays_counted() -> None:
    made = promise(480)
    made.carried_at, made.carried_microseconds = at("2027-06-04 16:00"), 2 * 3600 * 1_000_000
    made.recount(UTC_HOURS)
    assert made.due_at == at("2027-06-07 14:00")
    assert made.used(at("2027-06-07 10:00"), UTC_HOURS) == 4 * HOUR


def test_what_was_carried_is_told_to_the_second() -> None:
    made = promise(480)
    made.carried_at, made.carried_microseconds = at("2027-06-04 16:00"), 7_261_250_000
    made.recount(UTC_HOURS)
    carried = timedelta(microseconds=made.carried_microseconds)
    told = way_of(made, Timetable(((EVER, UTC_HOURS),)), NOON, ZoneInfo("UTC"))
    assert told.due == made.due_at
    assert sum((one.length for one in told.segments if one.counted), carried) == timedelta(hours=8)


# --- a plan that is upgraded meanwhile (product rule 8.5)


def test_an_upgrade_counts_the_better_target_from_its_moment() -> None:
    made = promise(480)
    assert made.rise(PlanName.ENTERPRISE, Target(120, True), UTC_HOURS, at("2027-06-04 16:00"))
    assert (made.due_at, made.minutes) == (at("2027-06-04 18:00"), 480)
    assert made.way(NOON, UTC_HOURS) == (at("2027-06-04 16:00"), Target(120, True))
    made.meet(at("2027-06-04 18:00"), UTC_HOURS)
    assert made.result is Result.MET


def test_an_upgrade_never_makes_it_later_and_causes_no_miss() -> None:
    made = promise(180)
    assert not made.rise(PlanName.ENTERPRISE, Target(240, True), UTC_HOURS, at("2027-06-04 16:00"))
    assert (made.due_at, made.rises) == (at("2027-06-04 17:00"), [])
    late = promise(60)
    assert not late.rise(PlanName.PREMIUM, Target(30, True), UTC_HOURS, at("2027-06-04 16:00"))
    assert late.due_at == at("2027-06-04 15:00"), "what is late stays late, by as much"


def test_an_upgrade_while_paused_shortens_what_is_left() -> None:
    made = promise(480)
    made.pause(at("2027-06-04 15:00"), UTC_HOURS)
    assert made.rise(PlanName.PREMIUM, Target(60, True), UTC_HOURS, at("2027-06-04 16:00"))
    assert (made.due_at, made.result) == (None, Result.PAUSED)
    assert made.minutes * 60 - made.counted_seconds == 3600, "what lists say is left"
    made.resume(at("2027-06-07 10:00"), UTC_HOURS)
    assert made.due_at == at("2027-06-07 11:00")


def test_a_severity_after_an_upgrade_is_promised_by_both_plans() -> None:
    made = promise(480)
    made.rise(PlanName.ENTERPRISE, Target(240, True), UTC_HOURS, at("2027-06-04 15:00"))
    made.reclassify(Severity.S1, Target(240, False), UTC_HOURS, at("2027-06-04 15:30"), [Target(60, True)])
    assert made.due_at == at("2027-06-04 16:00")


# --- the face


def shown(made: ResponseTarget | None, now: datetime, why: str = "", staff: bool = False) -> tuple[str, str, str, str]:
    seen: ClockFace = face(made, BERLIN, now, why=why, staff=staff)
    return seen.mark, seen.icon, seen.words, seen.detail


def test_the_face_of_a_running_clock() -> None:
    made = promise()
    assert shown(made, START) == ("ok", "clock", "Mon 7 Jun, 12:00", "Due in 2 days 20 h")
    assert shown(made, NOON - 6 * HOUR) == ("ok", "clock", "Today, 12:00", "Due in 6 h")
    assert shown(made, NOON - timedelta(hours=3, minutes=10)) == ("ok", "clock", "Due in 3 h 10 min", "Today, 12:00")
    assert shown(made, NOON - 61 * MINUTE)[0] == "ok"
    assert shown(made, NOON - 60 * MINUTE) == ("soon", "clock-alert", "Due in 1 h", "Today, 12:00")
    assert shown(made, NOON - 14 * MINUTE)[2] == "Due in 14 min"
    assert shown(made, NOON)[:3] == ("soon", "clock-alert", "Due in under 1 min")
    late = ("over", "triangle-alert", "Late by 22 min", "Was due today, 12:00")
    assert shown(made, NOON + 22 * MINUTE) == late


def test_the_face_of_a_clock_that_stands() -> None:
    made = promise(480)
    made.pause(at("2027-06-04 16:20"), UTC_HOURS)
    assert shown(made, NOON) == ("paused", "circle-pause", "Paused", "5 h 40 min left when you reply")
    assert shown(made, NOON, staff=True)[3] == "5 h 40 min left when the customer replies"
    met, missed = promise(), promise()
    met.meet(START + 21 * MINUTE, UTC_HOURS)
    assert shown(met, START + HOUR) == ("met", "circle-check", "Met in 21 min", "Replied today, 16:21")
    missed.meet(NOON + 12 * MINUTE, UTC_HOURS)
    assert shown(missed, NOON + HOUR) == ("missed", "triangle-alert", "Missed by 12 min", "Was due today, 12:00")
    assert shown(None, NOON, why="Basic plan") == ("none", "minus", "No target", "Basic plan")


def test_a_reply_before_business_hours_is_not_said_to_have_come_within_a_minute() -> None:
    saturday = at("2027-06-05 10:00")
    met = promise(start=saturday)
    met.meet(saturday + 3 * HOUR, UTC_HOURS)
    assert shown(met, saturday + 4 * HOUR)[:3] == ("met", "circle-check", "Met before business hours began")
    assert face(met, ZoneInfo("UTC"), saturday + 4 * HOUR, staff=True).words == "Met out of hours"
    quick = promise(start=saturday)
    quick.meet(saturday + timedelta(seconds=40), UTC_HOURS)
    assert shown(quick, saturday + HOUR)[2] == "Met in under 1 min"
    opening = promise(start=saturday)
    opening.meet(at("2027-06-07 09:00:30"), UTC_HOURS)
    assert shown(opening, NOON)[2] == "Met in under 1 business minute"
    night = promise(around_the_clock=True, start=saturday)
    night.meet(saturday + 25 * MINUTE, UTC_HOURS)
    assert shown(night, saturday + HOUR)[2] == "Met in 25 min"


def test_business_hours_that_passed_while_the_customer_was_asked_are_not_called_to_come() -> None:
    saturday = at("2027-06-05 10:00")
    for around_the_clock, words in ((False, "Met in under 1 business minute"), (True, "Met in under 1 min")):
        met = promise(around_the_clock=around_the_clock, start=saturday)
        met.pause(saturday, UTC_HOURS)
        met.meet(NOON + 3 * HOUR, UTC_HOURS)
        assert shown(met, NOON + 4 * HOUR)[2] == words
