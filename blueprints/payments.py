"""One payment while it is under way: what it waits for, the bank's question, and how it ended."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, page, see_other
from blueprints.tills import abandon, advance, after, billing_request, payment_here
from extensions import db, outside
from gateways.payments_sandbox import SandboxPayments
from models.base import NotFound
from models.organizations import organization_of
from models.payments import Payment, PaymentState
from models.permissions import Permission

bp = Blueprint("payments", __name__)

ONE = "/console/<slug:org>/payments/<secret:id>"


@bp.get(ONE)
@requires(Permission.BILLING)
def show(org: str, id: str) -> Answer:  # noqa: A002 (the name in the address)
    return page("billing/payment.html", **_shown(_payment(org, id)))


@bp.post(f"{ONE}/check")
@requires(Permission.BILLING)
def check(org: str, id: str) -> Answer:  # noqa: A002
    """Ask the gateway now what has become of the payment."""
    payment = _payment(org, id)
    db.session.commit()
    advance(payment)
    return after(payment)


@bp.post(f"{ONE}/end")
@requires(Permission.BILLING)
def end(org: str, id: str) -> Answer:  # noqa: A002
    payment = _payment(org, id)
    db.session.commit()
    if abandon(payment) in {PaymentState.ABANDONED, PaymentState.EXPIRED}:
        base = f"/console/{payment.organization.slug}/support"
        return see_other(base, good="The payment is ended. Nothing was charged, and the plan is as it was.")
    return after(payment)


@bp.get(f"{ONE}/bank")
@requires(Permission.BILLING)
def ask(org: str, id: str) -> Answer:  # noqa: A002
    """Play the bank of the sandbox."""
    payment = _payment(org, id)
    _bank()
    if payment.state is not PaymentState.ASKING:
        return see_other(payment.back)
    return page("billing/bank.html", payment=payment, organization=payment.organization)


@bp.post(f"{ONE}/bank/confirm")
@requires(Permission.BILLING)
def confirm(org: str, id: str) -> Answer:  # noqa: A002
    return _answer(_payment(org, id), confirmed=True)


@bp.post(f"{ONE}/bank/refuse")
@requires(Permission.BILLING)
def refuse(org: str, id: str) -> Answer:  # noqa: A002
    return _answer(_payment(org, id), confirmed=False)


def _answer(payment: Payment, *, confirmed: bool) -> Answer:
    bank, key = _bank(), f"{payment.public_id}:{payment.asks}"
    db.session.commit()
    bank.answer_bank(key, confirmed=confirmed)
    advance(payment)
    return after(payment)


def _bank() -> SandboxPayments:
    """Return the sandbox, whose bank these pages are; raises NotFound where a real bank asks."""
    there = outside().sandbox
    if there is None:
        raise NotFound
    return there


def _payment(org: str, public_id: str) -> Payment:
    return payment_here(organization_of(actor(), org), public_id)


def _shown(payment: Payment) -> dict[str, Any]:
    return {"payment": payment, "organization": payment.organization, "help_": billing_request(payment)}
