"""The organization's cards, its invoices, and the history of its plan."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, may_there, requires
from blueprints.pages import Answer, invalid, page, page_here, see_other, zone_here
from blueprints.tills import (
    CHARGED_AGAIN,
    afresh,
    after,
    billing_request,
    card_form,
    check_gateway,
    people_here,
    save_card,
    typed_here,
)
from blueprints.uploads import given_key
from extensions import clock, db
from forms.base import Form
from forms.billing import CardForm, ConfirmForm
from models import cards, checkout, dunning
from models.base import NotFound, Refused, token
from models.cards import Card, card_of, cards_of
from models.histories import had, history_of
from models.invoices import invoice_of, invoices_of
from models.organizations import Organization, organization_of
from models.payments import Payment, PaymentState
from models.permissions import Permission
from models.submissions import result_of, settle
from models.subscriptions import subscription_of

bp = Blueprint("cards", __name__)


@bp.get("/console/<slug:org>/cards")
@requires(Permission.BILLING)
def index(org: str) -> Answer:
    return page("billing/cards.html", **_wallet(organization_of(actor(), org)))


@bp.get("/console/<slug:org>/cards/new")
@requires(Permission.BILLING)
def new(org: str) -> Answer:
    return page("billing/new_card.html", **_typing(organization_of(actor(), org), CardForm(formdata=None)))


@bp.post("/console/<slug:org>/cards/new")
@requires(Permission.BILLING)
def create(org: str) -> Answer:
    organization, form = organization_of(actor(), org), CardForm()
    if (done := result_of(actor(), given_key())) is not None:
        return see_other(done)
    form.today = clock.now().date()
    replaced = _replaced(organization)
    try:
        if typed_here() and not form.validate():
            return invalid("billing/new_card.html", **_typing(organization, form))
        check_gateway()
        old = replaced.id if replaced else None
        payment = checkout.begin_saving(organization, actor(), replaces=old, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("billing/new_card.html", **_typing(organization, form))
    settle(actor(), given_key(), payment.back, now=clock.now())
    db.session.commit()
    if save_card(payment, form) is PaymentState.DECLINED:
        form.refuse(Refused(afresh(payment).words, "card_number"))
        return invalid("billing/new_card.html", **_typing(payment.organization, form, payment))
    return after(payment)


@bp.post("/console/<slug:org>/cards/<number:id>/default")
@requires(Permission.BILLING)
def make_default(org: str, id: int) -> Answer:  # noqa: A002 (the name in the address)
    organization = organization_of(actor(), org)
    card = card_of(organization, id)
    again = dunning.use_card(organization, actor(), card, now=clock.now())
    db.session.commit()
    told = f"Renewals are charged to {card.words} from now on." + (CHARGED_AGAIN if again else "")
    return see_other(f"/console/{organization.slug}/cards", good=told)


@bp.get("/console/<slug:org>/cards/<number:id>/remove")
@requires(Permission.BILLING)
def ask_remove(org: str, id: int) -> Answer:  # noqa: A002
    organization = organization_of(actor(), org)
    return page("billing/remove_card.html", **_removing(organization, card_of(organization, id)))


@bp.post("/console/<slug:org>/cards/<number:id>/remove")
@requires(Permission.BILLING)
def remove(org: str, id: int) -> Answer:  # noqa: A002
    organization, form = organization_of(actor(), org), ConfirmForm()
    card = card_of(organization, id)
    try:
        cards.remove_card(organization, actor(), card, renews=_renews(organization), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("billing/remove_card.html", **_removing(organization, card, form))
    db.session.commit()
    return see_other(f"/console/{organization.slug}/cards", good=f"{card.words} is removed.")


def _renews(organization: Organization) -> bool:
    running = subscription_of(organization)
    return running is not None and running.is_live


def _removing(organization: Organization, card: Card, form: Form | None = None) -> dict[str, Any]:
    """Return what the page about a card to remove shows, with the reason where it must stay."""
    reason = ""
    try:
        cards.check_unused(card, renews=_renews(organization))
    except Refused as refused:
        reason = refused.reason
    form = form or ConfirmForm(formdata=None)
    return {"organization": organization, "card": card, "form": form, "reason": reason}


@bp.get("/console/<slug:org>/invoices")
@requires(Permission.BILLING)
def invoices(org: str) -> Answer:
    organization = organization_of(actor(), org)
    rows, paging = invoices_of(organization, page_here(), actor().page_size)
    return page("billing/invoices.html", organization=organization, rows=rows, paging=paging)


@bp.get("/console/<slug:org>/invoices/<key:number>")
@requires(Permission.BILLING)
def invoice(org: str, number: str) -> Answer:
    organization = organization_of(actor(), org)
    paper, lines = invoice_of(organization, number)
    return page("billing/invoice.html", organization=organization, invoice=paper, lines=lines)


@bp.get("/console/<slug:org>/history")
@requires(Permission.SUPPORT)
def history(org: str) -> Answer:
    organization, on = organization_of(actor(), org), _day_asked()
    entries, paging = history_of(
        organization, page_here(), actor().page_size, bills=may_there(Permission.BILLING, organization)
    )
    then = None
    if on is not None:
        # As it stood when that day ended for the reader; today, as it stands.
        end = datetime.combine(on + timedelta(days=1), time(), zone_here()) - timedelta(microseconds=1)
        then = had(organization, min(end, clock.now()))
    return page("billing/history.html", organization=organization, entries=entries, paging=paging, on=on, then=then)


def _day_asked() -> date | None:
    """Return the day that the address asks about; None for none, for what is no day, and for one still to come."""
    try:
        on = date.fromisoformat(request.args.get("on", ""))
    except ValueError:
        return None
    today = clock.now().astimezone(zone_here()).date()
    return on if on.year >= 2000 and on <= today else None


def _wallet(organization: Organization) -> dict[str, Any]:
    return people_here(organization) | {
        "cards": cards_of(organization),
        "subscription": subscription_of(organization),
        # Carried by the button that pays, so that pressing it twice pays once.
        "key": token(),
        "due": checkout.arrears_of(organization, now=clock.now()),
        "today": clock.now().date(),
    }


def _replaced(organization: Organization) -> Card | None:
    """Return the card that the new one shall replace; none when the address names none of the organization's."""
    number = request.values.get("replaces", "")
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        return None
    try:
        return card_of(organization, int(number))
    except NotFound:
        return None


def _typing(organization: Organization, form: Form, failed: Payment | None = None) -> dict[str, Any]:
    if isinstance(form, CardForm):
        card_form(form)
    return people_here(organization) | {
        "form": form,
        "replaced": _replaced(organization),
        "help_": billing_request(failed) if failed is not None else "",
    }
