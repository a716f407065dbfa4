"""What somebody asks of a report: months, doors and plans, and which number's list; every choice is in the address."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from models.base import Labelled
from models.catalogue import DoorName, PlanName, Severity
from models.wording import MONTHS, WEEKDAYS

# What one page shows at most, and what it shows first.
MONTHS_MOST, MONTHS_FIRST = 24, 6
# Where one age of open requests ends and the next begins, in days.
AGES = (1, 3, 7, 30)
AGE_WORDS = ("Up to 1 day", "1 to 3 days", "3 to 7 days", "7 to 30 days", "More than 30 days")


class Kept(Labelled):
    """What became of a promise."""

    MET = "met", "On time"
    MISSED = "missed", "Late"
    OPEN = "open", "Not due yet"
    UNANSWERED = "unanswered", "Closed without a reply"


class Count(Labelled):
    """What a number counts."""

    PROMISED = "promised", "First replies promised"
    REPLIED = "replied", "First replies given"
    FILED = "filed", "Requests filed"
    RESOLVED = "resolved", "Requests resolved"
    RATED = "rated", "Requests rated"
    BACKLOG = "backlog", "Open requests"


@dataclass(frozen=True, order=True)
class Month:
    """A month of the calendar."""

    year: int
    number: int

    @classmethod
    def of(cls, on: date) -> Month:
        """Return the month of a day."""
        return cls(on.year, on.month)

    @classmethod
    def read(cls, written: str) -> Month | None:
        """Return the month written as "2026-11"; None for anything else."""
        try:
            return cls.of(datetime.strptime(f"{written}-01", "%Y-%m-%d").replace(tzinfo=UTC).date())
        except ValueError:
            return None

    def plus(self, months: int) -> Month:
        """Return the month so many later."""
        whole = self.year * 12 + self.number - 1 + months
        return Month(whole // 12, whole % 12 + 1)

    def start(self, zone: ZoneInfo) -> datetime:
        """Return its first moment in that zone, in UTC."""
        return datetime.combine(date(self.year, self.number, 1), time.min, zone).astimezone(UTC)

    @property
    def written(self) -> str:
        """The month as an address has it."""
        return f"{self.year:04}-{self.number:02}"

    @property
    def label(self) -> str:
        """The month in words: "Nov 2026"."""
        return f"{MONTHS[self.number - 1]} {self.year}"


FIRST_MONTH, LAST_MONTH = Month(2000, 1), Month(9998, 12)


@dataclass(frozen=True)
class ReportWish:
    """What somebody asked to see; every choice is in the address."""

    since: Month
    until: Month
    door: DoorName | None = None
    plan: PlanName | None = None
    base: str = "/reports"

    @classmethod
    def read(cls, given: dict[str, str], today: date, base: str = "/reports") -> ReportWish:
        """Return what the address says; what cannot be read is left at what is shown first.

        No more than two years are shown at once; a span that ends before it begins is one month.
        """
        until = _within(Month.read(given.get("until", "")) or Month.of(today))
        since = _within(Month.read(given.get("from", "")) or until.plus(1 - MONTHS_FIRST))
        since = max(min(since, until), until.plus(1 - MONTHS_MOST))
        door = next((d for d in DoorName if d.value == given.get("door")), None)
        plan = next((p for p in PlanName if p.value == given.get("plan")), None)
        return cls(since, until, door, plan, base)

    @property
    def months(self) -> list[Month]:
        """The months, the earliest first."""
        length = (self.until.year - self.since.year) * 12 + self.until.number - self.since.number
        return [self.since.plus(n) for n in range(length + 1)]

    def offered(self, today: date) -> list[Month]:
        """Return the months to choose from, the latest first: those of three years, and what is chosen."""
        last = Month.of(today)
        return sorted({*(last.plus(-n) for n in range(36)), self.since, self.until}, reverse=True)

    @property
    def parts(self) -> dict[str, str]:
        """The choices as the address has them."""
        given = {
            "from": self.since.written,
            "until": self.until.written,
            "door": self.door.value if self.door else "",
            "plan": self.plan.value if self.plan else "",
        }
        return {name: value for name, value in given.items() if value}

    def href(self, **changes: object) -> str:
        """Return the address of the report with these changes."""
        wish = replace(self, **changes)  # type: ignore[arg-type]
        return f"{self.base}?{urlencode(wish.parts)}"

    def behind(self, count: Count, month: Month | None = None, **more: str) -> str:
        """Return the address of the list behind a number: of one month, or of all that are shown."""
        wish = replace(self, since=month, until=month) if month else self
        return f"{self.base}/requests?{urlencode({'count': count.value, **wish.parts, **more})}"

    def file(self, kind: str) -> str:
        """Return the address of the file with a line for each promise; `kind` is "csv" or "xlsx"."""
        return f"{self.base}/promises.{kind}?{urlencode(self.parts)}"


def _within(month: Month) -> Month:
    return min(max(month, FIRST_MONTH.plus(MONTHS_MOST)), LAST_MONTH)


@dataclass(frozen=True)
class Picked:
    """Which number of the report is opened."""

    count: Count
    severity: Severity | None = None
    kept: Kept | None = None
    of: PlanName | None = None
    age: int | None = None
    # Who has the request; on which weekday (Monday is 0) and in which hour it was filed.
    agent: int | None = None
    hour: tuple[int, int] | None = None

    @classmethod
    def read(cls, given: dict[str, str]) -> Picked:
        """Return what the address says; what it does not say narrows nothing, and without a count all are listed."""
        count = next((c for c in Count if c.value == given.get("count")), Count.FILED)
        age, agent = given.get("age", ""), given.get("agent", "")
        hour = re.fullmatch(r"([0-6])-([01][0-9]|2[0-3])", given.get("hour", ""), re.ASCII)
        return cls(
            count,
            next((s for s in Severity if s.value == given.get("severity")), None),
            next((k for k in Kept if k.value == given.get("kept")), None),
            next((p for p in PlanName if p.value == given.get("of")), None),
            int(age) if age in {str(n) for n in range(len(AGE_WORDS))} else None,
            int(agent) if re.fullmatch(r"[1-9][0-9]{0,14}", agent, re.ASCII) else None,
            (int(hour[1]), int(hour[2])) if hour else None,
        )

    @property
    def words(self) -> str:
        """What it counts, in words."""
        narrowed = [
            self.severity.value if self.severity else "",
            self.kept.label.lower() if self.kept else "",
            f"{self.of.label} plan" if self.of else "",
            AGE_WORDS[self.age].lower() if self.age is not None and self.count is Count.BACKLOG else "",
            f"{WEEKDAYS[self.hour[0]]} from {self.hour[1]:02}:00" if self.hour else "",
        ]
        return ", ".join([self.count.label, *filter(None, narrowed)])

    @property
    def parts(self) -> dict[str, str]:
        """The choices as an address has them."""
        given = {
            "count": self.count.value,
            "severity": self.severity.value if self.severity else "",
            "kept": self.kept.value if self.kept else "",
            "of": self.of.value if self.of else "",
            "age": "" if self.age is None else str(self.age),
            "agent": "" if self.agent is None else str(self.agent),
            "hour": f"{self.hour[0]}-{self.hour[1]:02}" if self.hour else "",
        }
        return {name: value for name, value in given.items() if value}
