"""Measures the portal beside the floor, in turns in one process: CPU time of application and database, as ratios.

`make bench` prints the table and writes bench/RESULTS.md. The two are called in turn, so that whatever else the machine does
falls on both; the figures are medians over the rounds.
"""

from __future__ import annotations

import io
import os
import platform
import re
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from floor import create_floor
from generate import BODY, PASSWORD, fill

ROUNDS, CALLS, TICKETS = 11, 20, int(os.environ.get("BENCH_TICKETS", "10000"))
WITHIN = {"list": 2, "search": 2, "open": 3, "form": 3, "file": 3}


@dataclass
class Browser:
    """Just enough of a browser to call a WSGI application without paying for a client."""

    app: Callable
    cookie: str = ""

    def call(self, path: str, form: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of one request."""
        path, _, query = path.partition("?")
        body = urlencode(form).encode() if form is not None else b""
        environ = {
            "REQUEST_METHOD": "GET" if form is None else "POST",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_ACCEPT_ENCODING": "gzip",
            "HTTP_COOKIE": self.cookie,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if form is not None:
            environ |= {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(body))}
        got: list = []
        answer = self.app(environ, lambda status, headers, _info=None: got.extend((status, headers)))
        data = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        headers = dict(got[1])
        if "Set-Cookie" in headers:
            self.cookie = headers["Set-Cookie"].split(";")[0]
        return int(got[0][:3]), data, headers


def plain(data: bytes, headers: dict[str, str]) -> str:
    """Return the page's text, unpacked."""
    import gzip

    return (gzip.decompress(data) if headers.get("Content-Encoding") == "gzip" else data).decode()


def token(page: str) -> str:
    """Return the page's CSRF token."""
    return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]


def main() -> None:
    """Fill a database, measure, print and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        from app import create_app
        from config import read_settings
        from extensions import db

        settings = read_settings({"DATA_FOLDER": folder, "ARGON2_MEMORY_KIB": "8", "ARGON2_ROUNDS": "1"})
        app = create_app(settings)
        started = time.perf_counter()
        with app.app_context():
            db.create_all()
            fill(db.session(), TICKETS)
        filled = time.perf_counter() - started
        ours, floor = Browser(app), Browser(create_floor(settings.database_url))
        _, data, headers = ours.call("/sign-in")
        sign_in = {"csrf_token": token(plain(data, headers)), "email": "owner@org-0.example", "password": PASSWORD}
        assert ours.call("/sign-in", sign_in)[0] == 303
        form = token(plain(*ours.call("/help/technical/new")[1:]))
        table = measure(work(ours, floor, form))
        write(table, filled, Path(settings.data / "help-center.sqlite").stat().st_size)


def work(ours: Browser, floor: Browser, csrf: str) -> dict[str, tuple[Callable, Callable]]:
    """Return each unit of work, ours and the floor's."""

    def see(browser: Browser, path: str) -> Callable[[], int]:
        def one() -> int:
            status, data, _ = browser.call(path)
            assert status == 200, (path, status)
            return len(data)

        return one

    def ours_files() -> int:
        given = {
            "csrf_token": csrf,
            "key": secrets.token_urlsafe(16),
            "summary": "Checkout queries time out",
            "organization": "org-0",
            "cluster": "",
            "environment": "Production",
            "description": BODY,
            "severity": "S2",
            "version": "v8.5.1",
        }
        status, _, headers = ours.call("/help/technical/new", given)
        assert status == 303, status
        return see(ours, headers["Location"])()

    def floor_files() -> int:
        given = {"summary": "Checkout queries time out", "description": BODY, "severity": "S2"}
        status, _, headers = floor.call("/new", given)
        assert status == 303, status
        return see(floor, headers["Location"])()

    return {
        "list": (see(ours, "/requests?status=all"), see(floor, "/tickets")),
        "search": (see(ours, "/requests?status=all&q=deadlock"), see(floor, "/tickets?q=deadlock")),
        "open": (see(ours, "/requests/TECH-77"), see(floor, "/tickets/TECH-77")),
        "form": (see(ours, "/help/technical/new"), see(floor, "/new")),
        "file": (ours_files, floor_files),
    }


def measure(units: dict[str, tuple[Callable, Callable]]) -> dict[str, tuple[float, float, int]]:
    """Return for each unit of work our CPU milliseconds, the floor's, and the bytes of our answer."""
    found: dict[str, tuple[list[float], list[float], list[int]]] = {name: ([], [], []) for name in units}
    for one, other in units.values():
        for _ in range(5):
            one(), other()
    for _ in range(ROUNDS):
        for name, pair in units.items():
            times = [0.0, 0.0]
            for _ in range(CALLS):
                for side in (0, 1):
                    before = time.process_time()
                    size = pair[side]()
                    times[side] += time.process_time() - before
                    if side == 0:
                        found[name][2].append(size)
            found[name][0].append(times[0] / CALLS * 1000)
            found[name][1].append(times[1] / CALLS * 1000)
    return {
        n: (statistics.median(a), statistics.median(b), int(statistics.median(c))) for n, (a, b, c) in found.items()
    }


def write(table: dict[str, tuple[float, float, int]], filled: float, size: int) -> None:
    """Print the table, and write it with the machine's description."""
    lines = [
        f"{TICKETS:,} tickets with ten messages each (written in {filled:.0f} s, {size / 1e6:.0f} MB), SQLite, "
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}. CPU milliseconds of application and "
        f"database for one unit of work, in turns with the floor; medians of {ROUNDS} rounds of {CALLS}. Ours is measured as it "
        "is served: signed in, with rights, headers and gzip. The floor is the same rows in bare pages, with none of that.",
        "",
        "| work | ours | floor | ratio | within | bytes, gzip |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    names = {
        "list": "my requests (25 rows)",
        "search": "search own",
        "open": "open (10 messages)",
        "form": "form",
        "file": "file (POST and page)",
    }
    for name, (ours, floor, weight) in table.items():
        lines.append(f"| {names[name]} | {ours:.1f} | {floor:.1f} | {ours / floor:.1f} | {WITHIN[name]} | {weight:,} |")
    text = "\n".join(lines)
    print(text)
    (HERE / "RESULTS.md").write_text(f"# Results\n\n{text}\n")
    readme = HERE.parent / "README.md"
    marked = re.sub(
        r"(?s)<!-- bench -->.*<!-- /bench -->", f"<!-- bench -->\n{text}\n<!-- /bench -->", readme.read_text()
    )
    readme.write_text(marked)


if __name__ == "__main__":
    main()
