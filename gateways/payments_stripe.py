"""Stripe as the gateway: customers, cards typed into Stripe's own element, charges, refunds, and its signed events.

The subscription is ours; Stripe saves cards (SetupIntent, PaymentMethod) and charges amounts (PaymentIntent). Every
call carries our key twice: as Stripe's idempotency key, which it remembers for a day, and in the metadata, by which a
call is found again for as long as Stripe keeps it. So a call is looked for before it is made anew.

Sources: docs.stripe.com/api/idempotent_requests, /payments/save-and-reuse, /webhooks/signature, /declines/codes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import stripe

from models.outside import CardDetails, CardFacts, GatewayAnswer, Unanswered, UnknownPayer, Verdict

log = logging.getLogger(__name__)
# Below this level the library writes whole answers down, and with them the secrets of cards that are being typed.
logging.getLogger("stripe").setLevel(logging.INFO)

# The version whose words this file speaks, whatever the account's default is.
API_VERSION = "2026-10-28.endive"
TIMEOUT, RETRIES = 10, 1
# An event that is older was recorded by somebody and sent again.
TOLERANCE = 300
KEY, BACK = "portal_key", "portal_back"
# The code with which Stripe says that there is no such thing in this account and mode.
_MISSING = "resource_missing"
_BRANDS = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "discover": "Discover",
    "diners": "Diners Club",
    "jcb": "JCB",
    "unionpay": "UnionPay",
}
_FAILED = {
    "payment_intent_authentication_failure": "authentication_failed",
    "setup_intent_authentication_failure": "authentication_failed",
}


class WrongKey(PermissionError):  # noqa: N818
    """Stripe does not take the secret key."""


class BadEvent(ValueError):  # noqa: N818
    """What was posted is no event of Stripe's for this account, or too old a one."""


@dataclass(frozen=True)
class Handover:
    """What the cardholder's browser needs to talk with Stripe about a call: `saving` a card, or confirming a charge."""

    publishable_key: str
    client_secret: str
    saving: bool


@dataclass(frozen=True)
class Event:
    """What one event is about: a call by its key, a card by its token, or neither."""

    id: str
    key: str
    card: str


class StripePayments:
    """The gateway of models/outside.py::Payments. `api` is the address of a double, for tests."""

    name = "stripe"
    typed_here = False

    def __init__(self, secret_key: str, publishable_key: str, webhook_secret: str, api: str = "") -> None:
        self._publishable_key, self._webhook_secret = publishable_key, webhook_secret
        self._live = "_live_" in secret_key
        addresses: Any = {"api": api} if api else {}
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses=addresses,
            http_client=stripe.RequestsClient(timeout=TIMEOUT),
            max_network_retries=RETRIES,
        ).v1

    def check(self) -> None:
        """Raise Unanswered where Stripe cannot be reached, and WrongKey where it does not take the key."""
        try:
            self._client.balance.retrieve()
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            # A restricted key need not be able to read the balance.
            if isinstance(error, stripe.AuthenticationError):
                raise WrongKey from error
        except stripe.StripeError as error:
            raise Unanswered(_told(error)) from error

    def enroll(self, slug: str, name: str) -> str:
        """Make a customer; slug and name keep one that is asked for twice within a day from being made twice."""
        # A key is a header, which holds no name as people write it.
        key = hashlib.sha256(f"{slug}\n{name}".encode()).hexdigest()
        with _asked():
            params: Any = {"name": name, "metadata": {"organization": slug}}
            return str(self._client.customers.create(params, {"idempotency_key": f"customer:{key}"}).id)

    def save_card(self, payer: str, details: CardDetails | None, *, key: str, back: str) -> GatewayAnswer:
        """Begin to save a card: the cardholder types it into Stripe's element on the page that the answer names."""
        assert details is None, "with Stripe no card is typed into a form of ours"
        there = self.look(payer, key)
        if there is not None:
            return there
        params: Any = {
            "customer": payer,
            "payment_method_types": ["card"],
            "usage": "off_session",
            "metadata": {KEY: key, BACK: back},
        }
        try:
            with _asked(stripe.InvalidRequestError):
                # With the payer in it: one who is enrolled anew asks again, for another customer.
                intent = self._client.setup_intents.create(params, {"idempotency_key": f"{key}:{payer}"})
        except stripe.InvalidRequestError as error:
            if _is_missing(error, "customer"):
                raise UnknownPayer(_told(error)) from error
            return GatewayAnswer(Verdict.DECLINED, "", _reason(error))
        return self._card_answer(intent)

    def charge(self, payer: str, card: str, cents: int, *, key: str, back: str, present: bool) -> GatewayAnswer:
        """Charge a saved card, unless the call with that key has charged it already."""
        intent = self._charge_of(payer, key)
        if intent is None:
            params: Any = {
                "amount": cents,
                "currency": "usd",
                "customer": payer,
                "payment_method": card,
                "payment_method_types": ["card"],
                "confirm": True,
                "metadata": {KEY: key, BACK: back},
            } | ({} if present else {"off_session": True})
            try:
                with _asked(stripe.CardError, stripe.InvalidRequestError):
                    intent = self._client.payment_intents.create(params, {"idempotency_key": key})
            except (stripe.CardError, stripe.InvalidRequestError) as error:
                return GatewayAnswer(Verdict.DECLINED, "", _reason(error))
        answer = self._charge_answer(intent)
        if answer.verdict is Verdict.ASKS and not present:
            # Nobody is there to be asked: the charge must not come true later by itself.
            self.cancel(payer, key)
            return GatewayAnswer(Verdict.DECLINED, answer.reference, "authentication_required")
        return answer

    def look(self, payer: str, key: str) -> GatewayAnswer | None:
        """Return what has become of the call with that key; None when it never arrived."""
        if key.endswith(":card"):
            intent = self._card_of(payer, key)
            return None if intent is None else self._card_answer(intent)
        charge = self._charge_of(payer, key)
        return None if charge is None else self._charge_answer(charge)

    def cancel(self, payer: str, key: str) -> GatewayAnswer:
        """End a call that waits for the cardholder; one that is decided stays as it is."""
        saving = key.endswith(":card")
        intent = self._card_of(payer, key) if saving else self._charge_of(payer, key)
        if intent is None:
            return GatewayAnswer(Verdict.CANCELED, "")
        kind = self._client.setup_intents if saving else self._client.payment_intents
        try:
            with _asked(stripe.InvalidRequestError):
                kind.cancel(intent.id)
        except stripe.InvalidRequestError:
            # It is decided: what it came to is asked below.
            log.info("A call that was to be ended is decided already.")
        return self.look(payer, key) or GatewayAnswer(Verdict.CANCELED, "")

    def refund(self, payer: str, charge: str, cents: int, *, key: str) -> GatewayAnswer:
        """Give back a part of a charge, never more than it was."""
        intent = self._charge_of(payer, charge)
        if intent is None:
            return GatewayAnswer(Verdict.DECLINED, "", "no_charge")
        there = self._refund_of(intent, key)
        if there is None:
            params: Any = {"payment_intent": intent.id, "amount": cents, "metadata": {KEY: key}}
            try:
                with _asked(stripe.CardError, stripe.InvalidRequestError):
                    there = self._client.refunds.create(params, {"idempotency_key": key})
            except (stripe.InvalidRequestError, stripe.CardError) as error:
                return GatewayAnswer(Verdict.DECLINED, "", _reason(error))
        return _refund_answer(there)

    def refunded(self, payer: str, charge: str, key: str) -> GatewayAnswer | None:
        """Return what has become of a refund; None when it never arrived. One that was done can fail days later."""
        intent = self._charge_of(payer, charge)
        there = self._refund_of(intent, key) if intent is not None else None
        return _refund_answer(there) if there is not None else None

    def forget(self, card: str) -> None:
        """Take a saved card off its customer; one that is gone already is no error."""
        try:
            with _asked(stripe.InvalidRequestError):
                self._client.payment_methods.detach(card)
        except stripe.InvalidRequestError:
            log.info("A card that was to be forgotten is gone already.")

    def handover(self, payer: str, key: str) -> Handover | None:
        """Return what the browser needs to ask the cardholder about the call; None when it never arrived."""
        saving = key.endswith(":card")
        intent = self._card_of(payer, key) if saving else self._charge_of(payer, key)
        return None if intent is None else Handover(self._publishable_key, intent.client_secret or "", saving)

    def facts_of(self, card: str) -> CardFacts | None:
        """Return what Stripe says of a saved card now; None when nobody has it any more."""
        found = self._saved(card)
        return _facts(found) if found is not None and found.customer else None

    def read_event(self, body: bytes, signature: str) -> Event:
        """Return the event that was posted; raises BadEvent unless Stripe has signed it within five minutes.

        What it says of money is not looked at: whoever acts on it asks Stripe how things stand now.
        """
        try:
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, TOLERANCE)
            event = json.loads(body)
            about = event["data"]["object"]
            found = Event(str(event["id"]), "", "")
            mode, elsewhere = bool(event.get("livemode")), event.get("account")
            if about.get("object") == "payment_method":
                found = Event(found.id, "", str(about["id"]))
            elif isinstance(about.get("metadata"), dict):
                found = Event(found.id, str(about["metadata"].get(KEY, "")), "")
        except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadEvent from error
        if mode is not self._live or elsewhere or not 0 < len(found.id) <= 120:
            raise BadEvent
        return found

    def _card_of(self, payer: str, key: str) -> stripe.SetupIntent | None:
        found: stripe.SetupIntent | None = _call_of(self._client.setup_intents, payer, key)
        return found

    def _charge_of(self, payer: str, key: str) -> stripe.PaymentIntent | None:
        found: stripe.PaymentIntent | None = _call_of(self._client.payment_intents, payer, key)
        return found

    def _refund_of(self, intent: stripe.PaymentIntent, key: str) -> stripe.Refund | None:
        with _asked():
            found: Any = self._client.refunds.list({"payment_intent": intent.id, "limit": 100})
            return next((one for one in found.auto_paging_iter() if _noted(one).get(KEY) == key), None)

    def _saved(self, card: str) -> stripe.PaymentMethod | None:
        """Return the card with that token; None where Stripe knows none."""
        try:
            with _asked(stripe.InvalidRequestError):
                return self._client.payment_methods.retrieve(card)
        except stripe.InvalidRequestError as error:
            if error.code != _MISSING:
                raise Unanswered(_told(error)) from error
        return None

    def _card_answer(self, intent: stripe.SetupIntent) -> GatewayAnswer:
        if intent.status == "succeeded":
            token = intent.payment_method
            assert token is not None
            card = self._saved(token if isinstance(token, str) else token.id)
            if card is None:
                return GatewayAnswer(Verdict.DECLINED, intent.id, _MISSING)
            return GatewayAnswer(Verdict.DONE, intent.id, card=_facts(card))
        if intent.status == "canceled":
            return GatewayAnswer(Verdict.CANCELED, intent.id)
        if intent.status == "processing":
            raise Unanswered("processing")
        # Not typed yet, declined so that another one can be typed, or the bank asks: the same page is for all of them.
        return GatewayAnswer(Verdict.ASKS, intent.id, url=f"{_noted(intent).get(BACK, '')}/card")

    def _charge_answer(self, intent: stripe.PaymentIntent) -> GatewayAnswer:
        if intent.status == "succeeded":
            return GatewayAnswer(Verdict.DONE, intent.id)
        if intent.status == "canceled":
            return GatewayAnswer(Verdict.CANCELED, intent.id)
        if intent.status in {"processing", "requires_capture"}:
            raise Unanswered(intent.status)
        if intent.status == "requires_payment_method":
            error: Any = intent.last_payment_error.to_dict() if intent.last_payment_error else {}
            code = str(error.get("decline_code") or error.get("code") or "card_declined")
            return GatewayAnswer(Verdict.DECLINED, intent.id, _FAILED.get(code, code)[:60])
        return GatewayAnswer(Verdict.ASKS, intent.id, url=f"{_noted(intent).get(BACK, '')}/confirm")


def _call_of(kind: Any, payer: str, key: str) -> Any:  # noqa: ANN401 (Stripe's services share no type)
    """Return the customer's call with that key; None for none, and of a customer whom Stripe does not know."""
    try:
        with _asked(stripe.InvalidRequestError):
            found = kind.list({"customer": payer, "limit": 100})
            return next((one for one in found.auto_paging_iter() if _noted(one).get(KEY) == key), None)
    except stripe.InvalidRequestError as error:
        if not _is_missing(error, "customer"):
            raise Unanswered(_told(error)) from error
        log.warning("Stripe does not know the customer %s: another account's key, or it was deleted there.", payer)
    return None


def _refund_answer(refund: stripe.Refund) -> GatewayAnswer:
    """Return what a refund has come to; raises Unanswered while it is under way, which can take days."""
    if refund.status == "succeeded":
        return GatewayAnswer(Verdict.DONE, refund.id)
    if refund.status in {"failed", "canceled"}:
        return GatewayAnswer(Verdict.DECLINED, refund.id, "refund_failed")
    raise Unanswered(str(refund.status))


def _is_missing(error: stripe.InvalidRequestError, what: str) -> bool:
    return error.code == _MISSING and error.param == what


def _noted(intent: Any) -> dict[str, str]:  # noqa: ANN401 (Stripe's objects share no type that has metadata)
    """Return what we wrote at Stripe beside a call."""
    return intent.metadata.to_dict() if intent.metadata else {}


def _facts(card: stripe.PaymentMethod) -> CardFacts:
    front: Any = card.card
    brand = _BRANDS.get(front.brand, str(front.brand).title())
    return CardFacts(card.id, brand[:40], front.last4, front.exp_month, front.exp_year)


@contextmanager
def _asked(*said: type[stripe.StripeError]) -> Iterator[None]:
    """Let through what is said of the card or the call, and raise Unanswered for everything else that goes wrong.

    Which of Stripe's errors say something is for the caller to name, who says then what it means.
    """
    try:
        yield
    except said:
        raise
    except stripe.StripeError as error:
        log.warning("Stripe gave no answer: %s", _told(error))
        raise Unanswered(_told(error)) from error


def _told(error: stripe.StripeError) -> str:
    """Return the kind of an error and Stripe's number for the request; what was asked is not in it."""
    return f"{type(error).__name__} {error.http_status or ''} {error.request_id or ''}".strip()


def _reason(error: stripe.CardError | stripe.InvalidRequestError) -> str:
    """Return the code of a refusal: the bank's where there is one."""
    said: Any = getattr(error, "error", None)
    code = str(getattr(said, "decline_code", None) or error.code or "card_declined")
    if isinstance(error, stripe.InvalidRequestError):
        log.warning("Stripe refused a call: %s %s", code, error.request_id or "")
    return _FAILED.get(code, code)[:60]
