"""Sends webhooks as Standard Webhooks says (standardwebhooks.com), and never to an address inside our own network."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from models.outside import HookSender, TryLater, Undeliverable

TIMEOUT = 10


class Webhooks:
    """Whom webhooks go to. `key` is the portal's own, from which the secrets of named receivers follow.

    `url` and `secret` are those of the settings' receiver; `private` lets it reach private addresses, for tests.
    """

    def __init__(self, key: str, url: str = "", secret: str = "", *, private: bool = False) -> None:
        self._key, self._private = key.encode(), private
        self.standing: HookSender | None = WebhookSender(url, secret, private=private) if url else None

    def to(self, url: str, seeds: Sequence[str]) -> HookSender:
        """Return what sends to the address, signed with each of the secrets that follow from the seeds."""
        return WebhookSender(url, *map(self.secret_of, seeds), private=self._private)

    def secret_of(self, seed: str) -> str:
        """Return the secret: no row holds it, and without the portal's key nobody makes it."""
        made = hmac.new(self._key, f"webhook {seed}".encode(), hashlib.sha256).digest()
        return f"whsec_{base64.b64encode(made).decode()}"

    def check(self, url: str) -> None:
        """Raise ValueError, in words for a form, for an address that is no public https one, also by its name."""
        host = urlsplit(public_url(url)).hostname or ""
        try:
            found = [str(info[4][0]) for info in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError):
            raise ValueError("check the name in the address: it leads nowhere just now") from None
        if not self._private and not all(is_public(address) for address in found):
            raise ValueError("use a public address: this name leads into a private network, where nothing is sent")


class WebhookSender:
    """Posts to one address, signed with each of the secrets. `private` lets it reach private addresses, for tests."""

    def __init__(self, url: str, *secrets: str, private: bool = False) -> None:
        self._parts, self._keys, self._private = urlsplit(url), [key_of(secret) for secret in secrets], private

    def send(self, message_id: str, body: bytes, at: datetime) -> None:
        """Post one message; `at` is now.

        Raises TryLater when it should be sent again, Undeliverable where that makes no sense: the receiver is gone
        (410), or its name leads to an address inside our network.
        """
        signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
        signatures = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in self._keys]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "help-center",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }
        try:
            status = self._post(body, headers)
        except (OSError, HTTPException) as trouble:
            raise TryLater(f"No answer ({type(trouble).__name__}).") from trouble
        if status == 410:
            raise Undeliverable("The receiver answers 410: it wants no more.")
        if not 200 <= status < 300:
            # A redirect is no answer either: it could lead inside.
            raise TryLater(f"The receiver answers {status}.")

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        host, https = self._parts.hostname or "", self._parts.scheme == "https"
        port = self._parts.port or (443 if https else 80)
        # The name is asked once, and the address that was checked is the one that is connected to.
        address = self._address(host, port)
        connection, deadline = HTTPConnection(host, port, timeout=TIMEOUT), None
        try:
            plain = socket.create_connection((address, port), timeout=TIMEOUT)
            connection.sock = plain
            # However slowly it answers, byte by byte: mail and alerts wait behind it.
            deadline = threading.Timer(TIMEOUT, _cut, (connection,))
            deadline.daemon = True
            deadline.start()
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if https else plain
            path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
            connection.request("POST", path, body, headers | {"Host": self._parts.netloc.rpartition("@")[2]})
            return connection.getresponse().status
        finally:
            if deadline is not None:
                deadline.cancel()
            connection.close()

    def _address(self, host: str, port: int) -> str:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        for address in found:
            if not self._private and not is_public(address):
                raise Undeliverable("The receiver’s name leads to an address inside a private network.")
        return found[0]


def _cut(connection: HTTPConnection) -> None:
    """End a conversation that takes too long, whoever is reading from it."""
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def is_public(address: str) -> bool:
    """Tell whether the IP address is one of the public internet, and any that it carries inside as well."""
    known = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(known, ipaddress.IPv4Address):
        return known.is_global and not known.is_multicast
    inside = known.ipv4_mapped or known.sixtofour
    if known in _TRANSLATED or known in _COMPATIBLE:
        inside = ipaddress.IPv4Address(known.packed[-4:])
    if inside is not None and not is_public(str(inside)):
        return False
    return known.ipv4_mapped is not None or (known.is_global and not known.is_multicast and not known.is_site_local)


# RFC 6052: where NAT64 translates to the IPv4 address in the last 32 bits; RFC 4291, 2.5.5.1: IPv4-compatible ones.
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def public_url(value: str) -> str:
    """Return the address if it is one that webhooks may be sent to; raises ValueError that says what to write."""
    wrong = "use an https address, such as https://alerts.example.com/support"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 (it is checked when it is read)
    except ValueError:
        raise ValueError(wrong) from None
    host = parts.hostname or ""
    if parts.scheme != "https" or not host or "@" in parts.netloc or not value.isascii() or not value.isprintable():
        raise ValueError(wrong)
    try:
        public = is_public(host)
    except ValueError:
        # A name: where it leads is looked at each time that something is sent.
        public = host != "localhost" and not host.endswith(".localhost")
    if not public:
        raise ValueError("use a public address: one inside a private network is never sent to")
    return value


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret, which is written `whsec_` and base64; raises ValueError for any other."""
    prefix, _, written = secret.partition("_")
    try:
        key = base64.b64decode(written, validate=True)
    except binascii.Error:
        key = b""
    if prefix != "whsec" or not 24 <= len(key) <= 64:
        raise ValueError("use whsec_ and 24 to 64 bytes in base64, such as: echo whsec_$(openssl rand -base64 32)")
    return key
