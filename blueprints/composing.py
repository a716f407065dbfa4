"""Writing at the desk: replies that can be undone, notes, drafts, files, macros, and who else is writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, g, request

from blueprints.access import actor, requires
from blueprints.conversation import attached, detached, drafted, previewed
from blueprints.deskwork import number_in, refused_answer, seen_last, shown, ticket_here
from blueprints.pages import Answer, conflict, page, polled, see_other
from blueprints.uploads import SentBefore, check_first, given_key, keep_typed, once, take_files
from extensions import clock, db, outside, reading
from forms.desk import AnswerForm
from models import conversations, following, sending
from models.attachments import draft_to_send
from models.base import NotFound, Refused
from models.circles import writers_of
from models.macros import filled, macro_of
from models.permissions import Permission
from models.prose import cleaned
from models.replies import Known, known_of
from models.tickets import Ticket, TicketState
from models.timelines import Entry, changes_since

bp = Blueprint("composing", __name__)


@bp.post("/desk/<key:key>/messages")
@requires(Permission.ANSWER)
def send(key: str) -> Answer:
    ticket, form, place = ticket_here(key), AnswerForm(), f"ticket:{key.upper()}"
    try:
        # The fields first: to validate them forgets what is said of the files.
        if not all([form.validate(), take_files(form, place, ticket)]):
            check_first(place)
            return refused_answer(ticket, form)
        known = known_of(ticket, actor(), place=place, key=given_key(), seen=seen_last())
        if known.others and (changes := changes_since(ticket, actor(), seen_last())):
            check_first(place)
            return _outdated(ticket, form, place, changes)
        words, spot = once(place, lambda: _say(ticket, form, place, known))
    except SentBefore as before:
        return see_other(f"/desk/{before.key}")
    except Refused as refused:
        form.refuse(refused)
        return refused_answer(ticket_here(key), form)
    return see_other(f"/desk/{ticket.key}#{spot}", good=words)


def _outdated(ticket: Ticket, form: AnswerForm, place: str, changes: Sequence[Entry]) -> Answer:
    keep_typed(place)
    reading()
    return conflict("desk/show.html", **shown(ticket, form, changes=changes))


def _say(ticket: Ticket, form: AnswerForm, place: str, known: Known) -> tuple[str, str]:
    now, undo, body = clock.now(), outside().undo, form.body.data or ""
    key = given_key()
    draft = draft_to_send(actor(), place, key) if known.files else None
    same: dict[str, Any] = {"key": key, "take": form.take.data, "draft": draft}
    if form.mode.data == "note":
        comment = conversations.note(ticket, actor(), body, now=now, known=known, **same)
        words = "Internal note added. Customers do not see it."
    else:
        then = next((s for s in TicketState if s.value == form.then.data), None)
        if undo:
            until = now + undo
            comment = sending.send(ticket, actor(), body, now=now, until=until, then=then, **same)
            words = f"Reply sent. It reaches the customer in {undo.seconds} seconds; until then you can undo it."
        else:
            comment = conversations.answer(ticket, actor(), body, now=now, then=then, known=known, **same)
            words = "Reply sent to the customer."
    return words, f"message-{comment.id}"


@bp.post("/desk/<key:key>/undo")
@requires(Permission.ANSWER)
def undo(key: str) -> Answer:
    ticket = ticket_here(key)
    try:
        draft = sending.undo(ticket, actor(), number_in(request.form.get("message", "")), now=clock.now())
    except Refused as refused:
        return conflict("desk/show.html", **shown(ticket, refused=refused))
    db.session.commit()
    words = "The reply is undone: nobody has seen it, and its text is below as a draft."
    return see_other(f"/desk/{ticket.key}?draft={draft.id}#reply", good=words)


@bp.post("/desk/<key:key>/draft")
@requires(Permission.ANSWER)
def save_draft(key: str) -> Answer:
    ticket = ticket_here(key)
    return drafted(ticket)


@bp.post("/desk/<key:key>/files")
@requires(Permission.ANSWER)
def add_files(key: str) -> Answer:
    ticket, form = ticket_here(key), AnswerForm()
    return attached(ticket, form, "/desk") or refused_answer(ticket, form)


@bp.post("/desk/<key:key>/files/remove")
@requires(Permission.ANSWER)
def drop_file(key: str) -> Answer:
    ticket = ticket_here(key)
    return detached(ticket, "/desk")


@bp.post("/desk/<key:key>/preview")
@requires(Permission.ANSWER)
def preview(key: str) -> Answer:
    ticket = ticket_here(key)
    return page("desk/show.html", **shown(ticket, AnswerForm(), previewed(ticket)))


@bp.post("/desk/<key:key>/macro")
@requires(Permission.ANSWER)
def insert_macro(key: str) -> Answer:
    ticket, form = ticket_here(key), AnswerForm()
    try:
        macro = macro_of(actor(), number_in(request.form.get("macro", "")))
    except NotFound:
        form.refuse(Refused("Choose one of the macros first.", "macro"))
        return refused_answer(ticket, form)
    draft = keep_typed(f"ticket:{ticket.key}")
    typed = cleaned(request.form.get("body", "")).rstrip()
    inserted = filled(macro.body, ticket, actor(), now=clock.now())
    fields = draft.fields | {"body": [f"{typed}\n\n{inserted}" if typed else inserted]}
    fields |= {"then": [macro.then.value]} if macro.then else {}
    draft.fields = fields | ({"take": ["y"]} if macro.take else {})
    db.session.commit()
    return see_other(f"/desk/{ticket.key}?draft={draft.id}#reply")


@bp.get("/desk/<key:key>/presence")
@requires(Permission.DESK)
def presence(key: str) -> Answer:
    # Nobody asked for this: a page that lies open must not keep a sign-in alive.
    g.unattended = True
    return polled("desk/_presence.html", writers=writers_of(ticket_here(key), actor(), now=clock.now()))


@bp.post("/desk/<key:key>/follow")
@requires(Permission.ANSWER)
def follow(key: str) -> Answer:
    ticket = ticket_here(key)
    following.follow(ticket, actor())
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good="You follow this ticket: its customer’s replies and notes reach you.")


@bp.post("/desk/<key:key>/unfollow")
@requires(Permission.ANSWER)
def unfollow(key: str) -> Answer:
    ticket = ticket_here(key)
    following.unfollow(ticket, actor())
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good="You no longer follow this ticket.")
