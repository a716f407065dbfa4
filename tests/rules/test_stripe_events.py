"""Stripe's events: which are taken, and which are no event of Stripe's for this account."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from stripe_double import PUBLISHABLE_KEY, SECRET_KEY, WEBHOOK_SECRET, event_of, signature_of

from gateways.payments_stripe import BadEvent, StripePayments

pytestmark = pytest.mark.plain


@pytest.fixture
def stripe() -> StripePayments:
    # Nobody is asked about an event's signature.
    return StripePayments(SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, "http://127.0.0.1:9")


def test_an_event_is_taken_when_stripe_signed_it_within_five_minutes(stripe: StripePayments) -> None:
    body, now = event_of({"object": "payment_intent", "metadata": {"portal_key": "p1:charge"}}, 1), time.time()
    event = stripe.read_event(body, signature_of(body, now))
    assert (event.id, event.key, event.card) == ("evt_1", "p1:charge", "")
    card = event_of({"object": "payment_method", "id": "pm_1", "metadata": {}}, 2, "payment_method.updated")
    assert stripe.read_event(card, signature_of(card, now)).card == "pm_1"


def _bad_events() -> dict[str, tuple[bytes, str]]:
    now = time.time()
    about: dict[str, Any] = {"object": "payment_intent", "metadata": {"portal_key": "p1:charge"}}
    body = event_of(about, 1)
    other = event_of(about, 1, account="acct_other")
    live = event_of(about, 1, livemode=True)
    lists = json.dumps([1]).encode()
    return {
        "unsigned": (body, ""),
        "signed by another": (body, signature_of(body, now, "whsec_other")),
        "old": (body, signature_of(body, now - 301)),
        "changed": (body + b" ", signature_of(body, now)),
        "another account's": (other, signature_of(other, now)),
        "another mode's": (live, signature_of(live, now)),
        "no event": (lists, signature_of(lists, now)),
        "no JSON": (b"{", signature_of(b"{", now)),
        "no text": (b"\xff\xfe", "t=1,v1=2"),
        "nonsense signed": (body, "t=x,v1=\x00"),
        "without an id": (event_of(about, 1, id=""), signature_of(event_of(about, 1, id=""), now)),
        "without an object": (event_of(None, 1), signature_of(event_of(None, 1), now)),
    }


@pytest.mark.parametrize("name", list(_bad_events()))
def test_every_other_event_is_refused(stripe: StripePayments, name: str) -> None:
    with pytest.raises(BadEvent):
        stripe.read_event(*_bad_events()[name])
