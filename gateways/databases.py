"""The three databases: how each is reached, prepared and given up, and which of its faults mean "try again".

SQLite lets one process write at a time: its lock is taken at the start of whatever may write. PostgreSQL and the MySQL
protocol (TiDB, MariaDB) let many write at once: there what a request is about to judge is locked row by row
(`models.base.to_write`), versions of rows and unique constraints catch the rest, and the loser of such a race starts
again. Both then read what was committed last: a lock is of no use to somebody who still sees the past.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm.exc import StaleDataError

# Who must wait longer than this for a lock is told to try again; the page that says so is there within 10 s.
BUSY_MS = 6000
# A server that says nothing for so long is given up by whoever serves a page, in seconds.
SILENT_AFTER = 7
CONNECT_WITHIN = 4
# A server that was given up, and has not answered anybody since, gets less patience: whoever comes next, with all
# threads busy waiting, must not wait for those before them as well.
HURRIED_AFTER = 1
HURRIED_CONNECT = 2
HURRIED_FOR = 15
REFUSED_FOR = 1.5

# SQLSTATE of PostgreSQL: serialization failure, deadlock.
_STATES = frozenset({"40001", "40P01"})
# Numbers of the MySQL protocol: deadlock, record changed since read (MariaDB); of TiDB: write conflicts, and a schema
# that changed in between.
# Classes of SQLSTATE in which the server works, but not for now: no connection left, stopping or starting.
_NOT_NOW = ("08", "53", "57P")
_NUMBERS = frozenset({1213, 1020, 8002, 8005, 8022, 8028, 9007})
_COLLATIONS = ("utf8mb4_bin", "utf8mb4_nopad_bin", "utf8mb4_0900_bin")


class UnsuitableDatabase(Exception):  # noqa: N818 (the sentence reads: the start met an unsuitable database)
    """The database works, but would give wrong answers; the text says what to do."""


def options(url: str, threads: int) -> dict[str, Any]:
    """Return the engine's options for the database at `url`, which so many threads of one process share."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return {}
    shared = {
        "isolation_level": "READ COMMITTED",
        # One for each thread; two more for what notes a sign-in's last use beside the request.
        "pool_size": threads,
        "max_overflow": 2,
        "pool_timeout": CONNECT_WITHIN,
        "pool_recycle": 1800,
    }
    if backend == "postgresql":
        return shared | {"connect_args": {"connect_timeout": CONNECT_WITHIN, "application_name": "help-center"}}
    waits = {"connect_timeout": CONNECT_WITHIN, "read_timeout": SILENT_AFTER, "write_timeout": SILENT_AFTER}
    return shared | {"connect_args": waits | {"charset": "utf8mb4"}}


def prepare(engine: Engine, reads_only: Callable[[Connection], bool]) -> None:
    """Prepare each connection of the engine; `reads_only` tells of a SQLite transaction that it will not write.

    On this engine alone: other databases of the same process are not ours to prepare.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, writes=not reads_only(connection)))
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", _connect_patiently)
        event.listen(engine, "connect", _prepare_postgresql)
    else:
        event.listen(engine, "connect", _prepare_mysql)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 (any driver's connection)
    if isinstance(connection, sqlite3.Connection):
        # The driver's own way of opening transactions loses updates: BEGIN is ours, below.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection, *, writes: bool) -> None:
    """Take the write lock at the start of what may write, so that no update is lost between read and write."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class _Silence:
    """Whether the server has gone silent, as far as this process has found out."""

    def __init__(self) -> None:
        self.last, self.met = float("-inf"), 0

    @property
    def fresh(self) -> bool:
        """Whether somebody met it lately: one more would hardly fare better."""
        return time.monotonic() - self.last < HURRIED_FOR

    @property
    def sure(self) -> bool:
        """Whether more than one met it, and a moment ago; a single one may have asked too much."""
        return self.met > 1 and time.monotonic() - self.last < REFUSED_FOR

    def note(self) -> None:
        self.last, self.met = time.monotonic(), self.met + 1

    def over(self) -> None:
        self.last, self.met = float("-inf"), 0


_silence = _Silence()


def _connect_patiently(_dialect: Dialect, _record: object, given: Any, named: Any) -> Any:  # noqa: ANN401 (the driver's)
    """Connect with the driver's own class, taught to give up on a server that has gone silent.

    A frozen server keeps its sockets open, so that nothing but a clock tells it from a slow one.
    """
    import psycopg

    class Patient(psycopg.Connection[Any]):
        """A connection that waits for an answer for so long and no longer."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ANN401
            """Wait for the answer as the driver does; raises OperationalError when none comes in time."""
            hurried = _silence.fresh and self.silent_after <= SILENT_AFTER
            patience = HURRIED_AFTER if hurried else self.silent_after
            try:
                answer = super().wait(gen, interval, timeout=timeout or patience)
            except psycopg.errors._WaitTimeout:  # noqa: SLF001 (the driver raises it from a public method)
                _silence.note()
                self.pgconn.finish()
                raise psycopg.OperationalError("the database server does not answer") from None
            _silence.over()
            return answer

        silent_after = float(SILENT_AFTER)

    if _silence.sure:
        raise psycopg.OperationalError("the database server did not answer a moment ago")
    if _silence.fresh:
        named = named | {"connect_timeout": HURRIED_CONNECT}
    try:
        return Patient.connect(*given, **named)
    except psycopg.errors.ConnectionTimeout:
        _silence.note()
        raise


def _prepare_postgresql(connection: Any, _record: object) -> None:  # noqa: ANN401 (any driver's connection)
    # Jobs that may take longer (a migration, an import) raise the limits for themselves: see `unhurried`.
    connection.execute(f"SET lock_timeout = {BUSY_MS}")
    connection.commit()


def _prepare_mysql(connection: Any, _record: object) -> None:  # noqa: ANN401 (any driver's connection)
    strict = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION sql_mode = '{strict}', innodb_lock_wait_timeout = {BUSY_MS // 1000}")


def unhurried(connection: Connection) -> None:
    """Let what runs on the connection take as long as it needs: migrations and imports."""
    driver = connection.connection.dbapi_connection
    assert driver is not None, "a connection that is open has its driver's own"
    if connection.dialect.name == "postgresql":
        driver.silent_after = 3600.0
    elif connection.dialect.name in {"mysql", "mariadb"}:
        driver._read_timeout = driver._write_timeout = 3600  # noqa: SLF001 (the driver offers no other way)


@contextmanager
def alone(connection: Connection, name: str) -> Iterator[None]:
    """Let no other process of the installation do what has this name at the same time: the others wait.

    On SQLite the write lock does the same.
    """
    take, give = {
        "postgresql": ("SELECT pg_advisory_lock(hashtext('help-center:{}'))", "SELECT pg_advisory_unlock_all()"),
        "mysql": ("SELECT GET_LOCK('help-center:{}', 600)", "SELECT RELEASE_LOCK('help-center:{}')"),
    }.get("mysql" if connection.dialect.name == "mariadb" else connection.dialect.name, ("", ""))
    if not take:
        yield
        return
    unhurried(connection)
    connection.exec_driver_sql(take.format(name))
    connection.commit()
    try:
        yield
    finally:
        connection.exec_driver_sql(give.format(name))
        connection.commit()


def number_in_order(connection: Connection) -> None:
    """Let tables that are made on the connection give out their numbers in the order of their rows.

    Several TiDB servers each hand out numbers from a stock of their own, unless a table says otherwise from its start;
    for MariaDB and MySQL this is a comment. Histories put what happened at the same moment in the order of numbers.
    """
    if connection.dialect.name in {"mysql", "mariadb"}:
        event.listen(connection, "before_cursor_execute", _in_order, retval=True)


def _in_order(
    _connection: Connection,
    _cursor: object,
    statement: str,
    given: Any,  # noqa: ANN401 (whatever form the driver takes)
    *_more: object,
) -> tuple[str, Any]:
    if statement.lstrip().startswith("CREATE TABLE") and "AUTO_INCREMENT" in statement:
        statement = f"{statement.rstrip()} /*T![auto_id_cache] AUTO_ID_CACHE 1 */"
    return statement, given


def check(connection: Connection) -> None:
    """Raise UnsuitableDatabase for one that compares text without case or accents, or is too old."""
    name, version = connection.dialect.name, connection.dialect.server_version_info or ()
    if name == "postgresql" and version < (15,):
        raise UnsuitableDatabase("PostgreSQL 15 or newer is needed.")
    if name in {"mysql", "mariadb"}:
        collation = connection.exec_driver_sql("SELECT @@collation_database").scalar()
        if collation not in _COLLATIONS:
            raise UnsuitableDatabase(
                f"the database compares text by {collation}, which takes different words for the same. Make it with "
                "CREATE DATABASE … CHARACTER SET utf8mb4 COLLATE utf8mb4_bin."
            )


def is_conflict(trouble: BaseException) -> bool:
    """Tell whether the error says that somebody else was quicker, so that the same work may succeed when done anew."""
    if isinstance(trouble, StaleDataError | IntegrityError):
        return True
    if not isinstance(trouble, DBAPIError):
        return False
    state = getattr(trouble.orig, "sqlstate", None)
    number = next(iter(getattr(trouble.orig, "args", ())), None)
    return state in _STATES or (isinstance(number, int) and number in _NUMBERS)


def is_lost(trouble: BaseException) -> bool:
    """Tell whether the error says that the connection is gone; the pool has dropped it by then."""
    return isinstance(trouble, DBAPIError) and trouble.connection_invalidated


def is_down(trouble: BaseException) -> bool:
    """Tell whether the error says that the server cannot be reached, or has no connection left for us.

    Whoever asks again at once, if only for the page around the bad news, waits again.
    """
    if isinstance(trouble, NoConnection) or is_lost(trouble):
        return True
    if not isinstance(trouble, OperationalError | InterfaceError) or isinstance(trouble.orig, sqlite3.Error):
        return False
    state = getattr(trouble.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_NOT_NOW)
    number = next(iter(getattr(trouble.orig, "args", ())), None)
    # The driver's own words have no number (psycopg), or one of the client's (2000 and up, MySQL); 1040 is "too many".
    return not isinstance(number, int) or number == 1040 or 2000 <= number < 3000
