"""Measures the portal beside the floor: CPU time of application and database for one unit of work, as ratios.

`make bench` measures 10,000, 100,000 and 1,000,000 tickets on SQLite and on PostgreSQL, then a load curve, and writes
bench/RESULTS.md and the table in README.md. Ours and the floor's turns alternate, so that whatever else the machine does falls
on both; figures are medians over the rounds.

BENCH_TICKETS=10000,100000 and BENCH_DATABASES=sqlite measure less. BENCH_FOLDER keeps the filled databases for the next time.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from client import Browser
from flask import Flask
from floor import create_floor
from generate import BODY, PASSWORD, make
from load import Step, curve, served, writes
from sqlalchemy import create_engine, make_url, text

ROUNDS, CALLS = int(os.environ.get("BENCH_ROUNDS", "7")), 20
SIZES = [int(size) for size in os.environ.get("BENCH_TICKETS", "10000,100000,1000000").split(",")]
DATABASES = os.environ.get("BENCH_DATABASES", "sqlite,postgresql").split(",")
LOAD = os.environ.get("BENCH_LOAD", "1") == "1"
NAMES = {
    "list": "my requests (25 rows)",
    "search": "search own",
    "open": "open (10 messages)",
    "form": "form",
    "file": "file (POST and page)",
    "desk": "desk queue (25 rows)",
    "desk search": "desk search",
}
WITHIN = {"list": "2", "search": "2", "open": "3", "form": "3", "file": "3", "desk": "2", "desk search": ""}


@dataclass
class Figures:
    """What one unit of work cost, each a list with a figure for each round; milliseconds, and bytes."""

    ours: list[float] = field(default_factory=list)
    ours_database: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    floor_database: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    size: int = 0

    def of(self, name: str) -> float:
        """Return the median of a figure."""
        return statistics.median(getattr(self, name))

    @property
    def ratio(self) -> float:
        """How many times the floor ours costs, application and database together."""
        return (self.of("ours") + self.of("ours_database")) / (self.of("floor") + self.of("floor_database"))


def database_time(url: str) -> float:
    """Return the CPU seconds that the server's processes have used for the database; SQLite's are the application's own.

    Processes that serve another database of the same server are left out; those that serve all are counted.
    """
    if url.startswith("sqlite"):
        return 0.0
    total, ours = 0, f" {make_url(url).database} "
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().startswith("postgres"):
                title = (path.parent / "cmdline").read_text()
                if ours in title or not _OF_A_DATABASE.search(title):
                    total += int((path.parent / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


# How PostgreSQL titles what serves one database: a client's address or socket, or the work on its tables.
_OF_A_DATABASE = re.compile(r"\(\d+\)|\[local\]|autovacuum worker|parallel worker")


def filled_form(csrf: str, organization: str) -> dict[str, str]:
    """Return a request as somebody files it, but for its key."""
    return {
        "csrf_token": csrf,
        "summary": "Checkout queries time out",
        "organization": organization,
        "cluster": "",
        "environment": "Production",
        "description": BODY,
        "severity": "S2",
        "version": "v8.5.1",
    }


def units(ours: Browser, floor: Browser, agent: Browser) -> dict[str, tuple[Callable[[], int], Callable[[], int]]]:
    """Return each unit of work, ours and the floor's."""
    form = filled_form(ours.token("/help/technical/new"), "org-0")

    def ours_files() -> int:
        given = form | {"key": secrets.token_urlsafe(16)}
        status, _, headers = ours.call("/help/technical/new", given)
        assert status == 303, status
        return ours.see(headers["Location"])

    def floor_files() -> int:
        given = {"summary": "Checkout queries time out", "description": BODY, "severity": "S2"}
        status, _, headers = floor.call("/new", given)
        assert status == 303, status
        return floor.see(headers["Location"])

    def both(one: Browser, path: str, other: str) -> tuple[Callable[[], int], Callable[[], int]]:
        return lambda: one.see(path), lambda: floor.see(other)

    return {
        "list": both(ours, "/requests?status=all", "/tickets"),
        "search": both(ours, "/requests?status=all&q=deadlock", "/tickets?q=deadlock"),
        "open": both(ours, "/requests/TECH-77", "/tickets/TECH-77"),
        "form": both(ours, "/help/technical/new", "/new"),
        "file": (ours_files, floor_files),
        "desk": both(agent, "/desk", "/queue"),
        "desk search": both(agent, "/desk?queue=all&q=deadlock", "/queue"),
    }


def measure(  # noqa: C901 (each turn measures four things of two sides)
    work: dict[str, tuple[Callable[[], int], Callable[[], int]]], url: str
) -> dict[str, Figures]:
    """Call each unit of work of ours and of the floor in turn, and return what they cost."""
    found = {name: Figures() for name in work}
    for one, other in work.values():
        for _ in range(5):
            one(), other()
    for _ in range(ROUNDS):
        for name, pair in work.items():
            figures, used = found[name], [[0.0, 0.0], [0.0, 0.0]]
            for _ in range(4):
                for side in (0, 1):
                    cpu, server, wall = time.process_time(), database_time(url), time.perf_counter()
                    for _ in range(CALLS // 4):
                        size = pair[side]()
                    if side == 0:
                        figures.size = size
                        figures.latency.append((time.perf_counter() - wall) / (CALLS // 4) * 1000)
                    used[side][0] += time.process_time() - cpu
                    used[side][1] += database_time(url) - server
            for side, names in enumerate((("ours", "ours_database"), ("floor", "floor_database"))):
                for column, part in enumerate(names):
                    getattr(figures, part).append(used[side][column] / CALLS * 1000)
    return found


def prepared(kind: str, size: int, folder: Path) -> tuple[str, float]:
    """Return the address of a filled database, and the seconds that filling it took (0 when it was there)."""
    if kind == "sqlite":
        path = folder / f"bench-{size}.sqlite"
        url, there = f"sqlite:///{path}", path.exists()
    else:
        server = make_url(
            subprocess.run(
                [str(HERE.parent / ".ci/databases"), kind], check=True, capture_output=True, text=True
            ).stdout.strip()
        )
        url = server.set(database=f"helpcenter_bench_{size}").render_as_string(hide_password=False)
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            there = bool(
                connection.scalar(
                    text("SELECT 1 FROM pg_database WHERE datname = :n"), {"n": f"helpcenter_bench_{size}"}
                )
            )
            if not there:
                connection.execute(text(f"CREATE DATABASE helpcenter_bench_{size}"))
        admin.dispose()
    if there:
        return url, 0.0
    started = time.perf_counter()
    make(url, size)
    return url, time.perf_counter() - started


def environment(url: str, folder: Path) -> dict[str, str]:
    """Return the settings of an installation on that database; hashing is cheap, since nothing is guarded here."""
    return {"DATA_FOLDER": str(folder / "data"), "DATABASE_URL": url, "ARGON2_MEMORY_KIB": "8", "ARGON2_ROUNDS": "1"}


def one_size(kind: str, size: int, folder: Path) -> tuple[dict[str, Figures], float, tuple[list[Step], list[Step]]]:
    """Measure one database of one size."""
    from app import create_app
    from config import read_settings
    from extensions import db

    url, filled = prepared(kind, size, folder)
    app = create_app(read_settings(environment(url, folder)))
    ours, agent, floor = Browser(app), Browser(app), Browser(create_floor(url))
    ours.sign_in("owner@org-0.example", PASSWORD)
    agent.sign_in("agent@bench.example", PASSWORD)
    table = measure(units(ours, floor, agent), url)
    with app.app_context():
        db.engine.dispose()
    steps: tuple[list[Step], list[Step]] = ([], [])
    if LOAD and size == SIZES[0]:
        process = served(environment(url, folder) | {"PORT": "8765"})
        try:
            steps = (curve(process, 8765, ours.cookie), writes(process, 8765, writers(app)))
        finally:
            process.terminate()
            process.wait(30)
    return table, filled, steps


def writers(app: Flask) -> list[tuple[str, dict[str, str]]]:
    """Return the cookie and the filled form of people of different organizations."""
    found = []
    for house in range(32):
        browser = Browser(app)
        browser.sign_in(f"owner@org-{house}.example", PASSWORD)
        form = filled_form(browser.token("/help/technical/new"), f"org-{house}")
        # The page with the form has put its secret into the cookie.
        found.append((browser.cookie, form))
    return found


def described() -> str:
    """Return the machine in words."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return f"{os.cpu_count()} cores ({model or platform.machine()}), {memory / 1e6:.0f} GB, {platform.system()}, Python {platform.python_version()}"


def table_of(table: dict[str, Figures]) -> list[str]:
    """Return the rows of one size as Markdown."""
    lines = [
        "| work | ours: application | database | floor: application | database | ratio | within | latency, median | bytes, gzip |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in table.items():
        cells = [f"{one.of(part):.2f}" for part in ("ours", "ours_database", "floor", "floor_database")]
        ratio = "" if name == "desk search" else f"{one.ratio:.2f}"
        lines.append(
            f"| {NAMES[name]} | {' | '.join(cells)} | {ratio} | {WITHIN[name]} | {one.of('latency'):.1f} | {one.size:,} |"
        )
    return lines


def growth(results: dict[tuple[str, int], dict[str, Figures]], kind: str) -> list[str]:
    """Return how ours grows from the smallest to the largest size, as Markdown."""
    first, last = results[kind, SIZES[0]], results[kind, SIZES[-1]]
    lines = [f"| work | {SIZES[0]:,} | {SIZES[-1]:,} | growth | within |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in first:
        before, after = (one[name].of("ours") + one[name].of("ours_database") for one in (first, last))
        lines.append(f"| {NAMES[name]} | {before:.2f} | {after:.2f} | {after / before:.2f} | 1.2 |")
    return lines


def curve_of(steps: list[Step]) -> list[str]:
    """Return a load curve as Markdown."""
    lines = [
        "| clients | a second | median, ms | p95, ms | faults | memory, MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return lines + [
        f"| {s.clients} | {s.rate:.0f} | {s.p50:.0f} | {s.p95:.0f} | {s.faults} | {s.memory:.0f} |" for s in steps
    ]


def main() -> None:
    """Measure everything, and write it down."""
    kept = os.environ.get("BENCH_FOLDER")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(kept or temporary)
        results, parts, curves = {}, [], []
        for kind in DATABASES:
            for size in SIZES:
                table, filled, steps = one_size(kind, size, folder)
                results[kind, size] = table
                how = f" (filled in {filled:.0f} s)" if filled else ""
                parts += [f"## {kind}, {size:,} tickets{how}", "", *table_of(table), ""]
                print("\n".join(parts[-len(table) - 5 :]), flush=True)
                for words, some in zip(("Pages", "Filed requests"), steps, strict=True):
                    if some:
                        curves += [f"## {words} under load, {kind}, {size:,} tickets", "", *curve_of(some), ""]
                        print("\n".join(curves[-len(some) - 5 :]), flush=True)
            if len(SIZES) > 1:
                parts += [f"## Growth on {kind}", "", *growth(results, kind), ""]
    write(results, parts + curves)


def write(results: dict[tuple[str, int], dict[str, Figures]], parts: list[str]) -> None:
    """Write bench/RESULTS.md, and the smallest SQLite table into the README."""
    about = (
        f"{described()}. CPU milliseconds for one unit of work, ours and the floor's in turns in one process; medians of "
        f"{ROUNDS} rounds of {CALLS}. Ours is measured as it is served: signed in, with rights, headers and gzip. The floor "
        "is a plain program on the same tables: mapped classes, the same rows and figures in bare pages, and none of that "
        "(bench/floor.py). SQLite's time is part of the application's."
    )
    (HERE / "RESULTS.md").write_text("\n".join(["# Results", "", about, "", *parts]).rstrip() + "\n")
    first = next(iter(results))
    kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[first[0]]
    more = "more in [bench/RESULTS.md](bench/RESULTS.md)"
    text = f"{first[1]:,} tickets with ten messages each on {kind}; {more}. {about}\n\n" + "\n".join(
        table_of(results[first])
    )
    readme = HERE.parent / "README.md"
    marked = re.sub(
        r"(?s)<!-- bench -->.*<!-- /bench -->", lambda _: f"<!-- bench -->\n{text}\n<!-- /bench -->", readme.read_text()
    )
    readme.write_text(marked)


if __name__ == "__main__":
    main()
