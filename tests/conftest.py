"""The portal once for each test process, and before each test a database with nothing of the last one in it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import databases
import page
import pytest
from factories import Town, settle_town
from flask import Flask
from page import Browser
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

import extensions
from app import create_app
from config import Settings, read_settings
from models import catalogue, people, seeds, sending
from models.base import Model
from models.people import person_by_email

SignIn = Callable[[str], Browser]
Later = Callable[[Town, timedelta], None]


def settings_in(folder: Path, **changes: str) -> Settings:
    """Return settings as an environment would give them; hashing is cheap, since nothing is guarded here."""
    environment = {
        "DATA_FOLDER": str(folder),
        "SECRET_KEY": "only-for-tests-" * 4,
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_ROUNDS": "1",
        "DEMO": "1",
        # Replies are out at once: what happens until they are has tests of its own.
        "UNDO_SECONDS": "0",
    }
    return read_settings(environment | changes)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The portal, in its demo mode, on the database that the tests run on."""
    # Read when a test says so, lest a page costs a statement more twice a minute.
    extensions.terms.every, extensions.terms._read_at = math.inf, 0.0
    changes = {} if databases.server() is None else {"DATABASE_URL": databases.own_url("portal")}
    return create_app(settings_in(tmp_path_factory.mktemp("portal"), **changes))


@pytest.fixture
def app_with(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes another portal with other settings, and an empty database."""
    before = extensions._outside[:]
    made: list[Flask] = []

    def make(**changes: str) -> Flask:
        other = create_app(settings_in(tmp_path / f"other{len(made)}", **changes))
        with other.app_context():
            Model.metadata.create_all(extensions.db.engine)
        made.append(other)
        return other

    yield make
    for other in made:
        with other.app_context():
            extensions.db.engine.dispose()
    extensions._outside[:] = before


@pytest.fixture(scope="session")
def engine(app: Flask) -> Engine:
    """The portal's database; every statement is noted for the page that asks for it."""
    with app.app_context():
        found = extensions.db.engine

    def note(_connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        getattr(page.STATEMENTS, "list", []).append(statement)

    event.listen(found, "before_cursor_execute", note)
    return found


@pytest.fixture(scope="session")
def moulds(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Return a function that lays a database: "empty", "town" or "world", each filled once."""
    folder, made = tmp_path_factory.mktemp("moulds"), set[str]()
    rows = databases.Moulds(engine) if databases.server() is not None else None
    if rows is not None:
        Model.metadata.create_all(engine)
        made.add("empty")

    def lay(name: str) -> None:
        if name not in made:
            if name != "empty":
                lay("empty")
            _till().unlink(missing_ok=True)
            _make(engine, name)
            if rows is not None:
                rows.keep(name)
            else:
                _keep_file(engine, folder / name)
            if _till().exists():
                shutil.copyfile(_till(), folder / f"{name}.till")
            made.add(name)
        if rows is not None:
            rows.lay(name)
        else:
            databases.lay_file(engine, folder / name)
        if (folder / f"{name}.till").exists():
            shutil.copyfile(folder / f"{name}.till", _till())

    return lay


def _till() -> Path:
    """Where the sandbox keeps its cards and charges: they are as old as the database that they belong to."""
    return extensions.outside().settings.data / "sandbox.sqlite"


def _make(engine: Engine, name: str) -> None:
    if name == "empty":
        Model.metadata.create_all(engine)
        return
    with Session(engine) as session:
        if name == "town":
            settle_town(session)
            return
        outside = extensions.outside()
        assert outside.payments is not None
        seeds.plant(session, outside.passwords, outside.files, outside.payments, now=extensions.clock.now())
        session.commit()


def _keep_file(engine: Engine, mould: Path) -> None:
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    shutil.copyfile(str(engine.url.database), mould)


@pytest.fixture
def empty(engine: Engine, moulds: Callable[[str], None]) -> Town:
    """A database with tables and no rows: an installation before its set-up."""
    moulds("empty")
    return _town(engine)


@pytest.fixture
def town(engine: Engine, moulds: Callable[[str], None]) -> Town:
    """The people and organizations of the demo, and no requests."""
    moulds("town")
    return _town(engine)


@pytest.fixture
def world(engine: Engine, moulds: Callable[[str], None]) -> Town:
    """The demo world."""
    moulds("world")
    return _town(engine)


def _town(engine: Engine) -> Town:
    catalogue.learn([])
    for letter in (extensions.outside().settings.data / "mail").glob("*.eml"):
        letter.unlink()
    return Town(engine)


@pytest.fixture
def client(app: Flask) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(app)


@pytest.fixture
def sign_in(app: Flask, engine: Engine) -> SignIn:
    """Return a function that gives a browser with somebody signed in, by the verb that the sign-in page calls."""

    def signed_in(email: str) -> Browser:
        browser = Browser(app)
        with Session(engine) as session:
            person = person_by_email(session, email)
            assert person is not None, f"nobody has the address {email}"
            secret = people.sign_in(person, device="Test", address="127.0.0.1", now=extensions.clock.now())
            number = person.id
            session.commit()
        with browser.client.session_transaction(base_url=page.ORIGIN) as cookie:
            cookie.update({"_user_id": secret, "_fresh": True, "was": number, "_permanent": True})
        return browser

    return signed_in


@pytest.fixture
def window(town: Town) -> Iterator[timedelta]:
    """Let replies wait for 15 seconds, as they do by default."""
    before = extensions._outside[:]
    extensions._outside[:] = [replace(extensions.outside(), undo=timedelta(seconds=15))]
    yield timedelta(seconds=15)
    extensions._outside[:] = before


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Return a function that lets time pass for the portal, and its worker do what is due."""
    real = extensions.clock.now

    def pass_(town: Town, length: timedelta) -> None:
        monkeypatch.setattr(extensions.clock, "now", lambda: real() + length)
        with town.open() as session:
            sending.release_due(session, extensions.clock.now())

    return pass_
