"""Fills an empty database with many tickets, quickly and always the same: bench/generate.py DATABASE_URL [TICKETS].

A million tickets have ten million messages and 20,000 organizations. The tickets and what can be found of them are made
here, in columns that the driver takes in bulk; messages, events, promises and participants are made from them by the
database itself. Indexes are built when all rows are there.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Index, insert, text
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent.parent))

import app  # noqa: F401 (so that every table is known)
from models.base import Model
from models.calendars import DEFAULT_HOURS, Calendar
from models.catalogue import PlanName, catalogue
from models.choices import fill_lists
from models.numbers import Counter
from models.organizations import Cluster, Membership, Organization, Visibility
from models.people import Passwords, Person
from models.permissions import Role
from models.prose import RENDERER, rendered
from models.search import STAFF, scope_of, terms_of

WORDS = [
    "slow",
    "query",
    "plan",
    "upgrade",
    "region",
    "unavailable",
    "writes",
    "fail",
    "checkout",
    "import",
    "backup",
    "restore",
    "certificate",
    "endpoint",
    "lag",
    "changefeed",
    "replica",
    "tiflash",
    "tikv",
    "pd",
    "statistics",
    "memory",
    "quota",
    "connection",
    "pool",
    "timeout",
    "deadlock",
    "index",
    "partition",
    "invoice",
]
BODY = (
    "Since 13:40 UTC about 12% of writes fail with `ERROR 9005`.\n\n```\nRegion is unavailable\n```\n\n"
    "- restarted the pods\n- lowered the pool\n\nPlease tell us what to do."
)
BODIES = [
    BODY,
    "Thanks, we are looking at the *slow query log* of that hour. Could you send the plan of the statement?",
    "Here it is. The index on `created_at` is there, and yet the plan reads the whole table.",
    "The statistics of that table are nine days old. Run `ANALYZE TABLE orders` once, and tell us how it goes.",
    "That helped: from 4.2 s to 80 ms. Why did the automatic run not catch it?",
    "Its window ends at 06:00 in your zone, and the table was locked by a backup then.",
    "We moved the backup to 02:00 and will watch it for a week.",
    "Good. We keep this open until Monday.",
]
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
PEOPLE_EACH, AGENTS, FIRST_HOUSE = 2, 20, 500
PASSWORD = "helpcenter-bench"
BATCH = 20_000


def fill(session: Session, tickets: int = 10_000, comments: int = 10) -> None:
    """Write organizations (one for each fifty tickets), their people, and the tickets with their whole history.

    The first person, owner@org-0.example, sees 500 tickets of the first organization whatever the total is. One ticket
    in ten is active. The tables must be there, without their indexes (see `tables`).
    """
    organizations = max(2, tickets // 50)
    _houses(session, organizations)
    session.commit()
    connection = session.connection()
    lite = connection.dialect.name == "sqlite"
    if lite:
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("SET session_replication_role = replica")
    chance = random.Random(20261123)
    for first in range(0, tickets, BATCH):
        _tickets(connection, range(first, min(first + BATCH, tickets)), tickets, organizations, chance, lite)
    _histories(connection, comments, lite)
    session.add_all([Counter(name="TECH", value=tickets), Counter(name="BILL", value=tickets)])
    session.commit()


def tables(connection: Connection) -> list[Index]:
    """Make the tables without their indexes, and return these for `finish`."""
    later = [index for table in Model.metadata.sorted_tables for index in table.indexes]
    for index in later:
        index.table.indexes.discard(index)
    Model.metadata.create_all(connection)
    return later


def finish(connection: Connection, later: list[Index]) -> None:
    """Build the indexes, and let the database know its figures."""
    for index in later:
        index.table.indexes.add(index)
        index.create(connection)
    if connection.dialect.name == "postgresql":
        # Numbers go on behind the rows that are there.
        for table in Model.metadata.sorted_tables:
            last = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), coalesce(max(id), 0) + 1, false) FROM {0}"
            connection.exec_driver_sql(last.format(table.name))
    connection.commit()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("COMMIT")
        connection.connection.driver_connection.autocommit = True
        connection.exec_driver_sql("VACUUM ANALYZE")
        connection.connection.driver_connection.autocommit = False
    else:
        connection.exec_driver_sql("ANALYZE")
    connection.commit()


def _houses(session: Session, organizations: int) -> None:
    password = Passwords(8, 1).hash(PASSWORD)
    fill_lists(session)
    session.add(Calendar(name="Berlin", zone="Europe/Berlin", hours=DEFAULT_HOURS, holidays=[]))
    session.flush()
    session.execute(insert(Person), list(_people(organizations, password)))
    session.execute(insert(Organization), list(_organizations(organizations)))
    belong = [
        {"person_id": o * PEOPLE_EACH + p + 1, "organization_id": o + 1, "role": Role.MEMBER if p else Role.OWNER}
        for o in range(organizations)
        for p in range(PEOPLE_EACH)
    ]
    session.execute(insert(Membership), belong)
    session.execute(insert(Cluster), list(_clusters(organizations)))


def _people(organizations: int, password: str):
    common = {"password_hash": password, "time_zone": "Europe/Berlin", "created_at": START}
    for o in range(organizations):
        for p in range(PEOPLE_EACH):
            email = f"{'member' if p else 'owner'}@org-{o}.example"
            yield {**common, "email": email, "email_folded": email, "name": f"Person {o} {p}", "staff_role": None}
    for a in range(AGENTS):
        email = f"agent{a or ''}@bench.example"
        yield {**common, "email": email, "email_folded": email, "name": f"Agent {a}", "staff_role": Role.AGENT}


def _organizations(organizations: int):
    for o in range(organizations):
        yield {
            "slug": f"org-{o}",
            "name": f"Organization {o}",
            "plan": "standard",
            "plan_since": START,
            "visibility": Visibility.EVERYONE,
            "calendar_id": 1,
        }


def _clusters(organizations: int):
    for o in range(organizations):
        for name in ("prod", "staging"):
            yield {
                "organization_id": o + 1,
                "name": f"{name}-{o}",
                "tier": "Dedicated",
                "region": "eu-central-1",
                "environment": "Production",
                "version": "v8.5.1",
            }


COLUMNS = [
    "id",
    "key",
    "door",
    "state",
    "severity",
    "summary",
    "organization_id",
    "cluster_name",
    "environment",
    "components",
    "version_affected",
    "confidential",
    "opener_id",
    "assignee_id",
    "plan",
    "catalogue_version",
    "thread",
    "created_at",
    "updated_at",
    "resolved_at",
    "due_at",
    "due_order",
    "active",
    "severity_asked",
    "nudges",
    "revision",
]


def _tickets(
    connection: Connection, numbers: range, tickets: int, organizations: int, chance: random.Random, lite: bool
) -> None:
    """Write some of the tickets, and what can be found of them."""
    version, said = catalogue().version, terms_of(*BODIES, "Production", "TiDB", "v8.5.1")
    # One of ten is active: two of fifty open, one in progress, two that wait.
    states = ["open", "open", "in-progress", "waiting", "waiting"] + ["resolved"] * 5 + ["closed"] * 40
    first_agent, never = organizations * PEOPLE_EACH + 1, "9999-12-31 00:00:00.000000"
    rows, index = [], []
    for n in numbers:
        house = 1 if n < FIRST_HOUSE else 2 + n % (organizations - 1)
        opener = (house - 1) * PEOPLE_EACH + 1 + n % PEOPLE_EACH
        # Ten months of history, each minute of it as busy as the others.
        at = START + timedelta(seconds=n * 26_000_000 // tickets)
        state = states[(n * 7) % 50]
        answered = state != "open"
        due = None if answered else at + timedelta(hours=8 + n % 400)
        summary = f"{' '.join(chance.sample(WORDS, 6))} {n}"
        rows.append(
            (
                n + 1, f"TECH-{n + 1}", "technical", state, f"S{1 + n % 4}", summary, house, f"prod-{house - 1}",
                "Production", '["TiDB"]', "v8.5.1", False, opener, first_agent + n % AGENTS if answered else None,
                PlanName.STANDARD.value, version, f"t{n}", _at(at), _at(at + timedelta(hours=n % 90)),
                _at(at) if state in {"resolved", "closed"} else None, due and _at(due), (due and _at(due)) or never,
                state in {"open", "in-progress", "waiting"}, "", 0, 1,
            )
        )  # fmt: skip
        terms = said | terms_of(f"TECH-{n + 1}", summary, f"prod-{house - 1}")
        scope = scope_of(house, opener)
        index.append((n + 1, [f"{scope}/{term}" for term in terms] + [f"{STAFF}/{term}" for term in terms]))
    _bulk(connection, "tickets", COLUMNS, rows)
    if lite:
        _bulk(connection, "ticket_index", ["rowid", "terms"], [(n, " ".join(sorted(terms))) for n, terms in index])
    else:
        # A tsvector as text: each term in quotes, none of which has one inside.
        vectors = [(n, " ".join(f"'{term}'" for term in terms)) for n, terms in index]
        _bulk(connection, "ticket_index", ["ticket_id", "terms"], vectors)


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _bulk(connection: Connection, table: str, columns: list[str], rows: list[tuple]) -> None:
    """Give the rows to the driver in the way that is quickest."""
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _histories(connection: Connection, comments: int, lite: bool) -> None:
    """Let the database make messages, events, promises and participants from the tickets."""
    connection.exec_driver_sql("CREATE TEMPORARY TABLE said (n INTEGER PRIMARY KEY, source TEXT, html TEXT)")
    for n in range(comments):
        body = BODIES[n % len(BODIES)]
        put = text("INSERT INTO said VALUES (:n, :source, :html)")
        connection.execute(put, {"n": n, "source": body, "html": rendered(body)})

    def later(minutes: str, start: str = "t.created_at") -> str:
        if lite:
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', {start}, '+' || ({minutes}) || ' minutes')"
        return f"{start} + make_interval(mins => ({minutes})::int)"

    yes, no = ("1", "0") if lite else ("true", "false")
    agent = "coalesce(t.assignee_id, (SELECT min(id) FROM people WHERE staff_role = 'agent'))"
    author = f"CASE WHEN s.n - 2 * (s.n / 2) = 1 THEN {agent} ELSE t.opener_id END"
    connection.exec_driver_sql(
        "INSERT INTO comments (id, ticket_id, author_id, created_at, source, html, renderer, by_staff, internal) "
        f"SELECT (t.id - 1) * {comments} + s.n + 1, t.id, {author}, {later('30 * s.n')}, s.source, s.html, {RENDERER}, "
        f"CASE WHEN s.n - 2 * (s.n / 2) = 1 THEN {yes} ELSE {no} END, {no} FROM tickets t CROSS JOIN said s"
    )
    connection.exec_driver_sql(
        "INSERT INTO events (kind, at, actor_id, ticket_id, organization_id, comment_id, internal, data) "
        f"SELECT CASE WHEN s.n = 0 THEN 'ticket.filed' ELSE 'ticket.replied' END, {later('30 * s.n')}, {author}, t.id, "
        f"t.organization_id, (t.id - 1) * {comments} + s.n + 1, {no}, '{{}}' FROM tickets t CROSS JOIN said s"
    )
    open_ = "t.state = 'open'"
    connection.exec_driver_sql(
        "INSERT INTO response_targets (ticket_id, cycle, catalogue, plan, severity, minutes, around_the_clock, calendar_id, "
        "started_at, due_at, pauses, met_at, counted_seconds, carried_microseconds, hours_version, rises) SELECT t.id, 1, t.catalogue_version, "
        f"t.plan, t.severity, 480, {no}, 1, t.created_at, coalesce(t.due_at, {later('480')}), '[]', "
        f"CASE WHEN {open_} THEN NULL ELSE {later('30')} END, CASE WHEN {open_} THEN 0 ELSE 1800 END, 0, 1, '[]' FROM tickets t"
    )
    connection.exec_driver_sql("INSERT INTO participants (ticket_id, person_id) SELECT id, opener_id FROM tickets")
    connection.exec_driver_sql("DROP TABLE said")


def make(url: str, tickets: int) -> None:
    """Fill the empty database at the address."""
    from sqlalchemy import create_engine

    engine = create_engine(url)
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Nobody else reads it yet, and what a power cut breaks is made anew.
            connection.connection.driver_connection.isolation_level = None
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.exec_driver_sql("BEGIN")
        later = tables(connection)
        connection.commit()
        with Session(connection) as session:
            fill(session, tickets)
        finish(connection, later)
        stamp(connection)
    engine.dispose()


def stamp(connection: Connection) -> None:
    """Say which version the tables are of, so that the portal can be served from them."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(__file__).parent.parent / "migrations"))
    MigrationContext.configure(connection).stamp(script, "head")
    connection.commit()


def main() -> None:
    """Fill the database that the command names."""
    started, tickets = time.perf_counter(), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    make(sys.argv[1], tickets)
    print(f"{tickets:,} tickets in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
