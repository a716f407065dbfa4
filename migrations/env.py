"""How Alembic reaches the database: through the running application, in one transaction."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Enum
from sqlalchemy.types import TypeEngine

import models
from gateways import databases
from models.base import Id, Instant, Model
from models.tickets import Body

# Every table, also one that no page uses yet, must be known to be compared.
for module in pkgutil.iter_modules(models.__path__, "models."):
    importlib.import_module(module.name)


def render_item(kind: str, item: object, _autogen: object) -> Any:
    """Write our own types by the names that script.py.mako defines: a migration must not change with the models."""
    if kind != "type" or not isinstance(item, TypeEngine):
        return False
    if isinstance(item, Instant):
        return "Instant"
    if isinstance(item, Enum):
        # Kept as plain text, so that a new member needs no migration.
        return f"sa.String({item.length})"
    return {id(Id): "Id", id(Body): "Body"}.get(id(item), False)


def run() -> None:
    """Bring the database to the version that was asked for: all of it, or nothing."""
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection, databases.alone(connection, "migration"):
        driver = connection.connection.dbapi_connection
        lite = connection.dialect.name == "sqlite"
        if lite:
            # A table that is rebuilt is dropped in between, which would take its children along. Only the driver can
            # switch this, since SQLAlchemy opens a transaction first, inside which SQLite ignores it.
            driver.execute("PRAGMA foreign_keys=OFF")
        try:
            databases.check(connection)
            databases.unhurried(connection)
            databases.number_in_order(connection)
            context.configure(
                connection=connection,
                target_metadata=Model.metadata,
                render_as_batch=True,
                compare_type=True,
                render_item=render_item,
                # Ours opens with BEGIN IMMEDIATE, so SQLite takes back a migration that fails.
                transactional_ddl=lite or None,
            )
            with context.begin_transaction():
                context.run_migrations()
                if lite:
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                    if broken:
                        raise RuntimeError(f"The migration would leave rows that point at nothing: {broken[:3]}")
        finally:
            if lite:
                driver.execute("PRAGMA foreign_keys=ON")


run()
