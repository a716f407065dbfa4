"""The ticket at the desk: who has it, its status and severity."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, requires
from blueprints.conversation import explained
from blueprints.deskwork import seen_last, shown, ticket_here
from blueprints.pages import (
    Answer,
    conflict,
    face_of,
    invalid,
    page,
    see_other,
    zone_here,
)
from blueprints.sheets import severity_choices
from extensions import clock, db
from forms.base import choices
from forms.desk import HoldForm
from forms.tickets import SeverityForm
from models import conversations, handling, silence
from models.base import Refused
from models.catalogue import Severity
from models.people import Person, agents
from models.permissions import Permission
from models.tickets import Ticket, TicketState, participants_of
from models.timelines import changes_since, timeline_of

bp = Blueprint("desk", __name__)


@bp.get("/desk/<key:key>")
@requires(Permission.DESK)
def show(key: str) -> Answer:
    return page("desk/show.html", **shown(ticket_here(key)))


@bp.post("/desk/<key:key>/take")
@requires(Permission.ANSWER)
def take(key: str) -> Answer:
    ticket = ticket_here(key)
    try:
        handling.take(ticket, actor(), now=clock.now())
    except Refused as refused:
        return conflict("desk/show.html", **shown(ticket, refused=refused))
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=f"{ticket.key} is yours.")


@bp.post("/desk/<key:key>/assignee")
@requires(Permission.ANSWER)
def assign(key: str) -> Answer:
    ticket, people = ticket_here(key), agents(db.session())
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
    ticket = ticket_here(key)
    state = next((s for s in TicketState if s.value == request.form.get("state")), None)
    return _change(ticket, lambda: _set_state(ticket, state), "The status is changed.")


def _set_state(ticket: Ticket, state: TicketState | None) -> None:
    if state is None:
        raise Refused("Choose a status from the list.", "state")
    conversations.set_state(ticket, actor(), state, now=clock.now())


def _change(ticket: Ticket, verb: Any, words: str) -> Answer:  # noqa: ANN401 (a call without arguments)
    """Change the ticket unless somebody did since the page was read; then both are shown (409)."""
    changes = changes_since(ticket, actor(), seen_last())
    if changes:
        return conflict("desk/show.html", **shown(ticket, changes=changes, wanted=_wanted(ticket)))
    try:
        verb()
    except Refused as refused:
        return invalid("desk/show.html", **shown(ticket, refused=refused))
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
    ticket = ticket_here(key)
    wanted = ticket.severity_asked or ticket.severity.value
    return page("desk/severity.html", **_severity(ticket, SeverityForm(severity=wanted)))


@bp.post("/desk/<key:key>/severity")
@requires(Permission.ANSWER)
def change_severity(key: str) -> Answer:
    ticket, form = ticket_here(key), SeverityForm()
    shown = _severity(ticket, form)
    changes = changes_since(ticket, actor(), seen_last())
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


@bp.get("/desk/<key:key>/hold")
@requires(Permission.ANSWER)
def edit_hold(key: str) -> Answer:
    return page("desk/hold.html", **_hold(ticket_here(key), HoldForm(formdata=None)))


@bp.post("/desk/<key:key>/hold")
@requires(Permission.ANSWER)
def hold(key: str) -> Answer:
    ticket, form = ticket_here(key), HoldForm()
    if changes := changes_since(ticket, actor(), seen_last()):
        return conflict("desk/hold.html", **{**_hold(ticket, form), "changes": changes})
    try:
        if not form.validate():
            return invalid("desk/hold.html", **_hold(ticket, form))
        silence.hold_until(ticket, actor(), form.day.data, zone_here(), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/hold.html", **_hold(ticket, form))
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good="The request is on hold. Its customer sees until when.")


@bp.post("/desk/<key:key>/unhold")
@requires(Permission.ANSWER)
def end_hold(key: str) -> Answer:
    ticket = ticket_here(key)
    return _change(
        ticket,
        lambda: silence.hold_until(ticket, actor(), None, zone_here(), now=clock.now()),
        "The hold is ended. The silence of the customer counts from now.",
    )


def _hold(ticket: Ticket, form: HoldForm) -> dict[str, Any]:
    seen = timeline_of(ticket, internal=True, desk=True, most=1).entries
    return {
        "ticket": ticket,
        "form": form,
        "held_until": ticket.held_until(clock.now()),
        "seen": str(seen[-1].id) if seen else "0",
        "changes": (),
    }


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
    ticket = ticket_here(key)
    return explained(ticket, f"/desk/{ticket.key}", staff=True)


@bp.get("/desk/<key:key>/print")
@requires(Permission.DESK)
def print_view(key: str) -> Answer:
    ticket = ticket_here(key)
    return page(
        "tickets/print.html",
        ticket=ticket,
        timeline=timeline_of(ticket, internal=False, most=2000),
        participants=participants_of(ticket),
        now=clock.now(),
        face=face_of(ticket, zone_here(), clock.now(), paper=True),
    )
