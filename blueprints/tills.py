"""What the pages about money share: the price that was shown, the talk with the gateway, and where its answer leads."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import request
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from blueprints.access import actor, may_there
from blueprints.pages import Answer, see_other, zone_here
from extensions import clock, db, outside
from forms.billing import CardForm
from models import collecting, dunning
from models.base import NotFound, Refused, token
from models.catalogue import DoorName, PlanName, Severity, catalogue
from models.checkout import Price
from models.money import dollars
from models.organizations import Organization, managers, organization_of
from models.outside import Payments, Unanswered
from models.payments import (
    Payment,
    PaymentKind,
    PaymentState,
    open_payment_of,
    payer_of,
    payment_of,
)
from models.permissions import Permission
from models.wording import dated

if TYPE_CHECKING:
    from gateways.payments_stripe import Handover

# So long a payment service that does not answer is left alone.
_AGAIN = timedelta(minutes=5)
# What is said to who has just seen to it that a renewal can be charged.
CHARGED_AGAIN = " The renewal that is due is charged to it within a few minutes."
_UNPAYABLE = "Cards cannot be charged on this portal yet. Write to TiDB Cloud Account/Billing instead."


def gateway() -> Payments:
    """Return what charges cards; raises Refused where nothing does."""
    there = outside().payments
    if there is None:
        raise Refused(_UNPAYABLE)
    return there


def check_gateway() -> None:
    """Raise Refused where no payment can begin: nothing charges cards, or what does cannot be reached just now.

    Asked before anything is written, so that nothing stays half done.
    """
    there = gateway()
    try:
        there.check()
    except (Unanswered, PermissionError):
        again = clock.now() + _AGAIN
        raise Refused(
            "Our payment service does not answer just now. Nothing was charged, and the plan is as it was. Try again "
            f"after {dated(again, zone_here())} ({zone_here().key})."
        ) from None


def typed_here() -> bool:
    """Tell whether a card is typed into our own form; else the payment service has a page's field for it."""
    there = outside().payments
    return there is None or there.typed_here


def _sessions() -> Session:
    return Session(db.engine)


def save_card(payment: Payment, form: CardForm) -> PaymentState:
    """Hand the typed card to the gateway and go on with the payment; the intent must be committed."""
    details = form.details() if typed_here() else None
    return collecting.save_card(_sessions, gateway(), payment.public_id, details, clock)


def advance(payment: Payment) -> PaymentState:
    """Make the payment's next calls; the intent must be committed."""
    return collecting.advance(_sessions, gateway(), payment.public_id, clock)


def abandon(payment: Payment) -> PaymentState:
    """End the payment, unless it is paid already."""
    return collecting.abandon(_sessions, gateway(), payment.public_id, clock)


def handover_of(payment: Payment) -> Handover | None:
    """Return what the cardholder's browser needs to answer what the payment asks; raises Unanswered.

    None where nothing is asked. Nothing is written: who pays is known since the call was made.
    """
    there = outside().stripe
    payer = payer_of(db.session(), payment.organization_id, there.name) if there is not None else None
    # Stripe is talked to outside of transactions.
    db.session.commit()
    if there is None or payer is None:
        return None
    given: Handover | None = there.handover(payer, f"{payment.public_id}:{payment.asks}")
    return given


def heard(event: str, key: str, token: str) -> None:
    """Do what an event of Stripe's calls for: go on with the payment of that call, or look at the card of that token.

    How things stand is asked of Stripe; an event that came before is passed over. Raises Unanswered when it must be
    sent again.
    """
    there = outside().stripe
    assert there is not None, "only Stripe's events are heard"
    # Stripe is talked to outside of transactions.
    db.session.rollback()
    if token:
        dunning.hear_of_card(db.session(), token, there.facts_of(token), now=clock.now())
        db.session.commit()
    collecting.heard(_sessions, there, event, key, clock)


def afresh(payment: Payment) -> Payment:
    """Return the payment as it stands after the gateway was talked to, in transactions of its own."""
    db.session.refresh(payment)
    db.session.refresh(payment.organization)
    return payment


def after(payment: Payment) -> Answer:
    """Lead to where a payment's state belongs: the bank, the Support page, or the page of the payment."""
    afresh(payment)
    base = f"/console/{payment.organization.slug}"
    if payment.state is PaymentState.ASKING and payment.url:
        return see_other(payment.url)
    if payment.state is not PaymentState.PAID:
        return see_other(payment.back)
    if payment.kind is PaymentKind.CARD:
        soon = dunning.is_charged_soon(payment.organization, payment.card, now=clock.now())
        saved = f"{payment.card.words if payment.card else 'The card'} is saved."
        return see_other(f"{base}/cards", good=saved + (CHARGED_AGAIN if soon else ""))
    plan = PlanName(payment.organization.plan).label
    told = {
        PaymentKind.UPGRADE: f"{payment.organization.name} has the {plan} plan now. The receipt is on its way by mail.",
        PaymentKind.RENEWAL: f"The renewal is paid. {payment.organization.name} keeps the {plan} plan.",
    }
    return see_other(f"{base}/support", good=told.get(payment.kind, "Paid. The receipt is on its way by mail."))


def payment_here(organization: Organization, public_id: str) -> Payment:
    """Return the organization's payment of that id; raises NotFound."""
    return payment_of(organization, public_id)


def signed(organization: Organization, plan: PlanName, price: Price) -> str:
    """Return a price that a page shows as a text that only we can have written: for this organization and plan."""
    return str(_signer().dumps([organization.id, plan.value, price.at.isoformat(), price.cents]))


def price_shown(organization: Organization, plan: PlanName) -> Price:
    """Return the price that the posted form showed; raises Refused for one that we did not write."""
    try:
        whose, what, at, cents = _signer().loads(request.form.get("quote", "")[:300])
        if (whose, what) == (organization.id, plan.value):
            return Price(datetime.fromisoformat(at), int(cents))
    except (BadSignature, TypeError, ValueError):
        pass
    raise Refused("The price was worked out anew. Check it, and confirm once more.")


def _signer() -> URLSafeSerializer:
    from flask import current_app

    return URLSafeSerializer(str(current_app.secret_key), salt="price of a plan")


def card_form(form: CardForm) -> CardForm:
    """Give a blank card form, or one that came back, its key: each sending is one payment."""
    form.key.data = token()
    return form


def people_here(organization: Organization) -> dict[str, Any]:
    """Return who may change the plan, and the payment that does so already, for pages that others read as well."""
    return {
        "organization": organization,
        "may_change": may_there(Permission.BILLING, organization),
        "managers": managers(organization),
        "underway": open_payment_of(organization),
        "payable": outside().payments is not None,
        "sandbox": outside().sandbox is not None,
        "typed_here": typed_here(),
    }


def targets_of(plan: PlanName) -> dict[Severity, Any]:
    """Return what the plan promises by severity."""
    terms = catalogue(clock.now().date())
    return {severity: terms.target(plan, DoorName.TECHNICAL, severity) for severity in Severity}


def billing_request(payment: Payment) -> str:
    """Return the address of an Account/Billing request that says which payment it is about."""
    return f"/help/billing/new?{urlencode({'payment': payment.public_id, 'organization': payment.organization.slug})}"


def about_payment() -> MultiDict[str, str] | None:
    """Return what an Account/Billing request says of the payment that its address names; None without one."""
    slug, key = request.args.get("organization", ""), request.args.get("payment", "")[:60]
    if not key:
        return None
    try:
        organization = organization_of(actor(), slug)
        payment = payment_of(organization, key)
    except NotFound:
        return None
    if not may_there(Permission.BILLING, organization):
        return None
    wanted = (
        f"{payment.kind.label} to {payment.plan.label}" if payment.kind is PaymentKind.UPGRADE and payment.plan else ""
    )
    what, zone = f"{wanted or payment.kind.label}: {payment.state.label}", zone_here()
    when = f"{dated(payment.created_at, zone)} ({zone.key})"
    told = (f"{what}. {dollars(payment.cents)}, {when}.", payment.words, f"Payment {payment.public_id}")
    return MultiDict({"summary": what, "description": "\n\n".join(part for part in told if part)})
