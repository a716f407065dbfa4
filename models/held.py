"""Replies that are sent but not yet out: for some seconds their writer can take them back, and no customer sees them.

Until then the message and its event are internal, so that every reader that hides notes from customers hides them too.
What the reply changes (status, assignee, promise, mail) is written when it goes out, as of the moment of sending.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, ForeignKey, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model
from models.promises import ResponseTarget
from models.tickets import TicketState


class HeldReply(Model):
    """One reply that waits until its writer can no longer undo it, and what is to be done with the ticket then."""

    __tablename__ = "held_replies"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    comment_id: Mapped[int] = mapped_column(ForeignKey("comments.id"), unique=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    # The status that the writer chose; none leaves it to the rule of `conversations.conclude`.
    then: Mapped[TicketState | None]
    take: Mapped[bool]
    sent_at: Mapped[datetime]
    until: Mapped[datetime] = mapped_column(index=True)


def is_sending(session: Session, ticket_id: int) -> bool:
    """Tell whether a reply to the ticket waits to go out."""
    return session.scalar(select(HeldReply.id).where(HeldReply.ticket_id == ticket_id).limit(1)) is not None


def answers_in_time() -> ColumnElement[bool]:
    """Return the condition that a promise has its answer, in time, on the way: it counts from when it was sent."""
    return exists().where(
        HeldReply.ticket_id == ResponseTarget.ticket_id,
        HeldReply.sent_at >= ResponseTarget.started_at,
        HeldReply.sent_at <= ResponseTarget.due_at,
    )
