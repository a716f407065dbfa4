"""What the program is built on: database session, sign-in, CSRF, the clock, and the gateways the settings choose."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, g, has_request_context
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError as CSRFError  # noqa: PLC0414 (whoever maps faults to pages gets it from here)
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from config import MEGABYTE, BadSetting
from config import Settings as Settings  # noqa: PLC0414 (the type of what blueprints get from outside())
from gateways import databases
from gateways.clamd import Clamd
from gateways.databases import BUSY_MS as BUSY_MS  # noqa: PLC0414 (whoever waits for a lock gets it from here)
from gateways.databases import is_conflict as is_conflict  # noqa: PLC0414 (whoever does work anew as well)
from gateways.databases import is_down as is_down  # noqa: PLC0414
from gateways.databases import is_lost as is_lost  # noqa: PLC0414
from gateways.files_local import LocalFiles
from gateways.letters import Letters
from gateways.mail_folder import FolderMailer
from gateways.payments_sandbox import SandboxPayments
from gateways.smtp import SmtpMailer
from gateways.webhooks import Webhooks
from models.attachments import FileLimits
from models.base import Model, judge
from models.editions import refresh
from models.outside import FileStore, HookSenders, Mailer, Payments, Scanner
from models.people import Passwords, hold_person
from models.wording import stamp

if TYPE_CHECKING:
    from gateways.payments_stripe import StripePayments

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# What a view has read stays read after a commit: a form is checked, then written, in two transactions of one request.
db = SQLAlchemy(metadata=Model.metadata, session_options={"expire_on_commit": False})
login = LoginManager()
csrf = CSRFProtect()


class SystemClock:
    """The machine's clock, in UTC; a demo's may run ahead of it by what its file says, for all processes alike."""

    def __init__(self) -> None:
        self.file: Path | None = None

    @property
    def ahead(self) -> timedelta:
        """How far it runs ahead of the machine."""
        if self.file is None:
            return timedelta()
        try:
            return timedelta(seconds=int(self.file.read_text()))
        except (OSError, ValueError, OverflowError):
            return timedelta()

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC) + self.ahead

    def turn(self, ahead: timedelta) -> None:
        """Let it run ahead from now on; raises LookupError outside of a demo."""
        if self.file is None:
            raise LookupError("Only a demo's clock can be turned.")
        fresh = self.file.with_name("clock.new")
        fresh.write_text(str(int(ahead.total_seconds())))
        fresh.replace(self.file)


clock = SystemClock()


@dataclass
class Outside:
    """What the settings choose: file store, password cost, limits, mail. Filled once, when the app is made."""

    settings: Settings
    files: FileStore
    # None where nothing scans what is attached.
    scanner: Scanner | None
    passwords: Passwords
    limits: FileLimits
    # How long an agent can undo a reply.
    undo: timedelta
    mailer: Mailer | None
    letters: Letters
    # None where nobody can pay by card; the sandbox is the same gateway, for the page that plays its bank.
    payments: Payments | None
    sandbox: SandboxPayments | None
    stripe: StripePayments | None
    hooks: HookSenders


class Terms:
    """Keeps this process knowing the catalogue's published versions, which another process may publish."""

    def __init__(self, every: float = 30.0) -> None:
        self.every = every
        self._read_at: float | None = None

    def keep(self) -> None:
        """Read them when that was not done for `every` seconds; where the database gives none, what is known stays."""
        if self._read_at is None or time.monotonic() - self._read_at > self.every:
            self._read_at = time.monotonic()
            with suppress(SQLAlchemyError), Session(db.engine) as session:
                refresh(session)


terms = Terms()
_outside: list[Outside] = []


def outside() -> Outside:
    """Return the gateways; raises LookupError before an app was made."""
    if not _outside:
        raise LookupError("create_app() has not run.")
    return _outside[-1]


def init(app: Flask, settings: Settings) -> None:
    """Bind everything here to the app."""
    db.init_app(app)
    with app.app_context():
        databases.prepare(db.engine, _reads_only)
        # An app that is made twice in a process still holds its writers once.
        if db.engine.dialect.name != "sqlite" and not event.contains(db.session, "after_begin", _hold_writer):
            event.listen(db.session, "after_begin", _hold_writer)
    # No context processor: a page of a fault must not ask the database who is signed in.
    login.init_app(app, add_context_processor=False)
    csrf.init_app(app)
    clock.file = settings.data / "clock" if settings.demo else None
    sandbox = SandboxPayments(settings.data / "sandbox.sqlite") if settings.payments == "sandbox" else None
    real = _stripe(settings) if settings.payments == "stripe" else None
    _outside[:] = [
        Outside(
            settings=settings,
            files=_files(settings),
            scanner=Clamd(settings.clamd, settings.clamd_timeout) if settings.clamd else None,
            passwords=Passwords(settings.argon2_memory_kib, settings.argon2_rounds),
            limits=FileLimits(
                file_bytes=settings.file_megabytes * MEGABYTE,
                per_message=settings.files_per_message,
                ticket_bytes=settings.ticket_megabytes * MEGABYTE,
                organization_bytes=settings.organization_megabytes * MEGABYTE,
            ),
            undo=timedelta(seconds=settings.undo_seconds),
            mailer=_mailer(settings),
            letters=Letters(
                Path(app.root_path) / "templates",
                settings.base_url,
                settings.mail_from,
                settings.site_name,
                {"moment": stamp},
            ),
            payments=sandbox or real,
            sandbox=sandbox,
            stripe=real,
            hooks=Webhooks(settings.secret_key, settings.webhook_url, settings.webhook_secret),
        )
    ]


def _stripe(settings: Settings) -> StripePayments:
    if find_spec("stripe") is None:
        more = "pip install --require-hashes -r requirements/stripe.txt"
        raise BadSetting(f"PAYMENTS: stripe needs one more package: {more}")
    # Its library takes a second and 40 MB, which those who are paid otherwise need not give.
    from gateways.payments_stripe import StripePayments

    return StripePayments(
        settings.stripe_secret_key, settings.stripe_publishable_key, settings.stripe_webhook_secret, settings.stripe_api
    )


def _files(settings: Settings) -> FileStore:
    if settings.files == "local":
        return LocalFiles(settings.data / "files")
    if find_spec("obstore") is None:
        raise BadSetting("FILES: s3 needs one more package: pip install --require-hashes -r requirements/s3.txt")
    # Its library takes 20 MB, which those who keep files in a folder need not give.
    from gateways.files_s3 import Bucket, S3Files

    bucket = Bucket(
        settings.s3_bucket,
        settings.s3_region,
        settings.s3_endpoint,
        settings.s3_prefix,
        settings.s3_access_key_id,
        settings.s3_secret_access_key,
        settings.s3_timeout,
    )
    return S3Files(bucket, settings.data)


def _mailer(settings: Settings) -> Mailer | None:
    if settings.smtp_host:
        return SmtpMailer(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_username,
            settings.smtp_password,
            settings.smtp_security,
            settings.smtp_timeout,
            settings.mail_from,
        )
    return FolderMailer(settings.data / "mail") if settings.demo else None


def reading() -> None:
    """End the transaction; from here on this request's transactions only read, and keep nobody else from writing."""
    db.session.commit()
    g.writes = False
    judge(db.session(), writes=False)


def writing() -> None:
    """End the transaction; from here on this request's transactions may write.

    On SQLite they hold the one write lock from their start; elsewhere they lock what they load through its owner, and
    first of all whoever writes: two of one person's forms that come at once come one after the other.
    """
    db.session.commit()
    g.writes = True
    g.writer = g.visitor.id if g.get("visitor") is not None else None
    judge(db.session(), writes=True)


def _hold_writer(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    if has_request_context() and g.get("writes") and g.get("writer"):
        hold_person(connection, g.writer)


def _reads_only(connection: Connection) -> bool:
    """Tell whether the transaction belongs to the part of a request that only reads: all of a page view, for one."""
    writes = connection.get_execution_options().get("writes", False)
    return has_request_context() and not g.get("writes", False) and not writes
