"""Conversations with mail servers that accept, refuse, dawdle and vanish."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from gateways import smtp
from gateways.smtp import SmtpMailer
from models.outside import TryLater, Undeliverable

pytestmark = pytest.mark.plain


def letter(to: str = "ann@aurora.example") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Support <support@help.example>"
    message["To"] = to
    message["Message-ID"] = "<1234@help.example>"
    message.set_content("Hello 🚀")
    return message


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Desk:
    """Answers each command as it is told, and keeps what it accepted."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.kept: list[Envelope] = []

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("mail", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("rcpt", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self.answers.get("data", "250 OK")
        if answer == "hang":
            await asyncio.sleep(3)
        if answer == "drop":
            server.transport.abort()
        if answer.startswith("250"):
            self.kept.append(envelope)
        return answer


@contextmanager
def serving(desk: Desk, **settings: object) -> Iterator[int]:
    controller = Controller(desk, hostname="127.0.0.1", port=free_port(), **settings)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def speaking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server whose whole talk with one client is the function."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _address = server.accept()
            with client, suppress(OSError):
                talk(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_letter_arrives_with_its_envelope() -> None:
    desk = Desk()
    with serving(desk) as port:
        SmtpMailer("127.0.0.1", port, sender="bounces@help.example").send(letter())
        SmtpMailer("127.0.0.1", port).send(letter())
    assert [kept.mail_from for kept in desk.kept] == ["bounces@help.example", "support@help.example"]
    assert desk.kept[0].rcpt_tos == ["ann@aurora.example"]
    assert b"Message-ID: <1234@help.example>" in desk.kept[0].content


def test_an_address_beyond_ascii_arrives_where_the_server_knows_such() -> None:
    desk = Desk()
    with serving(desk, enable_SMTPUTF8=True) as port:
        SmtpMailer("127.0.0.1", port).send(letter("zoë@aurora.example"))
    assert desk.kept[0].rcpt_tos == ["zoë@aurora.example"]


def test_an_address_beyond_ascii_is_undeliverable_where_the_server_does_not() -> None:
    with serving(Desk(), enable_SMTPUTF8=False) as port, pytest.raises(Undeliverable, match="SMTPUTF8"):
        SmtpMailer("127.0.0.1", port).send(letter("zoë@aurora.example"))


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"rcpt": "450 4.2.0 Greylisted"}, TryLater),
        ({"rcpt": "550 5.1.1 No such user"}, Undeliverable),
        ({"rcpt": "530 5.7.0 Authentication required"}, TryLater),
        ({"rcpt": "421 4.3.2 Shutting down"}, TryLater),
        ({"data": "451 4.3.0 Local error"}, TryLater),
        ({"data": "554 5.7.1 Content refused"}, Undeliverable),
        ({"mail": "451 4.3.0 Local error"}, TryLater),
        ({"mail": "550 5.7.1 Sender refused"}, TryLater),
    ],
)
def test_what_an_answer_means(answers: dict[str, str], outcome: type[Exception]) -> None:
    desk = Desk(**answers)
    [words] = answers.values()
    with serving(desk) as port, pytest.raises(outcome) as caught:
        SmtpMailer("127.0.0.1", port).send(letter())
    assert str(caught.value) == words
    assert desk.kept == []


def test_a_wrong_password_of_ours_is_no_fault_of_the_recipient() -> None:
    def refuse(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    settings = {"authenticator": refuse, "auth_require_tls": False}
    with serving(Desk(), **settings) as port, pytest.raises(TryLater, match="535"):
        SmtpMailer("127.0.0.1", port, "desk", "wrong").send(letter())


def test_a_letter_does_not_go_unencrypted_where_encryption_is_demanded() -> None:
    desk = Desk()
    with serving(desk) as port:
        with pytest.raises(TryLater, match="STARTTLS"):
            SmtpMailer("127.0.0.1", port, security="starttls").send(letter())
        with pytest.raises(TryLater):
            SmtpMailer("127.0.0.1", port, security="tls", timeout=1).send(letter())
    assert desk.kept == []


def test_a_server_that_hangs_or_drops_the_line_after_the_text_means_later() -> None:
    with serving(Desk(data="drop")) as port, pytest.raises(TryLater):
        SmtpMailer("127.0.0.1", port).send(letter())
    with serving(Desk(data="hang")) as port:
        began = time.monotonic()
        with pytest.raises(TryLater, match="timed out"):
            SmtpMailer("127.0.0.1", port, timeout=0.4).send(letter())
        assert time.monotonic() - began < 1.5


def test_an_unknown_way_to_secure_mail_is_no_way() -> None:
    with pytest.raises(ValueError, match="startls"):
        SmtpMailer("127.0.0.1", 25, security="startls")


def test_no_server_at_all_means_later() -> None:
    with pytest.raises(TryLater, match="No conversation"):
        SmtpMailer("127.0.0.1", free_port()).send(letter())


@pytest.mark.parametrize("greeting", [b"554 5.7.1 Your network is listed\r\n", b"", b"nonsense\r\n", b"421 Busy\r\n"])
def test_a_server_that_does_not_welcome_us_means_later(greeting: bytes) -> None:
    with speaking(lambda client: client.sendall(greeting)) as port, pytest.raises(TryLater):
        SmtpMailer("127.0.0.1", port, timeout=1).send(letter())


def test_a_server_that_sends_a_byte_now_and_then_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "WHOLE_CONVERSATION", 0.6)

    def drip(client: socket.socket) -> None:
        for _ in range(40):
            client.sendall(b"2")
            time.sleep(0.1)

    began = time.monotonic()
    with speaking(drip) as port:
        with pytest.raises(TryLater, match="timed out"):
            SmtpMailer("127.0.0.1", port).send(letter())
        assert time.monotonic() - began < 1.5


def test_what_is_accepted_is_sent_even_if_the_server_never_says_goodbye() -> None:
    heard: list[bytes] = []

    def talk(client: socket.socket) -> None:
        client.sendall(b"220 hello\r\n")
        with client.makefile("rb") as lines:
            text = False
            for line in lines:
                heard.append(line)
                if text and line != b".\r\n":
                    continue
                text = line.upper().startswith(b"DATA")
                if line.upper().startswith(b"QUIT"):
                    return
                client.sendall(b"354 go\r\n" if text else b"250 OK\r\n")

    with speaking(talk) as port:
        SmtpMailer("127.0.0.1", port).send(letter())
    assert b".\r\n" in heard
    assert heard[-1].upper() == b"QUIT\r\n"
    assert heard[0] == b"ehlo help.example\r\n"
