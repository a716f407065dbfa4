"""The tags of one ticket at the desk."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, request

from blueprints.access import actor, requires
from blueprints.deskwork import shown, ticket_here
from blueprints.pages import Answer, invalid, see_other
from extensions import clock, db
from models.base import Refused
from models.permissions import Permission
from models.prose import cleaned
from models.tags import add_tag, remove_tag

bp = Blueprint("tagging", __name__)


@bp.post("/desk/<key:key>/tags")
@requires(Permission.ANSWER)
def add(key: str) -> Answer:
    return _change(key, add_tag, "The ticket has the tag {}. Customers do not see it.")


@bp.post("/desk/<key:key>/tags/remove")
@requires(Permission.ANSWER)
def remove(key: str) -> Answer:
    return _change(key, remove_tag, "The tag {} is taken off.")


def _change(key: str, verb: Callable[..., str], words: str) -> Answer:
    ticket, written = ticket_here(key), cleaned(request.form.get("tag", ""))[:200]
    try:
        name = verb(ticket, actor(), written, now=clock.now())
    except Refused as refused:
        return invalid("desk/show.html", **shown(ticket, refused=Refused(refused.reason), tag_typed=written))
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=words.format(name))
