"""Files of tickets: a download needs exactly the right that the ticket needs."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import actor, requires, roles
from blueprints.pages import Answer, file
from extensions import outside, reading
from models.attachments import attachment_of, contents
from models.base import NotFound
from models.permissions import Permission
from models.tickets import desk_of, tickets_of

bp = Blueprint("attachments", __name__)


@bp.get("/attachments/<secret:id>")
@requires(Permission.REQUESTS)
def show(id: str) -> Answer:  # noqa: A002 (the name in the address)
    found = attachment_of(actor(), (tickets_of(actor()), desk_of(actor(), roles())), id)
    # The store may be slow, and who reads may be slower: neither holds a transaction open.
    reading()
    try:
        pieces = contents(found, outside().files)
    except FileNotFoundError:
        raise NotFound from None
    return file(pieces, name=found.name, size=found.length, image=found.image)
