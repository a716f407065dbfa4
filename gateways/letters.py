"""Writes letters: facts and templates in, a message with a plain and an HTML part out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr, quote
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from gateways.papers import pdf
from models.outside import Paper, Undeliverable

WIDTH = 72
# Marks that turn the direction of the text around them: in a name they make a line read as something else.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Facts of several lines, which are cleaned less: the source of a reply, and the HTML made from it.
LONG = frozenset({"body", "body_html"})
KIND = re.compile(r"[a-z_]+\Z")
LOCAL_PART = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}\Z")


class Letters:
    """The templates `mail/<kind>.txt` and `.html` below `template_folder`, and who the letters are from.

    `sender` is an address, with or without a name; without one the letters come from `site_name`. `filters` are
    Jinja filters by name: the templates need `moment`, which turns an aware datetime and an IANA zone into words
    (without naming the zone).
    """

    def __init__(
        self,
        template_folder: Path,
        base_url: str,
        sender: str,
        site_name: str,
        filters: Mapping[str, Callable[..., object]],
    ) -> None:
        name, address = parseaddr(sender)
        self._host = urlsplit(base_url).hostname or "localhost"
        self._sender = _address(name or site_name, address)
        self._pages = Environment(
            loader=FileSystemLoader(template_folder),
            undefined=StrictUndefined,
            autoescape=select_autoescape(("html",), default=False),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._pages.filters.update(filters)
        self._pages.filters["prose"] = _prose
        self._pages.globals.update(site_name=one_line(site_name), base_url=base_url)

    def write(self, kind: str, facts: Mapping[str, Any]) -> EmailMessage:
        """Return the letter of that kind.

        Every kind needs `message_id` (the outbox's public id), `to_name`, `to_email`, `zone` (IANA) and `now` (aware:
        when the letter's cause happened, so that a repeated letter is the same). Letters about a ticket need `key` and
        `thread` besides, and `reply_to` (an address) may be given; what else a kind needs stands in its template.
        `paper`, where it is given, goes along as a PDF.
        `body_html` must be sanitised, with absolute links and without images. Raises Undeliverable for an address that
        no mail can go to, and jinja2's UndefinedError when a fact is missing.
        """
        if not KIND.match(kind):
            raise ValueError(f"{kind!r} is no kind of letter.")
        cleaned = {"reply_to": "", **{name: _clean(name, fact) for name, fact in facts.items()}}
        text = self._pages.get_template(f"mail/{kind}.txt")
        subject = one_line("".join(text.blocks["subject"](text.new_context(cleaned))))
        letter = EmailMessage(policy=_OnePerson())
        letter["From"] = self._sender
        letter["To"] = _address(cleaned["to_name"], cleaned["to_email"])
        if cleaned["reply_to"]:
            letter["Reply-To"] = _address("", cleaned["reply_to"])
        letter["Subject"] = subject
        letter["Date"] = format_datetime(facts["now"].astimezone(UTC))
        letter["Message-ID"] = f"<{cleaned['message_id']}@{self._host}>"
        if "thread" in cleaned:
            # The root is never sent: every letter of the ticket answers it, whichever of them comes first.
            root = f"<ticket.{cleaned['key']}.{cleaned['thread']}@{self._host}>"
            letter["In-Reply-To"] = root
            letter["References"] = root
        # RFC 3834: holiday notices and other robots do not answer what is marked so; the second is Exchange's own.
        letter["Auto-Submitted"] = "auto-generated"
        letter["X-Auto-Response-Suppress"] = "All"
        letter.set_content(re.sub(r"\n{3,}", "\n\n", text.render(cleaned)).strip() + "\n")
        page = self._pages.get_template(f"mail/{kind}.html")
        letter.add_alternative(page.render(cleaned, subject=subject), subtype="html")
        if isinstance(paper := facts.get("paper"), Paper):
            letter.add_attachment(pdf(paper), maintype="application", subtype="pdf", filename=f"{paper.name}.pdf")
        return letter


def one_line(text: str) -> str:
    """Return the text as one line that can stand in a header.

    Line breaks and other controls become spaces, marks that turn the direction of text go, and so does what a mail
    program would take for an encoded word.
    """
    kept = (" " if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} else c for c in text if c not in TURNING)
    return " ".join("".join(kept).replace("=?", "= ?").split(" ")).strip()


def _clean(name: str, fact: Any) -> Any:  # noqa: ANN401 (facts are of any type)
    """Make text safe for the place where it goes; other facts stay as they are."""
    if isinstance(fact, datetime) or not isinstance(fact, str | list | tuple):
        return fact
    if not isinstance(fact, str):
        return [_clean(name, part) for part in fact]
    if name in LONG:
        # Half a character cannot be encoded, and no mail program shows controls.
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", fact.replace("\r\n", "\n"))
    return one_line(fact)


def _prose(text: str) -> str:
    """Wrap our own sentences, each line of the text by itself; addresses of pages stay whole."""
    lines = [wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False) or [""] for line in text.splitlines()]
    return "\n".join(line for wrapped in lines for line in wrapped)


def _address(name: str, address: str) -> Address:
    """Return the mailbox; raises Undeliverable when the address cannot be one."""
    local, _, domain = address.rpartition("@")
    try:
        # Mail programs want a domain in its ASCII form, whatever alphabet it is shown in.
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not LOCAL_PART.match(local) or not re.match(r"[A-Za-z0-9.-]+\Z", domain):
        raise Undeliverable("The address is not one that mail can go to.")
    return Address(one_line(name), local, domain)


class _OnePerson(EmailPolicy):
    """How our headers become bytes, where the library's own way does harm.

    It breaks a long Message-ID or References apart into encoded words, so that threads fall apart, and drops spaces
    between encoded words of a subject.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (the library's signature)
        super().__init__(**{"linesep": "\r\n", **settings})

    def fold(self, name: str, value: Any) -> str:  # noqa: ANN401 (a header of any kind)
        """Return the header's lines."""
        match name.lower():
            case "message-id" | "in-reply-to" | "references":
                return f"{name}: {value}{self.linesep}"
            case "subject":
                return f"{name}: {self._words(str(value), name)}{self.linesep}"
            case "from" | "to" | "reply-to":
                mailbox = value.addresses[0]
                shown = mailbox.display_name
                words = f'"{quote(shown)}"' if shown.isascii() else self._words(shown, name)
                # The address begins a line of its own, so that no line grows too long.
                before = f"{words}{self.linesep} " if shown else ""
                return f"{name}: {before}<{mailbox.addr_spec}>{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:  # noqa: ANN401
        """Return the header's lines as bytes; only an address may hold anything beyond ASCII (RFC 6532)."""
        return self.fold(name, value).encode()

    def _words(self, text: str, name: str) -> str:
        """Return ASCII as it is, and anything else as encoded words (RFC 2047)."""
        if text.isascii() and len(text) < 500:
            return text
        return Header(text, "utf-8", header_name=name, maxlinelen=76).encode(linesep=self.linesep)
