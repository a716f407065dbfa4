"""Hands letters to a mail server by SMTP."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from email.message import EmailMessage

from models.outside import TryLater, Undeliverable

# What the server says about us rather than about the recipient, whatever command it answers: closing down, a command
# out of order, no or wrong authentication, encryption needed. Such a letter goes again once somebody has mended it.
OUR_FAULT = frozenset({421, 503, 530, 534, 535, 538})
# Five minutes for one answer, as RFC 5321 section 4.5.3.2 would have it, lets a single server hold up all the mail.
WHOLE_CONVERSATION = 30.0


class SmtpMailer:
    """A mail server at a host and port; one connection for each letter.

    `security` is "none", "starttls" (which is demanded: there is no going on without it) or "tls" from the first byte;
    certificates are checked. `timeout` is how many seconds the server may take for one answer; a whole conversation
    takes at most 30. `sender` is the envelope's sender, where bounces go: without it the letter's From. Raises
    ValueError for another `security`, so that a slip of the pen cannot mean unencrypted.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str = "",
        password: str = "",
        security: str = "none",
        timeout: float = 20,
        sender: str = "",
    ) -> None:
        if security not in {"none", "starttls", "tls"}:
            raise ValueError(f"{security!r} is no way to secure mail.")
        self.host = host
        self.port = port
        self.username = username
        self.password = password
        self.security = security
        self.timeout = timeout
        self.sender = sender

    def send(self, letter: EmailMessage) -> None:
        """Deliver the letter; raises TryLater or Undeliverable with the server's words.

        Only a 5xx about this recipient or this text is final. A refusal of our connection, our sign-in or our sender
        is about our settings: staff see it on the waiting message, and the letter goes once it is mended.
        """
        sender = self.sender or letter["From"].addresses[0].addr_spec
        recipient = letter["To"].addresses[0].addr_spec
        conversation: _Conversation | None = None
        try:
            conversation = self._greet(sender.rpartition("@")[2])
            conversation.send_message(letter, sender, [recipient])
        except smtplib.SMTPRecipientsRefused as refusal:
            raise _verdict(*refusal.recipients[recipient]) from None
        except smtplib.SMTPDataError as refusal:
            raise _verdict(refusal.smtp_code, refusal.smtp_error) from None
        except smtplib.SMTPResponseException as refusal:
            raise TryLater(_words(refusal.smtp_code, refusal.smtp_error)) from None
        except smtplib.SMTPNotSupportedError as lack:
            # Without SMTPUTF8 an address with letters beyond ASCII can never be reached through this server.
            final = conversation is not None and not recipient.isascii()
            raise (Undeliverable if final else TryLater)(str(lack)) from None
        except (smtplib.SMTPException, OSError) as trouble:
            raise TryLater(f"No conversation with the mail server: {trouble or type(trouble).__name__}") from None
        finally:
            if conversation is not None:
                conversation.leave()

    def _greet(self, our_name: str) -> _Conversation:
        """Connect, encrypt and sign in."""
        context = None if self.security == "none" else ssl.create_default_context()
        conversation = _Conversation(our_name, self.timeout, context if self.security == "tls" else None)
        try:
            conversation.meet(self.host, self.port)
            if self.security == "starttls":
                conversation.starttls(context=context)
            if self.username:
                conversation.login(self.username, self.password)
        except BaseException:
            conversation.close()
            raise
        return conversation


class _Conversation(smtplib.SMTP):
    """SMTP that ends in time even with a server that sends a byte now and then."""

    def __init__(self, our_name: str, timeout: float, tls: ssl.SSLContext | None) -> None:
        # Without a name of ours smtplib asks the resolver for it, which may take longer than the whole conversation.
        super().__init__(local_hostname=our_name, timeout=timeout)
        self._tls = tls
        self._deadline = time.monotonic() + WHOLE_CONVERSATION

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # A name may stand for several addresses, each of which gets its own time.
        sock = socket.create_connection((host, port), timeout / 2)
        sock.settimeout(timeout)
        return self._tls.wrap_socket(sock, server_hostname=host) if self._tls else sock

    def meet(self, host: str, port: int) -> None:
        """Connect to a server that welcomes us; raises SMTPConnectError when it does not."""
        # The library learns the name for the certificate only when it connects at once, while it is made.
        self._host = host
        code, answer = self.connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer, within the time that is left."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Answers(self.sock, self.timeout, self._deadline))
        return super().getreply()

    def leave(self) -> None:
        """Say goodbye. What is sent is sent: a server that does not answer this changes nothing."""
        try:
            if self.sock is not None:
                self._deadline = min(self._deadline, time.monotonic() + 2)
                self.file = None
                self.quit()
        except (smtplib.SMTPException, OSError):
            pass
        finally:
            self.close()


class _Answers(io.RawIOBase):
    """The bytes that a server sends, until the deadline (on the monotonic clock)."""

    def __init__(self, sock: socket.socket, timeout: float, deadline: float) -> None:
        self._sock = sock
        self._timeout = timeout
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(min(left, self._timeout))
        return self._sock.recv_into(buffer)


def _verdict(code: int, answer: bytes | str) -> TryLater | Undeliverable:
    """Say what an answer about the recipient or the text means: 5xx is final unless it is about us."""
    final = 500 <= code < 600 and code not in OUR_FAULT
    return (Undeliverable if final else TryLater)(_words(code, answer))


def _words(code: int, answer: bytes | str) -> str:
    """Return the server's answer as one line of text."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(f"{code} {text}".split())
