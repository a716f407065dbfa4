"""Reads mail that came in: bytes of a message in, what the portal needs of it out. It trusts nothing that it reads."""

from __future__ import annotations

import html
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses

import nh3

from models.outside import Arrived

# Longer texts are cut here, which is said: the parser of replies is not made for them.
TEXT_MOST = 100_000
LANGUAGES = ["en", "de", "fr", "it", "ja", "nl", "pl", "sv", "da", "es", "cs", "ko", "zh"]
_IDS = re.compile(r"<[^<>\s]{1,250}>")
# RFC 3834 and what came before it: holiday notices, lists and reports of failures are read by nobody.
_ROBOTS = re.compile(r"(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)(?:[+.-].*)?", re.IGNORECASE)


def read(raw: bytes) -> Arrived:
    """Return what stands in the message; parts that cannot be read are as if they were empty."""
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    text = _text(message)
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
        files=tuple(_files(message)),
        automatic=_is_automatic(message, senders),
    )


def _header(message: EmailMessage, name: str) -> str:
    try:
        return ", ".join(str(value) for value in message.get_all(name, []))
    except (ValueError, IndexError, AttributeError, TypeError):
        # Headers that the library cannot parse.
        return ""


def _addresses(message: EmailMessage, *names: str) -> list[str]:
    found = getaddresses([_header(message, name) for name in names])
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

    newest = EmailReplyParser(languages=LANGUAGES).parse_reply(text=text) or ""
    return newest.strip() or text


def _files(message: EmailMessage) -> list[str]:
    names = [str(part.get_filename() or "a file") for part in message.iter_attachments()]
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
