"""Stripe for tests: localstripe in a process of its own, behind a small proxy that does what localstripe leaves out.

The proxy keeps Stripe's promises (docs.stripe.com/api): the same idempotency key gives the same answer, lists are
narrowed by customer, no more goes back than came, a declined card leaves its SetupIntent open for another one. And it
fails as networks do: it drops answers, refuses connections, and tells events twice or in any order.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from stores import free_port

from gateways.payments_stripe import StripePayments

SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET = "sk_test_portal", "pk_test_portal", "whsec_portal"
SETTINGS = {
    "PAYMENTS": "stripe",
    "STRIPE_SECRET_KEY": SECRET_KEY,
    "STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
    "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
}
# What Stripe takes and localstripe does not know.
_UNKNOWN = ("return_url", "description", "payment_method_types[0]")


class StripeDouble:
    """The two of them, with what a test turns: `drop`, `down`, `odd`, and what Stripe was asked.

    On a path with `odd` in it nothing is right; `refunds_are` is the status of all refunds.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "localstripe", "--port", str(self._port), "--from-scratch"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError("localstripe did not start.")
        self.forget_all()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                double.pass_on(self, b"")

            def do_POST(self) -> None:
                double.pass_on(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def do_DELETE(self) -> None:
                double.pass_on(self, b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def forget_all(self) -> None:
        """Begin anew: nothing is stored, nothing fails."""
        self.ask("DELETE", "/_config/data")
        self.drop = self.down = 0
        self.drop_on = self.odd = self.refunds_are = ""
        self.calls: list[tuple[str, str]] = []
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._cancelled: set[str] = set()
        self._lock = threading.RLock()

    def forget_keys(self) -> None:
        """Let a day pass: Stripe forgets idempotency keys then."""
        with self._lock:
            self._answers.clear()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._process.terminate()
        self._process.wait(10)

    def ask(self, method: str, path: str, params: dict[str, Any] | None = None) -> Any:
        """Ask localstripe itself, as somebody beside the portal."""
        status, body = self._forward(method, path, urlencode(params or {}).encode())
        assert status < 500, (status, body)
        return json.loads(body or b"null")

    def type_card(self, intent: dict[str, Any], number: str) -> Any:
        """Be the browser that confirms a SetupIntent with a typed card."""
        card = {"number": number, "exp_month": 4, "exp_year": time.gmtime().tm_year + 3, "cvc": "123"}
        data = {f"payment_method_data[card][{name}]": value for name, value in card.items()}
        told = self.ask(
            "POST",
            f"/v1/setup_intents/{intent['id']}/confirm",
            {"client_secret": intent["client_secret"], "payment_method_data[type]": "card"} | data,
        )
        self._attach(told)
        return told

    def answer_bank(self, intent: dict[str, Any], *, confirmed: bool) -> None:
        """Be the cardholder whom the bank asks about a card or a charge."""
        if intent["object"] == "setup_intent":
            verb = "confirm" if confirmed else "cancel"
            told = self.ask(
                "POST", f"/v1/setup_intents/{intent['id']}/{verb}", {"client_secret": intent["client_secret"]}
            )
            self._attach(told)
        else:
            params = {"client_secret": intent["client_secret"], "success": str(confirmed).lower()}
            self.ask("POST", f"/v1/payment_intents/{intent['id']}/_authenticate", params)

    def from_browser(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer what Stripe's script asks from a page, which knows the publishable key and one client secret."""
        told = json.loads(body or b"{}")
        if method == "POST" and (told.get("key") != PUBLISHABLE_KEY or not told.get("client_secret")):
            return 401, b"{}"
        status, answer = self._forward(method, path, body, "application/json")
        return status, self._as_stripe(path, answer)

    def intents(self, kind: str = "payment_intent") -> list[dict[str, Any]]:
        """Return all of a kind, the first one first."""
        found = self.ask("GET", f"/v1/{kind}s?limit=100")["data"]
        return sorted(found, key=lambda one: one["created"])

    def intent(self, key: str) -> dict[str, Any]:
        """Return the intent of the portal's call with that key."""
        kind = "setup_intent" if key.endswith(":card") else "payment_intent"
        return next(one for one in self.intents(kind) if one["metadata"].get("portal_key") == key)

    def moved(self) -> list[tuple[str, int]]:
        """Return the money that moved: charges and refunds, in cents."""
        paid = [("charge", one["amount"]) for one in self.intents() if one["status"] == "succeeded"]
        return paid + [("refund", one["amount"]) for one in self.ask("GET", "/v1/refunds?limit=100")["data"]]

    def pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request of the portal's."""
        with self._lock:
            key = handler.headers.get("Idempotency-Key", "")
            path = handler.path.partition("?")[0]
            self.calls.append((handler.command, path))
            if self.down:
                self.down -= 1
                handler.close_connection = True
                handler.connection.close()
                return
            if handler.command == "POST" and key in self._answers:
                status, answer = self._answers[key]
            else:
                status, answer = self._answer(handler.command, handler.path, body, handler.headers["Authorization"])
                if handler.command == "POST" and key and status < 500:
                    self._answers[key] = (status, answer)
            if self.drop and handler.command == "POST" and self.drop_on in path:
                self.drop -= 1
                handler.close_connection = True
                handler.connection.close()
                return
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def _answer(self, method: str, path: str, body: bytes, authorization: str | None) -> tuple[int, bytes]:
        if authorization != f"Bearer {SECRET_KEY}":
            return 401, b'{"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}'
        plain, _, query = path.partition("?")
        params = dict(parse_qsl(body.decode(), keep_blank_values=True))
        payer = params.get("customer") or parse_qs(query).get("customer", [""])[0]
        small = int(params.get("amount") or 50) < 50
        if (wrong := self._wrong(plain, payer, small=small)) is not None:
            return 400, json.dumps({"error": {"type": "invalid_request_error"} | wrong}).encode()
        if method == "GET" and plain in {"/v1/payment_intents", "/v1/setup_intents"}:
            return self._narrowed(plain, parse_qs(query))
        if method == "POST" and plain == "/v1/refunds" and not self._fits(params):
            return 400, b'{"error": {"type": "invalid_request_error", "code": "charge_already_refunded"}}'
        if method == "POST" and plain.endswith("/cancel"):
            there = self._forward("GET", plain.removesuffix("/cancel"), b"")
            if json.loads(there[1]).get("status") == "succeeded":
                return 400, b'{"error": {"type": "invalid_request_error", "code": "intent_unexpected_state"}}'
            self._cancelled.add(plain.split("/")[3])
        kept = {name: value for name, value in params.items() if name not in _UNKNOWN}
        status, answer = self._forward(method, path, urlencode(kept).encode())
        return status, self._as_stripe(plain, answer)

    def _wrong(self, path: str, payer: str, *, small: bool) -> dict[str, str] | None:
        """Return what is wrong with a call before it is looked at: its path, its amount, or who pays."""
        if self.odd and self.odd in path:
            return {"message": "odd"}
        if payer and self._forward("GET", f"/v1/customers/{payer}", b"")[0] != 200:
            return {"code": "resource_missing", "param": "customer"}
        return {"code": "amount_too_small", "param": "amount"} if path.endswith("_intents") and small else None

    def _attach(self, told: dict[str, Any]) -> None:
        """Let a card that was saved belong to its customer, as Stripe does."""
        if told.get("status") == "succeeded" and told.get("customer"):
            path = f"/v1/payment_methods/{told['payment_method']}/attach"
            self.ask("POST", path, {"customer": told["customer"]})

    def _as_stripe(self, path: str, answer: bytes) -> bytes:
        """Return the answer with what localstripe says otherwise than Stripe."""
        if path.startswith("/v1/refunds") and self.refunds_are:
            told = json.loads(answer)
            for one in told.get("data", [told]):
                one["status"] = self.refunds_are
            return json.dumps(told).encode()
        if not path.startswith("/v1/setup_intents"):
            return answer
        told = json.loads(answer)
        if path.endswith("/confirm"):
            self._attach(told)
        for one in told.get("data", [told]):
            if one.get("status") == "canceled" and one["id"] not in self._cancelled:
                one["status"] = "requires_payment_method"
        return json.dumps(told).encode()

    def _narrowed(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        status, answer = self._forward("GET", f"{path}?limit=100", b"")
        told = json.loads(self._as_stripe(path, answer))
        wanted = query.get("customer", [""])[0]
        told["data"] = [one for one in told["data"] if wanted in {"", one["customer"]}]
        told["has_more"] = False
        return status, json.dumps(told).encode()

    def _fits(self, params: dict[str, str]) -> bool:
        intent = self.ask("GET", f"/v1/payment_intents/{params['payment_intent']}")
        before = self.ask("GET", f"/v1/refunds?payment_intent={intent['id']}&limit=100")["data"]
        return sum(one["amount"] for one in before) + int(params["amount"]) <= int(intent["amount"])

    def _forward(
        self, method: str, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded"
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        headers = {
            "Authorization": f"Bearer {SECRET_KEY}",
            "Content-Type": kind,
            "Content-Length": str(len(body)),
        }
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, answer


@cache
def stripe_double() -> StripeDouble:
    """Return the one double of this test process."""
    there = StripeDouble()
    atexit.register(there.stop)
    return there


class TriedStripe(StripePayments):
    """Stripe as the portal talks to it, with what the sandbox lets tests do."""

    def __init__(self) -> None:
        self.double = stripe_double()
        super().__init__(SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, self.double.address)

    def answer_bank(self, key: str, *, confirmed: bool) -> None:
        """Be the cardholder whom the bank asks; where it asks nothing, nothing happens."""
        with contextlib.suppress(StopIteration):
            intent = self.double.intent(key)
            if intent["status"] == "requires_action":
                self.double.answer_bank(intent, confirmed=confirmed)

    def break_down(self, fault: str, times: int = 1) -> None:
        """Let the next calls fail; Stripe's library tries each once more by itself."""
        if fault == "down":
            self.double.down = 2 * times
        else:
            # The answer that hurts is that to a charge.
            self.double.drop, self.double.drop_on = 2 * times, "/v1/payment_intents"

    def charged(self, _payer: str = "") -> list[tuple[str, str, int]]:
        """Return the money that moved."""
        return [("", kind, cents) for kind, cents in self.double.moved()]


def event_of(about: dict[str, Any] | None, number: int, kind: str = "payment_intent.succeeded", **more: Any) -> bytes:
    """Return the body of an event as Stripe sends it."""
    event = {"id": f"evt_{number}", "object": "event", "type": kind, "livemode": False, "data": {"object": about}}
    return json.dumps(event | more).encode()


def signature_of(body: bytes, at: float, secret: str = WEBHOOK_SECRET) -> str:
    """Return the header with which Stripe signs an event (docs.stripe.com/webhooks/signature)."""
    signed = hmac.new(secret.encode(), f"{int(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={int(at)},v1={signed}"
