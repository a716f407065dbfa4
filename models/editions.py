"""Versions of the catalogue that are made in the administration: drafted, compared, published for a day, and then kept.

What is published never changes. It takes effect at 00:00 UTC of its day, beside the versions of `catalogue/*.toml`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, NotFound, Refused, session_of, to_write
from models.catalogue import Catalogue, CatalogueError, DoorName, PlanName, Severity, built, learn, versions, written
from models.events import EventKind, record
from models.people import Person

# So long before its day a version must be published: by then every process has read it, which each does twice a minute.
AHEAD = timedelta(minutes=5)
DRAFTS_MOST = 20
NAME_MOST = 20


class Edition(Model):
    """One version, a draft until it is published; `data` says what a file of the catalogue says, but for its day."""

    __tablename__ = "catalogue_editions"

    name: Mapped[str] = mapped_column(String(NAME_MOST), unique=True)
    data: Mapped[dict[str, Any]]
    # The day (UTC) from which it is in force; null while it is a draft.
    effective: Mapped[date | None] = mapped_column(unique=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    changed_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 (SQLAlchemy reads it from the class)

    @property
    def is_draft(self) -> bool:
        """Whether it can still be changed."""
        return self.published_at is None

    def catalogue(self, effective: date | None = None) -> Catalogue:
        """Return it as a catalogue; a draft gets that day, or the first of all. Raises CatalogueError."""
        day = self.effective or effective or date.min
        return built({**self.data, "version": self.name, "effective": day}, self.name)


def refresh(session: Session) -> None:
    """Let this process know every version that is published; one statement."""
    found = session.scalars(select(Edition).where(Edition.published_at.is_not(None))).all()
    learn([edition.catalogue() for edition in found])


def drafts(session: Session) -> list[Edition]:
    """Return the drafts, the latest change first (there are at most twenty)."""
    query = select(Edition).where(Edition.published_at.is_(None)).order_by(Edition.changed_at.desc(), Edition.id)
    return list(session.scalars(query.limit(DRAFTS_MOST)))


def data_of(session: Session, name: str) -> dict[str, Any]:
    """Return what a version says, published, of a file or a draft; raises NotFound."""
    if name in written():
        return {key: value for key, value in written()[name].items() if key not in {"version", "effective"}}
    return edition_of(session, name).data


def catalogue_named(session: Session, name: str) -> Catalogue:
    """Return the version of that name, also a draft; raises NotFound."""
    known = next((one for one in versions() if one.version == name), None)
    return known or edition_of(session, name).catalogue()


def edition_of(session: Session, name: str) -> Edition:
    """Return the version that was made in the administration; raises NotFound for any other name."""
    found = session.scalars(select(Edition).where(Edition.name == name[:NAME_MOST])).one_or_none()
    if found is None:
        raise NotFound
    return found


def draft_to_write(session: Session, name: str) -> Edition:
    """Return the draft of that name for writing; raises NotFound for none, and for what is published already."""
    query = to_write(select(Edition).where(Edition.name == name[:NAME_MOST]), session, Edition)
    found = session.scalars(query).one_or_none()
    if found is None or not found.is_draft:
        raise NotFound
    return found


def begin(actor: Person, name: str, *, of: str, now: datetime) -> Edition:
    """Begin a draft called `name` with all that the version `of` says.

    Raises Refused for a name that is taken or none, and where there are drafts enough; NotFound for no such version.
    """
    session = session_of(actor)
    if not name or len(name) > NAME_MOST or not all(c.isascii() and (c.isalnum() or c in "-.") for c in name):
        raise Refused("Use up to 20 letters a to z, digits, hyphens and dots, for example 2027-01.", "name")
    taken = session.scalar(select(Edition.id).where(func.lower(Edition.name) == name.lower()))
    if taken is not None or name.lower() in {one.version.lower() for one in versions()}:
        raise Refused(f"There is a version {name} already. Choose another name.", "name")
    if len(drafts(session)) >= DRAFTS_MOST:
        raise Refused(f"There are {DRAFTS_MOST} drafts, which is the most. Discard one first.", "name")
    data = copy.deepcopy(data_of(session, of))
    draft = Edition(name=name, data=data, author_id=actor.id, changed_at=now, effective=None, published_at=None)
    session.add(draft)
    _note(actor, EventKind.CATALOGUE_DRAFTED, name, now=now, of=of)
    session.flush()
    return draft


def change(draft: Edition, actor: Person, data: dict[str, Any], *, now: datetime) -> None:
    """Let the draft say this instead. Raises Refused with the entry that is missing or wrong."""
    check(data, draft.name)
    if data != draft.data:
        draft.data, draft.changed_at = data, now
        _note(actor, EventKind.CATALOGUE_CHANGED, draft.name, now=now)


def check(data: dict[str, Any], name: str) -> Catalogue:
    """Return the catalogue that the data make; raises Refused with words for whoever wrote them."""
    try:
        found = built({**data, "version": name, "effective": date.min}, name)
    except CatalogueError as error:
        raise Refused(str(error).removeprefix(f"{name}: ")) from None
    if Severity.S1 in found.doors[DoorName.BILLING].severities:
        # Source: product fact 5, the seed's "S1 excluded for billing".
        raise Refused(f"{found.doors[DoorName.BILLING].name} takes S2 to S4, never S1: take S1 off there.")
    for door in found.doors.values():
        if door.promised:
            missing = [plan for plan in door.plans for s in door.severities if (plan, s) not in found.targets]
            if missing:
                raise Refused(f"{door.name} promises a first reply, and {missing[0].label} has no target for it.")
    return found


def discard(draft: Edition, actor: Person, *, now: datetime) -> None:
    """Delete a draft: nothing was ever promised by it."""
    _note(actor, EventKind.CATALOGUE_DISCARDED, draft.name, now=now)
    session_of(draft).delete(draft)


def publish(draft: Edition, actor: Person, day: date | None, *, now: datetime) -> None:
    """Let the draft be in force from 00:00 UTC of that day on, for good.

    Raises Refused for a day that is not ahead by five minutes at least, or on which another version begins.
    """
    check(draft.data, draft.name)
    if day is None or datetime.combine(day, time(), UTC) < now + AHEAD:
        raise Refused(f"Choose a day from {first_day(now).isoformat()} on: it begins at 00:00 UTC.", "day")
    if day.year > now.year + 5:
        raise Refused("Choose a day within five years.", "day")
    taken = next((one.version for one in versions() if one.effective == day), None)
    session = session_of(draft)
    taken = taken or session.scalar(select(Edition.name).where(Edition.effective == day))
    if taken is not None:
        raise Refused(f"{taken} begins on that day. Choose another one.", "day")
    draft.effective, draft.published_at, draft.changed_at = day, now, now
    _note(actor, EventKind.CATALOGUE_PUBLISHED, draft.name, now=now, effective=day.isoformat())
    session.flush()


def first_day(now: datetime) -> date:
    """Return the first day on which a version that is published now can begin."""
    return (now + AHEAD).astimezone(UTC).date() + timedelta(days=1)


def _note(actor: Person, kind: EventKind, name: str, *, now: datetime, **data: str) -> None:
    record(session_of(actor), kind, now=now, actor_id=actor.id, version=name, **data)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Difference:
    """One thing that two versions say otherwise, in words; empty where one of them does not have it."""

    part: str
    what: str
    before: str
    after: str


def differences(old: Catalogue, new: Catalogue) -> list[Difference]:
    """Return what is said otherwise by the second one, part by part."""
    found = [
        *(_each(f"Plan {name.label}", _plan_words(old, name), _plan_words(new, name)) for name in PlanName),
        *(_each(f"First reply, {name.label}", _targets(old, name), _targets(new, name)) for name in PlanName),
        *(_each(name.label, _door_words(old, name), _door_words(new, name)) for name in DoorName),
        _each("Severities", {s.value: old.text(s) for s in Severity}, {s.value: new.text(s) for s in Severity}),
        _each("Services", _services(old), _services(new)),
    ]
    return [one for part in found for one in part]


def _each(part: str, before: dict[str, str], after: dict[str, str]) -> list[Difference]:
    names = list(dict.fromkeys([*before, *after]))
    return [
        Difference(part, name, before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name, "") != after.get(name, "")
    ]


def _plan_words(terms: Catalogue, name: PlanName) -> dict[str, str]:
    plan = terms.plan(name)
    return {
        "Meant for": plan.meant_for,
        "Price, in words": plan.price,
        "Least price a month": "" if plan.floor_cents is None else f"${plan.floor_cents / 100:.2f}",
        "Share of cloud charges": "" if plan.percent is None else f"{plan.percent} %",
        "First month free": "yes" if plan.first_month_free else "no",
    }


def _targets(terms: Catalogue, name: PlanName) -> dict[str, str]:
    found = {severity: terms.target(name, DoorName.TECHNICAL, severity) for severity in Severity}
    return {severity.value: target.words if target else "No target" for severity, target in found.items()}


def _door_words(terms: Catalogue, name: DoorName) -> dict[str, str]:
    door = terms.door(name)
    return {
        "Open to": _named(door.plans),
        "Severities": ", ".join(door.severities),
        "First reply promised": "yes" if door.promised else "no",
    }


def _services(terms: Catalogue) -> dict[str, str]:
    return {service.name: _named(service.plans) for service in terms.services}


def _named(plans: Sequence[PlanName]) -> str:
    return ", ".join(plan.label for plan in plans)
