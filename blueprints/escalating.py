"""Escalations and calls: customers and agents raise them, agents look after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.deskwork import ticket_here
from blueprints.pages import Answer, invalid, page, see_other
from extensions import clock, db
from forms.tickets import EscalationForm
from models import escalations, oncall
from models.base import Refused
from models.permissions import Permission
from models.tickets import Ticket, tickets_of

bp = Blueprint("escalating", __name__)


@bp.get("/requests/<key:key>/escalate")
@requires(Permission.REQUESTS)
def ask(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return page("tickets/escalate.html", **_shown(ticket, EscalationForm(formdata=None), staff=False))


@bp.post("/requests/<key:key>/escalate")
@requires(Permission.REQUESTS)
def escalate(key: str) -> Answer:
    return _escalate(tickets_of(actor()).one_or_404(key), staff=False)


@bp.post("/requests/<key:key>/escalate/withdraw")
@requires(Permission.REQUESTS)
def withdraw(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    told = "The escalation is withdrawn. The request goes on as before."
    return _looked_after(ticket, escalations.withdraw, f"/requests/{ticket.key}", told)


@bp.get("/desk/<key:key>/escalate")
@requires(Permission.ANSWER)
def ask_at_desk(key: str) -> Answer:
    return page("tickets/escalate.html", **_shown(ticket_here(key), EscalationForm(formdata=None), staff=True))


@bp.post("/desk/<key:key>/escalate")
@requires(Permission.ANSWER)
def escalate_at_desk(key: str) -> Answer:
    return _escalate(ticket_here(key), staff=True)


@bp.post("/desk/<key:key>/take-up")
@requires(Permission.ANSWER)
def take_up(key: str) -> Answer:
    ticket, told = ticket_here(key), "You look after this escalation. Its customers read so."
    return _looked_after(ticket, escalations.take_up, f"/desk/{ticket.key}", told)


@bp.post("/desk/<key:key>/acknowledge")
@requires(Permission.ANSWER)
def acknowledge(key: str) -> Answer:
    ticket, told = ticket_here(key), "Acknowledged: no more calls. The first reply is still to come."
    return _looked_after(ticket, oncall.acknowledge, f"/desk/{ticket.key}", told)


def _looked_after(ticket: Ticket, verb: Callable[..., None], place: str, told: str) -> Answer:
    """Do what a button of the request's page says; somebody else may have been quicker."""
    try:
        verb(ticket, actor(), now=clock.now())
    except Refused as refused:
        db.session.rollback()
        return see_other(place, warn=refused.reason)
    db.session.commit()
    return see_other(place, good=told)


def _escalate(ticket: Ticket, *, staff: bool) -> Answer:
    form = EscalationForm()
    try:
        if not form.validate():
            return invalid("tickets/escalate.html", **_shown(ticket, form, staff=staff))
        escalations.escalate(ticket, actor(), form.reason.data or "", now=clock.now(), staff=staff)
    except Refused as refused:
        form.refuse(refused)
        return invalid("tickets/escalate.html", **_shown(ticket, form, staff=staff))
    db.session.commit()
    place = "desk" if staff else "requests"
    return see_other(f"/{place}/{ticket.key}", good="Escalated. Our duty managers are told now, and read your reason.")


def _shown(ticket: Ticket, form: EscalationForm, *, staff: bool) -> dict[str, Any]:
    return {
        "ticket": ticket,
        "form": form,
        "staff": staff,
        "chance": escalations.chance_of(ticket, now=clock.now()),
        "standing": escalations.standing_of(ticket) if ticket.escalated_at else None,
        "base": f"/{'desk' if staff else 'requests'}/{ticket.key}",
    }
