"""The promise of a first reply: when it is due, and what counts. Pure functions and the table of promises.

All instants are aware; results are UTC. A pause is a pair of instants; its end is None while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Labelled, Model
from models.calendars import AROUND_THE_CLOCK, Span
from models.catalogue import PlanName, Severity, Target
from models.timetables import SETTLED, AnyHours, open_times

Pause = tuple[datetime, datetime | None]
# From when which target is counted.
Way = tuple[datetime, Target]

ZERO = timedelta(0)


def due(start: datetime, target: Target, hours: AnyHours, pauses: Sequence[Pause] = ()) -> datetime | None:
    """Return the instant by which the target's time has been counted: the latest moment that still keeps the promise.

    Around-the-clock targets ignore `hours`. None while a pause lasts that began before the promise was due; one that
    began later changes nothing, since a late reply stays late. Raises Refused when the hours leave too little time.
    """
    return reached(start, timedelta(minutes=target.minutes), target, hours, pauses)


def used(start: datetime, until: datetime, target: Target, hours: AnyHours, pauses: Sequence[Pause] = ()) -> timedelta:
    """Return how much time between the two instants counts on the target's kind of clock, or none."""
    return sum((upper - lower for lower, upper in counted(start, target, hours, pauses, until)), ZERO)


def counted(
    start: datetime, target: Target, hours: AnyHours, pauses: Sequence[Pause] = (), until: datetime | None = None
) -> Iterator[Span]:
    """Yield the times that count, as pairs of UTC instants in order: the open hours less the pauses.

    It ends at `until` or where a pause begins that still lasts; without either it ends as `calendars.spans` does.
    """
    breaks = sorted((begin, end) for begin, end in pauses if end is not None)
    lasting = [begin for begin, end in pauses if end is None]
    stop = min([*lasting, *([] if until is None else [until])], default=None)
    for opens, upper in open_times(AROUND_THE_CLOCK if target.around_the_clock else hours, start, stop):
        lower = opens
        for begin, end in breaks:
            if begin < upper:
                if begin > lower:
                    yield lower, begin
                lower = max(lower, end)
        if lower < upper:
            yield lower, upper


def reached(
    start: datetime, length: timedelta, target: Target, hours: AnyHours, pauses: Sequence[Pause]
) -> datetime | None:
    """Return the instant by which so much has been counted on the target's kind of clock; None as `due` says."""
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
    __table_args__ = (
        UniqueConstraint("ticket_id", "cycle"),
        Index(None, "calendar_id", "met_at", "hours_version"),
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
    # Business time counted until then by hours of which nothing is known any more: from before there were `timetables`.
    carried_at: Mapped[datetime | None]
    carried_microseconds: Mapped[int] = mapped_column(BigInteger)
    # The version of the calendar's hours that `due_at` is counted by; SETTLED where no other will ever count.
    hours_version: Mapped[int]
    # The plans that the organization rose to while it ran: [instant, plan, minutes, around the clock].
    rises: Mapped[list[Any]]

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
        hours: AnyHours,
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
            hours_version=SETTLED if target.around_the_clock else hours.version,
            rises=[],
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

    def used(self, until: datetime, hours: AnyHours) -> timedelta:
        """Return what has been counted of the promise until then."""
        if not self.around_the_clock and self.carried_at is not None:
            rest = used(self.carried_at, until, self.target, hours, self.all_pauses())
            return timedelta(microseconds=self.carried_microseconds) + rest
        return used(self.started_at, until, self.target, hours, self.all_pauses())

    def meet(self, now: datetime, hours: AnyHours) -> None:
        """Keep, or miss, the promise by the first public reply of a person; a second reply changes nothing."""
        if self.met_at is not None:
            return
        self.resume(now, hours)
        self.recount(hours)
        self.met_at = now
        self.counted_seconds = int(self.used(now, hours).total_seconds())

    def pause(self, now: datetime, hours: AnyHours) -> None:
        """Stop the clock while the customer is asked; nothing changes when it stands or the promise is answered.

        A promise that is late already stays late, but the pause is kept: it counts after a change of severity.
        """
        if self.met_at is not None or self.paused_at is not None:
            return
        self.paused_at = now
        self.recount(hours)
        self._stand(now, hours)

    def resume(self, now: datetime, hours: AnyHours) -> None:
        """Let the clock run again; nothing changes when it runs."""
        if self.paused_at is not None:
            # A clock that was set back must not make a pause that ends before it began.
            end = max(now, self.paused_at).astimezone(UTC)
            self.pauses = [*self.pauses, [self.paused_at.astimezone(UTC).isoformat(), end.isoformat()]]
            self.paused_at = None
            self.recount(hours)

    def reclassify(
        self, severity: Severity, target: Target, hours: AnyHours, now: datetime, risen: Sequence[Target | None] = ()
    ) -> None:
        """Promise the new severity's target from the original start, on its own kind of clock, less the pauses.

        `risen` are the targets of the new severity on the plans of `rises`. It may be late at once, if that moment is
        past; an answered promise keeps its terms.
        """
        if self.met_at is not None:
            return
        self.severity, self.minutes, self.around_the_clock = severity, target.minutes, target.around_the_clock
        self.rises = [
            [at, plan, better.minutes, better.around_the_clock]
            for (at, plan, *_), better in zip(self.rises, risen, strict=False)
            if better is not None
        ]
        self.recount(hours)
        self._stand(now if self.paused_at is None else max(now, self.paused_at), hours)

    def rise(self, plan: PlanName, better: Target, hours: AnyHours, now: datetime) -> bool:
        """Promise the target of a higher plan from now on where that is earlier; return whether it is (rule 8.5).

        Paying never causes a miss: the old due time stays where it is the earlier one.
        """
        if self.met_at is not None:
            return False
        self.recount(hours)
        before = self._left(now, hours)
        rise = [now.astimezone(UTC).isoformat(), plan.value, better.minutes, better.around_the_clock]
        was, self.rises = self.rises, [*self.rises, rise]
        due_at = self.due_at
        self.recount(hours)
        earlier = (
            self._left(now, hours) < before if due_at is None else self.due_at is not None and self.due_at < due_at
        )
        if not earlier:
            self.rises = was
            self.recount(hours)
        elif self.paused_at is not None:
            self._stand(now, hours)
        return earlier

    def recount(self, hours: AnyHours) -> None:
        """Write down when it is due by the hours as they are known now; nothing changes once it is answered.

        It follows from stored facts alone: done twice, or late, it gives the same.
        """
        if self.met_at is None:
            self.due_at = min(
                (at for start, target in self.ways() if (at := self._due(start, target, hours)) is not None),
                default=None,
            )
            business = not all(target.around_the_clock for _, target in self.ways())
            self.hours_version = hours.version if business else SETTLED

    def settle(self) -> None:
        """Let no change of business hours move it any more: its request is closed."""
        self.hours_version = SETTLED

    def ways(self) -> list[Way]:
        """Return from when which target is counted: its own first, then those of plans that came later."""
        later: list[Way] = [
            (datetime.fromisoformat(at), Target(minutes, around_the_clock))
            for at, _, minutes, around_the_clock in self.rises
        ]
        return [(self.started_at, self.target), *later]

    def half_at(self, hours: AnyHours) -> datetime | None:
        """Return when half of what is promised has been counted, by the way that comes first; None while it stands."""
        found = []
        for start, target in self.ways():
            half, begin = timedelta(minutes=target.minutes) / 2, start
            if self._is_carried(start, target):
                half, begin = half - timedelta(microseconds=self.carried_microseconds), self.carried_at or start
            found.append(reached(begin, half, target, hours, self.all_pauses()))
        return min((at for at in found if at is not None), default=None)

    def _is_carried(self, start: datetime, target: Target) -> bool:
        """Tell whether a way's time was counted in part by hours of which nothing is known any more."""
        own = start == self.started_at and target == self.target
        return own and not self.around_the_clock and self.carried_at is not None

    def way(self, now: datetime, hours: AnyHours) -> Way:
        """Return the start and the target that decide when it is due."""
        ways = self.ways()
        if self.due_at is None:
            return min(ways, key=lambda way: self._rest(way[0], way[1], now, hours))
        return min(ways, key=lambda way: self._due(way[0], way[1], hours) or datetime.max.replace(tzinfo=UTC))

    def plan_of(self, start: datetime, target: Target) -> PlanName | None:
        """Return the higher plan whose way it is that begins there; None for the promise's own."""
        if (start, target) == self.ways()[0]:
            return None
        rises = zip(self.rises, self.ways()[1:], strict=True)
        return next((PlanName(plan) for (_, plan, *_), way in rises if way == (start, target)), None)

    def _stand(self, now: datetime, hours: AnyHours) -> None:
        length = timedelta(minutes=self.minutes)
        self.counted_seconds = int((length - self._left(now, hours)).total_seconds())

    def _left(self, now: datetime, hours: AnyHours) -> timedelta:
        return min(self._rest(start, target, now, hours) for start, target in self.ways())

    def _rest(self, start: datetime, target: Target, now: datetime, hours: AnyHours) -> timedelta:
        own = start == self.started_at and target == self.target
        spent = self.used(now, hours) if own else used(start, now, target, hours, self.all_pauses())
        return timedelta(minutes=target.minutes) - spent

    def _due(self, start: datetime, target: Target, hours: AnyHours) -> datetime | None:
        if self.carried_at is None or not self._is_carried(start, target):
            return due(start, target, hours, self.all_pauses())
        left = timedelta(minutes=self.minutes, microseconds=-self.carried_microseconds)
        return reached(self.carried_at, left, self.target, hours, self.all_pauses())


class Breach(Model):
    """That a promise was missed and everybody told: the one row of a promise keeps it from being told twice."""

    __tablename__ = "breaches"

    target_id: Mapped[int] = mapped_column(ForeignKey("response_targets.id"), unique=True)
    at: Mapped[datetime]
