"""The migrations make the schema that the models describe, and can be undone, with data in every kind of table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import databases
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import PrimaryKeyConstraint, event, inspect, select, text, update

import extensions
from app import create_app
from cli import HERE, migrate_database
from config import read_settings
from extensions import db, outside
from models.attachments import Attachment
from models.base import Model
from models.seeds import plant
from models.tickets import NEVER, Ticket, TicketState

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
FOLDER = str(HERE / "migrations")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    before = list(extensions._outside)
    environment = {
        "DATA_FOLDER": str(tmp_path / "data"),
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_ROUNDS": "1",
        "PAYMENTS": "sandbox",
    }
    if databases.server() is not None:
        environment["DATABASE_URL"] = databases.own_url("migrations")
    app = create_app(read_settings(environment))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    extensions._outside[:] = before


def tables(app: Flask) -> set[str]:
    return {name for name in every_table(app) if not name.startswith("ticket_index")}


def every_table(app: Flask) -> set[str]:
    with app.app_context():
        return set(inspect(db.engine).get_table_names())


def described(_object: object, name: str | None, kind: str, *_more: object) -> bool:
    """Leave out the search index, whose tables are those of the database's own kind."""
    return not (kind == "table" and str(name).startswith("ticket_index"))


def test_the_migrated_schema_is_that_of_the_models(app: Flask) -> None:
    migrate_database()
    with db.engine.connect() as connection:
        ours = {"compare_type": True, "render_as_batch": True, "include_object": described}
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, Model.metadata) == []
    assert tables(app) == set(Model.metadata.tables) | {"alembic_version"}
    assert "ticket_index" in every_table(app)


def test_constraints_have_the_names_of_the_models(app: Flask) -> None:
    migrate_database()
    made = inspect(db.engine)
    for table in Model.metadata.sorted_tables:
        wanted = {str(c.name) for c in table.constraints if not isinstance(c, PrimaryKeyConstraint)}
        there = {c["name"] for c in made.get_foreign_keys(table.name)} | {
            c["name"] for c in made.get_unique_constraints(table.name)
        }
        assert wanted <= there, table.name


@pytest.mark.skipif(
    databases.server() is None or databases.server().get_backend_name() != "mysql",  # type: ignore[union-attr]
    reason="only TiDB numbers the rows of a table in several places: name a MySQL server in DATABASE_URL",
)
def test_every_table_gives_its_numbers_in_order(app: Flask) -> None:
    said: list[str] = []
    event.listen(db.engine, "after_cursor_execute", lambda _c, _cursor, statement, *_more: said.append(statement))
    migrate_database()
    numbered = [one for one in said if "CREATE TABLE" in one and "AUTO_INCREMENT" in one]
    assert len(numbered) >= len(Model.metadata.tables) - 2
    assert [one for one in numbered if not one.endswith("/*T![auto_id_cache] AUTO_ID_CACHE 1 */")] == []


def test_a_version_that_is_older_than_the_database_does_not_start(app: Flask) -> None:
    migrate_database()
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SystemExit, match="newer version"):
        migrate_database()


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


def test_files_that_were_there_count_for_the_organization_of_their_request(app: Flask) -> None:
    migrate_database()
    gateway = outside().payments
    assert gateway is not None
    plant(db.session(), outside().passwords, outside().files, gateway, now=NOW)
    db.session.commit()
    query = select(Attachment.public_id, Ticket.organization_id).join(Ticket, Ticket.id == Attachment.ticket_id)
    before = dict(db.session.execute(query).all())
    assert any(before.values())
    db.session.remove()
    downgrade(directory=FOLDER, revision="0006")
    upgrade(directory=FOLDER)
    found = db.session.execute(select(Attachment.public_id, Attachment.organization_id)).all()
    assert {public_id: owner for public_id, owner in found if public_id in before} == before


def test_what_waits_for_its_customer_is_due_at_no_time(app: Flask) -> None:
    migrate_database()
    gateway = outside().payments
    assert gateway is not None
    plant(db.session(), outside().passwords, outside().files, gateway, now=NOW)
    db.session.execute(update(Ticket).where(Ticket.active).values(due_at=NOW, due_order=NOW))
    db.session.commit()
    db.session.remove()
    downgrade(directory=FOLDER, revision="0028")
    upgrade(directory=FOLDER)
    found = db.session.execute(select(Ticket.state, Ticket.due_at, Ticket.due_order).where(Ticket.active)).all()
    assert {(due_at, order) for state, due_at, order in found if state is TicketState.WAITING} == {(None, NEVER)}
    assert {(due_at, order) for state, due_at, order in found if state is not TicketState.WAITING} == {(NOW, NOW)}


@pytest.mark.skipif(databases.server() is not None, reason="a pragma of SQLite")
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
