"""The commands: serve and worker keep the portal running; setup and seed fill an empty one."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import FrameType
from typing import BinaryIO

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from config import Settings
from extensions import clock, db, outside
from models.demo import ACCOUNTS, PASSWORD
from models.directory import BadDocument, import_directory
from models.entrance import SET_UP_LIFE, has_administrator, make_link
from models.indexing import index_all, index_anew, is_missing
from models.outside import WrongStore
from models.seeds import empty, found, is_demo, is_empty, plant
from worker import work

HERE = Path(__file__).parent
# For the C library: give the 19 MiB of a password's hash back at once, and do not keep a heap for every thread.
_THRIFT = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}
_NOT_READY = (
    "The database is missing or of an older version, and a dry run writes nothing. Run `make setup` first, or start "
    "the new version once."
)
# The child processes get so long to finish what they are doing.
STOP_WITHIN = 12.0


def init(app: Flask) -> None:
    """Give the app its commands."""
    for command in (serve, worker, setup, seed, settings, directory, turn_clock, write_index):
        app.cli.add_command(command)
    if "db" in sys.argv[1:2]:
        # Those who write migrations: the commands of Flask-Migrate.
        know_migrations(app)


@click.command()
@with_appcontext
def serve() -> None:
    """Start the portal: bring the database up to date, then run the web server and the worker."""
    chosen = outside().settings
    _check_port(chosen)
    _check_files()
    migrate_database()
    _keep_apart(chosen)
    if chosen.demo:
        if is_empty(db.session()):
            print("Filling the demo world …", flush=True)
            _plant()
    elif not has_administrator(db.session()):
        _print_set_up_link(chosen)
    db.session.remove()
    db.engine.dispose()
    sys.exit(Supervisor(chosen).run())


@click.command()
@click.option("--with-parent", is_flag=True, hidden=True, help="End when the process that started this one is gone.")
@with_appcontext
def worker(with_parent: bool) -> None:
    """Deliver mail, close old requests and sweep, until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s worker: %(message)s")
    stop = Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda _sign, _frame: stop.set())
    parent = os.getppid()
    work(stop, lives=(lambda: os.getppid() == parent) if with_parent else (lambda: True))


@click.command()
@with_appcontext
def setup() -> None:
    """Prepare a real installation and print the link with which its first administrator signs up."""
    migrate_database()
    _keep_apart(outside().settings)
    if has_administrator(db.session()):
        sys.exit("This installation has an administrator already. Ask them to add you.")
    _print_set_up_link(outside().settings)


@click.command()
@with_appcontext
def seed() -> None:
    """Empty the database and fill the demo world anew (DEMO=1 only)."""
    chosen = outside().settings
    if not chosen.demo:
        sys.exit("DEMO: seeding empties the whole database, so it needs DEMO=1.")
    migrate_database()
    if not is_empty(db.session()) and not is_demo(db.session()):
        sys.exit(f"DATA_FOLDER: {chosen.data} holds a real installation, which seeding would delete. Choose another.")
    empty(db.session())
    for letter in (chosen.data / "mail").glob("*.eml"):
        letter.unlink(missing_ok=True)
    _plant()
    print("The database was emptied, and filled with the demo world anew. Everybody is signed out.")


@click.command("clock")
@click.option("--forward", default="", help="Step forward by so many days, hours or minutes: 30d, 12h, 5m.")
@click.option("--reset", is_flag=True, help="Go back to the machine's time.")
@with_appcontext
def turn_clock(forward: str, reset: bool) -> None:
    """Tell the portal's time, or step it forward for everything that runs (DEMO=1 only)."""
    if not outside().settings.demo and (forward or reset):
        sys.exit("DEMO: only the demo's clock can be turned, so this needs DEMO=1.")
    units = {"d": "days", "h": "hours", "m": "minutes"}
    if reset:
        clock.turn(timedelta())
    elif forward:
        if not re.fullmatch(r"[1-9][0-9]{0,4}[dhm]", forward):
            sys.exit("--forward: write a number and d, h or m, for example 30d.")
        clock.turn(clock.ahead + timedelta(**{units[forward[-1]]: int(forward[:-1])}))
    print(f"{clock.now():%Y-%m-%d %H:%M} UTC" + (f" ({clock.ahead} ahead of the machine)" if clock.ahead else ""))


@click.group()
def directory() -> None:
    """Take over what another system knows of organizations."""


@directory.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would be done, line by line, and write nothing.")
@with_appcontext
def import_file(file: BinaryIO, dry_run: bool) -> None:
    """Make organizations, people, clusters and charges as the JSON document FILE says (docs/directory.md)."""
    content, tell = file.read(), lambda words: print(words, file=sys.stderr, flush=True)
    try:
        if not dry_run:
            migrate_database()
        elif not _is_newest():
            # To make or migrate the database would be writing.
            sys.exit(_NOT_READY)
        report = import_directory(db.session(), content, now=clock.now(), tell=tell, dry_run=dry_run)
        db.session.commit()
    except BadDocument as bad:
        sys.exit(str(bad))
    except DBAPIError as trouble:
        sys.exit(f"The database gives trouble ({trouble.orig}). Nothing was imported. Try again later.")
    print(report)


@click.command("index")
@with_appcontext
def write_index() -> None:
    """Write the search index anew, from the requests and their messages."""
    migrate_database()
    done = index_anew(db.session(), lambda words: print(words, flush=True))
    print(f"The search index holds {done:,} requests.")


@click.command()
def settings() -> None:
    """Print docs/configuration.md, made from the settings themselves."""
    print(configuration_page(), end="")


def configuration_page() -> str:
    """Return the page that documents every setting, as Markdown."""
    rows = []
    for item in fields(Settings):
        default = int(item.default) if isinstance(item.default, bool) else item.default
        shown = f"`{default}`" if default != "" else ""
        text = item.metadata["help"].replace("<", "\\<")
        rows.append(f"| `{item.name.upper()}` | {shown} | {text} |")
    return (
        "# Configuration\n\n"
        "Everything is set by environment variables. A bad value stops the start with one line that names it. An empty "
        "value counts as none.\n\n"
        "This page is made by `flask settings`; a test keeps it up to date.\n\n"
        "| Name | Default | What it does |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def know_migrations(app: Flask) -> None:
    """Tie the migrations to the app, once. Web processes never need them, nor the 11 MB that they take."""
    from flask_migrate import Migrate

    if "migrate" not in app.extensions:
        Migrate(app, db, render_as_batch=True, compare_type=True)


def migrate_database() -> None:
    """Bring the database to the newest version, making it if there is none; quick when it is there already."""
    from flask_migrate import upgrade

    know_migrations(current_app)
    if not _is_newest():
        upgrade(directory=str(HERE / "migrations"))
    if is_missing(db.session()):
        print("Writing the search index …", flush=True)
        index_all(db.session(), lambda words: print(words, flush=True))
    db.session.rollback()


def _is_newest() -> bool:
    """Tell whether the database is there and of the newest version; looking makes no file."""
    from alembic.script import ScriptDirectory

    file = db.engine.url.database
    if db.engine.dialect.name == "sqlite" and file and not Path(file).exists():
        return False
    newest = ScriptDirectory(str(HERE / "migrations")).get_current_head()
    with db.engine.connect() as connection:
        made = inspect(connection).has_table("alembic_version")
        present = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if made else None
    return bool(present == newest)


def _keep_apart(chosen: Settings) -> None:
    """Exit rather than serve the demo's accounts, whose passwords everybody knows, as a real installation."""
    if not chosen.demo and is_demo(db.session()):
        sys.exit(f"DATA_FOLDER: {chosen.data} holds the demo world, whose passwords are public. Choose another folder.")


def _plant() -> None:
    gateway = outside().payments
    if gateway is None:
        sys.exit("PAYMENTS: the demo world buys plans, so it needs PAYMENTS=sandbox.")
    plant(db.session(), outside().passwords, outside().files, gateway, now=clock.now())
    db.session.commit()


def _print_set_up_link(chosen: Settings) -> None:
    found(db.session())
    secret = make_link(db.session(), None, now=clock.now(), life=SET_UP_LIFE)
    db.session.commit()
    print(f"Open this address within 24 hours to make the first administrator:\n\n  {chosen.base_url}/setup/{secret}\n")


def _check_port(chosen: Settings) -> None:
    """Exit with one line when the port cannot be had."""
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((chosen.host, chosen.port))
            probe.listen(1)
    except PermissionError:
        sys.exit(f"PORT: {chosen.port} needs more rights than this account has. Choose one above 1023: PORT=8000.")
    except OSError as trouble:
        sys.exit(f"PORT: cannot listen on {chosen.host}:{chosen.port} ({trouble.strerror}). Choose another: PORT=8001.")


def _check_files() -> None:
    """Exit with one line when attachments could never be kept; a store that is only down now may come back later."""
    files, probe = outside().files, secrets.token_bytes(32)
    try:
        name, _ = files.put([probe])
        kept = b"".join(files.get(name))
        files.drop(name)
    except WrongStore as wrong:
        sys.exit(f"{wrong.setting}: {wrong}.")
    except OSError as trouble:
        if outside().settings.files == "local":
            sys.exit(f"DATA_FOLDER: attachments cannot be kept there ({trouble}).")
        print(f"Attachments cannot be kept just now, and /readyz says so until they can: {trouble}", file=sys.stderr)
        return
    if kept != probe:
        sys.exit("FILES: the store gives back other bytes than it was given.")


class Supervisor:
    """Runs the web server and the worker side by side, and ends both together."""

    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self.stopping = Event()
        self.web: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run until a signal or the end of the web server; return the exit code."""
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, self._stop)
        code = 1
        try:
            self.web = self._start(self._web_command())
            if self._answers():
                self.worker = self._start([sys.executable, "-m", "flask", "worker", "--with-parent"])
                self._greet()
            code = self._watch()
        finally:
            self._end()
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
            "--workers-kill-timeout": 10,
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

    def _stop(self, _sign: int, _frame: FrameType | None) -> None:
        self.stopping.set()

    def _end(self) -> None:
        """Ask both to end, wait, and end by force what does not."""
        children = [child for child in (self.web, self.worker) if child is not None and child.poll() is None]
        for child in children:
            child.terminate()
        until = time.monotonic() + STOP_WITHIN
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
