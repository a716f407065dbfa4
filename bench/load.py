"""A load curve: 1 to 512 clients at once against the portal as it is served, with what they waited and what it used.

The clients run on the same machine, in one process of their own, and take their share of its cores: the curve says how the
portal behaves when more and more people come, not how much it could do alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).parent
CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))


@dataclass
class Step:
    """What one number of clients found."""

    clients: int
    rate: float
    p50: float
    p95: float
    faults: int
    memory: float


def served(settings: dict[str, str]) -> subprocess.Popen:
    """Start the web processes with these settings, and wait until they answer."""
    environment = os.environ | settings | {"FLASK_APP": "app:served"}
    command = [sys.executable, "-m", "flask", "serve"]
    process = subprocess.Popen(command, cwd=HERE.parent, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            asyncio.run(_get(int(settings["PORT"]), "/healthz", ""))
        except OSError:
            time.sleep(0.2)
        else:
            return process
    raise TimeoutError("the portal does not answer")


async def _get(port: int, path: str, cookie: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    status, _ = await _ask(reader, writer, path, cookie)
    writer.close()
    return status


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    cookie: str,
    form: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send one request on an open connection and read the whole answer."""
    body = urlencode(form).encode() if form is not None else b""
    head = f"{'POST' if form is not None else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nAccept-Encoding: gzip\r\n"
    if form is not None:
        head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
    raw = await reader.readuntil(b"\r\n\r\n")
    lines = raw.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if "content-length" in headers:
        data = await reader.readexactly(int(headers["content-length"]))
    else:
        data = b""
        while size := int(await reader.readline(), 16):
            data += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    return int(lines[0].split(" ")[1]), data


async def _client(port: int, cookie: str, until: float, waits: list[float], faults: list[int], start: float) -> None:
    """Read pages one after the other, as eight of ten requests do; a client that is turned away comes again."""
    chance = random.Random(start)
    paths = [
        "/requests",
        "/requests?status=all",
        "/requests?q=deadlock&status=all",
        "/requests/TECH-77",
        "/help/technical/new",
        "/requests/TECH-78",
    ]
    reader = writer = None
    await asyncio.sleep(start)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            status, _ = await asyncio.wait_for(_ask(reader, writer, chance.choice(paths), cookie), 30)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            faults.append(0)
            writer = None
            continue
        if status != 200:
            faults.append(status)
        waits.append(time.monotonic() - began)
    if writer is not None:
        writer.close()


async def _step(port: int, cookie: str, clients: int) -> tuple[list[float], list[int], float]:
    waits, faults, began = list[float](), list[int](), time.monotonic()
    until = began + SECONDS
    await asyncio.gather(*(_client(port, cookie, until, waits, faults, n / clients * 0.2) for n in range(clients)))
    return waits, faults, time.monotonic() - began


async def _writer(
    port: int, cookie: str, form: dict[str, str], until: float, waits: list[float], faults: list[int]
) -> None:
    """File one request after the other, each with a key of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        began = time.monotonic()
        given = form | {"key": secrets.token_urlsafe(16)}
        try:
            status, _ = await asyncio.wait_for(_ask(reader, writer, "/help/technical/new", cookie, given), 30)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            faults.append(0)
            break
        if status != 303:
            faults.append(status)
        waits.append(time.monotonic() - began)
    writer.close()


async def _writing(port: int, people: list[tuple[str, dict[str, str]]]) -> tuple[list[float], list[int], float]:
    waits, faults, began = list[float](), list[int](), time.monotonic()
    await asyncio.gather(*(_writer(port, *one, began + SECONDS, waits, faults) for one in people))
    return waits, faults, time.monotonic() - began


def writes(process: subprocess.Popen, port: int, people: list[tuple[str, dict[str, str]]]) -> list[Step]:
    """Return what it is like when people, each a cookie and a filled form, file requests at the same time."""
    steps = []
    for clients in (1, 8, len(people)):
        waits, faults, took = asyncio.run(_writing(port, people[:clients]))
        steps.append(_step_of(clients, waits, faults, took, process))
    return steps


def memory_of(process: subprocess.Popen) -> float:
    """Return the megabytes (proportional share) of the process and all that it started."""
    family, total = {process.pid}, 0
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def curve(process: subprocess.Popen, port: int, cookie: str) -> list[Step]:
    """Return a step for each number of clients."""
    asyncio.run(_step(port, cookie, 4))  # nobody is measured while caches are cold
    steps = []
    for clients in CLIENTS:
        waits, faults, took = asyncio.run(_step(port, cookie, clients))
        steps.append(_step_of(clients, waits, faults, took, process))
    return steps


def _step_of(clients: int, waits: list[float], faults: list[int], took: float, process: subprocess.Popen) -> Step:
    ordered = sorted(waits) or [0.0]
    p95 = ordered[int(len(ordered) * 0.95)]
    return Step(
        clients, len(waits) / took, statistics.median(ordered) * 1000, p95 * 1000, len(faults), memory_of(process)
    )
