"""Mail that comes in: read without trust, told from robots, and nothing of it lost."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateways.mail_in import TEXT_MOST, read

pytestmark = pytest.mark.plain


def mail(text: str = "Yes, on Monday.", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Daniel <owner@lumen.example>"
    message["To"] = "Sales <replies+abc@help.example>"
    message["Message-ID"] = "<one@lumen.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def test_what_stands_in_it() -> None:
    found = read(mail(In_Reply_To="<x@y.example>", References="<a@b.example> <x@y.example>").as_bytes())
    assert (found.sender, found.recipients) == ("owner@lumen.example", ("replies+abc@help.example",))
    assert (found.message_id, found.text, found.quoted) == ("<one@lumen.example>", "Yes, on Monday.", "")
    assert found.references == ("<x@y.example>", "<a@b.example>", "<x@y.example>")
    assert not found.automatic


@pytest.mark.parametrize(
    "quote",
    [
        "On Mon, 23 Nov 2026 at 10:00, Sales <sales@help.example> wrote:\n> When can we talk?\n> Grace",
        "Am Mo., 23. Nov. 2026 um 10:00 Uhr schrieb Sales <sales@help.example>:\n> When can we talk?",
        "-----Original Message-----\nFrom: Sales\nSent: Monday\nTo: Daniel\nSubject: Premium\n\nWhen can we talk?",
    ],
)
def test_quoted_text_is_folded_and_kept(quote: str) -> None:
    found = read(mail(f"Yes, on Monday.\n\n{quote}").as_bytes())
    assert found.text == "Yes, on Monday."
    assert "When can we talk?" in found.quoted


def test_html_becomes_text_and_fetches_nothing() -> None:
    message = mail()
    message.set_content(
        "<p>Yes &amp; <b>no</b></p><script>alert(1)</script><img src='https://x.example/p.gif'>", "html"
    )
    found = read(message.as_bytes())
    assert "Yes & no" in found.text
    assert "<" not in found.text
    assert "alert" not in found.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Precedence": "bulk"},
        {"X_Auto_Response_Suppress": "All"},
    ],
)
def test_robots_are_told(headers: dict[str, str]) -> None:
    assert read(mail(**headers).as_bytes()).automatic
    assert not read(mail(Auto_Submitted="no").as_bytes()).automatic


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@x.example", "no-reply@x.example", "noreply+1@x.example", "", "none"])
def test_senders_that_nobody_is_are_robots(sender: str) -> None:
    message = mail()
    del message["From"]
    if sender:
        message["From"] = sender
    assert read(message.as_bytes()).automatic


def test_files_are_named_and_long_texts_cut() -> None:
    message = mail("x" * (TEXT_MOST + 10))
    message.add_attachment(b"1", maintype="text", subtype="csv", filename="plan.csv")
    found = read(message.as_bytes())
    assert found.files == ("plan.csv",)
    assert (found.text + found.quoted).endswith("[The rest of this mail is left out.]")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600))
def test_no_bytes_break_it(raw: bytes) -> None:
    found = read(raw)
    assert isinstance(found.text, str)
    read(b"From: a@b.example\r\nTo: =?utf-8?b?" + raw + b"\r\nContent-Type: " + raw + b"\r\n\r\n" + raw)


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Disposition: ;;;;filename*0*=''%",
        b"Content-Disposition: attachment; filename*=utf-8''%ff%fe",
        b"Content-Type: multipart/mixed; boundary=",
        b'Content-Type: text/plain; charset="utf-7"\r\nContent-Transfer-Encoding: base64',
        b"Message-ID: <a\x00b@c.example>",
        b"From: =?x?q?\x00?= <a@b.example>",
    ],
)
def test_malformed_headers_are_as_if_they_were_empty(header: bytes) -> None:
    found = read(b"From: a@b.example\r\n" + header + b"\r\n\r\nHello +2AA- \x00 there\r\n")
    everything = "".join((found.sender, found.message_id, found.text, found.quoted, *found.files, *found.recipients))
    assert "\x00" not in everything
    everything.encode("utf-8")


@pytest.mark.parametrize("piece", ["On ", "On Mon, a wrote ", "> ", "From: a\n", "-----Original Message-----\n"])
def test_text_that_means_it_ill_is_looked_at_for_a_part_only(piece: str) -> None:
    text = (piece * 60_000)[:TEXT_MOST]
    found = read(mail(text).as_bytes())
    assert len(found.text) + len(found.quoted) >= len(text.strip()) - 2


def test_a_long_answer_is_whole() -> None:
    text = "All of it. " * 1000
    found = read(mail(text).as_bytes())
    assert (found.text, found.quoted) == (text.strip(), "")
