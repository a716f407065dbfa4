"""The complete version of every plan, from the same catalogue that decides doors and promises."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import public, visitor
from blueprints.pages import Answer, organization_here, page
from extensions import clock
from models.catalogue import DoorName, PlanName, Severity, catalogue

bp = Blueprint("plans", __name__)


@bp.get("/plans")
@public
def index() -> Answer:
    terms, person = catalogue(clock.now().date()), visitor()
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
    )
