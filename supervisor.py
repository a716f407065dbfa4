"""What runs the portal's processes on one machine: starts them, starts them again, drains and ends them together."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event
from types import FrameType

from config import Settings
from models.demo import ACCOUNTS, PASSWORD

HERE = Path(__file__).parent
# For the C library: give the 19 MiB of a password's hash back at once, and do not keep a heap for every thread.
_THRIFT = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}
# The child processes get so long to finish what they are doing; somebody who presses Ctrl-C waits less.
STOP_WITHIN = 32.0
HURRY_WITHIN = 12.0


class Supervisor:
    """Runs the web server and, unless others do, the worker side by side, and ends both together."""

    def __init__(self, chosen: Settings, *, with_worker: bool = True) -> None:
        self.settings = chosen
        self.with_worker = with_worker
        self.hurry = False
        self.stopping = Event()
        self.web: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run until a signal or the end of the web server; return the exit code."""
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, self._stop)
        # What a server that was killed while it drained has left behind.
        self.settings.draining.unlink(missing_ok=True)
        code = 1
        try:
            self.web = self._start(self._web_command())
            if self._answers():
                if self.with_worker:
                    self.worker = self._start([sys.executable, "-m", "flask", "worker", "--with-parent"])
                self._greet()
            code = self._watch()
            self._drain()
        finally:
            self._end()
            self.settings.draining.unlink(missing_ok=True)
        return code

    def _web_command(self) -> list[str]:
        chosen = self.settings
        options = {
            "--interface": "wsgi",
            "--host": chosen.host,
            "--port": chosen.port,
            "--workers": chosen.web_workers,
            "--blocking-threads": chosen.web_threads,
            # So many slow or idle connections must not keep others out; each costs little.
            "--backlog": 2048,
            "--backpressure": 1024,
            "--workers-kill-timeout": 30,
            "--log-level": "warning",
        }
        flat = [str(part) for pair in options.items() for part in pair]
        extra = ["--factory", "--respawn-failed-workers", "--no-ws"]
        return [sys.executable, "-m", "granian", *flat, *extra, "app:served"]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = _THRIFT | os.environ | {"FLASK_APP": "app:served", "PYTHONPATH": str(HERE)}
        # Each has a process group of its own: a Ctrl-C of the terminal is answered here alone and passed on once, and
        # what a killed server leaves behind can be ended.
        return subprocess.Popen(
            command,
            cwd=HERE,
            env=environment,
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (no thread runs here)
        )

    def _answers(self) -> bool:
        """Wait until the web server accepts connections; False when it ended, or this is stopping."""
        while not self.stopping.is_set() and self.web is not None and self.web.poll() is None:
            with suppress(OSError), socket.create_connection((self.settings.host, self.settings.port), timeout=1):
                return True
            self.stopping.wait(0.05)
        return False

    def _greet(self) -> None:
        chosen = self.settings
        print(f"The Help Center is at {chosen.base_url} (Ctrl-C stops it).", flush=True)
        if chosen.demo:
            width = max(len(account.email) for account in ACCOUNTS)
            print(f"\nSign in as one of these; every password is {PASSWORD}\n")
            print("\n".join(f"  {account.email:{width}}  {account.who}" for account in ACCOUNTS))
            print(f"\nWhat it mails is at {chosen.base_url}/demo/mail\n", flush=True)

    def _watch(self) -> int:
        """Wait for the end; whichever of the two died is started again. Return the exit code."""
        while not self.stopping.wait(0.25):
            if self.web is None or self.web.poll() is not None:
                # It gives up when its processes are killed faster than it takes to be sure of new ones.
                print("The web server ended by itself; starting it again.", file=sys.stderr)
                self.web = self._start(self._web_command())
                if not self._answers() and not self.stopping.is_set():
                    print("The web server does not start any more.", file=sys.stderr)
                    return 1
            if self.worker is not None and self.worker.poll() is not None:
                print(f"The worker ended (code {self.worker.returncode}); starting it again.", file=sys.stderr)
                self.stopping.wait(1)
                self.worker = self._start([sys.executable, "-m", "flask", "worker", "--with-parent"])
        return 0

    def _stop(self, sign: int, _frame: FrameType | None) -> None:
        # Somebody at a terminal waits for nothing that a load balancer needs; the same sign twice means it as well.
        self.hurry = sign == signal.SIGINT or self.stopping.is_set()
        self.stopping.set()

    def _drain(self) -> None:
        """Serve on for a while with a /readyz that says no, so that a load balancer asks elsewhere from now on."""
        until = time.monotonic() + self.settings.drain_seconds
        if self.settings.drain_seconds:
            with suppress(OSError):  # a full disk: then it stops without notice, as it would without the setting
                self.settings.draining.touch()
        while not self.hurry and time.monotonic() < until and self.web is not None and self.web.poll() is None:
            time.sleep(0.1)

    def _end(self) -> None:
        """Ask both to end, wait, and end by force what does not."""
        children = [child for child in (self.web, self.worker) if child is not None and child.poll() is None]
        for child in children:
            child.terminate()
        until = time.monotonic() + (HURRY_WITHIN if self.hurry else STOP_WITHIN)
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.1, until - time.monotonic()))
        for started in (self.web, self.worker):
            if started is not None:
                # The server's own children outlive it when it is killed.
                with suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)
                started.wait()


# Looked up before any fork: a child must not load libraries between fork and exec.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def _end_with_parent() -> None:
    """Have Linux send SIGTERM when the supervisor is gone, however it went; elsewhere nothing is lost but that."""
    if _prctl is not None:
        _prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
