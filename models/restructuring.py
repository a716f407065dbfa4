"""Merging one ticket into another, and splitting messages off into a new one. Nothing is lost, and nothing doubled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.attachments import Attachment
from models.base import Refused, session_of, to_write, token
from models.catalogue import catalogue
from models.conversations import move, start_promise
from models.events import Event, EventKind
from models.filing import plan_of
from models.following import Follower
from models.held import is_sending
from models.indexing import index_these
from models.links import LinkKind, tie
from models.notices import audience_of, note_event, post, tell
from models.numbers import next_number
from models.organizations import Membership
from models.outbox import Letter, Message, MessageState
from models.people import Person
from models.prose import SUMMARY_MOST, cleaned
from models.search import forget
from models.submissions import result_of, settle
from models.tags import carry_tags
from models.tickets import ACTIVE, OURS, Comment, Participant, Ticket, TicketState

SPLIT_MOST = 100


def lock(session: Session, *keys: str) -> None:
    """Lock the tickets of these keys one after the other, in the order of their ids, so that none waits in a circle."""
    ids = session.scalars(select(Ticket.id).where(Ticket.key.in_([key.upper() for key in keys]))).all()
    for number in sorted(ids):
        to_write(select(Ticket).where(Ticket.id == number), session, Ticket)


def newcomers(ticket: Ticket, into: Ticket) -> list[Person]:
    """Return who takes part in the first ticket and not yet in the second, and may: former members may not."""
    there = select(Participant.person_id).where(Participant.ticket_id == into.id)
    query = (
        select(Person)
        .join(Participant, Participant.person_id == Person.id)
        .where(Participant.ticket_id == ticket.id, Person.active, Person.id.not_in(there))
        .order_by(Participant.id)
    )
    if into.organization_id is not None:
        members = select(Membership.person_id).where(Membership.organization_id == into.organization_id)
        query = query.where(Person.id.in_(members))
    return list(session_of(ticket).scalars(query))


def check_merge(ticket: Ticket, into: Ticket | None, *, now: datetime) -> Ticket:
    """Return the second ticket if the first can be merged into it; raises Refused with the reason otherwise."""
    if into is None:
        raise Refused("There is no ticket with this number. Write it as TECH-1284.", "into")
    if into.id == ticket.id:
        raise Refused("This is the number of the ticket itself. Write that of the one to go on with.", "into")
    for one in (ticket, into):
        if one.is_final(now):
            raise Refused(f"{one.key} is closed for good, and stays as it is.", "into")
    if ticket.state in ACTIVE and into.state not in ACTIVE:
        raise Refused(
            f"{into.key} is resolved, and {ticket.key} is open: merged, nobody would answer it. "
            f"Reopen {into.key} first, or merge {into.key} into {ticket.key}.",
            "into",
        )
    ours = into.opener_id == ticket.opener_id if ticket.organization_id is None else True
    if ticket.organization_id != into.organization_id or not ours:
        raise Refused(
            f"{into.key} is of another organization or another customer. Only what is of one can become one.", "into"
        )
    if ticket.confidential and not into.confidential:
        raise Refused(
            f"{ticket.key} is confidential and {into.key} is not: what goes on there would be read by more people. "
            "Ask the customer to make both alike, then merge.",
            "into",
        )
    for one in (ticket, into):
        if is_sending(session_of(one), one.id):
            raise Refused(f"A reply to {one.key} is still on its way. Try again in a few seconds.", "into")
    return into


def promise_lost(ticket: Ticket, into: Ticket) -> bool:
    """Tell whether the merge ends a promise that runs and is due before the one with which it goes on."""
    mine, other = ticket.target, into.target
    if mine is None or mine.met_at is not None or mine.due_at is None or ticket.state not in OURS:
        return False
    if other is None or other.met_at is not None or other.due_at is None:
        return True
    return mine.due_at < other.due_at


def merge(ticket: Ticket, into: Ticket | None, actor: Person, *, carry: bool, now: datetime) -> None:
    """Close the ticket and let its people go on in the other one; its messages and files stay where they are.

    Its participants, followers and tags become those of the other one; `carry` says that the agent has agreed to that,
    which a confidential one needs. A promise that nobody has answered stays unanswered on record: a merge meets none.
    Raises Refused as `check_merge` does.
    """
    into = check_merge(ticket, into, now=now)
    session, people = session_of(ticket), newcomers(ticket, into)
    if into.confidential and people and not carry:
        names = ", ".join(person.name for person in people)
        raise Refused(f"{into.key} is confidential: tick that {names} may read all of it, or do not merge.", "carry")
    for person in people:
        session.add(Participant(ticket_id=into.id, person_id=person.id))
        note_event(into, actor, EventKind.TICKET_PARTICIPANT, now=now, added=person.name)
    there = select(Follower.person_id).where(Follower.ticket_id == into.id)
    mine = select(Follower.person_id).where(Follower.ticket_id == ticket.id, Follower.person_id.not_in(there))
    session.add_all([Follower(ticket_id=into.id, person_id=number) for number in session.scalars(mine).all()])
    carry_tags(ticket, into)
    tie(ticket, into, LinkKind.MERGED)
    note_event(into, actor, EventKind.TICKET_MERGED_HERE, now=now, key=ticket.key)
    note_event(ticket, actor, EventKind.TICKET_MERGED, now=now, key=into.key)
    move(ticket, actor, TicketState.CLOSED, now=now)
    ticket.closes_at = None
    tell(ticket, actor, Letter.TICKET_STATE, now=now)


def split(ticket: Ticket, actor: Person, messages: Sequence[int], summary: str, *, key: str, now: datetime) -> str:
    """Move the messages, by their ids, to a new ticket and return its key, that of the first one for the same form.

    The new one has the same organization, door, customer and participants, and a promise of its own from now, under
    the organization's present plan. Messages keep their authors, times, files and mail. `key` is the form's own. Raises
    Refused, naming the field, when nothing can be moved.
    """
    earlier = result_of(actor, key)
    if earlier is not None:
        return earlier
    if ticket.is_final(now):
        raise Refused("This request is closed for good, and stays as it is.")
    chosen = _chosen(ticket, messages)
    title = cleaned(summary).strip()
    if not title or len(title) > SUMMARY_MOST:
        raise Refused(f"Write a summary for the new request, of at most {SUMMARY_MOST} characters.", "summary")
    session = session_of(ticket)
    new = _opened(ticket, title, now=now)
    ids = [comment.id for comment in chosen]
    for comment in chosen:
        comment.ticket_id = new.id
    session.flush()
    for table, mine in ((Event, Event.comment_id.in_(ids)), (Attachment, Attachment.comment_id.in_(ids))):
        session.execute(update(table).where(mine).values(ticket_id=new.id))
    waiting = select(Message).where(Message.ticket_id == ticket.id, Message.state == MessageState.WAITING)
    for letter in session.scalars(waiting):
        if letter.data.get("comment") in ids:
            letter.ticket_id = new.id
    tie(ticket, new, LinkKind.SPLIT)
    note_event(ticket, actor, EventKind.TICKET_SPLIT, now=now, key=new.key, messages=len(ids))
    note_event(new, actor, EventKind.TICKET_SPLIT_HERE, now=now, key=ticket.key, messages=len(ids))
    settle(actor, key, new.key, now=now)
    session.flush()
    forget(session, ticket.id)
    index_these(session, [ticket.id, new.id])
    post(new, audience_of(new, actor), Letter.TICKET_FILED, now=now, actor=actor, split_from=ticket.key)
    return new.key


def _chosen(ticket: Ticket, messages: Sequence[int]) -> list[Comment]:
    """Return the messages that can be moved, in order; raises Refused for any other choice."""
    session = session_of(ticket)
    first = session.scalar(
        select(Event.comment_id).where(Event.ticket_id == ticket.id, Event.kind == EventKind.TICKET_FILED).limit(1)
    )
    if is_sending(session, ticket.id):
        raise Refused("A reply to this ticket is still on its way. Try again in a few seconds.", "messages")
    if not 0 < len(set(messages)) <= SPLIT_MOST:
        raise Refused(f"Choose the messages to move, {SPLIT_MOST} at most.", "messages")
    mine = select(Comment).where(Comment.ticket_id == ticket.id, Comment.id.in_(messages))
    chosen = list(session.scalars(mine.order_by(Comment.created_at, Comment.id)))
    if len(chosen) != len(set(messages)) or any(comment.id == first for comment in chosen):
        raise Refused("Choose messages of this ticket; the one that it was filed with stays.", "messages")
    if all(comment.internal for comment in chosen):
        raise Refused("Choose at least one message that the customer sees: a request needs one.", "messages")
    if first is None and _is_all(ticket, chosen):
        raise Refused("Leave at least one message that the customer sees.", "messages")
    return chosen


def _is_all(ticket: Ticket, chosen: Sequence[Comment]) -> bool:
    left = select(Comment.id).where(
        Comment.ticket_id == ticket.id, Comment.internal.is_(False), Comment.id.not_in([one.id for one in chosen])
    )
    return session_of(ticket).scalar(left.limit(1)) is None


def _opened(ticket: Ticket, summary: str, *, now: datetime) -> Ticket:
    """Return a new ticket like the given one, with its people and a promise from now."""
    session, terms = session_of(ticket), catalogue(now.date())
    prefix = terms.door(ticket.door).prefix
    new = Ticket(
        key=f"{prefix}-{next_number(session, prefix)}",
        door=ticket.door,
        state=TicketState.OPEN,
        severity=ticket.severity,
        summary=summary,
        organization=ticket.organization,
        cluster_id=ticket.cluster_id,
        cluster_name=ticket.cluster_name,
        environment=ticket.environment,
        components=list(ticket.components),
        version_affected=ticket.version_affected,
        confidential=ticket.confidential,
        opener=ticket.opener,
        assignee=ticket.assignee,
        plan=plan_of(ticket.organization),
        catalogue_version=terms.version,
        thread=token(),
        created_at=now,
        updated_at=now,
    )
    session.add(new)
    session.flush()
    people = select(Participant.person_id).where(Participant.ticket_id == ticket.id).order_by(Participant.id)
    session.add_all([Participant(ticket_id=new.id, person_id=number) for number in session.scalars(people).all()])
    start_promise(new, now=now)
    session.flush()
    return new
