"""A page of one request that keeps itself up to date, and never touches what is being typed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, request

from blueprints.access import actor, may, requires
from blueprints.deskwork import handled, number_in, ticket_here
from blueprints.pages import Answer, face_of, nothing, polled, zone_here
from extensions import clock, db
from models.arrivals import Shown, arrivals, shown_by
from models.circles import is_blank
from models.drafts import draft_of
from models.people import agents_to_choose
from models.permissions import Permission
from models.ratings import may_rate
from models.tickets import Ticket, tickets_of

bp = Blueprint("live", __name__)


@bp.get("/requests/<key:key>/changes")
@requires(Permission.REQUESTS)
def request_changes(key: str) -> Answer:
    scope = tickets_of(actor())
    ticket = scope.one_or_404(key)
    if (shown := _shown()) is None:
        return nothing()
    came = arrivals(ticket, shown, internal=False, scope=scope)
    return polled(
        "tickets/_live.html",
        came=came,
        base=f"/requests/{ticket.key}",
        rateable=may_rate(ticket, clock.now()),
        **_facts(ticket, staff=False),
    )


@bp.get("/desk/<key:key>/changes")
@requires(Permission.DESK)
def desk_changes(key: str) -> Answer:
    ticket = ticket_here(key)
    if (shown := _shown()) is None:
        return nothing()
    came = arrivals(ticket, shown, internal=True)
    draft = draft_of(actor(), f"ticket:{ticket.key}")
    return polled(
        "desk/_live.html",
        came=came,
        base=f"/desk/{ticket.key}",
        # Who has begun to write is told of the changes when they send; who has not, has seen them now.
        writing=draft is not None and not is_blank(draft.fields),
        may_answer=may(Permission.ANSWER),
        **handled(ticket, agents_to_choose(db.session()) if came.new.entries else (), str(came.seen)),
        **_facts(ticket, staff=True),
    )


def _shown() -> Shown | None:
    # Nobody asked for this: a page that lies open must not keep a sign-in alive.
    g.unattended = True
    return shown_by(request.args.get("shown", ""))


def _facts(ticket: Ticket, *, staff: bool) -> dict[str, Any]:
    """Return what stands around the conversation; `moved` says whether any of it may be other than on the page."""
    now = clock.now()
    return {
        "ticket": ticket,
        "final": ticket.is_final(now),
        "held_until": ticket.held_until(now),
        "face": face_of(ticket, zone_here(), now, staff=staff),
        "moved": number_in(request.args.get("revision", "")) != ticket.revision,
    }
