"""More, less, or the same: upgrade, downgrade, keep, and pay what could not be charged."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, may_there, requires
from blueprints.pages import Answer, conflict, day_of, invalid, page, see_other
from blueprints.tills import (
    advance,
    afresh,
    after,
    billing_request,
    card_form,
    check_gateway,
    people_here,
    price_shown,
    save_card,
    signed,
    targets_of,
    typed_here,
)
from blueprints.uploads import given_key
from extensions import clock, db
from forms.base import Form
from forms.billing import BuyForm, CardForm, ConfirmForm
from models import changes, checkout
from models.base import NotFound, Refused
from models.cards import card_of, cards_of
from models.catalogue import PlanName, catalogue
from models.impact import impact_of
from models.organizations import Organization, organization_of
from models.payments import Busy, Payment, PaymentState
from models.permissions import Permission
from models.quotes import quote_upgrade
from models.submissions import result_of, settle
from models.subscriptions import begins_free
from models.tickets import tickets_of

bp = Blueprint("billing", __name__)

PAID = "<any(standard, enterprise):plan>"
# The dearest of them is less than nothing that is bought by card, and the page says so.
LOWER = "<any(basic, standard, enterprise):plan>"


@bp.get(f"/console/<slug:org>/upgrade/{PAID}")
@requires(Permission.SUPPORT)
def upgrade(org: str, plan: str) -> Answer:
    return page("billing/upgrade.html", **_offer(organization_of(actor(), org), PlanName(plan)))


@bp.post(f"/console/<slug:org>/upgrade/{PAID}")
@requires(Permission.BILLING)
def buy(org: str, plan: str) -> Answer:
    organization, wanted, form = organization_of(actor(), org), PlanName(plan), BuyForm()
    if (done := result_of(actor(), given_key())) is not None:
        return see_other(done)
    try:
        check_gateway()
        number = request.form.get("card", "")
        if not (number.isascii() and number.isdigit() and len(number) < 18):
            raise NotFound  # noqa: TRY301 (as for a card that is gone)
        payment = _begin(organization, wanted, card_id=int(number))
    except NotFound:
        form.refuse(Refused("This card is not saved any more. Choose another one, or add a card."))
        return invalid("billing/upgrade.html", **_offer(organization, wanted, form))
    except Refused as refused:
        return _refused("billing/upgrade.html", refused, form, _offer(organization, wanted, form))
    if advance(payment) is PaymentState.DECLINED:
        form.refuse(Refused(afresh(payment).words))
        return invalid("billing/upgrade.html", **_offer(payment.organization, wanted, form, payment))
    return after(payment)


@bp.get(f"/console/<slug:org>/upgrade/{PAID}/card")
@requires(Permission.BILLING)
def type_card(org: str, plan: str) -> Answer:
    organization = organization_of(actor(), org)
    if not typed_here():
        # The payment must have begun before the payment service can have its card typed: a button begins it.
        return see_other(f"/console/{organization.slug}/upgrade/{plan}")
    return page("billing/card.html", **_offer(organization, PlanName(plan), CardForm(formdata=None)))


@bp.post(f"/console/<slug:org>/upgrade/{PAID}/card")
@requires(Permission.BILLING)
def pay(org: str, plan: str) -> Answer:
    organization, wanted, form = organization_of(actor(), org), PlanName(plan), CardForm()
    if (done := result_of(actor(), given_key())) is not None:
        return see_other(done)
    form.today = clock.now().date()
    template = "billing/card.html" if typed_here() else "billing/upgrade.html"
    if typed_here() and not form.validate():
        return invalid(template, **_offer(organization, wanted, form))
    try:
        check_gateway()
        payment = _begin(organization, wanted)
    except Refused as refused:
        return _refused(template, refused, form, _offer(organization, wanted, form))
    if save_card(payment, form) is PaymentState.DECLINED:
        field = "card_code" if afresh(payment).reason == "incorrect_cvc" else "card_number"
        form.refuse(Refused(payment.words, field))
        return invalid("billing/card.html", **_offer(payment.organization, wanted, form, payment))
    return after(payment)


def _begin(organization: Organization, plan: PlanName, card_id: int | None = None) -> Payment:
    """Write the intent and commit it: from here on the payment is found again, whatever happens."""
    now, price = clock.now(), price_shown(organization, plan)
    card = card_of(organization, card_id) if card_id is not None else None
    payment = checkout.begin_upgrade(organization, actor(), plan, price=price, card=card, now=now)
    settle(actor(), given_key(), payment.back, now=now)
    db.session.commit()
    return payment


def _refused(template: str, refused: Refused, form: Form, values: dict[str, Any]) -> Answer:
    db.session.rollback()
    form.refuse(refused)
    return (conflict if isinstance(refused, Busy) else invalid)(template, **values)


def _offer(
    organization: Organization, plan: PlanName, form: Form | None = None, failed: Payment | None = None
) -> dict[str, Any]:
    """Return what the upgrade pages show; `failed` is the payment that has just been declined."""
    now, terms = clock.now(), catalogue(clock.now().date())
    present = PlanName(organization.plan)
    form = form if form is not None else BuyForm(formdata=None)
    quote, reason = None, ""
    cards = cards_of(organization) if may_there(Permission.BILLING, organization) else []
    good = [card for card in cards if not card.is_over(now.date())]
    try:
        quote = quote_upgrade(organization, plan, at=now)
    except Refused as refused:
        reason = refused.reason
    if isinstance(form, BuyForm | CardForm):
        card_form(form)
        form.quote.data = signed(organization, plan, checkout.Price(now, quote.total)) if quote else ""
    return people_here(organization) | {
        "form": form,
        "plan": terms.plan(plan),
        "present": terms.plan(present),
        "quote": quote,
        "reason": reason,
        "services": [one.name for one in terms.services if plan in one.plans and present not in one.plans],
        "targets": [(s, targets_of(present)[s], target) for s, target in targets_of(plan).items()],
        # The default card, which is the first, or any other one when it is over.
        "cards": good[:1] if good[:1] == cards[:1] else good,
        "expired": None if good[:1] == cards[:1] else cards[0],
        "help_": billing_request(failed) if failed is not None else "",
    }


@bp.get(f"/console/<slug:org>/downgrade/{LOWER}")
@requires(Permission.SUPPORT)
def downgrade(org: str, plan: str) -> Answer:
    return page("billing/downgrade.html", **_less(organization_of(actor(), org), PlanName(plan)))


@bp.post(f"/console/<slug:org>/downgrade/{LOWER}")
@requires(Permission.BILLING)
def schedule(org: str, plan: str) -> Answer:
    organization, lower, form = organization_of(actor(), org), PlanName(plan), ConfirmForm()
    try:
        running = changes.schedule_downgrade(organization, actor(), lower, now=clock.now())
    except Refused as refused:
        return _refused("billing/downgrade.html", refused, form, _less(organization, lower, form))
    db.session.commit()
    present = PlanName(organization.plan).label
    told = f"{lower.label} starts on {day_of(running.period_end)}. Until then {organization.name} keeps {present}."
    return see_other(f"/console/{organization.slug}/support", good=told)


@bp.post("/console/<slug:org>/keep-plan")
@requires(Permission.BILLING)
def keep(org: str) -> Answer:
    organization = organization_of(actor(), org)
    base = f"/console/{organization.slug}/support"
    try:
        changes.keep_plan(organization, actor(), now=clock.now())
    except Refused as refused:
        db.session.rollback()
        return see_other(base, warn=refused.reason)
    db.session.commit()
    return see_other(base, good=f"{organization.name} keeps the {PlanName(organization.plan).label} plan.")


@bp.post("/console/<slug:org>/pay")
@requires(Permission.BILLING)
def pay_arrears(org: str) -> Answer:
    organization = organization_of(actor(), org)
    if (done := result_of(actor(), given_key())) is not None:
        return see_other(done)
    try:
        check_gateway()
        shown = request.form.get("cents", "")
        payment = checkout.begin_arrears(organization, actor(), shown=shown, now=clock.now())
    except Refused as refused:
        db.session.rollback()
        return see_other(f"/console/{organization.slug}/cards", warn=refused.reason)
    settle(actor(), given_key(), payment.back, now=clock.now())
    db.session.commit()
    advance(payment)
    return after(payment)


def _less(organization: Organization, plan: PlanName, form: Form | None = None) -> dict[str, Any]:
    """Return what the downgrade page shows: what is lost, on the real requests, and from when."""
    now = clock.now()
    terms = catalogue(now.date())
    running, reason = None, ""
    try:
        running = changes.check_downgrade(organization, plan, now=now)
    except Refused as refused:
        reason = refused.reason
    return people_here(organization) | {
        "form": form if form is not None else ConfirmForm(formdata=None),
        "plan": terms.plan(plan),
        "present": terms.plan(PlanName(organization.plan)),
        "running": running,
        "reason": reason,
        "free": begins_free(organization, terms.plan(plan)),
        "impact": impact_of(tickets_of(actor()), organization, plan, terms),
    }
