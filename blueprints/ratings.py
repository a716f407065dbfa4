"""How good the help was: a page that the mail about a resolved request leads to, and whose button says it."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, invalid, page, see_other
from extensions import clock, db
from forms.ratings import RatingForm
from models import ratings
from models.base import Refused
from models.permissions import Permission
from models.ratings import may_rate, rating_of
from models.tickets import Ticket, tickets_of

bp = Blueprint("ratings", __name__)


@bp.get("/requests/<key:key>/rating")
@requires(Permission.REQUESTS)
def edit(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    said = rating_of(ticket)
    stars, words = (str(said.stars), said.words) if said else ("", "")
    form = RatingForm(formdata=None, stars=stars, words=words)
    return page("tickets/rating.html", ticket=ticket, form=form, **_about(ticket))


def _about(ticket: Ticket) -> dict[str, object]:
    now = clock.now()
    return {"open": may_rate(ticket, now), "final": ticket.is_final(now), "said": rating_of(ticket)}


@bp.post("/requests/<key:key>/rating")
@requires(Permission.REQUESTS)
def rate(key: str) -> Answer:
    ticket, form = tickets_of(actor()).one_or_404(key), RatingForm()
    try:
        if not form.validate():
            return invalid("tickets/rating.html", ticket=ticket, form=form, **_about(ticket))
        ratings.rate(ticket, actor(), int(form.stars.data), form.words.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("tickets/rating.html", ticket=ticket, form=form, **_about(ticket))
    db.session.commit()
    return see_other(f"/requests/{ticket.key}", good="Thank you. You can change your rating until the request closes.")
