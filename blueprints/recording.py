"""Administration of payments that came by transfer or purchase order."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, see_other
from blueprints.tills import price_shown, signed
from blueprints.uploads import given_key
from extensions import clock, db
from forms.billing import RecordForm
from models.base import Refused, token
from models.catalogue import PlanName
from models.checkout import Price
from models.money import dollars
from models.offline import ARREARS, NEXT, Came, due_of, offers, record_payment
from models.organizations import Organization
from models.payments import Busy, Payment
from models.permissions import Permission
from models.registers import organization_named
from models.submissions import result_of, settle

bp = Blueprint("recording", __name__)


@bp.get("/admin/organizations/<slug:slug>/payment")
@requires(Permission.ADMINISTRATION)
def ask(slug: str) -> Answer:
    return page("admin/payment.html", **_shown(organization_named(db.session(), slug)))


@bp.post("/admin/organizations/<slug:slug>/payment")
@requires(Permission.ADMINISTRATION)
def record(slug: str) -> Answer:
    organization, form = organization_named(db.session(), slug), RecordForm()
    back = f"/admin/organizations/{organization.slug}"
    if result_of(actor(), given_key()) is not None:
        return see_other(back)
    if not form.validate():
        return invalid("admin/payment.html", **_shown(organization, form))
    try:
        payment = _recorded(organization, form)
    except Refused as refused:
        db.session.rollback()
        form.refuse(refused)
        return (conflict if isinstance(refused, Busy) else invalid)("admin/payment.html", **_shown(organization, form))
    settle(actor(), given_key(), back, now=clock.now())
    db.session.commit()
    told = f"{dollars(payment.cents)} recorded. {organization.name} has the {PlanName(organization.plan).label} plan."
    if form.what.data == NEXT:
        told = f"{dollars(payment.cents)} recorded: the next period of {organization.name} is paid."
    return see_other(back, good=told)


def _recorded(organization: Organization, form: RecordForm) -> Payment:
    # The form has checked that it is a day.
    assert form.received.data is not None
    price = price_shown(organization, PlanName(organization.plan))
    return record_payment(
        organization,
        actor(),
        form.what.data or "",
        Came(
            method=form.chosen_method(),
            reference=form.reference.data or "",
            received=form.received.data,
            shown=str(price.cents),
        ),
        quoted_at=price.at,
        now=clock.now(),
    )


def _shown(organization: Organization, form: RecordForm | None = None) -> dict[str, Any]:
    """Return what the page shows; the amount holds for half an hour."""
    now, due, reason = clock.now(), None, ""
    what = (form.what.data if form else request.args.get("for", "")) or ""
    offered = offers(organization, at=now)
    try:
        due = due_of(organization, what if what in offered else "", at=now, offered=offered)
    except Refused as refused:
        reason = refused.reason
    form = form or RecordForm(formdata=None, key=token(), method="transfer", received=now.date())
    price = Price(now, due.quote.total if due else 0)
    form.quote.data, form.what.data = signed(organization, PlanName(organization.plan), price), due.key if due else ""
    offered = {} if due and due.key == ARREARS else offered
    return {"organization": organization, "form": form, "due": due, "reason": reason, "offered": offered}
