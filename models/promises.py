"""The promise of a first reply: when it is due, what counts, why, and how it reads. Pure functions and one table.

All instants are aware; results are UTC. A pause is a pair of instants; its end is None while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models import wording
from models.base import Labelled, Model
from models.calendars import AROUND_THE_CLOCK, Hours, Span, spans
from models.catalogue import PlanName, Severity, Target
from models.wording import HOUR, duration, inside, moment

Pause = tuple[datetime, datetime | None]

SOON = timedelta(minutes=60)
NEAR = 6 * HOUR
ZERO = timedelta(0)


def due(start: datetime, target: Target, hours: Hours, pauses: Sequence[Pause] = ()) -> datetime | None:
    """Return the instant by which the target's time has been counted: the latest moment that still keeps the promise.

    Around-the-clock targets ignore `hours`. None while a pause lasts that began before the promise was due; one that
    began later changes nothing, since a late reply stays late. Raises Refused when the hours leave too little time.
    """
    return _reached(start, timedelta(minutes=target.minutes), target, hours, pauses)


def used(start: datetime, until: datetime, target: Target, hours: Hours, pauses: Sequence[Pause] = ()) -> timedelta:
    """Return how much time between the two instants counts on the target's kind of clock, or none."""
    return sum((upper - lower for lower, upper in counted(start, target, hours, pauses, until)), ZERO)


def counted(
    start: datetime, target: Target, hours: Hours, pauses: Sequence[Pause] = (), until: datetime | None = None
) -> Iterator[Span]:
    """Yield the times that count, as pairs of UTC instants in order: the open hours less the pauses.

    It ends at `until` or where a pause begins that still lasts; without either it ends as `calendars.spans` does.
    """
    breaks = sorted((begin, end) for begin, end in pauses if end is not None)
    lasting = [begin for begin, end in pauses if end is None]
    stop = min([*lasting, *([] if until is None else [until])], default=None)
    for opens, upper in spans(AROUND_THE_CLOCK if target.around_the_clock else hours, start, stop):
        lower = opens
        for begin, end in breaks:
            if begin < upper:
                if begin > lower:
                    yield lower, begin
                lower = max(lower, end)
        if lower < upper:
            yield lower, upper


def _reached(
    start: datetime, length: timedelta, target: Target, hours: Hours, pauses: Sequence[Pause]
) -> datetime | None:
    left = length
    if left <= ZERO:
        return start.astimezone(UTC)
    for lower, upper in counted(start, target, hours, pauses):
        if upper - lower >= left:
            return (lower + left).astimezone(UTC)
        left -= upper - lower
    return None


class Result(Labelled):
    """How a promise stands, apart from the time of day."""

    MET = "met", "Met"
    MISSED = "missed", "Missed"
    DUE = "due", "Due"
    PAUSED = "paused", "Paused"


class ResponseTarget(Model):
    """The first reply promised on a request, under the terms of the day it was opened; each reopening makes another."""

    __tablename__ = "response_targets"
    # The one row of a cycle is also what keeps two workers from announcing the same miss twice.
    __table_args__ = (
        UniqueConstraint("ticket_id", "cycle"),
        Index(None, "calendar_id", "met_at"),
        Index(None, "started_at", "id"),
    )

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    cycle: Mapped[int]
    catalogue: Mapped[str] = mapped_column(String(20))
    plan: Mapped[PlanName]
    severity: Mapped[Severity]
    minutes: Mapped[int]
    around_the_clock: Mapped[bool]
    calendar_id: Mapped[int | None] = mapped_column(ForeignKey("calendars.id"))
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    paused_at: Mapped[datetime | None]
    pauses: Mapped[list[Any]]
    met_at: Mapped[datetime | None]
    # What had been counted when the clock last stopped, so that lists need no calendar to say it.
    counted_seconds: Mapped[int]
    # Business time that was counted until then under hours that have since changed.
    carried_at: Mapped[datetime | None]
    carried_microseconds: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def begin(
        cls,
        *,
        cycle: int,
        catalogue: str,
        plan: PlanName,
        severity: Severity,
        target: Target,
        calendar_id: int | None,
        hours: Hours,
        now: datetime,
    ) -> ResponseTarget:
        """Return a promise that starts now; the caller ties it to its ticket. Raises Refused as `due` does."""
        return cls(
            cycle=cycle,
            catalogue=catalogue,
            plan=plan,
            severity=severity,
            minutes=target.minutes,
            around_the_clock=target.around_the_clock,
            calendar_id=calendar_id,
            started_at=now,
            due_at=due(now, target, hours),
            paused_at=None,
            pauses=[],
            met_at=None,
            counted_seconds=0,
            carried_at=None,
            carried_microseconds=0,
        )

    @property
    def target(self) -> Target:
        """The promised length, on its kind of clock."""
        return Target(self.minutes, self.around_the_clock)

    @property
    def result(self) -> Result:
        """Met, missed, due or paused. One that nobody has answered is due, also when late: `face` tells them apart."""
        if self.met_at is not None:
            return Result.MET if self.due_at is not None and self.met_at <= self.due_at else Result.MISSED
        return Result.PAUSED if self.due_at is None else Result.DUE

    def all_pauses(self) -> list[Pause]:
        """Return every pause in UTC, one that still lasts as the last."""
        ended: list[Pause] = [
            (datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in self.pauses
        ]
        return ended if self.paused_at is None else [*ended, (self.paused_at, None)]

    def used(self, until: datetime, hours: Hours) -> timedelta:
        """Return what has been counted of the promise until then."""
        if not self.around_the_clock and self.carried_at is not None:
            rest = used(self.carried_at, until, self.target, hours, self.all_pauses())
            return timedelta(microseconds=self.carried_microseconds) + rest
        return used(self.started_at, until, self.target, hours, self.all_pauses())

    def meet(self, now: datetime, hours: Hours) -> None:
        """Keep, or miss, the promise by the first public reply of a person; a second reply changes nothing."""
        if self.met_at is not None:
            return
        self.resume(now, hours)
        self.met_at = now
        self.counted_seconds = int(self.used(now, hours).total_seconds())

    def pause(self, now: datetime, hours: Hours) -> None:
        """Stop the clock while the customer is asked; nothing changes when it stands or the promise is answered.

        A promise that is late already stays late, but the pause is kept: it counts after a change of severity.
        """
        if self.met_at is not None or self.paused_at is not None:
            return
        self.counted_seconds = int(self.used(now, hours).total_seconds())
        self.paused_at = now
        if self.due_at is not None and now < self.due_at:
            self.due_at = None

    def resume(self, now: datetime, hours: Hours) -> None:
        """Let the clock run again; nothing changes when it runs."""
        if self.paused_at is not None:
            # A clock that was set back must not make a pause that ends before it began.
            end = max(now, self.paused_at).astimezone(UTC)
            self.pauses = [*self.pauses, [self.paused_at.astimezone(UTC).isoformat(), end.isoformat()]]
            self.paused_at = None
            if self.due_at is None:
                self.due_at = self._due(hours)

    def reclassify(self, severity: Severity, target: Target, hours: Hours, now: datetime) -> None:
        """Promise the new severity's target from the original start, on its own kind of clock, less the pauses.

        It may be late at once, if that moment is past; an answered promise keeps its terms.
        """
        if self.met_at is not None:
            return
        self.severity, self.minutes, self.around_the_clock = severity, target.minutes, target.around_the_clock
        self.due_at = self._due(hours)
        self.counted_seconds = int(self.used(now, hours).total_seconds())

    def change_hours(self, old: Hours, new: Hours, now: datetime) -> None:
        """Count on under new business hours from now; what was counted under the old ones stays as it was."""
        if self.met_at is not None:
            return
        business = Target(self.minutes, around_the_clock=False)
        first = self.started_at if self.carried_at is None else self.carried_at
        fresh = used(first, now, business, old, self.all_pauses())
        self.carried_microseconds += fresh // timedelta(microseconds=1)
        self.carried_at = now
        # What is late was late under the hours of its day.
        if self.due_at is not None and now < self.due_at:
            self.due_at = self._due(new)

    def _due(self, hours: Hours) -> datetime | None:
        if self.around_the_clock or self.carried_at is None:
            return due(self.started_at, self.target, hours, self.all_pauses())
        left = timedelta(minutes=self.minutes, microseconds=-self.carried_microseconds)
        return _reached(self.carried_at, left, self.target, hours, self.all_pauses())


@dataclass(frozen=True)
class Standing:
    """What is read of a promise to say how it stands, without the object that can change it."""

    minutes: int
    counted_seconds: int
    due_at: datetime | None
    met_at: datetime | None


@dataclass(frozen=True)
class ClockFace:
    """How a promise reads now: `mark` is ok, soon, over, paused, met, missed or none; `at` is its due time in UTC."""

    mark: str
    icon: str
    words: str
    detail: str
    at: datetime | None


def face(
    promise: ResponseTarget | Standing | None, zone: ZoneInfo, now: datetime, *, why: str = "", staff: bool = False
) -> ClockFace:
    """Return the face of a promise in the reader's zone, or of none with `why` there is none ("Basic plan").

    Time until and after the due moment is calendar time, which is what people wait; what was used of a promise is
    counted time, which is what was promised. `staff` chooses the words for the desk.
    """
    if promise is None:
        return ClockFace("none", "minus", "No target", why, None)
    if promise.met_at is not None:
        return _answered(promise, promise.met_at, zone, now)
    if promise.due_at is None:
        left = timedelta(minutes=promise.minutes, seconds=-promise.counted_seconds)
        waits = "when the customer replies" if staff else "when you reply"
        return ClockFace("paused", "circle-pause", "Paused", f"{wording.hours(left)} left {waits}", None)
    return _running(promise.due_at, zone, now)


def _answered(promise: ResponseTarget | Standing, met_at: datetime, zone: ZoneInfo, now: datetime) -> ClockFace:
    at = promise.due_at
    if at is not None and met_at > at:
        late = f"Missed by {duration(met_at - at)}"
        return ClockFace("missed", "triangle-alert", late, f"Was due {inside(moment(at, zone, now))}", at)
    taken = wording.hours(timedelta(seconds=promise.counted_seconds))
    return ClockFace("met", "circle-check", f"Met in {taken}", f"Replied {inside(moment(met_at, zone, now))}", at)


def _running(at: datetime, zone: ZoneInfo, now: datetime) -> ClockFace:
    words = moment(at, zone, now)
    if now > at:
        return ClockFace("over", "triangle-alert", f"Late by {duration(now - at)}", f"Was due {inside(words)}", at)
    left = f"Due in {duration(at - now)}"
    if at - now <= SOON:
        return ClockFace("soon", "clock-alert", left, words, at)
    return ClockFace("ok", "clock", left, words, at) if at - now < NEAR else ClockFace("ok", "clock", words, left, at)
