"""What invoices say, and invoices as files to keep."""

from __future__ import annotations

from flask import Blueprint, make_response

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, see_other
from extensions import clock, db
from forms.billing import DetailsForm
from gateways.papers import pdf
from models import bills
from models.base import Refused
from models.invoices import invoice_of, paper_of
from models.organizations import organization_of
from models.permissions import Permission

bp = Blueprint("papers", __name__)


@bp.get("/console/<slug:org>/invoices/<key:number>.pdf")
@requires(Permission.BILLING)
def invoice(org: str, number: str) -> Answer:
    paper = paper_of(*invoice_of(organization_of(actor(), org), number))
    answer = make_response(pdf(paper))
    answer.headers["Content-Type"] = "application/pdf"
    answer.headers["Content-Disposition"] = f'attachment; filename="{paper.name}.pdf"'
    return answer


@bp.get("/console/<slug:org>/billing-details")
@requires(Permission.BILLING)
def details(org: str) -> Answer:
    organization = organization_of(actor(), org)
    known = bills.details_of(organization)
    form = DetailsForm(formdata=None, obj=known, was=bills.mark_of(known))
    return page("billing/details.html", organization=organization, form=form, theirs=None)


@bp.post("/console/<slug:org>/billing-details")
@requires(Permission.BILLING)
def change(org: str) -> Answer:
    organization, form = organization_of(actor(), org), DetailsForm()
    if not form.validate():
        return invalid("billing/details.html", organization=organization, form=form, theirs=None)
    bills.hold(organization)
    known = bills.details_of(organization)
    if form.was.data != bills.mark_of(known):
        form.was.data = bills.mark_of(known)
        form.refuse(
            Refused("Somebody else changed the details meanwhile. Nothing of yours is saved. Save again to keep yours.")
        )
        return conflict("billing/details.html", organization=organization, form=form, theirs=known)
    try:
        changed = bills.change_details(organization, actor(), **form.given(), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("billing/details.html", organization=organization, form=form, theirs=None)
    db.session.commit()
    words = "Saved. Invoices from now on say this." if changed else "Nothing was changed."
    return see_other(f"/console/{organization.slug}/invoices", good=words)
