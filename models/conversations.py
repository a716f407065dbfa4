"""The conversation on a ticket: replies, answers, notes, and the states that they lead to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from models.attachments import hand_over
from models.base import Refused, session_of
from models.calendars import Hours, hours_for
from models.catalogue import catalogue_at
from models.drafts import Draft
from models.events import EventKind, gathered, record
from models.following import marked, readers_of_notes
from models.held import answers_in_time
from models.notices import note_event, post, post_to, tell
from models.oncall import begin_calls
from models.outbox import Letter
from models.people import Person, agents
from models.promises import Breach, ResponseTarget
from models.prose import BODY_MOST, RENDERER, cleaned, rendered
from models.replies import Known, known_of
from models.search import add_text, scope_of
from models.tickets import ACTIVE, REOPEN_FOR, Comment, Ticket, TicketState
from models.timetables import Timetable, timetable_for

FINAL = "This request is closed. Open a follow-up: it is linked to this one, and your text is kept."


def reply(
    ticket: Ticket,
    actor: Person,
    body: str,
    *,
    now: datetime,
    key: str | None = None,
    draft: Draft | None = None,
    known: Known | None = None,
) -> Comment:
    """Add a customer's reply; a request that waits or is resolved opens again. Raises Refused on a closed one.

    `key` is the form's own: who sends it again meets IntegrityError. `draft` is the one whose files it takes along, and
    `known` what was asked already.
    """
    if ticket.is_final(now):
        raise Refused(FINAL, "body")
    known = known or known_of(ticket, actor, followers=True)
    comment = say(ticket, actor, body, now=now, key=key, draft=draft, entries=known.entries)
    before = ticket.state
    if before is TicketState.RESOLVED:
        _open_again(ticket, actor, now=now, hours=known.hours)
    elif before is TicketState.WAITING:
        move(ticket, actor, TicketState.OPEN, now=now, hours=known.hours)
    post(ticket, known.audience(ticket, actor), Letter.TICKET_REPLIED, now=now, actor=actor, comment=comment)
    return comment


def answer(  # noqa: PLR0913 (each names one thing that an answer is)
    ticket: Ticket,
    actor: Person,
    body: str,
    *,
    now: datetime,
    then: TicketState | None = None,
    key: str | None = None,
    take: bool = False,
    draft: Draft | None = None,
    known: Known | None = None,
) -> Comment:
    """Add an agent's public reply, which meets the promise, and leave the ticket in the state `then`.

    With `take` the agent becomes the assignee, also in somebody's place; `known` is what was asked already. Raises
    Refused on a closed ticket.
    """
    refuse_closed(ticket, now)
    known = known or known_of(ticket, actor)
    comment = say(ticket, actor, body, now=now, key=key, draft=draft, by_staff=True, entries=known.entries)
    conclude(ticket, actor, comment, now=now, then=then, take=take, known=known)
    return comment


def refuse_closed(ticket: Ticket, now: datetime) -> None:
    """Raise Refused when no agent can answer the ticket any more."""
    if ticket.is_final(now):
        raise Refused("This request is closed: only its customer can go on, with a follow-up.", "body")


def conclude(
    ticket: Ticket,
    actor: Person,
    comment: Comment,
    *,
    now: datetime,
    then: TicketState | None,
    take: bool,
    known: Known,
    meets: bool = True,
) -> None:
    """Do what an agent's public reply brings: the promise met, an assignee, the state, the mail.

    Source: product rule 8.1, the first public reply by a human agent meets the promise; `meets` is False for one that
    was sent before the promise was made.
    """
    with gathered(session_of(ticket)):
        if meets:
            _meet(ticket, actor, now=now, hours=known.hours)
        if ticket.assignee_id is None or (take and ticket.assignee_id != actor.id):
            hand_to(ticket, actor, actor, now=now)
        state = then or (TicketState.IN_PROGRESS if ticket.state is TicketState.OPEN else ticket.state)
        # The next question begins the silence anew; what is on hold stays so.
        if not move(ticket, actor, state, now=now, hours=known.hours) and ticket.held_until(now) is None:
            _begin_silence(ticket, now)
    post(ticket, known.audience(ticket, actor), Letter.TICKET_REPLIED, now=now, actor=actor, comment=comment)


def note(
    ticket: Ticket,
    actor: Person,
    body: str,
    *,
    now: datetime,
    key: str | None = None,
    take: bool = False,
    draft: Draft | None = None,
    known: Known | None = None,
) -> Comment:
    """Add an internal note: no customer sees it, gets mail for it, or can find it.

    Agents whom it mentions get a letter, each one, and so do the assignee and those who follow the ticket.
    """
    entries = known.entries if known else None
    kind = EventKind.TICKET_NOTED
    comment = say(ticket, actor, body, now=now, key=key, draft=draft, by_staff=True, kind=kind, entries=entries)
    mentioned: list[Person] = []
    if "@" in comment.source:
        comment.html, mentioned = marked(comment.html, agents(session_of(ticket)))
    told = [person for person in mentioned if person.id != actor.id]
    post(ticket, told, Letter.TICKET_MENTIONED, now=now, actor=actor, comment=comment)
    others = readers_of_notes(ticket, [actor, *mentioned])
    post(ticket, others, Letter.TICKET_NOTED, now=now, actor=actor, comment=comment)
    if take and ticket.assignee_id != actor.id:
        hand_to(ticket, actor, actor, now=now)
    return comment


def first_message(ticket: Ticket, actor: Person, body: str, *, now: datetime, key: str, draft: Draft | None) -> Comment:
    """Add the description with which a request is filed."""
    return say(ticket, actor, body, now=now, key=key, draft=draft, kind=EventKind.TICKET_FILED)


def say(  # noqa: PLR0913 (each names one thing that a message is)
    ticket: Ticket,
    actor: Person,
    body: str,
    *,
    now: datetime,
    key: str | None,
    draft: Draft | None,
    by_staff: bool = False,
    held: bool = False,
    kind: EventKind = EventKind.TICKET_REPLIED,
    entries: set[str] | None = None,
) -> Comment:
    """Add a message with the files of its draft, and its event; raises Refused for an empty or an endless text.

    `kind` says whether it is a reply, a note, or what the request is filed with; `entries` what of the request stands
    in the search index, where that was read already.

    One that is `held` is for staff alone until it goes out: it is not found, and the ticket does not move.
    """
    text = cleaned(body).strip("\n")
    if not text.strip():
        raise Refused("Write your message first.", "body")
    if len(text) > BODY_MOST:
        raise Refused(f"Shorten the text: it has {len(text):,} characters, and {BODY_MOST:,} fit.", "body")
    session, internal = session_of(ticket), kind is EventKind.TICKET_NOTED
    comment = Comment(
        ticket=ticket,
        author_id=actor.id,
        author=actor,
        created_at=now,
        source=text,
        html=rendered(text),
        renderer=RENDERER,
        by_staff=by_staff,
        internal=internal or held,
        form_key=key,
    )
    session.add(comment)
    session.flush()
    files = hand_over(draft, comment) if draft is not None else []
    if draft is not None:
        session.delete(draft)
    texts = [text, *(attachment.name for attachment in files)]
    filed = kind is EventKind.TICKET_FILED
    if filed:
        facts = (ticket.cluster_name, ticket.environment, ticket.version_affected, *ticket.components)
        texts += [ticket.key, ticket.summary, *facts]
    if not held:
        # Notes stay out of what customers search.
        scope = scope_of(ticket.organization_id, ticket.opener_id)
        add_text(session, ticket.id, scope, *texts, internal=internal, known=set() if filed else entries)
        ticket.updated_at = now
    record(
        session,
        kind,
        now=now,
        actor_id=actor.id,
        ticket_id=ticket.id,
        organization_id=ticket.organization_id,
        comment_id=comment.id,
        internal=internal or held,
        files=[attachment.name for attachment in files],
    )
    return comment


def _meet(ticket: Ticket, actor: Person, *, now: datetime, hours: Timetable) -> None:
    target = ticket.target
    if target is None or target.met_at is not None:
        return
    # A clock that was set back must not have a promise answered before it was made.
    at = max(now, target.started_at)
    target.meet(at, hours)
    ticket.copy_due()
    late = target.due_at is not None and at > target.due_at
    kind = EventKind.PROMISE_MISSED if late else EventKind.PROMISE_MET
    if late and not first_to_say(target, now):
        return
    facts = {"words": target.target.words, "taken": target.counted_seconds, "cycle": target.cycle}
    if late and target.due_at is not None:
        facts["late"] = int((at - target.due_at).total_seconds())
    note_event(ticket, actor, kind, now=now, **facts)


def first_to_say(target: ResponseTarget, now: datetime) -> bool:
    """Tell whether the worker has not written the miss down yet, and write down that it is now."""
    session = session_of(target)
    if session.scalar(select(Breach.id).where(Breach.target_id == target.id)) is not None:
        return False
    session.add(Breach(target_id=target.id, at=now))
    return True


def _note_miss(ticket: Ticket, target: ResponseTarget, *, now: datetime) -> None:
    """Record that the promise was missed before its clock was stopped: the worker looks only at what runs."""
    if target.due_at is None:
        return
    on_its_way = select(ResponseTarget.id).where(ResponseTarget.id == target.id, answers_in_time())
    if session_of(ticket).scalar(on_its_way) is None and first_to_say(target, now):
        facts = {"cycle": target.cycle, "minutes": target.minutes}
        note_event(ticket, None, EventKind.PROMISE_MISSED, now=now, **facts)


def timetable_of(ticket: Ticket, target: ResponseTarget) -> Timetable:
    """Return the business hours by which the promise is counted, as they changed since it began."""
    return timetable_for(session_of(ticket), target.calendar_id, target.started_at)


def move(
    ticket: Ticket, actor: Person | None, state: TicketState, *, now: datetime, hours: Timetable | None = None
) -> bool:
    """Set the state with all that hangs on it and return whether it changed.

    `hours` are those by which the promise is counted, where they were read already.
    """
    before = ticket.state
    if state is before:
        return False
    ticket.state = state
    ticket.resolved_at = (
        now if state is TicketState.RESOLVED else (ticket.resolved_at if state is TicketState.CLOSED else None)
    )
    ticket.closes_at = now + REOPEN_FOR if state is TicketState.RESOLVED else None
    _begin_silence(ticket, now)
    if state not in ACTIVE:
        # What is done is nobody's to look after; a reopened one can be escalated again.
        ticket.escalated_at = ticket.call_at = None
    target = ticket.target
    if target is not None and target.met_at is None:
        hours = hours or timetable_of(ticket, target)
        if state in {TicketState.WAITING, TicketState.RESOLVED, TicketState.CLOSED}:
            target.pause(now, hours)
            _note_miss(ticket, target, now=now)
        else:
            target.resume(now, hours)
        ticket.copy_due()
        if state is TicketState.CLOSED:
            target.settle()
    note_event(ticket, actor, EventKind.TICKET_STATE, now=now, before=before.value, after=state.value)
    return True


def _begin_silence(ticket: Ticket, now: datetime) -> None:
    """Count from now how long the customer is silent; in any other state nobody is waited for."""
    ticket.quiet_since, ticket.nudges = (now if ticket.state is TicketState.WAITING else None), 0


def _open_again(ticket: Ticket, actor: Person, *, now: datetime, hours: Timetable | None = None) -> None:
    """Reopen a resolved request: a fresh promise under the ticket's own terms starts (product rule 8.7)."""
    last = ticket.target
    ticket.state = TicketState.OPEN
    ticket.resolved_at = ticket.closes_at = None
    if last is not None and last.met_at is not None:
        start_promise(ticket, now=now, cycle=last.cycle + 1, hours=hours.present if hours else None)
    elif last is not None:
        last.resume(now, hours or timetable_of(ticket, last))
        ticket.copy_due()
    before, after = TicketState.RESOLVED.value, TicketState.OPEN.value
    note_event(ticket, actor, EventKind.TICKET_STATE, now=now, before=before, after=after)


def start_promise(
    ticket: Ticket, *, now: datetime, cycle: int = 1, hours: Hours | None = None
) -> ResponseTarget | None:
    """Write down the promise that the ticket's terms give from now; None (and nothing written) where they give none.

    `hours` are its organization's, where they were read already.
    """
    terms = catalogue_at(ticket.catalogue_version)
    promised = terms.target(ticket.plan, ticket.door, ticket.severity)
    if promised is None:
        ticket.due_at = None
        return None
    calendar_id = ticket.organization.calendar_id if ticket.organization else None
    target = ResponseTarget.begin(
        cycle=cycle,
        catalogue=ticket.catalogue_version,
        plan=ticket.plan,
        severity=ticket.severity,
        target=promised,
        calendar_id=calendar_id,
        hours=hours or hours_for(session_of(ticket), calendar_id),
        now=now,
    )
    ticket.targets.append(target)
    ticket.copy_due()
    begin_calls(ticket, now=now)
    return target


def hand_to(ticket: Ticket, actor: Person, assignee: Person | None, *, now: datetime) -> None:
    """Set the assignee and write down who gave the ticket to whom; an agent who loses it gets a letter."""
    former = ticket.assignee
    ticket.assignee = assignee
    ticket.assignee_id = assignee.id if assignee else None
    note_event(
        ticket,
        actor,
        EventKind.TICKET_ASSIGNED,
        now=now,
        before=former.name if former else "",
        after=assignee.name if assignee else "",
        taken=assignee is actor,
    )
    if former is not None and former.active and former.id not in {actor.id, ticket.assignee_id}:
        # Source: quality R9, the loser is told.
        holder = assignee.name if assignee else ""
        post_to(ticket, former, Letter.TICKET_ASSIGNED, now=now, actor=actor, lost=True, holder=holder)


def set_state(ticket: Ticket, actor: Person, state: TicketState, *, now: datetime) -> None:
    """Let an agent change the state without a message. Raises Refused for a closed ticket and for Closed itself."""
    if ticket.is_final(now):
        raise Refused("This request is closed for good.", "state")
    if state is TicketState.CLOSED:
        raise Refused("Requests close by themselves, 14 days after they are resolved. Choose Resolved.", "state")
    if ticket.state is TicketState.RESOLVED and state in ACTIVE:
        _open_again(ticket, actor, now=now)
        changed = state is TicketState.OPEN or move(ticket, actor, state, now=now)
    else:
        changed = move(ticket, actor, state, now=now)
    if changed:
        tell(ticket, actor, Letter.TICKET_STATE, now=now)


def resolve(ticket: Ticket, actor: Person, *, now: datetime) -> None:
    """Let a customer mark the request as resolved."""
    if ticket.is_final(now):
        raise Refused(FINAL)
    if move(ticket, actor, TicketState.RESOLVED, now=now):
        tell(ticket, actor, Letter.TICKET_STATE, now=now)


def reopen(ticket: Ticket, actor: Person, *, now: datetime) -> None:
    """Open a resolved request again, for 14 days after it was resolved. Raises Refused after that."""
    if ticket.is_final(now):
        raise Refused(FINAL)
    if ticket.state is not TicketState.RESOLVED:
        return
    _open_again(ticket, actor, now=now)
    tell(ticket, actor, Letter.TICKET_STATE, now=now)


def close(ticket: Ticket, *, now: datetime) -> None:
    """Close a request whose 14 days have passed; the worker calls this."""
    move(ticket, None, TicketState.CLOSED, now=now)
    ticket.closes_at = None
