"""Reads mail that came in: bytes of a message in, what the portal needs of it out. It trusts nothing that it reads."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import TypeVar

import nh3

from models.outside import Arrived

# Longer texts are cut here, which is said.
TEXT_MOST = 100_000
# Where somebody's own words end is looked for so far: what tells it takes long for long texts that mean it ill.
ANSWER_MOST = 4_000
LANGUAGES = ["en", "de", "fr", "it", "ja", "nl", "pl", "sv", "da", "es", "cs", "ko", "zh"]
_IDS = re.compile(r"<[^<>\s]{1,250}>")
# RFC 3834 and what came before it: holiday notices, lists and reports of failures are read by nobody.
_ROBOTS = re.compile(r"(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)(?:[+.-].*)?", re.IGNORECASE)
# What the standard library raises for messages that are malformed in ways that it does not mend.
_BROKEN = (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
T = TypeVar("T")


def read(raw: bytes) -> Arrived:
    """Return what stands in the message; parts that cannot be read are as if they were empty."""
    message = _unless_broken(lambda: message_from_bytes(raw, policy=default), EmailMessage())
    text = _plain(_unless_broken(lambda: _text(message), ""))
    if len(text) > TEXT_MOST:
        text = text[:TEXT_MOST] + "\n[The rest of this mail is left out.]"
    fresh = _fresh(text)
    senders = _addresses(message, "From")
    return Arrived(
        sender=senders[0] if senders else "",
        recipients=tuple(_addresses(message, "Delivered-To", "X-Original-To", "To", "Cc")),
        message_id=next(iter(_ids(message, "Message-ID")), ""),
        references=tuple(_ids(message, "In-Reply-To", "References")),
        text=fresh,
        # What stands below is kept and folded, never thrown away.
        quoted=text[len(fresh) :].strip() if text.startswith(fresh) else ("" if fresh == text else text),
        files=tuple(_unless_broken(lambda: _files(message), [])),
        automatic=_unless_broken(lambda: _is_automatic(message, senders), True),
    )


def _unless_broken(look: Callable[[], T], otherwise: T) -> T:
    try:
        return look()
    except _BROKEN:
        return otherwise


def _plain(text: str) -> str:
    """Return the text without what no database takes: controls, and halves of characters."""
    whole = text.encode("utf-8", "replace").decode()
    return "".join(c for c in whole if c in "\n\t" or unicodedata.category(c) != "Cc")


def _header(message: EmailMessage, name: str) -> str:
    return _plain(_unless_broken(lambda: ", ".join(str(value) for value in message.get_all(name, [])), ""))


def _addresses(message: EmailMessage, *names: str) -> list[str]:
    nothing: list[tuple[str, str]] = []
    found = _unless_broken(lambda: getaddresses([_header(message, name) for name in names]), nothing)
    return [address.strip() for _, address in found if "@" in address and len(address) <= 320][:50]


def _ids(message: EmailMessage, *names: str) -> list[str]:
    return [one for name in names for one in _IDS.findall(_header(message, name))][:100]


def _text(message: EmailMessage) -> str:
    """Return the plain text of the message; of one that has none, the words of its HTML."""
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    try:
        content = str(body.get_content())
    except (LookupError, ValueError, KeyError):
        payload = body.get_payload(decode=True)
        content = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    if body.get_content_type() == "text/html":
        broken = re.sub(r"(?i)<(?:br|/p|/div|/li|/tr)\b[^>]*>", "\n", content[: TEXT_MOST * 4])
        content = html.unescape(nh3.clean(broken, tags=set()))
    return content.replace("\r\n", "\n").replace("\r", "\n").strip()


def _fresh(text: str) -> str:
    """Return what the sender has written above what they quote; all of it where nothing else can be told."""
    from mailparser_reply import EmailReplyParser

    start = text[:ANSWER_MOST]
    newest = (EmailReplyParser(languages=LANGUAGES).parse_reply(text=start) or "").strip()
    # Who writes more than is looked at has quoted nothing within it.
    return text if not newest or newest == start.strip() else newest


def _files(message: EmailMessage) -> list[str]:
    names = [_plain(str(part.get_filename() or "a file")) for part in message.iter_attachments()]
    return [name[:100] for name in names][:20]


def _is_automatic(message: EmailMessage, senders: list[str]) -> bool:
    marked = _header(message, "Auto-Submitted").strip().lower()
    if marked and marked != "no":
        return True
    if _header(message, "Precedence").strip().lower() in {"bulk", "junk", "list", "auto_reply"}:
        return True
    if message.get_content_type() == "multipart/report" or _header(message, "X-Auto-Response-Suppress").strip():
        return True
    return not senders or _ROBOTS.fullmatch(senders[0].rpartition("@")[0]) is not None
