"""What the customer says of the help: one to five stars for a resolved request, while it could still be reopened.

Where nobody has helped, nothing is asked.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, Refused, session_of
from models.events import EventKind
from models.notices import note_event
from models.people import Person
from models.prose import cleaned
from models.tickets import Body, Comment, Ticket, TicketState

STARS = {1: "Bad", 2: "Poor", 3: "Fair", 4: "Good", 5: "Very good"}
WORDS_MOST = 1000


class Rating(Model):
    """What was said of one request, by whoever said it last."""

    __tablename__ = "ratings"
    __table_args__ = (Index(None, "at"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    stars: Mapped[int]
    words: Mapped[str] = mapped_column(Body)
    at: Mapped[datetime]


def rating_of(ticket: Ticket) -> Rating | None:
    """Return what was said of the ticket; None when nobody has."""
    return session_of(ticket).scalar(select(Rating).where(Rating.ticket_id == ticket.id))


def may_rate(ticket: Ticket, now: datetime) -> bool:
    """Tell whether the request was answered, is resolved, and not yet closed for good: for 14 days."""
    return ticket.state is TicketState.RESOLVED and not ticket.is_final(now) and was_answered(ticket)


def was_answered(ticket: Ticket) -> bool:
    """Tell whether one of us has ever replied where the customer reads it."""
    if any(target.met_at is not None for target in ticket.targets):
        return True
    told = select(Comment.id).where(
        Comment.ticket_id == ticket.id, Comment.by_staff.is_(True), Comment.internal.is_(False)
    )
    return session_of(ticket).scalar(told.limit(1)) is not None


def rate(ticket: Ticket, actor: Person, stars: int | None, words: str, *, now: datetime) -> Rating:
    """Say, or say anew, how good the help was. Raises Refused naming the field that is wrong."""
    if not may_rate(ticket, now):
        raise Refused("Only a resolved request that we answered can be rated, for 14 days after it was resolved.")
    if stars not in STARS:
        raise Refused("Choose one of the five.", "stars")
    text = cleaned(words).strip()
    if len(text) > WORDS_MOST:
        raise Refused(f"Shorten the text: it has {len(text):,} characters, and {WORDS_MOST:,} fit.", "words")
    rating = rating_of(ticket)
    before = rating.stars if rating else None
    if rating is None:
        rating = Rating(ticket_id=ticket.id)
        session_of(ticket).add(rating)
    elif (rating.stars, rating.words) == (stars, text):
        return rating
    rating.person_id, rating.stars, rating.words, rating.at = actor.id, stars, text, now
    note_event(ticket, actor, EventKind.TICKET_RATED, now=now, stars=stars, before=before)
    return rating
