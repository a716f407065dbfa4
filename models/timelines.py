"""The timeline of a ticket: messages and what else happened, in one order, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from models.attachments import Attachment, attachments_of
from models.base import read, session_of
from models.catalogue import PlanName
from models.events import Event, EventKind
from models.links import keys_in
from models.people import Badge, Person, badge_of
from models.tickets import Comment, Ticket, Tickets, TicketState
from models.wording import MINUTE, day, duration, hours

ENTRIES = 100

# What names another ticket: customers read of it where they may see that one.
LINKING = (
    EventKind.TICKET_LINKED,
    EventKind.TICKET_UNLINKED,
    EventKind.TICKET_MERGED,
    EventKind.TICKET_MERGED_HERE,
    EventKind.TICKET_SPLIT,
    EventKind.TICKET_SPLIT_HERE,
)
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
    EventKind.TICKET_WAITED,
    EventKind.TICKET_REMINDED,
    EventKind.TICKET_HOLD,
    EventKind.TICKET_ESCALATED,
    EventKind.TICKET_TAKEN_UP,
    EventKind.TICKET_WITHDRAWN,
    EventKind.TICKET_ACKNOWLEDGED,
    EventKind.TICKET_TAGGED,
    EventKind.TICKET_RATED,
    *LINKING,
    EventKind.PROMISE_RAISED,
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
    EventKind.TICKET_WAITED: "clock",
    EventKind.TICKET_REMINDED: "mail",
    EventKind.TICKET_HOLD: "circle-pause",
    EventKind.TICKET_ESCALATED: "megaphone",
    EventKind.TICKET_TAKEN_UP: "megaphone",
    EventKind.TICKET_WITHDRAWN: "megaphone",
    EventKind.TICKET_ACKNOWLEDGED: "eye",
    EventKind.TICKET_RATED: "check",
    **dict.fromkeys(LINKING, "link"),
    EventKind.PROMISE_RAISED: "clock",
    EventKind.PROMISE_MET: "circle-check",
    EventKind.PROMISE_MISSED: "triangle-alert",
}


@dataclass(frozen=True)
class Said:
    """A message as the timeline shows it: the sanitised HTML, and who wrote it."""

    id: int
    html: str
    by_staff: bool
    internal: bool
    # On its way: its writer can still undo it, and no customer sees it.
    held: bool
    author: Badge
    author_id: int | None


@dataclass(frozen=True)
class Entry:
    """One entry: a message with its files, or a thin line (`words`, after the name of who did it)."""

    id: int
    at: datetime
    who: str
    words: str
    icon: str
    link: str = ""
    comment: Said | None = None
    files: tuple[Attachment, ...] = ()
    # Whether it is what the request was filed with.
    opens: bool = False


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
    ticket: Ticket,
    *,
    internal: bool,
    desk: bool = False,
    before: int = 0,
    most: int = ENTRIES,
    scope: Tickets | None = None,
) -> Timeline:
    """Return the last entries of the ticket's timeline, or the last before the event with the id `before`.

    Notes, replies on their way and their kind come only with `internal`; `desk` chooses the words for staff. Without
    it, what ties the ticket to another one comes only where the `scope` has that one, too. One statement, and others
    for files and for tied tickets where there are any.
    """
    session = session_of(ticket)
    given = {"ticket": ticket.id, "before": before, "most": most + 1}
    rows = read(session, _latest(internal=internal, before=bool(before)), **given).all()
    more, rows = len(rows) > most, rows[:most][::-1]
    earlier = rows[0].id if more else 0
    return Timeline(_read(session, rows, desk=desk, scope=scope), earlier, before)


def entries_from(ticket: Ticket, first: int, *, internal: bool, desk: bool, scope: Tickets | None) -> list[Entry]:
    """Return the entries from the event with the id `first` on, in order (a page's number at most); else as above."""
    session = session_of(ticket)
    rows = read(session, _from(internal=internal), ticket=ticket.id, first=first, most=ENTRIES).all()
    return _read(session, rows, desk=desk, scope=scope)


def _read(session: Session, rows: Sequence[Any], *, desk: bool, scope: Tickets | None) -> list[Entry]:
    if not desk:
        tied = {row.data["key"] for row in rows if row.kind in LINKING}
        known = keys_in(scope, tied) if tied and scope is not None else set()
        rows = [row for row in rows if row.kind not in LINKING or row.data["key"] in known]
    files = attachments_of([row.comment_id for row in rows if row.files], session)
    return [_entry(row, files, desk=desk) for row in rows]


# Tables, not classes: the statements are made once, and read plain values.
_EVENTS, _COMMENTS, _FILES = Event.__table__, Comment.__table__, Attachment.__table__
_ACTORS, _AUTHORS = Person.__table__.alias("actors"), Person.__table__.alias("authors")
_ENTRIES = (
    select(
        _EVENTS.c.id,
        _EVENTS.c.kind,
        _EVENTS.c.at,
        _EVENTS.c.actor_id,
        _EVENTS.c.data,
        _ACTORS.c.name.label("who"),
        _COMMENTS.c.id.label("comment_id"),
        _COMMENTS.c.html,
        _COMMENTS.c.by_staff,
        _COMMENTS.c.internal,
        _AUTHORS.c.name.label("author"),
        _AUTHORS.c.email_folded.label("author_email"),
        exists().where(_FILES.c.comment_id == _COMMENTS.c.id).label("files"),
    )
    .select_from(_EVENTS)
    .outerjoin(_ACTORS, _ACTORS.c.id == _EVENTS.c.actor_id)
    .outerjoin(_COMMENTS, _COMMENTS.c.id == _EVENTS.c.comment_id)
    .outerjoin(_AUTHORS, _AUTHORS.c.id == _COMMENTS.c.author_id)
    .where(_EVENTS.c.ticket_id == bindparam("ticket"), _EVENTS.c.kind.in_(_SHOWN))
)
_LATER_FIRST = (_EVENTS.c.at.desc(), _EVENTS.c.id.desc())


@cache
def _latest(*, internal: bool, before: bool) -> Select[Any]:
    query = _ENTRIES.order_by(*_LATER_FIRST).limit(bindparam("most"))
    if not internal:
        query = query.where(_EVENTS.c.internal.is_(False))
    if before:
        that = _EVENTS.alias("that")
        at = select(that.c.at).where(that.c.id == bindparam("before"), that.c.ticket_id == bindparam("ticket"))
        moment = at.scalar_subquery()
        same = (_EVENTS.c.at == moment) & (_EVENTS.c.id < bindparam("before"))
        query = query.where(or_(_EVENTS.c.at < moment, same))
    return query


@cache
def _from(*, internal: bool) -> Select[Any]:
    that = _EVENTS.alias("that")
    at = select(that.c.at).where(that.c.id == bindparam("first")).scalar_subquery()
    query = _ENTRIES.where(_EVENTS.c.at >= at, _EVENTS.c.id >= bindparam("first"))
    query = query.order_by(_EVENTS.c.at, _EVENTS.c.id).limit(bindparam("most"))
    return query if internal else query.where(_EVENTS.c.internal.is_(False))


def _entry(row: Any, files: dict[int, list[Attachment]], *, desk: bool) -> Entry:  # noqa: ANN401 (a row of _ENTRIES)
    said = None
    if row.comment_id is not None:
        author = badge_of(row.author, row.author_email)
        held = row.internal and row.kind is EventKind.TICKET_REPLIED
        internal = row.internal and not held
        said = Said(row.comment_id, row.html, row.by_staff, internal, held, author, row.actor_id)
    return Entry(
        id=row.id,
        at=row.at,
        # The promise is the company's, not the person's whose reply met or missed it.
        who="" if row.kind in {EventKind.PROMISE_MET, EventKind.PROMISE_MISSED} else row.who or "",
        words="" if said else _words(row, desk=desk),
        icon=_ICONS.get(row.kind, "history"),
        link=str(row.data.get("key", "")) if row.kind is EventKind.TICKET_FOLLOWED_UP or row.kind in LINKING else "",
        comment=said,
        files=tuple(files.get(said.id, ())) if said else (),
        opens=row.kind is EventKind.TICKET_FILED,
    )


def _words(event: Any, *, desk: bool) -> str:  # noqa: ANN401 (a row of _ENTRIES)
    data = event.data
    match event.kind:
        case EventKind.TICKET_STATE:
            state = TicketState(data["after"])
            words = f"changed the status to {state.desk_label if desk else state.label}"
            if event.actor_id is None:
                words = _BY_ITSELF[state]
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
            words = _TIES.get(event.kind) or _care_words(event) or _other_words(event)
    return words


def promise_change(event: Any) -> str:  # noqa: ANN401 (an event's kind and data)
    """Return what changed a promise: another severity, or a higher plan."""
    if event.kind is EventKind.PROMISE_RAISED:
        return _other_words(event)
    return f"Severity changed from {event.data['before']} to {event.data['after']}" + _because(event.data.get("reason"))


_BY_ITSELF = {
    TicketState.RESOLVED: "Resolved: no answer came after two reminders",
    TicketState.CLOSED: "Closed: 14 days have passed since it was resolved",
}
_TIES = {
    EventKind.TICKET_LINKED: "linked this request with",
    EventKind.TICKET_UNLINKED: "took off the link with",
    EventKind.TICKET_MERGED: "merged this request into",
    EventKind.TICKET_MERGED_HERE: "merged another request into this one:",
    EventKind.TICKET_SPLIT: "moved messages of this request to a new one:",
    EventKind.TICKET_SPLIT_HERE: "made this request of messages moved from",
}


_ALARMS = {
    EventKind.TICKET_ESCALATED: "escalated this request",
    EventKind.TICKET_TAKEN_UP: "looks after this escalation",
    EventKind.TICKET_WITHDRAWN: "withdrew the escalation",
    EventKind.TICKET_ACKNOWLEDGED: "is on call and has seen this request",
}


def _care_words(event: Any) -> str:  # noqa: ANN401 (a row of _ENTRIES)
    data = event.data
    if event.kind in _ALARMS:
        return _ALARMS[event.kind] + _because(data.get("reason"))
    if event.kind is EventKind.TICKET_WAITED:
        since = day(datetime.fromisoformat(data["since"]).date(), event.at.date())
        return f"wrote this before the plan allowed it, on {since}, and filed it on {PlanName(data['plan']).label}"
    if event.kind is EventKind.TICKET_REMINDED:
        return "Reminder sent: we wait for an answer"
    if event.kind is EventKind.TICKET_TAGGED:
        return f"added the tag {data['added']}" if "added" in data else f"took the tag {data['removed']} off"
    if event.kind is EventKind.TICKET_HOLD:
        until = day(date.fromisoformat(data["until"]), event.at.date()) if data["until"] else ""
        return f"put this request on hold until {until}" if until else "ended the hold of this request"
    return ""


def _other_words(event: Any) -> str:  # noqa: ANN401 (a row of _ENTRIES)
    data = event.data
    if event.kind is EventKind.TICKET_RATED:
        return f"rated the help {data['stars']} of 5"
    if event.kind is EventKind.PROMISE_RAISED:
        return f"First reply due earlier: the plan is {PlanName(data['plan']).label} now, {data['words']} from here"
    if event.kind is EventKind.PROMISE_MET:
        taken = timedelta(seconds=data["taken"])
        if taken < MINUTE and "business" in data["words"]:
            # By other clocks it may have taken hours.
            return f"First-reply target met in under 1 business minute of {data['words']}"
        return f"First-reply target met in {hours(taken)} of {data['words']}"
    late = f" by {duration(timedelta(seconds=data['late']))}" if "late" in data else ""
    return f"First-reply target missed{late}"


def _because(reason: object) -> str:
    return f": “{reason}”" if reason else ""


def changes_since(ticket: Ticket, actor: Person, seen: int) -> list[Entry]:
    """Return what others did on the ticket after the event with the id `seen`, in order (fifty at most)."""
    later = _ENTRIES.where(_EVENTS.c.id > seen, _EVENTS.c.actor_id != actor.id).order_by(_EVENTS.c.at, _EVENTS.c.id)
    rows = session_of(ticket).execute(later.limit(50), {"ticket": ticket.id}).all()
    return [_entry(row, {}, desk=True) for row in rows]
