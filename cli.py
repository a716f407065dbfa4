"""The commands: serve, web and worker keep the portal running; setup and seed fill an empty one."""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import signal
import socket
import sys
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import BinaryIO

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from config import Settings
from extensions import clock, db, outside
from gateways.databases import UnsuitableDatabase
from models.directory import BadDocument, import_directory
from models.entrance import SET_UP_LIFE, has_administrator, make_link
from models.indexing import index_all, index_anew, is_missing
from models.installation import KEY_MARK, fact, set_fact
from models.outside import Unanswered, WrongStore
from models.seeds import empty, found, is_demo, is_empty, plant
from supervisor import Supervisor
from worker import take_mail, work

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
_NOT_READY = (
    "The database is missing or of an older version, and a dry run writes nothing. Run `make setup` first, or start "
    "the new version once."
)


def init(app: Flask) -> None:
    """Give the app its commands."""
    for command in (serve, web, worker, new_secret, setup, seed, settings, directory, turn_clock, write_index, mail_in):
        app.cli.add_command(command)
    if "db" in sys.argv[1:2]:
        # Those who write migrations: the commands of Flask-Migrate.
        know_migrations(app)


@click.command()
@with_appcontext
def serve() -> None:
    """Start the portal: bring the database up to date, then run the web server and the worker."""
    chosen = outside().settings
    _prepare(chosen)
    if chosen.demo:
        if is_empty(db.session()):
            print("Filling the demo world …", flush=True)
            _plant()
    elif not has_administrator(db.session()):
        _print_set_up_link(chosen)
    _close()
    sys.exit(Supervisor(chosen).run())


def _try_gateway() -> None:
    """End the start where Stripe does not take our key; one that does not answer keeps nobody from starting."""
    there = outside().stripe
    if there is None:
        return
    try:
        there.check()
    except PermissionError:
        sys.exit("Bad setting. STRIPE_SECRET_KEY: Stripe does not take it.")
    except Unanswered:
        print("Stripe does not answer. The portal starts all the same; nobody can pay until it does.", flush=True)


@click.command()
@with_appcontext
def web() -> None:
    """Start web processes alone, beside those of other machines; workers run elsewhere (flask worker)."""
    chosen = outside().settings
    _prepare(chosen)
    if not chosen.demo and not has_administrator(db.session()):
        print("Nobody administers this installation yet: `flask setup` prints the link for it.", flush=True)
    _close()
    sys.exit(Supervisor(chosen, with_worker=False).run())


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
    _wait_for_secret(stop)
    work(stop, lives=(lambda: os.getppid() == parent) if with_parent else (lambda: True))


@click.command("new-secret")
@with_appcontext
def new_secret() -> None:
    """Take the SECRET_KEY in use now as the one of all machines. Everybody is signed out."""
    migrate_database()
    set_fact(db.session(), KEY_MARK, _fingerprint(outside().settings))
    db.session.commit()
    print("Machines with this SECRET_KEY may start; those that still run with another one must be stopped.")


@click.command()
@with_appcontext
def setup() -> None:
    """Prepare a real installation and print the link with which its first administrator signs up."""
    migrate_database()
    _keep_apart(outside().settings)
    _share_secret(outside().settings)
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
        elif _is_behind():
            # To make or migrate the database would be writing.
            sys.exit(_NOT_READY)
        report = import_directory(db.session(), content, now=clock.now(), tell=tell, dry_run=dry_run)
        db.session.commit()
    except BadDocument as bad:
        sys.exit(str(bad))
    except DBAPIError as trouble:
        sys.exit(f"The database gives trouble ({trouble.orig}). Nothing was imported. Try again later.")
    print(report)


@click.command("mail-in")
@with_appcontext
def mail_in() -> None:
    """Take in one mail from standard input, as a mail server pipes it: answers to what sales has written.

    Ends with 0 when it was taken or passed over, 67 when it answers nothing here, 75 when it should be tried again.
    """
    code, words = take_mail(sys.stdin.buffer)
    print(words, file=sys.stderr if code else sys.stdout)
    sys.exit(code)


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
    """Bring the database to the newest version, making it if there is none; quick when it is there already.

    Exits with one line when the database is ahead of this program.
    """
    from flask_migrate import upgrade

    know_migrations(current_app)
    present, known = _versions()
    if present is not None and present not in known:
        sys.exit(
            f"DATABASE_URL: the database belongs to a newer version of the program (schema {present}). Update this."
        )
    if present != known[0]:
        upgrade(directory=str(HERE / "migrations"))
    if is_missing(db.session()):
        print("Writing the search index …", flush=True)
        index_all(db.session(), lambda words: print(words, flush=True))
    db.session.rollback()


def _is_behind() -> bool:
    present, known = _versions()
    return present != known[0]


def _versions() -> tuple[str | None, list[str]]:
    """Return the database's version, None without one, and those that the program knows, the newest first.

    Looking makes no file.
    """
    from alembic.script import ScriptDirectory

    known = [one.revision for one in ScriptDirectory(str(HERE / "migrations")).walk_revisions()]
    file = db.engine.url.database
    if db.engine.dialect.name == "sqlite" and file and not Path(file).exists():
        return None, known
    with db.engine.connect() as connection:
        made = inspect(connection).has_table("alembic_version")
        present = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if made else None
    return present, known


def _prepare(chosen: Settings) -> None:
    """Make ready what web processes need; exit with one line when they could not work."""
    _check_port(chosen)
    _check_files()
    _try_gateway()
    try:
        migrate_database()
        _keep_apart(chosen)
        _share_secret(chosen)
    except (OperationalError, InterfaceError) as trouble:
        sys.exit(f"DATABASE_URL: the database does not answer ({str(trouble.orig).strip()}). Start again when it does.")
    except UnsuitableDatabase as unsuitable:
        sys.exit(f"DATABASE_URL: {unsuitable}")


def _close() -> None:
    """Give up the connections: the processes that are started have their own."""
    db.session.remove()
    db.engine.dispose()


def _fingerprint(chosen: Settings) -> str:
    return hmac.digest(chosen.secret_key.encode(), b"help-center: the secret of all machines", "sha256").hex()


def _share_secret(chosen: Settings) -> None:
    """Exit when other machines of this database sign cookies with another secret; the first one sets it.

    A SQLite file belongs to one machine, whose secret lies beside it.
    """
    if db.engine.dialect.name == "sqlite":
        return
    same = fact(db.session(), KEY_MARK, or_else=_fingerprint(chosen)) == _fingerprint(chosen)
    db.session.commit()
    if not same:
        sys.exit(
            "SECRET_KEY: this database is used with another secret, and all its machines need the same one: sign-ins "
            "of one would be strange to the other. Set SECRET_KEY alike everywhere; to change it, stop them all and "
            "run `flask new-secret` with the new one."
        )


def _wait_for_secret(stop: Event) -> None:
    """Compare the secret as soon as the database answers and has its tables; a worker may be started before both."""
    while not stop.is_set():
        try:
            _share_secret(outside().settings)
        except SQLAlchemyError as trouble:
            log.error("The database is not ready, next try in 2 s: %s", trouble)  # noqa: TRY400
            db.session.rollback()
            stop.wait(2)
        else:
            break
    _close()


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
