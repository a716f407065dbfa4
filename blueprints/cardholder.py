"""Where Stripe and its cardholder meet: the field for a card, the bank's question, and Stripe's signed events."""

from __future__ import annotations

import logging

from flask import Blueprint, request

from blueprints.access import actor, requires, signed_elsewhere
from blueprints.pages import Answer, page, plain, see_other
from blueprints.tills import billing_request, handover_of, heard, payment_here
from extensions import outside
from models.base import NotFound
from models.organizations import organization_of
from models.outside import Unanswered
from models.payments import PaymentState
from models.permissions import Permission

bp = Blueprint("cardholder", __name__)
log = logging.getLogger(__name__)

ONE = "/console/<slug:org>/payments/<secret:id>"
# What Stripe's script needs (docs.stripe.com/security/guide): only these two pages allow it.
_CSP = (
    "default-src 'none'; script-src {script} https://js.stripe.com; frame-src https://js.stripe.com "
    "https://hooks.stripe.com; connect-src 'self' https://api.stripe.com; style-src 'self'; img-src 'self'; font-src "
    "'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)


@bp.get(f"{ONE}/card")
@requires(Permission.BILLING)
def card(org: str, id: str) -> Answer:  # noqa: A002 (the name in the address)
    return _meeting(org, id)


@bp.get(f"{ONE}/confirm")
@requires(Permission.BILLING)
def confirm(org: str, id: str) -> Answer:  # noqa: A002
    return _meeting(org, id)


@bp.post("/hooks/stripe")
@signed_elsewhere
def hook() -> Answer:
    """Take one event: it says what to ask Stripe about, and is believed in nothing else."""
    there = outside().stripe
    if there is None:
        raise NotFound
    try:
        event = there.read_event(request.get_data(), request.headers.get("Stripe-Signature", ""))
    except ValueError:
        return plain("not an event of this account, or too old", 400)
    try:
        heard(event.id, event.key, event.card)
    except Unanswered:
        return plain("not now", 503)
    return plain("taken")


def _meeting(org: str, public_id: str) -> Answer:
    payment = payment_here(organization_of(actor(), org), public_id)
    if outside().stripe is None:
        raise NotFound
    if payment.state is not PaymentState.ASKING:
        return see_other(payment.back)
    try:
        given = handover_of(payment)
    except Unanswered:
        return see_other(payment.back, warn="Our payment service does not answer just now. Try again in a few minutes.")
    if given is None:
        raise NotFound
    answer = page(
        "billing/handover.html",
        payment=payment,
        organization=payment.organization,
        given=given,
        help_=billing_request(payment),
    )
    answer.headers["Content-Security-Policy"] = _CSP.format(script=f"'self' {outside().settings.htmx_address}".strip())
    return answer
