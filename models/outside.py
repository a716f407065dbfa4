"""The outer world as the business sees it; `gateways/` holds what stands behind each of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from enum import StrEnum
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


@dataclass(frozen=True)
class Arrived:
    """A mail that came in: who says to have sent it, where it went, what it answers, and its own words.

    `quoted` is what stood below them; `files` are the names of what was attached; `automatic` says that no person
    wrote it. Nothing of it is proven.
    """

    sender: str
    recipients: tuple[str, ...]
    message_id: str
    references: tuple[str, ...]
    text: str
    quoted: str
    files: tuple[str, ...]
    automatic: bool


@dataclass(frozen=True)
class Paper:
    """A document of lines and sums that is printed or sent: who is named at its head, a table, sums, small print.

    Each row has three cells and an amount; the last of the sums is what counts.
    """

    name: str
    title: str
    subtitle: str
    parties: tuple[tuple[str, tuple[str, ...]], ...]
    columns: tuple[str, str, str, str]
    rows: tuple[tuple[str, str, str, str], ...]
    sums: tuple[tuple[str, str], ...]
    foot: tuple[str, ...]


class HookSender(Protocol):
    """Hands one message over to the company's own systems."""

    def send(self, message_id: str, body: bytes, at: datetime) -> None:
        """Deliver the body, signed; raises TryLater or Undeliverable with words for staff to read."""


class HookSenders(Protocol):
    """Whom messages go to: the receiver of the settings, and any that an administrator has named."""

    @property
    def standing(self) -> HookSender | None:
        """The receiver of the settings, if there is one."""

    def to(self, url: str, seeds: Sequence[str]) -> HookSender:
        """Return what sends to the address, signed with each of the secrets that follow from the seeds."""

    def secret_of(self, seed: str) -> str:
        """Return the secret that follows from the seed, for whoever receives."""

    def check(self, url: str) -> None:
        """Raise ValueError, in words for a form, for an address that nothing is sent to; it may ask the network."""


class WrongStore(OSError):  # noqa: N818
    """The store has answered that it cannot work like this; `setting` names what to look at."""

    def __init__(self, setting: str, words: str) -> None:
        super().__init__(words)
        self.setting = setting


class FileStore(Protocol):
    """Keeps the bytes of attachments under a name that follows from them: the same bytes are kept once.

    All of them raise OSError when the store is full or does not answer.
    """

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store the bytes durably, all or none of them, and return (name, size in bytes)."""

    def get(self, name: str) -> Iterator[bytes]:
        """Yield the bytes stored under the name; raises FileNotFoundError at once when there are none."""

    def has(self, name: str) -> bool:
        """Tell whether bytes are stored under the name."""

    def older(self, than: datetime) -> Iterator[str]:
        """Yield the names of what was stored, for the last time, before that aware instant of the store's own clock.

        What is left of a `put` that never ended is among them, under a name that only `drop` knows.
        """

    def drop(self, name: str) -> None:
        """Forget the bytes; a name that is gone already is no error."""

    def ready(self) -> None:
        """Return when the store answers; raises OSError, and WrongStore where it never will with these settings."""


class TooLargeToScan(Exception):  # noqa: N818
    """The scanner does not look at files of that size."""


class Scanner(Protocol):
    """Looks for viruses in files."""

    def scan(self, chunks: Iterable[bytes]) -> str:
        """Return the name of what was found, "" for nothing; raises OSError without a verdict, and TooLargeToScan."""


@dataclass(frozen=True)
class CardDetails:
    """A card as somebody typed it. It is handed to the gateway and forgotten; it never shows itself in a log."""

    number: str = field(repr=False)
    month: int = field(repr=False)
    year: int = field(repr=False)
    code: str = field(repr=False)
    holder: str = field(repr=False)


@dataclass(frozen=True)
class CardFacts:
    """All that we keep of a card: the gateway's token, the brand, the last four digits, the last month."""

    token: str
    brand: str
    last4: str
    month: int
    year: int


class Verdict(StrEnum):
    """What the gateway says of a card to be saved, or of a charge."""

    DONE = "done"
    DECLINED = "declined"
    # The bank wants to hear from the cardholder first, at the answer's address.
    ASKS = "asks"
    CANCELED = "canceled"


@dataclass(frozen=True)
class GatewayAnswer:
    """The gateway's word on one call; `reason` is its code for a refusal, `url` where the bank asks the cardholder."""

    verdict: Verdict
    reference: str
    reason: str = ""
    url: str = ""
    card: CardFacts | None = None


class Unanswered(Exception):  # noqa: N818
    """The gateway gave no answer: the call may have been carried out, or not. The same key asks again."""


class UnknownPayer(Unanswered):
    """The gateway does not know who pays: it was another account of the gateway's that did, or the payer was deleted.

    Nothing was done, and nothing was done before under that name.
    """


class Payments(Protocol):
    """Saves cards and charges amounts. The subscription is ours: a gateway knows no plan and no period.

    Each call carries a key of our own: the same key again gives the first call's result, and is never a second charge.
    `payer` is what the gateway calls who pays, as `enroll` returned it. All of them raise Unanswered.
    """

    # What it is called: payers and cards are known to the gateway that gave them, and to no other.
    name: str
    # Whether cards are typed into a form of our own; else they are typed at the address that `save_card` gives.
    typed_here: bool

    def check(self) -> None:
        """Raise Unanswered at once where the gateway cannot be reached, so that nothing is begun."""

    def enroll(self, slug: str, name: str) -> str:
        """Return what the gateway calls the organization from now on; it may call one that asks twice by two names."""

    def save_card(self, payer: str, details: CardDetails | None, *, key: str, back: str) -> GatewayAnswer:
        """Save the card for later charges; `back` is the page to return to from the bank.

        Without details the gateway asks the cardholder itself. Raises UnknownPayer for one who must enroll anew; all
        other calls about such a one find nothing, and charge and give back nothing.
        """

    def charge(self, payer: str, card: str, cents: int, *, key: str, back: str, present: bool) -> GatewayAnswer:
        """Charge US cents to the card with that token; `present` tells whether the cardholder can be asked now."""

    def look(self, payer: str, key: str) -> GatewayAnswer | None:
        """Return what has become of the call with that key; None when it never arrived."""

    def cancel(self, payer: str, key: str) -> GatewayAnswer:
        """End a call on which the bank waits for the cardholder; the answer tells if it was too late for that."""

    def refund(self, payer: str, charge: str, cents: int, *, key: str) -> GatewayAnswer:
        """Give back US cents of the charge with the key `charge`."""

    def refunded(self, payer: str, charge: str, key: str) -> GatewayAnswer | None:
        """Return what has become of a refund of that charge; None when it never arrived. One that was done can fail."""

    def forget(self, card: str) -> None:
        """Delete the saved card; one that is gone already is no error."""
