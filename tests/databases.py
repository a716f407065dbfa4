"""Where the tests keep their rows: SQLite, or the server that DATABASE_URL names, in databases of their own.

A mould is a filled database that many tests begin with. SQLite copies a file; a server gets back the rows of those
tables that the last test has touched, in the form that it reads quickest.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine, event, make_url
from sqlalchemy.exc import OperationalError

from gateways import databases
from models import seeds as seeds  # noqa: PLC0414 (so that every table is known)
from models.base import Model

WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+[`\"]?(\w+)", re.IGNORECASE)


def server() -> URL | None:
    """Return the database server that the tests shall run on; None for SQLite."""
    given = os.environ.get("DATABASE_URL", "")
    return make_url(given) if given and not given.startswith("sqlite") else None


def examples(number: int) -> int:
    """Return how many examples of a law to try: all on SQLite, a quarter where each takes ten times as long."""
    return number if server() is None else max(6, number // 4)


def own_url(name: str) -> str:
    """Make an empty database for this test process on the server, and return its address."""
    url = server()
    assert url is not None
    mine = f"{url.database}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{name}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        if admin.dialect.name == "postgresql":
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{mine}" WITH (FORCE)')
            connection.exec_driver_sql(f'CREATE DATABASE "{mine}"')
            # What a power cut would lose is no test's matter.
            connection.exec_driver_sql(f'ALTER DATABASE "{mine}" SET synchronous_commit = off')
        else:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS `{mine}`")
            connection.exec_driver_sql(f"CREATE DATABASE `{mine}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            with suppress(OperationalError):  # only an administrator of the server may, and TiDB has no such thing
                connection.exec_driver_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    admin.dispose()
    return url.set(database=mine).render_as_string(hide_password=False)


def open_engine(url: str) -> Engine:
    """Return an engine set up as the application sets up its own, for whoever writes."""
    engine = create_engine(url, **databases.options(url, 4))
    databases.prepare(engine, lambda _connection: False)
    return engine


_SPARE: list[Moulds] = []


def spare(path: Path) -> Engine:
    """Return an engine on a database of its own with tables and no rows: a file at `path`, or one on the server.

    On a server there is one for the whole process, which is emptied here.
    """
    if server() is None:
        engine = open_engine(f"sqlite:///{path}")
        Model.metadata.create_all(engine)
        return engine
    if not _SPARE:
        engine = open_engine(own_url("spare"))
        Model.metadata.create_all(engine)
        _SPARE.append(Moulds(engine))
    return reopen(path, "empty")


def keep(name: str) -> None:
    """Remember what the spare database on the server holds now; a file is its own memory."""
    if server() is not None:
        _SPARE[0].keep(name)


def reopen(path: Path, name: str) -> Engine:
    """Return an engine on the file at `path`, or on the spare database of the server with the rows kept as `name`."""
    if server() is None:
        return open_engine(f"sqlite:///{path}")
    moulds = _SPARE[0]
    # Other processes may have written to it as well.
    moulds.touched = {table.name for table in _tables()}
    moulds.lay(name)
    return moulds.engine


_MADE: list[Moulds] = []


@dataclass
class Moulds:
    """The rows of filled databases on one server, and which tables differ from what was laid last."""

    engine: Engine
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    laid: str = ""
    touched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.kept["empty"] = {}
        event.listen(self.engine, "before_cursor_execute", self._note)
        _MADE.append(self)

    @staticmethod
    def of(engine: Engine) -> Moulds:
        """Return the moulds that were made for the engine."""
        return next(moulds for moulds in _MADE if moulds.engine is engine)

    def _note(self, _connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        if found := WRITES.match(statement):
            self.touched.add(found[1])

    def keep(self, name: str) -> None:
        """Remember the rows that are there now under that name."""
        with self.engine.connect() as connection:
            self.kept[name] = {table.name: _read(connection, table) for table in _tables()}
        self.kept[name] = {table: rows for table, rows in self.kept[name].items() if rows}
        self.laid, self.touched = name, set()

    def lay(self, name: str) -> None:
        """Bring the rows of that name back."""
        before, after = self.kept.get(self.laid, {}), self.kept[name]
        # A mould that is not the last one differs in every table that either of them fills.
        wanted = self.touched if name == self.laid else self.touched | set(before) | set(after)
        tables = [table for table in _tables() if table.name in wanted]
        with self.engine.begin() as connection:
            _without_keys(connection, lambda: _fill(connection, tables, after))
        self.laid, self.touched = name, set()


def _tables() -> list[Table]:
    # The search index is no table of the models: each database has its own.
    return [*Model.metadata.sorted_tables, Table("ticket_index", MetaData())]


def _without_keys(connection: Connection, write: Callable[[], None]) -> None:
    lite = connection.dialect.name == "postgresql"
    off, on = ("session_replication_role = replica", "session_replication_role = DEFAULT")
    if not lite:
        off, on = ("foreign_key_checks = 0", "foreign_key_checks = 1")
    connection.exec_driver_sql(f"SET {off}")
    try:
        write()
    finally:
        connection.exec_driver_sql(f"SET {on}")


def _fill(connection: Connection, tables: Iterable[Table], rows: dict[str, Any]) -> None:
    tables = list(tables)
    for table in reversed(tables):
        connection.exec_driver_sql(f"DELETE FROM {table.name}")
    for table in tables:
        if table.name not in rows:
            continue
        if connection.dialect.name == "postgresql":
            cursor = connection.connection.driver_connection.cursor()
            with cursor.copy(f"COPY {table.name} FROM STDIN") as copy:
                copy.write(rows[table.name])
        else:
            cursor = connection.connection.cursor()
            cursor.execute(rows[table.name])
    if connection.dialect.name == "postgresql":
        # Numbers go on behind the rows that are there.
        numbered = [t.name for t in tables if "id" in t.c]
        if numbered:
            last = (
                "SELECT setval(pg_get_serial_sequence('{0}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {0}), false)"
            )
            connection.exec_driver_sql(";".join(last.format(name) for name in numbered))


def _read(connection: Connection, table: Table) -> Any:
    """Return the table's rows in the form in which the server takes them quickest; empty for none."""
    if connection.dialect.name == "postgresql":
        cursor = connection.connection.driver_connection.cursor()
        with cursor.copy(f"COPY (SELECT * FROM {table.name} ORDER BY 1) TO STDOUT") as copy:
            return b"".join(copy)
    cursor = connection.connection.cursor()
    cursor.execute(f"SELECT * FROM {table.name}")
    rows = cursor.fetchall()
    names = ", ".join(f"`{column[0]}`" for column in cursor.description)
    quoted = ", ".join(
        "(" + ", ".join(connection.connection.driver_connection.escape(v) for v in row) + ")" for row in rows
    )
    return f"INSERT INTO {table.name} ({names}) VALUES {quoted}".replace("%", "%%") if rows else ""


def snapshot(engine: Engine, file: Path) -> Callable[[], None]:
    """Return a function that puts the engine's database back as it is now; `file` is where SQLite's copy is kept."""
    if server() is not None:
        moulds = Moulds.of(engine)
        moulds.keep("snapshot")
        return lambda: moulds.lay("snapshot")
    engine.dispose()
    shutil.copyfile(str(engine.url.database), file)
    return lambda: lay_file(engine, file)


def lay_file(engine: Engine, mould: Path) -> None:
    """Put a copy of the file in the database's place; whoever still reads the old file reads on there."""
    engine.dispose()
    path = Path(str(engine.url.database))
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    copy_file(mould, path)


def copy_file(source: Path, target: Path) -> None:
    """Put a copy of the file in the target's place at once."""
    fresh = target.with_name(target.name + ".fresh")
    shutil.copyfile(source, fresh)
    fresh.replace(target)
