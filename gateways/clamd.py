"""The virus scanner ClamAV: a running clamd, asked over its socket."""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress

from models.outside import TooLargeToScan

log = logging.getLogger(__name__)

_ANSWER_MOST = 4096


class Clamd:
    """A Scanner. Bytes are streamed to clamd (INSTREAM), which need not be able to read our files."""

    def __init__(self, address: str, timeout: float) -> None:
        """Take "host:port" or the path of a Unix socket, and the seconds in which one file must be scanned."""
        self._address, self._timeout = address, timeout

    def scan(self, chunks: Iterable[bytes]) -> str:
        """Return the name of what was found, "" for nothing; raises OSError without a verdict, and TooLargeToScan."""
        try:
            answer = self._ask(chunks)
        except OSError as trouble:
            log.error("clamd at %s gives no verdict: %s", self._address, trouble)  # noqa: TRY400 (one line is enough)
            raise
        if answer == "stream: OK":
            return ""
        if answer.startswith("stream: ") and answer.endswith(" FOUND"):
            found = answer.removeprefix("stream: ").removesuffix(" FOUND")
            log.warning("clamd found %s in a file that somebody sent.", found)
            return found
        log.error("clamd at %s answers: %r", self._address, answer)
        if "size limit exceeded" in answer:
            raise TooLargeToScan
        raise OSError(f"clamd answers {answer!r}")

    def _ask(self, chunks: Iterable[bytes]) -> str:
        until = time.monotonic() + self._timeout
        with self._connect() as line:
            # A limit that is reached is answered while we still send, and the line is closed: the answer counts.
            with suppress(BrokenPipeError, ConnectionResetError):
                line.sendall(b"zINSTREAM\0")
                for chunk in chunks:
                    line.settimeout(_left(until))
                    if chunk:
                        line.sendall(struct.pack("!I", len(chunk)) + chunk)
                line.sendall(struct.pack("!I", 0))
            return _answer(line, until)

    def _connect(self) -> socket.socket:
        timeout = min(self._timeout, 5.0)
        if self._address.startswith("/"):
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(timeout)
            try:
                line.connect(self._address)
            except OSError:
                line.close()
                raise
            return line
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)


def _answer(line: socket.socket, until: float) -> str:
    """Return clamd's line without its end."""
    said = b""
    while not said.endswith(b"\0") and len(said) < _ANSWER_MOST:
        line.settimeout(_left(until))
        try:
            piece = line.recv(_ANSWER_MOST)
        except ConnectionResetError:
            piece = b""
        if not piece:
            break
        said += piece
    if not said:
        raise ConnectionError("the line was closed without an answer")
    return said.rstrip(b"\0\n").decode("utf-8", "replace")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left
