"""An agent's reply on its way: sent, undone by its writer within some seconds, or put before the customer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from models.attachments import attachments_of, discard
from models.base import NotFound, Refused, judge, session_of, to_write
from models.conversations import conclude, refuse_closed, say
from models.drafts import Draft, draft_of
from models.events import Event, EventKind
from models.held import HeldReply
from models.notices import tell
from models.outbox import Letter
from models.people import Person
from models.replies import known_of
from models.search import add_text, scope_of
from models.tickets import Comment, Ticket, TicketState


def send(  # noqa: PLR0913 (each names one thing that a reply is)
    ticket: Ticket,
    actor: Person,
    body: str,
    *,
    now: datetime,
    until: datetime,
    then: TicketState | None = None,
    key: str | None = None,
    take: bool = False,
    draft: Draft | None = None,
) -> Comment:
    """Take an agent's reply, which goes out at `until`; before that nothing of the ticket changes.

    Raises Refused as `conversations.answer` does, whose words `then`, `key` and `take` are.
    """
    refuse_closed(ticket, now)
    comment = say(ticket, actor, body, now=now, key=key, draft=draft, by_staff=True, held=True)
    session = session_of(ticket)
    session.flush()
    event_id = session.scalars(select(Event.id).where(Event.comment_id == comment.id)).one()
    session.add(
        HeldReply(
            ticket_id=ticket.id,
            comment_id=comment.id,
            event_id=event_id,
            then=then,
            take=take,
            sent_at=now,
            until=until,
        )
    )
    session.flush()
    return comment


def undo(ticket: Ticket, actor: Person, comment_id: int, *, now: datetime) -> Draft:
    """Take the actor's own reply back and return the draft that has its text and files again.

    A second call finds the draft of the first. Raises NotFound for anybody else's reply and for none, and Refused when
    the reply is out.
    """
    session = session_of(ticket)
    place, key = f"ticket:{ticket.key}", f"taken-back-{comment_id:020}"
    mine = select(Comment).where(
        Comment.id == comment_id, Comment.ticket_id == ticket.id, Comment.author_id == actor.id, Comment.by_staff
    )
    comment = session.scalar(mine)
    if comment is None:
        earlier = draft_of(actor, place, key)
        if earlier is None:
            raise NotFound
        return earlier
    held = session.scalar(select(HeldReply).where(HeldReply.comment_id == comment.id))
    if held is None and comment.internal:
        raise NotFound
    if held is None or now >= held.until:
        raise Refused("It is too late to undo this reply: it is on its way to the customer. Send another one.")
    then = held.then.value if held.then else ""
    fields = {"body": [comment.source], "mode": ["reply"], "then": [then], **({"take": ["y"]} if held.take else {})}
    draft = Draft(person_id=actor.id, place=place, fields=fields, key=key, updated_at=now)
    session.add(draft)
    session.flush()
    for attachment in attachments_of([comment.id], session).get(comment.id, []):
        attachment.draft_id, attachment.comment_id, attachment.ticket_id = draft.id, None, None
    # What was saved while it was written is no draft of its own beside this one.
    saved = draft_of(actor, place, comment.form_key) if comment.form_key else None
    if saved is not None:
        discard(saved)
    event = session.get_one(Event, held.event_id)
    # In the order of what points at what.
    for row in (held, event, comment):
        session.delete(row)
        session.flush()
    return draft


def release_due(session: Session, now: datetime) -> int:
    """Put the reply that has waited longest before its customer and return 1; 0 when none is due."""
    waiting = select(HeldReply).where(HeldReply.until <= now).order_by(HeldReply.until, HeldReply.id).limit(1)
    held = session.scalar(waiting)
    if held is None:
        return 0
    judge(session, writes=True)
    query = to_write(select(Ticket).where(Ticket.id == bindparam("ticket")), session, Ticket, ticket=held.ticket_id)
    ticket = session.scalars(query, {"ticket": held.ticket_id}).unique().one()
    # Another worker may have been quicker while this one waited for the ticket.
    fresh = session.scalar(select(HeldReply).where(HeldReply.id == held.id), execution_options=_AFRESH)
    if fresh is not None:
        _release(ticket, fresh, now)
    return 1


_AFRESH = {"populate_existing": True}


def _release(ticket: Ticket, held: HeldReply, now: datetime) -> None:
    session = session_of(ticket)
    comment, event = session.get_one(Comment, held.comment_id), session.get_one(Event, held.event_id)
    comment.internal = event.internal = False
    names = [attachment.name for attachment in attachments_of([comment.id], session).get(comment.id, [])]
    add_text(session, ticket.id, scope_of(ticket.organization_id, ticket.opener_id), comment.source, *names)
    if ticket.state is TicketState.CLOSED:
        tell(ticket, comment.author, Letter.TICKET_REPLIED, now=held.sent_at, comment=comment)
    else:
        overtaken = _is_overtaken(session, held)
        then = ticket.state if overtaken else held.then
        known = known_of(ticket, comment.author)
        meets = not _is_of_before(ticket, held)
        conclude(ticket, comment.author, comment, now=held.sent_at, then=then, take=held.take, known=known, meets=meets)
    # Who read a list between the sending and this moment has not seen it.
    ticket.updated_at = max(ticket.updated_at, now)
    session.delete(held)
    session.flush()


def _is_overtaken(session: Session, held: HeldReply) -> bool:
    """Tell whether somebody said or decided something after the reply was sent: that decides the status, then."""
    said = (Event.kind == EventKind.TICKET_REPLIED) & Event.internal.is_(False)
    later = (Event.ticket_id == held.ticket_id) & (Event.at > held.sent_at) & (Event.id != held.event_id)
    return session.scalar(select(exists().where(later, or_(said, Event.kind == EventKind.TICKET_STATE)))) is True


def _is_of_before(ticket: Ticket, held: HeldReply) -> bool:
    """Tell whether the request was opened again after the reply was sent: that began a promise that it cannot answer.

    What came later has a later id; by the time alone, a clock that was set back would look the same.
    """
    target = ticket.target
    if target is None or target.cycle == 1 or target.started_at <= held.sent_at:
        return False
    reopened = (Event.kind == EventKind.TICKET_STATE) & (Event.at >= target.started_at) & (Event.id > held.event_id)
    return session_of(ticket).scalar(select(exists().where(Event.ticket_id == ticket.id, reopened))) is True
