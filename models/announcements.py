"""Announcements: what customers read on the Help Center before they ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    UniqueConstraint,
    case,
    delete,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, NotFound, Refused, session_of
from models.catalogue import PlanName
from models.events import EventKind, record
from models.paging import Paging, within
from models.people import Person, digest


class Tone(Labelled):
    """How much an announcement matters."""

    INFO = "info", "For information"
    WARN = "warn", "Needs attention"


EVERY_PLAN = " ".join(plan.value for plan in PlanName)


class Announcement(Model):
    """A dated note to customers, shown from `starts_at` until `ends_at` to those who have one of its plans."""

    __tablename__ = "announcements"
    __table_args__ = (Index(None, "starts_at"),)

    title: Mapped[str]
    body: Mapped[str] = mapped_column(String(2000))
    tone: Mapped[Tone]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    # The names of the plans, in the catalogue's order; none of them is part of another.
    plans: Mapped[str] = mapped_column(String(80), default=EVERY_PLAN)

    @property
    def plan_names(self) -> tuple[PlanName, ...]:
        """The plans whose organizations see it."""
        return tuple(plan for plan in PlanName if plan.value in self.plans.split())

    @property
    def mark(self) -> str:
        """A text that changes when anything of the announcement does."""
        parts = (self.title, self.body, self.tone.value, self.starts_at, self.ends_at, self.plans)
        return digest(repr(parts))[:16]

    def is_over(self, now: datetime) -> bool:
        """Tell whether nobody sees it any more."""
        return self.ends_at is not None and self.ends_at <= now


class Dismissal(Model):
    """That somebody has read an announcement and does not want it above the doors any more."""

    __tablename__ = "dismissals"
    __table_args__ = (UniqueConstraint("person_id", "announcement_id"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    announcement_id: Mapped[int] = mapped_column(ForeignKey("announcements.id"))


def fresh_announcements(person: Person, *, now: datetime, most: int = 3) -> list[Announcement]:
    """Return the announcements that hold now and that the person has not dismissed.

    Those that need attention come first, so that no other can push them out; then the latest.
    """
    seen = select(Dismissal.announcement_id).where(Dismissal.person_id == person.id)
    fresh = _holding(now, case((Announcement.tone == Tone.WARN, 0), else_=1))
    return list(session_of(person).scalars(fresh.where(_for(person), Announcement.id.not_in(seen)).limit(most)))


def dismiss(person: Person, announcement_id: int) -> None:
    """Keep the announcement from the person's Help Center; raises NotFound for one that they do not see."""
    session = session_of(person)
    if session.scalar(select(Announcement.id).where(Announcement.id == announcement_id, _for(person))) is None:
        raise NotFound
    there = (Dismissal.person_id == person.id) & (Dismissal.announcement_id == announcement_id)
    if session.scalar(select(Dismissal.id).where(there)) is None:
        session.add(Dismissal(person_id=person.id, announcement_id=announcement_id))


def announcements(person: Person, *, now: datetime, most: int = 20) -> list[Announcement]:
    """Return the announcements that hold now for the person, the latest first, at most so many."""
    return list(session_of(person).scalars(_holding(now).where(_for(person)).limit(most)))


def _for(person: Person) -> ColumnElement[bool]:
    """Return the condition for what the person sees: that of their organizations' plans; staff sees all.

    Who belongs to no organization sees what is meant for every plan.
    """
    if person.staff_role is not None:
        return true()
    plans = {membership.organization.plan for membership in person.memberships}
    return or_(Announcement.plans == EVERY_PLAN, *(Announcement.plans.contains(plan) for plan in sorted(plans)))


def _holding(now: datetime, *first: ColumnElement[int]) -> Select[Announcement]:
    holding = (Announcement.starts_at <= now) & or_(Announcement.ends_at.is_(None), Announcement.ends_at > now)
    return select(Announcement).where(holding).order_by(*first, Announcement.starts_at.desc(), Announcement.id.desc())


@dataclass(frozen=True)
class Notice:
    """What an administrator says in an announcement."""

    title: str
    body: str
    tone: Tone
    starts_at: datetime
    ends_at: datetime | None
    plans: tuple[PlanName, ...]


def all_announcements(session: Session, page: int, size: int) -> tuple[Sequence[Announcement], Paging]:
    """Return one page of the announcements, past and planned ones as well, the latest start first."""
    total = session.scalar(select(func.count(Announcement.id))) or 0
    page = within(page, total, size)
    latest = select(Announcement).order_by(Announcement.starts_at.desc(), Announcement.id.desc())
    rows = session.scalars(latest.offset((page - 1) * size).limit(size)).all()
    path = "/admin/announcements"
    return rows, Paging(page, size, len(rows), total, lambda n: f"{path}?page={n}" if n > 1 else path)


def announcement_of(session: Session, number: int) -> Announcement:
    """Return the announcement with that key; raises NotFound."""
    found = session.get(Announcement, number)
    if found is None:
        raise NotFound
    return found


def announce(session: Session, actor: Person, notice: Notice, *, now: datetime) -> Announcement:
    """Write an announcement and return it. Raises Refused without words, and when its end is past."""
    _check(notice, now)
    made = Announcement(starts_at=notice.starts_at, title=notice.title, body=notice.body, tone=notice.tone)
    _write(made, notice)
    session.add(made)
    session.flush()
    _note(made, actor, EventKind.ANNOUNCEMENT_CREATED, now=now)
    return made


def revise(announcement: Announcement, actor: Person, notice: Notice, *, now: datetime) -> None:
    """Say something else from now on; who put it away keeps it away. Raises Refused as `announce`, and when over."""
    _check_shown(announcement, now)
    _check(notice, now)
    before = announcement.mark
    _write(announcement, notice)
    if announcement.mark != before:
        _note(announcement, actor, EventKind.ANNOUNCEMENT_CHANGED, now=now)


def end(announcement: Announcement, actor: Person, *, now: datetime) -> None:
    """Show it to nobody from now on. Raises Refused when it is over, or has not begun."""
    _check_shown(announcement, now)
    if announcement.starts_at > now:
        raise Refused("This announcement has not begun. Delete it instead.")
    announcement.ends_at = now
    _note(announcement, actor, EventKind.ANNOUNCEMENT_ENDED, now=now)


def discard(announcement: Announcement, actor: Person, *, now: datetime) -> None:
    """Delete an announcement that nobody has seen. Raises Refused for one that was shown."""
    if announcement.starts_at <= now:
        raise Refused("Customers have seen this announcement, so it stays on record. End it instead.")
    session = session_of(announcement)
    _note(announcement, actor, EventKind.ANNOUNCEMENT_DELETED, now=now)
    session.execute(delete(Dismissal).where(Dismissal.announcement_id == announcement.id))
    session.delete(announcement)


def _check(notice: Notice, now: datetime) -> None:
    if not notice.title.strip():
        raise Refused("Enter a title.", "title")
    if not notice.body.strip():
        raise Refused("Write the text.", "body")
    if notice.ends_at is not None and notice.ends_at <= max(notice.starts_at, now):
        raise Refused("Choose an end that is after the start and still to come.", "ends_at")
    if not notice.plans:
        raise Refused("Choose at least one plan.", "plans")


def _check_shown(announcement: Announcement, now: datetime) -> None:
    if announcement.is_over(now):
        raise Refused("This announcement has ended. Write a new one.")


def _write(announcement: Announcement, notice: Notice) -> None:
    announcement.title, announcement.body, announcement.tone = notice.title, notice.body, notice.tone
    announcement.starts_at, announcement.ends_at = notice.starts_at, notice.ends_at
    announcement.plans = " ".join(plan.value for plan in PlanName if plan in notice.plans)


def _note(announcement: Announcement, actor: Person, kind: EventKind, *, now: datetime) -> None:
    record(
        session_of(announcement),
        kind,
        now=now,
        actor_id=actor.id,
        title=announcement.title,
        plans=[plan.value for plan in announcement.plan_names],
        start=announcement.starts_at.isoformat(timespec="minutes"),
        end=announcement.ends_at.isoformat(timespec="minutes") if announcement.ends_at else "",
    )
