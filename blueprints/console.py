"""The chosen organization: its plan and its clusters."""

from __future__ import annotations

from flask import Blueprint, request

from blueprints.access import actor, may, requires
from blueprints.pages import Answer, found, page, see_other
from extensions import clock, db
from models import support
from models.organizations import choose_organization, chosen_organization, clusters_of, organization_of
from models.permissions import Permission
from models.tickets import tickets_of
from models.waiting import waiting_of

bp = Blueprint("console", __name__)


@bp.get("/")
@requires(Permission.SIGNED_IN)
def start() -> Answer:
    organization = chosen_organization(actor())
    if may(Permission.DESK):
        return found("/desk")
    if may(Permission.ADMINISTRATION):
        return found("/admin")
    if may(Permission.SALES):
        return found("/sales")
    return found(f"/console/{organization.slug}/support" if organization else "/help")


@bp.post("/organizations/choose")
@requires(Permission.SUPPORT)
def choose() -> Answer:
    organization = choose_organization(actor(), request.form.get("organization", ""))
    db.session.commit()
    return see_other(f"/console/{organization.slug}/support")


@bp.get("/console/<slug:org>/support")
@requires(Permission.SUPPORT)
def show(org: str) -> Answer:
    organization = organization_of(actor(), org)
    view = support.overview(actor(), tickets_of(actor()), organization, now=clock.now())
    tab = "premium" if request.args.get("tab") == "premium" else "upgrade"
    waiting = waiting_of(actor(), now=clock.now(), organization=organization)
    return page("console/support.html", organization=organization, view=view, tab=tab, waiting=waiting)


@bp.get("/console/<slug:org>/clusters")
@requires(Permission.CLUSTERS)
def clusters(org: str) -> Answer:
    organization = organization_of(actor(), org)
    return page("console/clusters.html", organization=organization, clusters=clusters_of(organization))
