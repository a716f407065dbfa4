"""The desk: agents' queues, and the ticket with all that its answer needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, held, may, requires, roles
from blueprints.conversation import attached, comment_form, detached, drafted, explained, previewed, promise_view
from blueprints.pages import (
    Answer,
    conflict,
    invalid,
    page,
    page_here,
    see_other,
    severity_choices,
    why_none,
    zone_here,
)
from blueprints.uploads import SentBefore, check_first, given_key, keep_typed, kept, once, take_files
from extensions import clock, db, outside, reading
from forms.base import choices
from forms.desk import AnswerForm, AssigneeForm, StateForm
from forms.tickets import SeverityForm
from models import conversations, handling
from models.attachments import draft_with_files
from models.base import Refused
from models.catalogue import DoorName, Severity, catalogue_at
from models.faces import face
from models.listings import DeskWish, Queue, desk_counts, others_of, queue_of
from models.organizations import clusters_of
from models.people import Person, agents
from models.permissions import Permission
from models.prose import cleaned
from models.tickets import Ticket, TicketState, desk_of, participants_of
from models.timelines import Entry, changes_since, timeline_of

bp = Blueprint("desk", __name__)


@bp.get("/desk")
@requires(Permission.DESK)
def index() -> Answer:
    person, now, zone = actor(), clock.now(), zone_here()
    wish, scope = _wish(), desk_of(person, roles())
    if "go" in request.args and (exact := scope.find(wish.text)) is not None:
        return see_other(f"/desk/{exact.key}")
    rows, paging = queue_of(person, scope, wish, now=now)
    return page(
        "desk/index.html",
        wish=wish,
        rows=rows,
        paging=paging,
        counts=desk_counts(person, scope, now=now),
        queues=list(Queue),
        doors=list(DoorName),
        faces={t.id: face(t.target, zone, now, why=why_none(t), staff=True) for t in rows},
    )


def _wish() -> DeskWish:
    given = request.args
    return DeskWish(
        queue=next((q for q in Queue if q.value == given.get("queue")), Queue.DUE),
        door=next((d for d in DoorName if d.value == given.get("door")), None),
        when=given.get("when", "") if given.get("when") in {"late", "soon"} else "",
        text=cleaned(given.get("q", ""))[:200].strip(),
        page=page_here(),
        after=given.get("after", "")[:80],
        before=given.get("before", "")[:80],
    )


def _ticket(key: str) -> Ticket:
    return desk_of(actor(), roles()).one_or_404(key)


def _shown(
    ticket: Ticket,
    form: AnswerForm | None = None,
    preview: str = "",
    refused: Refused | None = None,
    **more: Any,  # noqa: ANN401 (a template takes anything)
) -> dict[str, Any]:
    """Return what the desk shows of one ticket."""
    draft, fields, files = kept(f"ticket:{ticket.key}")
    written = request.args.get("before", "")
    timeline = timeline_of(
        ticket,
        internal=True,
        desk=True,
        before=int(written) if written.isascii() and written.isdigit() and len(written) < 16 else 0,
    )
    seen = str(timeline.entries[-1].id) if timeline.entries else "0"
    form = form or comment_form(AnswerForm, draft, held() or fields)
    form.seen.data = seen
    if refused is not None:
        # The reason is about another form of the page: what is being written here stays.
        form.refuse(Refused(refused.reason))
    people = agents(db.session())
    return {
        "ticket": ticket,
        "timeline": timeline,
        "participants": participants_of(ticket),
        "form": form,
        "files": files,
        "draft": draft,
        "preview": preview,
        "final": ticket.is_final(clock.now()),
        "face": face(ticket.target, zone_here(), clock.now(), why=why_none(ticket), staff=True),
        "promise": promise_view(ticket),
        "severity_text": catalogue_at(ticket.catalogue_version).text(ticket.severity),
        "clusters": clusters_of(ticket.organization) if ticket.organization else [],
        "others": others_of(ticket, desk_of(actor(), roles())),
        "assign": _assign_form(ticket, people, seen),
        "state": StateForm(formdata=None, state=ticket.state.value, seen=seen),
        "may_answer": may(Permission.ANSWER),
        "limits": outside().limits,
        "changes": (),
        **more,
    }


def _assign_form(ticket: Ticket, people: list[Person], seen: str) -> AssigneeForm:
    form = AssigneeForm(formdata=None, assignee=str(ticket.assignee_id or ""), seen=seen)
    form.assignee.choices = choices([("", "Nobody"), *((str(p.id), p.name) for p in people)])
    return form


def _seen() -> int:
    written = request.form.get("seen", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 16 else 0


@bp.get("/desk/<key:key>")
@requires(Permission.DESK)
def show(key: str) -> Answer:
    return page("desk/show.html", **_shown(_ticket(key)))


@bp.post("/desk/<key:key>/messages")
@requires(Permission.ANSWER)
def send(key: str) -> Answer:
    ticket, form, place = _ticket(key), AnswerForm(), f"ticket:{key.upper()}"
    try:
        # The fields first: to validate them forgets what is said of the files.
        if not all([form.validate(), take_files(form, place, ticket)]):
            check_first(place)
            return _refused(ticket, form)
        if changes := changes_since(ticket, actor(), _seen()):
            check_first(place)
            return _outdated(ticket, form, place, changes)
        words, spot = once(place, lambda: _say(ticket, form, place))
    except SentBefore as before:
        return see_other(f"/desk/{before.key}")
    except Refused as refused:
        form.refuse(refused)
        return _refused(_ticket(key), form)
    return see_other(f"/desk/{ticket.key}#{spot}", good=words)


def _outdated(ticket: Ticket, form: AnswerForm, place: str, changes: Sequence[Entry]) -> Answer:
    keep_typed(place)
    reading()
    return conflict("desk/show.html", **_shown(ticket, form, changes=changes))


def _say(ticket: Ticket, form: AnswerForm, place: str) -> tuple[str, str]:
    draft, now, sent = draft_with_files(actor(), place, given_key()), clock.now(), given_key()
    if form.mode.data == "note":
        comment = conversations.note(ticket, actor(), form.body.data or "", now=now, key=sent, draft=draft)
        words = "Internal note added. Customers do not see it."
    else:
        then = next((s for s in TicketState if s.value == form.then.data), None)
        comment = conversations.answer(ticket, actor(), form.body.data or "", now=now, then=then, key=sent, draft=draft)
        words = "Reply sent to the customer."
    return words, f"message-{comment.id}"


def _refused(ticket: Ticket, form: AnswerForm) -> Answer:
    keep_typed(f"ticket:{ticket.key}")
    reading()
    return invalid("desk/show.html", **_shown(ticket, form))


@bp.post("/desk/<key:key>/draft")
@requires(Permission.ANSWER)
def save_draft(key: str) -> Answer:
    ticket = _ticket(key)
    return drafted(ticket)


@bp.post("/desk/<key:key>/files")
@requires(Permission.ANSWER)
def add_files(key: str) -> Answer:
    ticket, form = _ticket(key), AnswerForm()
    return attached(ticket, form, "/desk") or _refused(ticket, form)


@bp.post("/desk/<key:key>/files/remove")
@requires(Permission.ANSWER)
def drop_file(key: str) -> Answer:
    ticket = _ticket(key)
    return detached(ticket, "/desk")


@bp.post("/desk/<key:key>/preview")
@requires(Permission.ANSWER)
def preview(key: str) -> Answer:
    ticket = _ticket(key)
    return page("desk/show.html", **_shown(ticket, AnswerForm(), previewed(ticket)))


@bp.post("/desk/<key:key>/take")
@requires(Permission.ANSWER)
def take(key: str) -> Answer:
    ticket = _ticket(key)
    try:
        handling.take(ticket, actor(), now=clock.now())
    except Refused as refused:
        return conflict("desk/show.html", **_shown(ticket, refused=refused))
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=f"{ticket.key} is yours.")


@bp.post("/desk/<key:key>/assignee")
@requires(Permission.ANSWER)
def assign(key: str) -> Answer:
    ticket, people = _ticket(key), agents(db.session())
    given = request.form.get("assignee", "")
    assignee = next((p for p in people if str(p.id) == given), None)
    return _change(ticket, lambda: _assign(ticket, assignee, given), "The assignee is changed.")


def _assign(ticket: Ticket, assignee: Person | None, given: str) -> None:
    if given and assignee is None:
        raise Refused("Choose one of the support agents.", "assignee")
    handling.assign(ticket, actor(), assignee, now=clock.now())


@bp.post("/desk/<key:key>/state")
@requires(Permission.ANSWER)
def set_state(key: str) -> Answer:
    ticket = _ticket(key)
    state = next((s for s in TicketState if s.value == request.form.get("state")), None)
    return _change(ticket, lambda: _set_state(ticket, state), "The status is changed.")


def _set_state(ticket: Ticket, state: TicketState | None) -> None:
    if state is None:
        raise Refused("Choose a status from the list.", "state")
    conversations.set_state(ticket, actor(), state, now=clock.now())


def _change(ticket: Ticket, verb: Any, words: str) -> Answer:  # noqa: ANN401 (a call without arguments)
    """Change the ticket unless somebody did since the page was read; then both are shown (409)."""
    changes = changes_since(ticket, actor(), _seen())
    if changes:
        return conflict("desk/show.html", **_shown(ticket, changes=changes, wanted=_wanted(ticket)))
    try:
        verb()
    except Refused as refused:
        return invalid("desk/show.html", **_shown(ticket, refused=refused))
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=words)


def _wanted(ticket: Ticket) -> str:
    """Return what the person was about to choose, in words."""
    state = next((s.desk_label for s in TicketState if s.value == request.form.get("state")), "")
    if state:
        return f"You were about to set the status to {state}. It is {ticket.state.desk_label} now."
    has = ticket.assignee.name if ticket.assignee else "nobody"
    return f"You were about to change the assignee. It is {has} now."


@bp.get("/desk/<key:key>/severity")
@requires(Permission.ANSWER)
def edit_severity(key: str) -> Answer:
    ticket = _ticket(key)
    wanted = ticket.severity_asked or ticket.severity.value
    return page("desk/severity.html", **_severity(ticket, SeverityForm(severity=wanted)))


@bp.post("/desk/<key:key>/severity")
@requires(Permission.ANSWER)
def change_severity(key: str) -> Answer:
    ticket, form = _ticket(key), SeverityForm()
    shown = _severity(ticket, form)
    changes = changes_since(ticket, actor(), _seen())
    if changes:
        return conflict("desk/severity.html", **{**shown, "changes": changes})
    severity = next((s for s in Severity if s.value == form.severity.data), None)
    try:
        if not form.validate() or severity is None:
            raise Refused("Choose one of the severities." if severity is None else "", "severity")  # noqa: TRY301
        handling.reclassify(ticket, actor(), severity, form.reason.data or "", now=clock.now())
    except Refused as refused:
        if refused.reason:
            form.refuse(refused)
        return invalid("desk/severity.html", **shown)
    db.session.commit()
    return see_other(
        f"/desk/{ticket.key}", good=f"The severity is {severity.value} now; the customer reads your reason."
    )


def _severity(ticket: Ticket, form: SeverityForm) -> dict[str, Any]:
    offered = severity_choices(ticket)
    form.severity.choices = choices([(row.value, row.value) for row in offered])
    seen = timeline_of(ticket, internal=True, desk=True, most=1).entries
    return {
        "ticket": ticket,
        "form": form,
        "choices": offered,
        "seen": str(seen[-1].id) if seen else "0",
        "changes": (),
    }


@bp.get("/desk/<key:key>/clock")
@requires(Permission.DESK)
def clock_page(key: str) -> Answer:
    ticket = _ticket(key)
    return explained(ticket, f"/desk/{ticket.key}", staff=True)


@bp.get("/desk/<key:key>/print")
@requires(Permission.DESK)
def print_view(key: str) -> Answer:
    ticket = _ticket(key)
    return page(
        "tickets/print.html",
        ticket=ticket,
        timeline=timeline_of(ticket, internal=False, most=2000),
        participants=participants_of(ticket),
        face=face(ticket.target, zone_here(), clock.now(), why=why_none(ticket)),
    )
