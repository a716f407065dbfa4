"""The complete version of every plan, from the same catalogue that decides doors and promises."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, request

from blueprints.access import public, visitor
from blueprints.pages import Answer, organization_here, page
from extensions import clock
from extensions import terms as kept
from models.catalogue import Catalogue, DoorName, PlanName, Severity, catalogue, versions

bp = Blueprint("plans", __name__)


@bp.get("/plans")
@public
def index() -> Answer:
    # Strangers read it as well, whom no guard asks about the database.
    kept.keep()
    today, person = clock.now().date(), visitor()
    terms = shown_terms(request.args.get("version", ""), today)
    here = organization_here(person) if person else None
    targets = {
        (plan, severity): terms.target(plan, DoorName.TECHNICAL, severity) for plan in PlanName for severity in Severity
    }
    return page(
        "plans/index.html",
        terms=terms,
        plans=[terms.plan(name) for name in PlanName],
        severities=list(Severity),
        targets=targets,
        here=here,
        now=catalogue(today),
        earlier=[one for one in versions() if one.effective <= today][::-1],
        coming=[one for one in versions() if one.effective > today],
        doors=list(terms.doors.values()),
    )


def shown_terms(wanted: str, today: date) -> Catalogue:
    """Return the version that the address names, and the one in force for a name that there is not."""
    return next((one for one in versions() if one.version == wanted), catalogue(today))
