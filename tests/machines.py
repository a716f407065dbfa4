"""Machines of one installation, each a process tree with a data folder of its own, and a gate to their database."""

from __future__ import annotations

import html
import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import urlencode

from models.base import token
from models.demo import PASSWORD

HERE = Path(__file__).resolve().parents[1]
FORM = "application/x-www-form-urlencoded"


def until(told: Callable[[], bool], within: float, what: str) -> float:
    """Wait until `told` says yes and return how long that took; fails with `what` after `within` seconds."""
    start = time.monotonic()
    while not told():
        assert time.monotonic() - start < within, f"not within {within:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """One `flask web` or `flask worker`, with its own folder and its log."""

    def __init__(self, folder: Path, command: str, **settings: str) -> None:
        self.command, self.port = command, free_port()
        place = {"PORT": str(self.port), "DATA_FOLDER": str(folder), "FLASK_APP": "app:served", "PYTHONPATH": str(HERE)}
        cheap = {"ARGON2_MEMORY_KIB": "8", "ARGON2_ROUNDS": "1", "WEB_WORKERS": "1", "DEMO": "1"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environment = kept | cheap | place | {"SECRET_KEY": "only-for-tests-" * 4} | settings
        self.log = folder.with_name(f"{folder.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Machine:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", self.command],
                cwd=HERE, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return self

    def ready(self) -> bool:
        """Whether /readyz says yes; fails with the log when the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return Client(self).get("/readyz").status == 200

    def tree(self) -> list[int]:
        """The process and all its descendants, as Linux knows them."""
        assert self.process is not None
        found, parents = [self.process.pid], {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        for number in found:
            found.extend(child for child, parent in parents.items() if parent == number)
        return found

    def kill(self) -> None:
        """End all of it at once, as a power cut would."""
        for number in self.tree():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self, within: float = 20) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


@dataclass(frozen=True)
class Answer:
    """What came back; 0 for a connection that was refused, -1 for one that broke."""

    status: int
    text: str = ""
    headers: Message = field(default_factory=Message)
    took: float = 0.0


class Client:
    """A browser without scripts: cookies, the CSRF token, one connection for each request."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def at(self, machine: Machine) -> Client:
        """The same browser, led to another machine by the load balancer."""
        other = Client(machine)
        other.cookies, other.csrf = self.cookies, self.csrf
        return other

    def get(self, path: str, timeout: float = 30) -> Answer:
        return self._ask("GET", path, None, timeout)

    def post(self, path: str, timeout: float = 30, **form: str) -> Answer:
        return self._ask("POST", path, urlencode({"csrf_token": self.csrf} | form), timeout)

    def _ask(self, method: str, path: str, body: str | None, timeout: float) -> Answer:
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Connection": "close",
        }
        start, connection = (
            time.monotonic(),
            http.client.HTTPConnection("127.0.0.1", self.machine.port, timeout=timeout),
        )
        try:
            connection.request(method, path, body, headers | ({"Content-Type": FORM} if body is not None else {}))
            response = connection.getresponse()
            text = response.read().decode()
        except ConnectionRefusedError:
            return Answer(0)
        except (OSError, http.client.HTTPException) as broken:
            return Answer(-1, repr(broken), took=time.monotonic() - start)
        finally:
            connection.close()
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        if found := re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text):
            self.csrf = html.unescape(found[1])
        return Answer(response.status, text, response.headers, time.monotonic() - start)

    def sign_in(self, email: str, password: str = PASSWORD) -> Answer:
        self.get("/sign-in")
        answer = self.post("/sign-in", email=email, password=password, next="/")
        if answer.status == 303:
            self.get("/profile")
        return answer

    def file(self, summary: str, key: str) -> Answer:
        """Send the technical form; the same key is the same form."""
        return self.post(
            "/help/technical/new", organization="lumen-retail", environment="Production", description="As told",
            severity="S3", cluster="", version="", summary=summary, key=key,
        )  # fmt: skip

    def reply(self, ticket: str, body: str, key: str = "") -> Answer:
        return self.post(f"/requests/{ticket}/comments", body=body, key=key or token())


class Gate:
    """Stands before the database: lets everything through, refuses, cuts what is open, or holds everything back."""

    def __init__(self, port: int) -> None:
        self.upstream = ("127.0.0.1", port)
        self.flow = threading.Event()
        self.flow.set()
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _address = listener.accept()
                server = socket.create_connection(self.upstream)
            except OSError:
                return
            self.pairs.append((client, server))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.flow.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Reset every open connection, as a server that was ended by force does."""
        for pair in self.pairs:
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # Another thread may be reading from it: only this wakes it up, so that the reset goes out.
                    end.shutdown(socket.SHUT_RD)
                end.close()
        self.pairs.clear()

    def refuse(self) -> None:
        """Be down: nobody gets in, and who was in is out."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def open(self) -> None:
        """Let everything through (again)."""
        self.flow.set()
        if self.listener.fileno() == -1:
            self.listener = socket.create_server(("127.0.0.1", self.port))
            self._serve()

    def freeze(self) -> None:
        """Keep every connection, take new ones, and say nothing."""
        self.flow.clear()
