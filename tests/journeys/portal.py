"""A portal that really runs, and a browser before it: what the journeys and the screenshots share."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

from config import HTMX_CDN, HTMX_VERSION
from models.demo import PASSWORD

HERE = Path(__file__).resolve().parents[2]
HTMX = HERE / "static" / "vendor" / f"htmx-{HTMX_VERSION}.min.js"
# Generous, since other work may share the machine; nothing waits for it where all is well.
PATIENCE = 15_000


class Portal:
    """`flask serve` with a data folder of its own: the web server, the worker and the demo world."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        cheap = {"ARGON2_MEMORY_KIB": "8", "ARGON2_ROUNDS": "1", "WEB_WORKERS": "1", "DEMO": "1", "UNDO_SECONDS": "0"}
        place = {"PORT": str(self.port), "DATA_FOLDER": str(folder), "FLASK_APP": "app:served", "PYTHONPATH": str(HERE)}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.log = folder.with_name(folder.name + ".log")
        self.environment = kept | cheap | place | settings
        self.process = self._start("serve", "wb")

    def _start(self, command: str, mode: str) -> subprocess.Popen[bytes]:
        with self.log.open(mode) as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flask", command],
                cwd=HERE,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return once it accepts connections; raises RuntimeError with what it printed when it does not."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"The portal did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """End it and everything that it started."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def turn(self, days: float) -> None:
        """Let the portal's clock be so many days ahead of the machine's."""
        (self.folder / "clock").write_text(str(round(days * 86_400)))

    def work_until(self, question: str, *values: object) -> None:
        """Let a second worker do what is due by the clock, at once, until the question has an answer."""
        worker = self._start("worker", "ab")
        until = time.monotonic() + 30
        try:
            while not self.ask(question, *values):
                assert time.monotonic() < until, f"the worker does not bring: {question}"
                time.sleep(0.1)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(20)

    def end_sign_ins(self, email: str) -> None:
        """End every sign-in of the person on the server, as time or an administrator would."""
        self.change(
            "UPDATE sign_ins SET ended_at = created_at WHERE person_id = (SELECT id FROM people WHERE email = ?)", email
        )

    def change(self, statement: str, *values: object) -> None:
        """Change the database behind the portal's back."""
        with contextlib.closing(sqlite3.connect(self.folder / "help-center.sqlite", timeout=10)) as connection:
            connection.execute(statement, values)
            connection.commit()

    def ask(self, question: str, *values: object) -> list[Any]:
        """Return the rows that answer a question to the database."""
        with contextlib.closing(sqlite3.connect(self.folder / "help-center.sqlite", timeout=10)) as connection:
            return connection.execute(question, values).fetchall()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def chromium(play: Playwright) -> Iterator[Browser]:
    """Start the system's Chromium, or the one that CHROMIUM names."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("CHROMIUM") or next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        raise RuntimeError("Chromium is missing: `make browser` installs it, or CHROMIUM=/path/to/it names one.")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", *quiet])
    try:
        yield browser
    finally:
        browser.close()


class Watch:
    """What must not happen in a browser while somebody uses the portal."""

    def __init__(self, base: str, htmx: bytes | None = None) -> None:
        self.base, self.htmx = base, HTMX.read_bytes() if htmx is None else htmx
        self.trouble: list[str] = []
        self.requests: list[tuple[str, str]] = []
        # Parts of messages that a test provokes and expects.
        self.expected: list[str] = []

    def over(self, context: BrowserContext) -> None:
        """Watch every page of the context, and answer for all other hosts."""
        context.route("**/*", self._answer)
        context.on("console", lambda message: self._said(message.type, message.text))
        context.on("weberror", lambda error: self.trouble.append(f"error: {error.error}"))

    def _said(self, kind: str, text: str) -> None:
        # A refusal is an answer with a page of its own, which browsers note as a failure to load.
        refused = "Failed to load resource" in text and any(
            f"status of {code}" in text for code in (403, 404, 409, 410, 422)
        )
        if kind == "error" and not refused:
            self.trouble.append(f"console: {text}")

    def _answer(self, route: Route) -> None:
        address = route.request.url
        if address.startswith((self.base, "data:", "blob:")):
            self.requests.append((route.request.method, address[len(self.base) :]))
            route.continue_()
        elif address == HTMX_CDN:
            # The header lets the browser check the bytes against the hash that the page names.
            headers = {"content-type": "text/javascript; charset=utf-8", "access-control-allow-origin": "*"}
            route.fulfill(status=200, headers=headers, body=self.htmx)
        else:
            self.trouble.append(f"a request to {urlsplit(address).netloc}")
            route.abort()

    def sent(self, method: str, path: str = "") -> list[str]:
        """Return the addresses of the requests with that method that begin with the path."""
        return [address for way, address in self.requests if way == method and address.startswith(path)]

    def check(self) -> None:
        """Raise AssertionError with all that happened and was not expected."""
        left = [one for one in self.trouble if not any(part in one for part in self.expected)]
        assert not left, "\n".join(left)


def sign_in(page: Page, base: str, email: str, way: str = "/sign-in") -> None:
    """Sign in with the form, as anybody would."""
    page.goto(base + way)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda address: "/sign-in" not in address)


def file_request(page: Page, summary: str, severity: str = "S3", door: str = "technical", **more: str) -> str:
    """File a request as the person of the page, by what its form would send, and return its key."""
    words = page.request.get(f"/help/{door}/new").text()
    given = {
        "csrf_token": _hidden(words, "csrf_token"),
        "key": _hidden(words.partition('id="ticket-form"')[2], "key"),
        "organization": (re.search(r'<option value="([^"]+)" selected', words) or ["", ""])[1],
        "summary": summary,
        "description": "It fails since this morning.",
        "environment": "Production",
        "severity": severity,
    } | ({"impact": "y"} if severity == "S1" else {})
    answer = page.request.post(f"/help/{door}/new", form=given | more)
    key = answer.url.rpartition("/")[2]
    if not answer.ok or "-" not in key:
        raise AssertionError(f"{answer.status} {answer.url}")
    return key


def write(agent: Page, mode: str, text: str) -> None:
    """Write a message on the desk's page that is open, and wait until it stands there."""
    agent.get_by_role("radio", name=mode).check()
    agent.locator("#body").fill(text)
    agent.locator("#composer .btn.primary").click()
    agent.locator("#thread article", has_text=text.partition("\n")[0]).wait_for()


def _hidden(words: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', words)
    if found is None:
        raise LookupError(name)
    return found[1]
