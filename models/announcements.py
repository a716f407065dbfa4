"""Announcements: what customers read on the Help Center before they ask."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model


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


def announcements(session: Session, *, now: datetime, most: int = 20) -> list[Announcement]:
    """Return the announcements that hold now, the latest first, at most so many."""
    holding = (Announcement.starts_at <= now) & or_(Announcement.ends_at.is_(None), Announcement.ends_at > now)
    latest = select(Announcement).where(holding).order_by(Announcement.starts_at.desc(), Announcement.id.desc())
    return list(session.scalars(latest.limit(most)))
