"""The migrations make the schema that the models describe, and can be undone, with data in every kind of table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import select

import extensions
from app import create_app
from cli import HERE, migrate_database
from config import read_settings
from extensions import db, outside
from models.base import Model
from models.seeds import plant
from models.tickets import Ticket

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
FOLDER = str(HERE / "migrations")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    before = list(extensions._outside)
    app = create_app(
        read_settings(
            {
                "DATA_FOLDER": str(tmp_path / "data"),
                "ARGON2_MEMORY_KIB": "8",
                "ARGON2_ROUNDS": "1",
                "PAYMENTS": "sandbox",
            }
        )
    )
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    extensions._outside[:] = before


def tables(app: Flask) -> set[str]:
    path = app.config["SQLALCHEMY_DATABASE_URI"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as direct:
        return {name for (name,) in direct.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_the_migrated_schema_is_that_of_the_models(app: Flask) -> None:
    migrate_database()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, Model.metadata) == []
    assert tables(app) == set(Model.metadata.tables) | {"alembic_version"}


def test_constraints_have_the_names_of_the_models(app: Flask) -> None:
    migrate_database()
    path = app.config["SQLALCHEMY_DATABASE_URI"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as direct:
        made = "\n".join(sql for (sql,) in direct.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    named = [c.name for table in Model.metadata.sorted_tables for c in table.constraints]
    assert named
    assert [name for name in named if f"CONSTRAINT {name} " not in made] == []


def test_up_and_down_and_up_with_the_demo_world(app: Flask) -> None:
    migrate_database()
    gateway = outside().payments
    assert gateway is not None
    plant(db.session(), outside().passwords, outside().files, gateway, now=NOW)
    db.session.commit()
    assert len(db.session.scalars(select(Ticket.id)).all()) > 30
    db.session.remove()
    migrate_database()
    downgrade(directory=FOLDER, revision="base")
    assert tables(app) == {"alembic_version"}
    upgrade(directory=FOLDER)
    assert db.session.scalars(select(Ticket.id)).all() == []


def test_children_stay_when_the_pragma_is_back(app: Flask) -> None:
    migrate_database()
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_directory_import_brings_the_database_up_to_date_itself(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    path.write_text('{"format": 1, "organizations": []}')
    result = app.test_cli_runner().invoke(args=["directory", "import", str(path)])
    assert (result.exit_code, result.output) == (0, "Everything is as the document says.\n")
    assert tables(app) == set(Model.metadata.tables) | {"alembic_version"}


def test_a_dry_run_of_the_import_neither_makes_nor_migrates_a_database(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    path.write_text('{"format": 1, "organizations": []}')
    command = ["directory", "import", "--dry-run", str(path)]
    missing = app.test_cli_runner().invoke(args=command)
    assert (missing.exit_code, "make setup" in missing.output) == (1, True)
    assert not list((tmp_path / "data").glob("*.sqlite*"))
    migrate_database()
    downgrade(directory=FOLDER, revision="-1")
    before = tables(app)
    older = app.test_cli_runner().invoke(args=command)
    assert (older.exit_code, older.output) == (1, missing.output)
    assert tables(app) == before
    migrate_database()
    ready = app.test_cli_runner().invoke(args=command)
    assert (ready.exit_code, ready.output.endswith("This was a dry run: nothing was written.\n")) == (0, True)
