"""The timeline of a ticket: messages and what else happened, in one order, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from models.attachments import Attachment, attachments_of
from models.base import session_of
from models.events import Event, EventKind
from models.people import Person
from models.tickets import Comment, Ticket, TicketState

ENTRIES = 100

_SHOWN = (
    EventKind.TICKET_FILED,
    EventKind.TICKET_REPLIED,
    EventKind.TICKET_NOTED,
    EventKind.TICKET_ASSIGNED,
    EventKind.TICKET_STATE,
    EventKind.TICKET_SEVERITY,
    EventKind.TICKET_SEVERITY_ASKED,
    EventKind.TICKET_PARTICIPANT,
    EventKind.TICKET_CONFIDENTIAL,
    EventKind.TICKET_FOLLOWED_UP,
    EventKind.PROMISE_MET,
    EventKind.PROMISE_MISSED,
)

_ICONS = {
    EventKind.TICKET_ASSIGNED: "user",
    EventKind.TICKET_STATE: "history",
    EventKind.TICKET_SEVERITY: "flag",
    EventKind.TICKET_SEVERITY_ASKED: "flag",
    EventKind.TICKET_PARTICIPANT: "users",
    EventKind.TICKET_CONFIDENTIAL: "lock",
    EventKind.TICKET_FOLLOWED_UP: "link",
    EventKind.PROMISE_MET: "circle-check",
    EventKind.PROMISE_MISSED: "triangle-alert",
}


@dataclass(frozen=True)
class Entry:
    """One entry: a message with its files, or a thin line (`words`, after the name of who did it)."""

    id: int
    at: datetime
    who: str
    words: str
    icon: str
    link: str = ""
    comment: Comment | None = None
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """A page of entries, the latest page first shown; `earlier` and `later` are page numbers or 0."""

    entries: Sequence[Entry]
    page: int
    earlier: int
    later: int
    last_comment: int


def timeline_of(ticket: Ticket, *, internal: bool, desk: bool = False, page: int = 0) -> Timeline:
    """Return a page of the ticket's timeline, the last one for page 0; notes and their kind only with `internal`."""
    session = session_of(ticket)
    mine = (Event.ticket_id == ticket.id) & Event.kind.in_(_SHOWN)
    if not internal:
        mine &= Event.internal.is_(False)
    total = session.scalar(select(func.count()).where(mine)) or 0
    pages = max(1, -(-total // ENTRIES))
    page = pages if page < 1 or page > pages else page
    query = (
        select(Event, Person.name, Comment)
        .outerjoin(Person, Person.id == Event.actor_id)
        .outerjoin(Comment, Comment.id == Event.comment_id)
        .where(mine)
        .order_by(Event.at, Event.id)
        .offset((page - 1) * ENTRIES)
        .limit(ENTRIES)
    )
    rows = session.execute(query).all()
    files = attachments_of([comment.id for _, _, comment in rows if comment], session)
    entries = [
        Entry(
            id=event.id,
            at=event.at,
            who=name or "",
            words="" if comment else _words(event, desk=desk),
            icon=_ICONS.get(event.kind, "history"),
            link=str(event.data.get("key", "")) if event.kind is EventKind.TICKET_FOLLOWED_UP else "",
            comment=comment,
            files=tuple(files.get(comment.id, ())) if comment else (),
        )
        for event, name, comment in rows
    ]
    last = session.scalar(select(func.max(Comment.id)).where(Comment.ticket_id == ticket.id)) or 0
    return Timeline(entries, page, page - 1, page + 1 if page < pages else 0, last)


def _words(event: Event, *, desk: bool) -> str:
    data = event.data
    match event.kind:
        case EventKind.TICKET_STATE:
            state = TicketState(data["after"])
            words = f"changed the status to {state.desk_label if desk else state.label}"
            if event.actor_id is None:
                words = "Closed: 14 days have passed since it was resolved"
        case EventKind.TICKET_ASSIGNED:
            if data.get("taken"):
                words = "took this request"
            else:
                words = f"gave this request to {data['after']}" if data["after"] else "took the assignee off"
        case EventKind.TICKET_SEVERITY:
            words = f"changed the severity from {data['before']} to {data['after']}" + _because(data.get("reason"))
        case EventKind.TICKET_SEVERITY_ASKED:
            words = f"asked to raise the severity from {data['before']} to {data['after']}" + _because(data["reason"])
        case EventKind.TICKET_PARTICIPANT:
            words = f"added {data['added']}" if "added" in data else f"removed {data['removed']}"
        case EventKind.TICKET_CONFIDENTIAL:
            words = "made this request confidential" if data["confidential"] else "made this request visible again"
        case EventKind.TICKET_FOLLOWED_UP:
            words = "opened the follow-up"
        case _:
            words = event.kind.label
    return words


def _because(reason: object) -> str:
    return f": “{reason}”" if reason else ""
