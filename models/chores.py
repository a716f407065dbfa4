"""What the worker does by the clock: close what is over, note what is late, sweep away what nobody needs any more.

Each verb does a bounded piece of work and says how much it did; the caller commits, and calls again
while there is more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.orm import Session

from models.attachments import Attachment
from models.base import Model
from models.conversations import close
from models.drafts import KEPT_FOR, SENT, Draft, HeldText
from models.events import EventKind, record
from models.held import answers_in_time
from models.hooks import KEPT_FOR as HOOKS_FOR
from models.hooks import Hook
from models.notices import post_to
from models.numbers import hold
from models.outbox import Letter
from models.payments import GatewayEvent
from models.people import Failure, OneTimeLink, SignIn, agents
from models.promises import Breach, ResponseTarget
from models.submissions import Submission
from models.tickets import Ticket, TicketState

# One transaction's worth: the write lock is held while it runs, and people are waiting.
BATCH = 100

FAILURES_FOR = timedelta(days=1)
LINKS_FOR = timedelta(days=7)
SUBMISSIONS_FOR = timedelta(days=30)
SIGN_INS_FOR = timedelta(days=90)
# A gateway sends an event again for some days only.
EVENTS_FOR = timedelta(days=30)


def close_due(session: Session, now: datetime) -> int:
    """Close at most a hundred requests whose 14 days have passed and return how many (product rule 7.3)."""
    hold(session, "chores")
    over = select(Ticket).where(Ticket.closes_at <= now, Ticket.state == TicketState.RESOLVED)
    tickets = session.scalars(over.order_by(Ticket.closes_at, Ticket.id).limit(BATCH)).all()
    for ticket in tickets:
        close(ticket, now=now)
    session.flush()
    return len(tickets)


def note_missed(session: Session, now: datetime) -> int:
    """Record that a promise was missed, and tell whoever has it, once for each, of at most a hundred; return how many.

    Only what is overdue and unanswered: an answer that comes late is recorded when it is given. Nobody has it: every
    agent is told. The breach's own row keeps two workers, and a clock that steps back, from telling it twice.
    """
    hold(session, "chores")
    told = exists().where(Breach.target_id == ResponseTarget.id)
    # The tickets' own copy of the due time is null once answered: the index holds what runs, not all of history.
    running = Ticket.active & (Ticket.due_order < now)
    late = (
        select(ResponseTarget, Ticket)
        .join(Ticket, Ticket.id == ResponseTarget.ticket_id)
        .where(running, ResponseTarget.due_at < now, ResponseTarget.met_at.is_(None), ~told, ~answers_in_time())
        .order_by(ResponseTarget.due_at, ResponseTarget.id)
        .limit(BATCH)
    )
    rows = session.execute(late).unique().all()
    everybody = agents(session) if any(ticket.assignee is None for _, ticket in rows) else []
    for target, ticket in rows:
        session.add(Breach(target_id=target.id, at=now))
        # The request itself stays as it is: nobody did anything, so it does not move up in anybody's list.
        record(
            session,
            EventKind.PROMISE_MISSED,
            now=now,
            ticket_id=ticket.id,
            organization_id=ticket.organization_id,
            cycle=target.cycle,
            minutes=target.minutes,
        )
        for person in everybody if ticket.assignee is None else [ticket.assignee]:
            if person.active:
                post_to(ticket, person, Letter.PROMISE_MISSED, now=now)
    session.flush()
    return len(rows)


def sweep(session: Session, now: datetime) -> tuple[int, set[str]]:
    """Delete what has had its time, at most a hundred rows of a kind; return how many rows, and the files they named.

    The caller commits, then gives the names to `orphans.drop_unused`: bytes must not go before the row that names them.
    """
    past = or_(Draft.updated_at < now - KEPT_FOR, SENT)
    old = session.scalars(select(Draft.id).where(past).limit(BATCH)).all()
    lost = session.scalars(select(Attachment.stored).where(Attachment.draft_id.in_(old))).all() if old else []
    if old:
        session.execute(delete(Attachment).where(Attachment.draft_id.in_(old)))
        session.execute(delete(Draft).where(Draft.id.in_(old)))
    swept = len(old) + sum(
        _clear(session, table, past)
        for table, past in (
            (HeldText, HeldText.expires_at < now),
            (Failure, Failure.at < now - FAILURES_FOR),
            (OneTimeLink, OneTimeLink.expires_at < now - LINKS_FOR),
            (GatewayEvent, GatewayEvent.received_at < now - EVENTS_FOR),
            (Hook, Hook.created_at < now - HOOKS_FOR),
            (Submission, Submission.at < now - SUBMISSIONS_FOR),
            # One that ended or expired is not seen any more, so its last use is older than its end.
            (SignIn, SignIn.last_seen_at < now - SIGN_INS_FOR),
        )
    )
    return swept, set(lost)


def _clear(session: Session, table: type[Model], past: ColumnElement[bool]) -> int:
    """Delete at most a batch of the rows; two statements, since not every database limits a DELETE."""
    ids = session.scalars(select(table.id).where(past).limit(BATCH)).all()
    if ids:
        session.execute(delete(table).where(table.id.in_(ids)))
    return len(ids)
