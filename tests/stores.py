"""What tests of files need beside the portal: an S3 server that really runs, and a clamd that speaks its protocol."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import Request, urlopen

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
BUCKET = "attachments"
KEYS = {"S3_ACCESS_KEY_ID": "test", "S3_SECRET_ACCESS_KEY": "test"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class S3Server:
    """moto in a process of its own, with one bucket: what is said to it is S3 over HTTP."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The server writes large bodies to disk, where the test may look at memory.
            env=os.environ | {"MOTO_S3_DEFAULT_MAX_BUFFER_SIZE": "65536"},
        )
        self._wait()
        self.make_bucket()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError("The S3 server did not start.")

    def make_bucket(self) -> None:
        urlopen(Request(f"{self.address}/{BUCKET}", method="PUT"), timeout=10).close()

    def names(self) -> str:
        """Return the server's own list of what is in the bucket, as XML."""
        return str(urlopen(f"{self.address}/{BUCKET}?list-type=2", timeout=10).read().decode())

    def freeze(self) -> None:
        """Let it accept and never answer."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        urlopen(Request(f"{self.address}/moto-api/reset", method="POST"), timeout=10).close()
        self.make_bucket()

    def stop(self) -> None:
        self.thaw()
        self.process.terminate()
        self.process.wait(10)


class ClamdServer:
    """Speaks INSTREAM as clamd does: finds EICAR's test file and nothing else."""

    def __init__(self, path: Path | None = None, *, most: int = 1 << 30, mood: str = "well") -> None:
        if path is None:
            self._line = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self._line.getsockname()[1]}"
        else:
            self._line = socket.socket(socket.AF_UNIX)
            self._line.bind(str(path))
            self._line.listen()
            self.address = str(path)
        self._most, self.mood = most, mood
        self.scanned: list[int] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._line.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                line.settimeout(30)
                self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        assert _exactly(line, 10) == b"zINSTREAM\0"
        if self.mood == "mute":
            line.recv(1)
            time.sleep(3)
            return
        if self.mood == "dead":
            return
        body = b""
        while length := struct.unpack("!I", _exactly(line, 4))[0]:
            body += _exactly(line, length)
            if len(body) > self._most:
                line.sendall(b"INSTREAM size limit exceeded. ERROR\0")
                # As the real one does, it reads no more; the rest is drained so that the answer is not lost on TCP.
                line.shutdown(socket.SHUT_WR)
                while line.recv(65536):
                    pass
                return
        self.scanned.append(len(body))
        if self.mood == "confused":
            line.sendall(b"stream: Can't allocate memory ERROR\0")
        else:
            line.sendall(b"stream: Eicar-Test-Signature FOUND\0" if EICAR in body else b"stream: OK\0")

    def stop(self) -> None:
        # A thread that waits in accept() is woken by this, and not by close() alone.
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        self._thread.join(5)


def _exactly(line: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = line.recv(count - len(got))
        if not piece:
            raise ConnectionError("the client went away")
        got += piece
    return got
