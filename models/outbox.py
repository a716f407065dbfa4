"""Outgoing mail: a row written in the same transaction as its cause, handed over later by the worker.

Delivery is at least once, never at most once. A worker that dies between the mail server's "250" and the note of it
leaves a lease behind; when that has run out the letter goes again, with the same Message-ID, so that mail programs can
show it once. A row holds the facts that a letter is written from, never its text, and a secret only until the letter
is delivered or given up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol, cast
from uuid import uuid4

from sqlalchemy import CursorResult, ForeignKey, Index, String, and_, insert, or_, select, update
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, Refused, token
from models.outside import Clock, Mailer, TryLater, Undeliverable

log = logging.getLogger(__name__)

# A conversation with a mail server is given up after 30 seconds, so that a living worker never outlives its lease.
LEASE = timedelta(seconds=60)
GAPS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60))
SOON = timedelta(seconds=3)
GIVE_UP_AFTER = timedelta(days=5)
# Facts that are wiped as soon as the letter is delivered or given up.
SECRETS = frozenset({"token"})


class Letter(Labelled):
    """What a letter is about; the value names its templates, the label is what staff read."""

    TICKET_FILED = "ticket_filed", "Request received"
    TICKET_REPLIED = "ticket_replied", "Reply"
    TICKET_STATE = "ticket_state", "Change of a request"
    TICKET_PARTICIPANT = "ticket_participant", "Added to a request"
    TICKET_ASSIGNED = "ticket_assigned", "Ticket assigned"
    TICKET_SEVERITY_ASKED = "ticket_severity_asked", "Higher severity asked for"
    TICKET_MENTIONED = "ticket_mentioned", "Mentioned in a note"
    TICKET_NOTED = "ticket_noted", "Internal note"
    TICKET_REMINDER = "ticket_reminder", "Reminder of a question"
    TICKET_ESCALATED = "ticket_escalated", "Escalation"
    TICKET_TAKEN_UP = "ticket_taken_up", "Escalation taken up"
    ON_CALL = "on_call", "On-call alert"
    PROMISE_RAISED = "promise_raised", "First reply due earlier"
    PROMISE_MISSED = "promise_missed", "First reply is late"
    DRAFT_READY = "draft_ready", "Request that can be filed now"
    INVITATION = "invitation", "Invitation"
    MEMBER_ROLE = "member_role", "Role changed"
    MEMBER_REMOVED = "member_removed", "Membership ended"
    PAYMENT_RECEIPT = "payment_receipt", "Receipt"
    PAYMENT_FAILED = "payment_failed", "Payment failed"
    REFUND_FAILED = "refund_failed", "Refund declined"
    ENDS_SOON = "ends_soon", "Ends soon"
    PLAN_PENDING = "plan_pending", "Downgrade scheduled"
    PLAN_CHANGED = "plan_changed", "Plan changed"
    LEAD_RECEIVED = "lead_received", "Enquiry received"
    LEAD_MESSAGE = "lead_message", "Mail of sales"
    LEAD_ANSWERED = "lead_answered", "Answer to sales"
    LEAD_REMINDER = "lead_reminder", "What sales has to do today"
    LEAD_ALERT = "lead_alert", "New enquiry for sales"
    SIGN_IN_RESET = "sign_in_reset", "Link for a new password"
    PASSWORD_CHANGED = "password_changed", "Password changed"
    STAFF_ADDED = "staff_added", "Link for a first password"


class MessageState(Labelled):
    """How far a message has come."""

    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    UNDELIVERABLE = "undeliverable", "Undeliverable"


class Addressee(Protocol):
    """Somebody who gets mail: a person, or a sender of a form, who has no `id`."""

    @property
    def id(self) -> int | None:
        """The person's key, if it is a person of ours."""

    @property
    def email(self) -> str:
        """The address."""

    @property
    def name(self) -> str:
        """The name as they write it."""


class Message(Model):
    """One letter to one recipient; `next_at` is when it is due, `public_id` is what its Message-ID is made from."""

    __tablename__ = "messages"
    __table_args__ = (Index(None, "state", "next_at"), Index(None, "ticket_id"))

    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[Letter]
    recipient: Mapped[str] = mapped_column(String(320))
    recipient_name: Mapped[str]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("events.id"))
    data: Mapped[dict[str, Any]]
    state: Mapped[MessageState] = mapped_column(default=MessageState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    give_up_at: Mapped[datetime]
    lease: Mapped[str | None] = mapped_column(String(40))
    leased_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]

    def retry(self, now: datetime) -> None:
        """Put an undeliverable message back in the queue at `now`, with a fresh round of attempts.

        Raises Refused when it is not undeliverable, or when the secret it carried is wiped.
        """
        if self.state is not MessageState.UNDELIVERABLE:
            raise Refused("This message is sent, or on its way. There is nothing to send again.")
        if self.kind is Letter.SIGN_IN_RESET:
            raise Refused("The link in this message is gone. Ask the person to request a new one.")
        if self.kind is Letter.INVITATION:
            raise Refused("The link in this message is gone. Ask an Owner to send the invitation again.")
        if self.kind is Letter.STAFF_ADDED:
            raise Refused("The link in this message is gone. Send a new one from the page of the person.")
        self.state = MessageState.WAITING
        self.attempts = 0
        self.next_at = now
        self.give_up_at = now + GIVE_UP_AFTER


def queue(
    session: Session,
    letter: Letter,
    *,
    to: Addressee,
    now: datetime,
    ticket_id: int | None = None,
    event_id: int | None = None,
    give_up_at: datetime | None = None,
    **data: Any,  # noqa: ANN401 (facts of any JSON type)
) -> Message:
    """Write a letter for one recipient into the outbox, in the caller's transaction, and return the row.

    `now` is aware. `give_up_at` is when trying ends, five days from `now` if not given; a link that expires gives its
    end. `data` holds JSON facts that the letter is written from; a secret goes in as `token` and under no other name.
    """
    message = Message(**_row(letter, to, now, ticket_id, event_id, give_up_at, data))
    session.add(message)
    return message


def queue_all(
    session: Session,
    letter: Letter,
    *,
    to: Iterable[Addressee],
    now: datetime,
    ticket_id: int | None = None,
    event_id: int | None = None,
    **data: Any,  # noqa: ANN401 (facts of any JSON type)
) -> None:
    """Write the same letter for each recipient as `queue` does, in one statement, however many they are."""
    rows = [_row(letter, one, now, ticket_id, event_id, None, data) for one in to]
    if rows:
        session.execute(insert(Message), rows)


def _row(
    letter: Letter,
    to: Addressee,
    now: datetime,
    ticket_id: int | None,
    event_id: int | None,
    give_up_at: datetime | None,
    data: dict[str, Any],
) -> dict[str, Any]:
    return {
        "public_id": uuid4().hex,
        "kind": letter,
        "recipient": to.email,
        "recipient_name": to.name,
        "person_id": to.id,
        "ticket_id": ticket_id,
        "event_id": event_id,
        "data": data,
        "state": MessageState.WAITING,
        "attempts": 0,
        "next_at": now,
        "give_up_at": give_up_at or now + GIVE_UP_AFTER,
        "created_at": now,
    }


def undelivered(session: Session, limit: int = 100) -> Sequence[Message]:
    """Return the messages that staff should look at, newest first: given up, or failed at least once and waiting."""
    in_trouble = or_(
        Message.state == MessageState.UNDELIVERABLE,
        and_(Message.state == MessageState.WAITING, Message.attempts > 0),
    )
    return session.scalars(
        select(Message).where(in_trouble).order_by(Message.created_at.desc(), Message.id.desc()).limit(limit)
    ).all()


def deliver_due(
    sessions: Callable[[], Session],
    mailer: Mailer,
    write: Callable[[Message, Session], EmailMessage],
    clock: Clock,
    limit: int = 50,
) -> int:
    """Hand over at most `limit` due messages, the longest due first, and return how many were tried.

    Any number of workers may run this at once. `write` makes the letter of a message, reading with the session that it
    gets; it may raise Undeliverable when there is nobody to write to. No transaction is open while the mailer talks.
    Whatever else goes wrong with one message is logged and that message tried again later; errors of the database are
    raised, and a message that was being sent then goes again when its lease has run out.
    """
    tried = 0
    while tried < limit and (claimed := _claim(sessions, clock.now())):
        key, lease = claimed
        try:
            with sessions() as session:
                letter = write(session.get_one(Message, key), session)
            mailer.send(letter)
        except Undeliverable as refusal:
            _give_up(sessions, key, lease, str(refusal))
        except TryLater as trouble:
            _put_off(sessions, key, lease, str(trouble), clock.now())
        except (OperationalError, InterfaceError):
            # The letter is not to blame. Where the database is still gone, its lease runs out by itself.
            with suppress(SQLAlchemyError):
                _finish(sessions, key, lease, state=MessageState.WAITING, next_at=clock.now() + SOON)
            raise
        except Exception as mistake:
            # The text of an unforeseen error may quote what a person wrote: it belongs into the log, not on a page.
            log.exception("Message %s could not be written or sent.", key)
            _put_off(sessions, key, lease, f"The letter failed here ({type(mistake).__name__}).", clock.now())
        else:
            _finish(sessions, key, lease, state=MessageState.SENT, sent_at=clock.now(), last_error=None)
        tried += 1
    return tried


def _claim(sessions: Callable[[], Session], now: datetime) -> tuple[int, str] | None:
    """Take the message that has been due longest; return its key and the lease, or None when nothing is due."""
    due = or_(
        and_(Message.state == MessageState.WAITING, Message.next_at <= now),
        and_(Message.state == MessageState.SENDING, Message.leased_until < now),
    )
    while True:
        with sessions() as session:
            candidates = session.scalars(
                select(Message.id).where(due).order_by(Message.next_at, Message.id).limit(20)
            ).all()
            for key in candidates:
                lease = token()
                # Whoever changes the row first has it: the condition no longer holds for anybody else.
                taking = (
                    update(Message)
                    .where(Message.id == key, due)
                    .values(
                        state=MessageState.SENDING,
                        attempts=Message.attempts + 1,
                        lease=lease,
                        leased_until=now + LEASE,
                    )
                )
                if _changed(session, taking):
                    session.commit()
                    return key, lease
        if not candidates:
            return None


def _put_off(sessions: Callable[[], Session], key: int, lease: str, words: str, now: datetime) -> None:
    """Set the next attempt after a growing gap, or give up when the message's time is over."""
    with sessions() as session:
        message = session.get_one(Message, key)
        attempts, give_up_at = message.attempts, message.give_up_at
    next_at = now + GAPS[min(attempts, len(GAPS)) - 1]
    if now >= give_up_at:
        _give_up(sessions, key, lease, words)
    else:
        _finish(sessions, key, lease, state=MessageState.WAITING, next_at=next_at, last_error=words[:500])


def _give_up(sessions: Callable[[], Session], key: int, lease: str, words: str) -> None:
    """Mark the message as undeliverable, with the reason for staff to read."""
    _finish(sessions, key, lease, state=MessageState.UNDELIVERABLE, last_error=words[:500])


def _finish(sessions: Callable[[], Session], key: int, lease: str, **values: object) -> None:
    """Write down how an attempt ended, unless the lease has passed to another worker, which then has the say."""
    with sessions() as session:
        if values["state"] is not MessageState.WAITING:
            data = session.get_one(Message, key).data
            values["data"] = {name: fact for name, fact in data.items() if name not in SECRETS}
        ending = update(Message).where(Message.id == key, Message.lease == lease)
        if not _changed(session, ending.values(lease=None, leased_until=None, **values)):
            log.warning("Message %s was taken over by another worker before this one had finished.", key)
        session.commit()


def _changed(session: Session, change: Any) -> bool:  # noqa: ANN401 (an UPDATE, whose type says nothing here)
    """Execute an UPDATE of one row and tell whether it found the row."""
    result = session.execute(change, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1
