"""The outer world as the business sees it; `gateways/` holds what stands behind each of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from email.message import EmailMessage
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""


class TryLater(Exception):  # noqa: N818
    """The mail server could not take the message now (4xx, or no conversation): it goes again later."""


class Undeliverable(Exception):  # noqa: N818
    """The mail server refused the message for good (5xx)."""


class Mailer(Protocol):
    """Hands one message over for delivery."""

    def send(self, letter: EmailMessage) -> None:
        """Deliver the letter; raises TryLater or Undeliverable with the server's words."""


class FileStore(Protocol):
    """Keeps the bytes of attachments under a name of its own."""

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store the bytes durably and return (name, size in bytes); raises OSError when there is no room."""

    def get(self, name: str) -> Iterator[bytes]:
        """Yield the bytes stored under the name; raises FileNotFoundError."""

    def older(self, than: datetime) -> Iterator[str]:
        """Yield the names of what was stored, for the last time, before that aware instant."""

    def drop(self, name: str) -> None:
        """Forget the bytes; a name that is gone already is no error."""
