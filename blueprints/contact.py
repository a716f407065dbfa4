"""Contact Us: the way of an organization to Premium."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, held, let_go, requires
from blueprints.pages import Answer, invalid, page, see_other, too_many, zone_here
from blueprints.uploads import given_key
from extensions import clock, db
from forms.contact import ContactForm
from models import leads, people
from models.base import Refused, token
from models.catalogue import DoorName, PlanName, Severity, catalogue
from models.leads import Enquiry, Receipt
from models.organizations import Organization, organization_of
from models.people import CONTACT_PER_PERSON, TooMany
from models.permissions import Permission
from models.submissions import result_of, settle
from models.wording import day, inside, moment

bp = Blueprint("contact", __name__)

_PROGRAM = "This looks as if a program had filled the form: a field that nobody sees had text in it. Send it once more."


@bp.get("/console/<slug:org>/contact-sales")
@requires(Permission.SUPPORT)
def new(org: str) -> Answer:
    organization = organization_of(actor(), org)
    form = ContactForm(held(), **_known(organization))
    return page("console/contact.html", **_shown(organization, form))


@bp.post("/console/<slug:org>/contact-sales")
@requires(Permission.SUPPORT)
def send(org: str) -> Answer:
    organization, form, now = organization_of(actor(), org), ContactForm(), clock.now()
    if result_of(actor(), given_key()) is not None:
        return see_other(f"/console/{organization.slug}/support")
    try:
        if form.website.data:
            raise Refused(_PROGRAM)  # noqa: TRY301 (one way of refusing for all)
        if not form.validate():
            return invalid("console/contact.html", **_shown(organization, form))
        people.count_try(db.session(), {CONTACT_PER_PERSON: str(actor().id)}, now=now)
        receipt = leads.submit(organization, actor(), _enquiry(form), now=now)
    except TooMany as wait:
        form.refuse(_too_often(wait))
        return too_many("console/contact.html", wait.until, **_shown(organization, form))
    except Refused as refused:
        form.refuse(refused)
        return invalid("console/contact.html", **_shown(organization, form))
    settle(actor(), given_key(), receipt.lead.key, now=now)
    return _received(organization, receipt)


def _received(organization: Organization, receipt: Receipt) -> Answer:
    let_go()
    db.session.commit()
    lead, by = receipt.lead, receipt.answer_by
    told = f"Your enquiry {lead.key} was open already: what you sent is added to it, and sales has it before them."
    if by is not None:
        told = (
            f"Thank you. We will write to {lead.email} by {day(by, clock.now().date())}. Your reference is {lead.key}."
        )
    return see_other(f"/console/{organization.slug}/support", good=told)


def _too_often(wait: TooMany) -> Refused:
    until = inside(moment(wait.until, zone_here(), clock.now()))
    return Refused(f"You have sent this form {CONTACT_PER_PERSON.most} times within an hour. Send it after {until}.")


def _enquiry(form: ContactForm) -> Enquiry:
    fields = ("name", "email", "company", "phone", "need", "contact_time")
    return Enquiry(**{name: (form[name].data or "").strip() for name in fields})


def _known(organization: Organization) -> dict[str, str]:
    """Return what nobody should have to type: the account's facts, and what the same person sent before."""
    person, lead = actor(), leads.open_lead_of(organization)
    known = {"name": person.name, "email": person.email, "company": organization.name}
    if lead is not None and lead.sender_id == person.id:
        known |= {name: getattr(lead, name) for name in (*known, "phone", "need", "contact_time")}
    return known


def _shown(organization: Organization, form: ContactForm) -> dict[str, Any]:
    now = clock.now()
    terms = catalogue(now.date())
    form.key.data = form.key.data or token()
    form.website.data = ""
    return {
        "organization": organization,
        "form": form,
        "lead": leads.open_lead_of(organization),
        "by_contract": leads.by_contract(organization, now=now),
        "plan": PlanName(organization.plan).label,
        "targets": [(s, terms.target(PlanName.PREMIUM, DoorName.TECHNICAL, s)) for s in Severity],
    }
