"""Announcements: what customers read on the Help Center before they ask."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Select, String, UniqueConstraint, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, NotFound, session_of
from models.people import Person


class Tone(Labelled):
    """How much an announcement matters."""

    INFO = "info", "For information"
    WARN = "warn", "Needs attention"


class Announcement(Model):
    """A dated note to customers, shown from `starts_at` until `ends_at`."""

    __tablename__ = "announcements"
    __table_args__ = (Index(None, "starts_at"),)

    title: Mapped[str]
    body: Mapped[str] = mapped_column(String(2000))
    tone: Mapped[Tone]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]


class Dismissal(Model):
    """That somebody has read an announcement and does not want it above the doors any more."""

    __tablename__ = "dismissals"
    __table_args__ = (UniqueConstraint("person_id", "announcement_id"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    announcement_id: Mapped[int] = mapped_column(ForeignKey("announcements.id"))


def fresh_announcements(person: Person, *, now: datetime, most: int = 3) -> list[Announcement]:
    """Return the announcements that hold now and that the person has not dismissed, the latest first."""
    seen = select(Dismissal.announcement_id).where(Dismissal.person_id == person.id)
    return list(session_of(person).scalars(_holding(now).where(Announcement.id.not_in(seen)).limit(most)))


def dismiss(person: Person, announcement_id: int) -> None:
    """Keep the announcement from the person's Help Center; raises NotFound for one that does not exist."""
    session = session_of(person)
    if session.get(Announcement, announcement_id) is None:
        raise NotFound
    there = (Dismissal.person_id == person.id) & (Dismissal.announcement_id == announcement_id)
    if session.scalar(select(Dismissal.id).where(there)) is None:
        session.add(Dismissal(person_id=person.id, announcement_id=announcement_id))


def announcements(session: Session, *, now: datetime, most: int = 20) -> list[Announcement]:
    """Return the announcements that hold now, the latest first, at most so many."""
    return list(session.scalars(_holding(now).limit(most)))


def _holding(now: datetime) -> Select[Announcement]:
    holding = (Announcement.starts_at <= now) & or_(Announcement.ends_at.is_(None), Announcement.ends_at > now)
    return select(Announcement).where(holding).order_by(Announcement.starts_at.desc(), Announcement.id.desc())
