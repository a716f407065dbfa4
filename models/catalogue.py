"""What is sold and promised: plans, doors, severities, first-response targets. Read once from `catalogue/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from models.base import Labelled

FOLDER = Path(__file__).parent.parent / "catalogue"
CLOCKS = {"business": False, "around the clock": True}

T = TypeVar("T")


class CatalogueError(ValueError):
    """A catalogue file is wrong; the message names the file and the entry."""


class PlanName(Labelled):
    """The support plans, from the cheapest to the dearest."""

    BASIC = "basic", "Basic"
    STANDARD = "standard", "Standard"
    ENTERPRISE = "enterprise", "Enterprise"
    PREMIUM = "premium", "Premium"

    @property
    def rank(self) -> int:
        """The place in the order of plans: 0 for the cheapest."""
        return list(PlanName).index(self)


class DoorName(Labelled):
    """The two entry doors of the Help Center."""

    TECHNICAL = "technical", "TiDB Cloud Technical Support"
    BILLING = "billing", "TiDB Cloud Account/Billing"


class Severity(Labelled):
    """The business impact of a request, from the gravest down; the full text is the catalogue's."""

    S1 = "S1", "S1"
    S2 = "S2", "S2"
    S3 = "S3", "S3"
    S4 = "S4", "S4"


@dataclass(frozen=True)
class Target:
    """How soon the first reply is promised: minutes of business hours, or of any hours when `around_the_clock`."""

    minutes: int
    around_the_clock: bool

    @property
    def words(self) -> str:
        """The target as it reads: "4 business hours", "1 hour, day and night"."""
        whole, rest = divmod(self.minutes, 60)
        number, unit = (self.minutes, "minute") if rest else (whole, "hour")
        plural = unit if number == 1 else f"{unit}s"
        return f"{number} {plural}, day and night" if self.around_the_clock else f"{number} business {plural}"

    def beats(self, other: Target | None) -> bool:
        """Whether this is strictly better: not slower, and never business hours in place of any hour."""
        if other is None:
            return True
        fits = self.minutes <= other.minutes and self.around_the_clock >= other.around_the_clock
        return fits and self != other


@dataclass(frozen=True)
class Plan:
    """One support plan; `floor_cents` (US cents) and `percent` are None when a contract sets the price."""

    key: PlanName
    meant_for: str
    price: str
    floor_cents: int | None
    percent: int | None
    first_month_free: bool
    by_contract: bool


@dataclass(frozen=True)
class Door:
    """One entry door: `number` is that of the old addresses, `prefix` that of its tickets' keys."""

    key: DoorName
    number: int
    name: str
    prefix: str
    plans: tuple[PlanName, ...]
    severities: tuple[Severity, ...]
    promised: bool


@dataclass(frozen=True)
class Service:
    """One row of the table of services: what it is, and the plans that include it."""

    name: str
    plans: tuple[PlanName, ...]


@dataclass(frozen=True)
class Catalogue:
    """One version of everything that is sold and promised."""

    version: str
    effective: date
    plans: Mapping[PlanName, Plan]
    doors: Mapping[DoorName, Door]
    texts: Mapping[Severity, str]
    targets: Mapping[tuple[PlanName, Severity], Target]
    services: tuple[Service, ...]

    def plan(self, name: PlanName) -> Plan:
        """Return the plan of that name."""
        return self.plans[name]

    def door(self, name: DoorName) -> Door:
        """Return the door of that name."""
        return self.doors[name]

    def text(self, severity: Severity) -> str:
        """Return what the severity means, in the words that customers read."""
        return self.texts[severity]

    def opens(self, plan: PlanName, door: DoorName) -> bool:
        """Whether an organization on the plan may file requests at the door."""
        return plan in self.doors[door].plans

    def cheapest_plan_opening(self, door: DoorName) -> PlanName:
        """Return the cheapest plan that opens the door."""
        return min(self.doors[door].plans, key=lambda plan: plan.rank)

    def severities(self, door: DoorName, plan: PlanName) -> tuple[Severity, ...]:
        """Return the severities on offer, the gravest first; none when the plan does not open the door."""
        return self.doors[door].severities if self.opens(plan, door) else ()

    def target(self, plan: PlanName, door: DoorName, severity: Severity) -> Target | None:
        """Return the first-response target, or None where nothing is promised: Basic, billing, what is not on offer."""
        if not self.doors[door].promised or severity not in self.severities(door, plan):
            return None
        return self.targets.get((plan, severity))

    def next_better(self, plan: PlanName, severity: Severity) -> tuple[PlanName, Target] | None:
        """Return the cheapest dearer plan that promises a strictly better first response, with it; None if none does.

        Any hour beats business hours for equal or fewer minutes.
        """
        own = self.targets.get((plan, severity))
        for higher in list(PlanName)[plan.rank + 1 :]:
            target = self.targets.get((higher, severity))
            if target is not None and target.beats(own):
                return higher, target
        return None


def catalogue(on: date | None = None) -> Catalogue:
    """Return the newest catalogue, or the one in force on that day; raises LookupError when none was yet."""
    versions = [one for one in _versions().values() if on is None or one.effective <= on]
    if not versions:
        raise LookupError(f"No catalogue is in force on {on}.")
    return max(versions, key=lambda one: one.effective)


def catalogue_at(version: str) -> Catalogue:
    """Return the catalogue of that version; raises LookupError when there is none."""
    if version not in _versions():
        raise LookupError(f"There is no catalogue {version!r}.")
    return _versions()[version]


def versions() -> list[Catalogue]:
    """Return every version that is known, the one that takes effect first on top."""
    return sorted(_versions().values(), key=lambda one: one.effective)


def learn(published: Iterable[Catalogue]) -> None:
    """Know these versions beside those of the files, in place of what was learnt before.

    Versions are immutable, so each process may remember them; models/editions.py says which there are.
    """
    _learnt.clear()
    _learnt.update({one.version: one for one in published})


_learnt: dict[str, Catalogue] = {}


def _versions() -> Mapping[str, Catalogue]:
    # What was published here is what was promised, whatever a later release calls its own.
    return {**_of_files(), **_learnt}


@lru_cache(maxsize=1)
def _of_files() -> Mapping[str, Catalogue]:
    """Read every file once."""
    return {name: built(data, name) for name, data in written().items()}


@lru_cache(maxsize=1)
def written() -> Mapping[str, dict[str, Any]]:
    """Return what the files say, by the names of their versions; raises CatalogueError for what is no TOML."""
    return {path.stem: _read(path.read_text(encoding="utf-8"), path.stem) for path in sorted(FOLDER.glob("*.toml"))}


def parse(source: str, name: str) -> Catalogue:
    """Return the catalogue written in TOML, as `built` does."""
    return built(_read(source, name), name)


def _read(source: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{name}: {error}") from error


def built(data: dict[str, Any], name: str) -> Catalogue:
    """Return the catalogue of these tables; `name` is its version and the word for it in errors.

    Raises CatalogueError that names the entry which is missing, unknown or of the wrong kind.
    """
    version = _take(data, "version", str, name)
    if version != name:
        raise CatalogueError(f"{name}: version is {version!r}, and must be the name of the file.")
    effective = _take(data, "effective", date, name)
    # To Python a moment is a day as well.
    if isinstance(effective, datetime):
        raise CatalogueError(f"{name}: effective must be a day, without a time.")
    found = Catalogue(
        version=version,
        effective=effective,
        plans={key: _plan(key, table, where) for key, table, where in _tables(data, "plans", PlanName, name)},
        doors={key: _door(key, table, where) for key, table, where in _tables(data, "doors", DoorName, name)},
        texts=_texts(data, name),
        targets=_targets(data, name),
        services=tuple(
            Service(_take(row, "name", str, f"{name}: services"), _names(row, "plans", PlanName, f"{name}: services"))
            for row in _take(data, "services", list, name)
        ),
    )
    doors = found.doors.values()
    if len({door.number for door in doors} | {door.prefix for door in doors}) != 2 * len(doors):
        raise CatalogueError(f"{name}: two doors share a number or a prefix.")
    return found


def _plan(key: PlanName, table: dict[str, Any], where: str) -> Plan:
    contract = _take(table, "by_contract", bool, where, default=False)
    return Plan(
        key=key,
        meant_for=_take(table, "meant_for", str, where),
        price=_take(table, "price", str, where),
        floor_cents=None if contract else _positive(table, "floor_cents", where, least=0),
        percent=None if contract else _positive(table, "percent", where, least=0),
        first_month_free=_take(table, "first_month_free", bool, where, default=False),
        by_contract=contract,
    )


def _door(key: DoorName, table: dict[str, Any], where: str) -> Door:
    name = _take(table, "name", str, where)
    if name != key.label:
        raise CatalogueError(f"{where}: the name must be {key.label!r}.")
    return Door(
        key=key,
        number=_positive(table, "number", where),
        name=name,
        prefix=_take(table, "prefix", str, where),
        plans=_names(table, "plans", PlanName, where),
        severities=_names(table, "severities", Severity, where),
        promised=_take(table, "promised", bool, where),
    )


def _texts(data: dict[str, Any], name: str) -> dict[Severity, str]:
    table = _take(data, "severities", dict, name)
    return {severity: _take(table, severity.value, str, f"{name}: severities") for severity in Severity}


def _targets(data: dict[str, Any], name: str) -> dict[tuple[PlanName, Severity], Target]:
    targets = {}
    for plan, table in _take(data, "targets", dict, name).items():
        for severity in Severity:
            where = f"{name}: targets.{plan}.{severity}"
            entry = _take(table, severity.value, dict, f"{name}: targets.{plan}")
            clock = _take(entry, "clock", str, where)
            if clock not in CLOCKS:
                raise CatalogueError(f"{where}: the clock {clock!r} is none of {', '.join(CLOCKS)}.")
            target = Target(_positive(entry, "minutes", where), CLOCKS[clock])
            targets[_name(plan, PlanName, f"{name}: targets"), severity] = target
    return targets


K = TypeVar("K", bound=Labelled)


def _tables(data: dict[str, Any], key: str, kind: type[K], name: str) -> list[tuple[K, dict[str, Any], str]]:
    """Return the sub-tables of `key`, one for each member of the enum, none missing and none unknown."""
    tables = _take(data, key, dict, name)
    for written in tables:
        _name(written, kind, f"{name}: {key}")
    return [
        (member, _take(tables, member.value, dict, f"{name}: {key}"), f"{name}: {key}.{member.value}")
        for member in kind
    ]


def _names(table: dict[str, Any], key: str, kind: type[K], where: str) -> tuple[K, ...]:
    """Return a list of names as members, in the order of the enum; at least one."""
    written = {_name(one, kind, f"{where}.{key}") for one in _take(table, key, list, where)}
    if not written:
        raise CatalogueError(f"{where}: {key} is empty.")
    return tuple(member for member in kind if member in written)


def _name(written: object, kind: type[K], where: str) -> K:
    for member in kind:
        if member.value == written:
            return member
    raise CatalogueError(f"{where}: {written!r} is none of {', '.join(member.value for member in kind)}.")


def _positive(table: dict[str, Any], key: str, where: str, least: int = 1) -> int:
    value = _take(table, key, int, where)
    if value < least:
        raise CatalogueError(f"{where}: {key} must be at least {least}.")
    return value


def _take(table: dict[str, Any], key: str, kind: type[T], where: str, default: T | None = None) -> T:
    """Return the entry if it is of that kind; `default` stands in for one that is missing."""
    value = table.get(key, default)
    if value is None:
        raise CatalogueError(f"{where}: {key} is missing.")
    # To Python true is an int; to whoever writes a catalogue it is not.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise CatalogueError(f"{where}: {key} must be of the kind {kind.__name__}.")
    return value
