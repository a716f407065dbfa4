"""Uploads to the portal as it is served: what is too large is refused early, cheaply, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from journeys.portal import HERE, Portal
from stores import BUCKET, KEYS, S3Server, free_port

from models.demo import PASSWORD

MEGABYTE = 1024 * 1024
GIGABYTE = 1024 * MEGABYTE
LIMIT = 10 * 25 * MEGABYTE + 4 * MEGABYTE
PIECE = b"x" * 256 * 1024
HEAD = b'--frontier\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    portal = Portal(tmp_path_factory.mktemp("uploads") / "data")
    portal.wait()
    yield portal
    portal.stop()


class Web:
    """A signed-in client that speaks HTTP as it likes."""

    def __init__(self, portal: Portal, email: str = "owner@lumen.example") -> None:
        self.port, self.cookies = portal.port, SimpleCookie()
        self.get("/sign-in")
        form = {"csrf_token": self.token, "email": email, "password": PASSWORD}
        self.ask("POST", "/sign-in", urlencode(form), "application/x-www-form-urlencoded")
        self.get("/help/billing/new")

    def get(self, path: str) -> None:
        _, text = self.ask("GET", path)
        found = re.search(r'name="csrf_token" value="([^"]*)"', text)
        assert found, text[:500]
        self.token = found[1]

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Cookie": "; ".join(f"{name}={item.value}" for name, item in self.cookies.items()),
            "Origin": f"http://127.0.0.1:{self.port}",
        }

    def ask(self, method: str, path: str, body: str | None = None, kind: str = "text/plain") -> tuple[int, str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request(method, path, body, {**self.headers, "Content-Type": kind})
        answer = line.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookies.load(cookie)
        line.close()
        return answer.status, text

    def flood(self, path: str, length: str) -> tuple[int, int, float]:
        """Send a gigabyte; return the status, how many bytes went out until it came, and the seconds."""
        before = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            # What lies in the system's buffers was sent, and read by nobody: on a busy machine many megabytes.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
            heads = {**self.headers, "Host": f"127.0.0.1:{self.port}"}
            heads["Content-Type"] = "multipart/form-data; boundary=frontier"
            text = "".join(f"{name}: {value}\r\n" for name, value in heads.items())
            line.sendall(f"POST {path} HTTP/1.1\r\n{text}{length}\r\n\r\n".encode())
            field = f'--frontier\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{self.token}\r\n'
            sent, part, chunked = 0, field.encode() + HEAD, "chunked" in length
            # The server may close the line: it wants no more. It is looked for an answer before each piece.
            with contextlib.suppress(ConnectionError):
                while sent < GIGABYTE and not select.select([line], [], [], 0)[0]:
                    line.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
                    sent, part = sent + len(part), PIECE
            said = b""
            with contextlib.suppress(ConnectionError):
                said = line.recv(4096)
            status = re.match(rb"HTTP/1\.1 (\d+)", said)
        return int(status[1]) if status else 0, sent, time.monotonic() - before


def memory_of(portal: Portal) -> int:
    """Return the kilobytes that the portal's processes have in memory together, and had at most."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            folder = (status.parent / "environ").read_bytes()
        except (OSError, ValueError):
            continue
        if f"DATA_FOLDER={portal.folder}".encode() in folder.split(b"\0"):
            total += int(fields.get("VmHWM", "0 kB").split()[0])
    return total


def left_behind(portal: Portal) -> list[str]:
    """Return the files that an upload could have left, held open ones included."""
    found = [path.name for path in portal.folder.rglob("*") if path.is_file() and path.stat().st_size > 10 * MEGABYTE]
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(handle.readlink())
        except OSError:
            continue
        if target.startswith(f"{portal.folder}/") and "deleted" in target:
            found.append(target)
    return found


@pytest.mark.parametrize("length", [f"Content-Length: {GIGABYTE}", "Transfer-Encoding: chunked"])
def test_a_gigabyte_is_refused_early_cheaply_and_without_a_trace(portal: Portal, length: str) -> None:
    web = Web(portal)
    before = memory_of(portal)
    status, sent, took = web.flood("/help/billing/files", length)
    assert (status, sent <= LIMIT + 10 * MEGABYTE) == (413, True), f"{status} after {sent}"
    assert took <= 5, f"{took:.1f} s"
    grown = memory_of(portal) - before
    assert grown <= 50 * 1024, f"{grown} kB more"
    time.sleep(0.2)
    assert left_behind(portal) == []
    assert web.ask("GET", "/help/billing/new")[0] == 200


@pytest.mark.parametrize("length", [f"Content-Length: {100 * MEGABYTE}", "Transfer-Encoding: chunked"])
def test_a_stranger_is_sent_away_before_the_body_is_read(portal: Portal, length: str) -> None:
    web = Web(portal)
    web.cookies.clear()
    status, sent, took = web.flood("/help/billing/files", length)
    assert status == 303
    # What lies in the buffers between was sent, and read by nobody.
    assert sent <= 10 * MEGABYTE
    assert took <= 2


def serve_with(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `flask serve` with settings that it should refuse."""
    environment = {"PATH": "/usr/bin:/bin", "DATA_FOLDER": str(folder), "FLASK_APP": "app:served", **KEYS, **settings}
    command = [sys.executable, "-m", "flask", "serve"]
    return subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_wrong_bucket_is_refused_by_name_at_the_start(tmp_path: Path) -> None:
    server = S3Server()
    try:
        wrong = {"FILES": "s3", "S3_BUCKET": "no-such-bucket", "S3_ENDPOINT": server.address}
        ended = serve_with(tmp_path / "data", **wrong, PORT=str(free_port()))
    finally:
        server.stop()
    assert (ended.returncode, ended.stderr) == (1, "S3_BUCKET: the store has no bucket no-such-bucket.\n")
    missing = serve_with(tmp_path / "data", FILES="s3", S3_BUCKET=BUCKET, S3_SECRET_ACCESS_KEY="")
    assert (missing.returncode, missing.stderr) == (1, "Bad setting. S3_SECRET_ACCESS_KEY: FILES=s3 needs it.\n")
