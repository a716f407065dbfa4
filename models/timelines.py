"""The timeline of a ticket: messages and what else happened, in one order, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from models.attachments import Attachment, attachments_of
from models.base import session_of
from models.events import Event, EventKind
from models.people import Person
from models.tickets import Comment, Ticket, TicketState
from models.wording import duration, hours

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
    """A part of the entries, oldest first. `earlier` is the id before which more stand, or 0.

    `from_` is the id before which this part stands, 0 for the latest part.
    """

    entries: Sequence[Entry]
    earlier: int
    from_: int

    @property
    def latest(self) -> bool:
        """Whether nothing comes after this part."""
        return self.from_ == 0


def timeline_of(
    ticket: Ticket, *, internal: bool, desk: bool = False, before: int = 0, most: int = ENTRIES
) -> Timeline:
    """Return the last entries of the ticket's timeline, or the last before the event with the id `before`.

    Notes and their kind come only with `internal`; `desk` chooses the words for staff. Two statements.
    """
    session = session_of(ticket)
    mine = (Event.ticket_id == ticket.id) & Event.kind.in_(_SHOWN)
    if not internal:
        mine &= Event.internal.is_(False)
    if before:
        at = select(Event.at).where(Event.id == before, Event.ticket_id == ticket.id).scalar_subquery()
        mine &= or_(Event.at < at, (Event.at == at) & (Event.id < before))
    query = (
        select(Event, Person.name, Comment)
        .outerjoin(Person, Person.id == Event.actor_id)
        .outerjoin(Comment, Comment.id == Event.comment_id)
        .where(mine)
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(most + 1)
    )
    rows = session.execute(query).unique().all()
    more, rows = len(rows) > most, rows[:most][::-1]
    files = attachments_of([comment.id for _, _, comment in rows if comment], session)
    entries = [_entry(event, name or "", comment, files, desk=desk) for event, name, comment in rows]
    return Timeline(entries, entries[0].id if more and entries else 0, before)


def _entry(
    event: Event, name: str, comment: Comment | None, files: dict[int, list[Attachment]], *, desk: bool
) -> Entry:
    return Entry(
        id=event.id,
        at=event.at,
        # The promise is the company's, not the person's whose reply met or missed it.
        who="" if event.kind in {EventKind.PROMISE_MET, EventKind.PROMISE_MISSED} else name,
        words="" if comment else _words(event, desk=desk),
        icon=_ICONS.get(event.kind, "history"),
        link=str(event.data.get("key", "")) if event.kind is EventKind.TICKET_FOLLOWED_UP else "",
        comment=comment,
        files=tuple(files.get(comment.id, ())) if comment else (),
    )


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
            words = _promise_words(event)
    return words


def _promise_words(event: Event) -> str:
    data = event.data
    if event.kind is EventKind.PROMISE_MET:
        return f"First-reply target met in {hours(timedelta(seconds=data['taken']))} of {data['words']}"
    late = f" by {duration(timedelta(seconds=data['late']))}" if "late" in data else ""
    return f"First-reply target missed{late}"


def _because(reason: object) -> str:
    return f": “{reason}”" if reason else ""


def changes_since(ticket: Ticket, actor: Person, seen: int) -> list[Entry]:
    """Return what others did on the ticket after the event with the id `seen`, in order (fifty at most)."""
    session = session_of(ticket)
    later = (Event.ticket_id == ticket.id) & Event.kind.in_(_SHOWN) & (Event.id > seen)
    others = later & (Event.actor_id != actor.id)
    query = (
        select(Event, Person.name, Comment)
        .outerjoin(Person, Person.id == Event.actor_id)
        .outerjoin(Comment, Comment.id == Event.comment_id)
        .where(others)
        .order_by(Event.at, Event.id)
        .limit(50)
    )
    rows = session.execute(query).unique().all()
    return [_entry(event, name or "", comment, {}, desk=True) for event, name, comment in rows]
