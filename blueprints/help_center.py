"""The Help Center: two doors, announcements, the latest requests, and the old Help Center's addresses."""

from __future__ import annotations

from flask import Blueprint, request

from blueprints.access import actor, requires
from blueprints.pages import Answer, face_of, found, organization_here, page, see_other, zone_here
from extensions import clock, db
from models.announcements import announcements, dismiss, fresh_announcements
from models.catalogue import DoorName, catalogue
from models.drafts import drafts_of
from models.filing import plan_of
from models.listings import latest_of
from models.organizations import memberships_of
from models.permissions import Permission
from models.tickets import tickets_of

bp = Blueprint("help_center", __name__)


@bp.get("/help")
@requires(Permission.HELP)
def show() -> Answer:
    person, now = actor(), clock.now()
    terms, latest = catalogue(now.date()), latest_of(tickets_of(person))
    organizations = [m.organization for m in memberships_of(person)]
    here = organization_here(person)
    entitled = [o for o in organizations if terms.opens(plan_of(o), DoorName.TECHNICAL)]
    return page(
        "help/show.html",
        here=here,
        plan=plan_of(here),
        open_here=here in entitled,
        entitled=entitled,
        needs=terms.cheapest_plan_opening(DoorName.TECHNICAL),
        announcements=fresh_announcements(person, now=now),
        latest=latest,
        faces={ticket.id: face_of(ticket, zone_here(), now) for ticket in latest},
        drafts=[draft for draft in drafts_of(person) if draft.place in set(DoorName)],
    )


@bp.get("/announcements")
@requires(Permission.HELP)
def index() -> Answer:
    return page("help/announcements.html", announcements=announcements(actor(), now=clock.now()))


@bp.post("/announcements/<number:id>/dismiss")
@requires(Permission.HELP)
def hide(id: int) -> Answer:  # noqa: A002 (the name in the address)
    dismiss(actor(), id)
    db.session.commit()
    return see_other("/help", good="The announcement is put away. You find it under “All announcements”.")


@bp.get("/servicedesk/customer/portals")
@requires(Permission.HELP)
def old_landing() -> Answer:
    return found("/help")


@bp.get("/servicedesk/customer/portal/<number:door>")
@requires(Permission.HELP)
def old_door(door: int) -> Answer:
    query = f"?{request.query_string.decode('ascii', 'ignore')}" if request.args.get("cluster") else ""
    for known in catalogue(clock.now().date()).doors.values():
        if known.number == door:
            return found(f"/help/{known.key.value}/new{query}")
    return found("/help")


@bp.get("/servicedesk/customer/user/requests")
@requires(Permission.REQUESTS)
def old_requests() -> Answer:
    return found("/requests")
