"""Fills an empty database with many tickets, quickly and always the same way: bench/generate.py FOLDER [TICKETS]."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent.parent))

from models.calendars import DEFAULT_HOURS, Calendar
from models.catalogue import DoorName, PlanName, Severity, catalogue
from models.choices import fill_lists
from models.events import Event, EventKind
from models.numbers import Counter
from models.organizations import Cluster, Membership, Organization, Visibility
from models.people import Passwords, Person
from models.permissions import Role
from models.promises import ResponseTarget
from models.prose import RENDERER, rendered, searchable
from models.tickets import Comment, Participant, Ticket, TicketState

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
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
PEOPLE_EACH = 2
PASSWORD = "helpcenter-bench"


def fill(session: Session, tickets: int = 10_000, comments: int = 10) -> None:
    """Write organizations (one for each fifty tickets), their people, and the tickets with their whole history.

    The first person, owner@org-0.example, sees 500 tickets of the first organization whatever the total is.
    """
    chance = random.Random(20261123)
    password = Passwords(8, 1).hash(PASSWORD)
    organizations = max(2, tickets // 50)
    fill_lists(session)
    session.add(Calendar(name="Berlin", zone="Europe/Berlin", hours=DEFAULT_HOURS, holidays=[]))
    session.flush()
    session.execute(insert(Person), list(_people(organizations, password)))
    session.execute(insert(Organization), list(_organizations(organizations)))
    session.execute(
        insert(Membership),
        [
            {"person_id": o * PEOPLE_EACH + p + 1, "organization_id": o + 1, "role": Role.MEMBER if p else Role.OWNER}
            for o in range(organizations)
            for p in range(PEOPLE_EACH)
        ],
    )
    session.execute(insert(Cluster), list(_clusters(organizations)))
    agent = organizations * PEOPLE_EACH + 1
    for first in range(0, tickets, 500):
        _batch(session, range(first, min(first + 500, tickets)), organizations, agent, comments, chance)
    session.add_all([Counter(name="TECH", value=tickets), Counter(name="BILL", value=tickets)])
    session.commit()


def _people(organizations: int, password: str):
    common = {"password_hash": password, "time_zone": "Europe/Berlin", "created_at": START}
    for o in range(organizations):
        for p in range(PEOPLE_EACH):
            email = f"{'member' if p else 'owner'}@org-{o}.example"
            yield {**common, "email": email, "email_folded": email, "name": f"Person {o} {p}", "staff_role": None}
    email = "agent@bench.example"
    yield {**common, "email": email, "email_folded": email, "name": "Agent One", "staff_role": Role.AGENT}


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


def _batch(
    session: Session, numbers: range, organizations: int, agent: int, comments: int, chance: random.Random
) -> None:
    version, html, states = catalogue().version, rendered(BODY), list(TicketState)
    rows: dict[type, list[dict[str, object]]] = {m: [] for m in (Ticket, Participant, Comment, Event, ResponseTarget)}
    for n in numbers:
        organization = 1 if n < 500 else 2 + n % (organizations - 1)
        opener = (organization - 1) * PEOPLE_EACH + 1 + n % PEOPLE_EACH
        at = START + timedelta(minutes=7 * n % 400_000)
        state, severity = states[n % 5], list(Severity)[n % 4]
        summary = f"{' '.join(chance.sample(WORDS, 6))} {n}"
        answered = n % 3 > 0
        ticket = n + 1
        rows[Ticket].append(
            {
                "key": f"TECH-{ticket}",
                "door": DoorName.TECHNICAL,
                "state": state,
                "severity": severity,
                "summary": summary,
                "search_text": searchable(f"TECH-{ticket}", summary, BODY),
                "organization_id": organization,
                "cluster_name": f"prod-{organization - 1}",
                "environment": "Production",
                "components": ["TiDB"],
                "version_affected": "v8.5.1",
                "opener_id": opener,
                "assignee_id": agent if answered else None,
                "plan": PlanName.STANDARD,
                "catalogue_version": version,
                "thread": f"t{n}",
                "created_at": at,
                "updated_at": at + timedelta(hours=n % 90),
                "due_at": None if answered else at + timedelta(hours=8),
                "revision": 1,
            }
        )
        rows[Participant].append({"ticket_id": ticket, "person_id": opener})
        for c in range(comments):
            moment = at + timedelta(minutes=30 * c)
            staff = c % 2 == 1
            message = n * comments + c + 1
            author = agent if staff else opener
            text = {"source": BODY, "html": html, "renderer": RENDERER, "by_staff": staff, "internal": False}
            rows[Comment].append(
                {"id": message, "ticket_id": ticket, "author_id": author, "created_at": moment, **text}
            )
            kind = EventKind.TICKET_REPLIED if c else EventKind.TICKET_FILED
            event = {"kind": kind, "at": moment, "actor_id": author, "ticket_id": ticket, "comment_id": message}
            rows[Event].append({**event, "internal": False, "data": {}})
        rows[ResponseTarget].append(
            {
                "ticket_id": ticket,
                "cycle": 1,
                "catalogue": version,
                "plan": PlanName.STANDARD,
                "severity": severity,
                "minutes": 480,
                "around_the_clock": False,
                "calendar_id": 1,
                "started_at": at,
                "due_at": at + timedelta(hours=8),
                "pauses": [],
                "met_at": at + timedelta(minutes=30) if answered else None,
                "counted_seconds": 1800 if answered else 0,
                "carried_microseconds": 0,
            }
        )
    for model, some in rows.items():
        session.execute(insert(model), some)


def main() -> None:
    """Fill the database in a folder."""
    from app import create_app
    from config import read_settings
    from extensions import db

    folder, tickets = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    app = create_app(read_settings({"DATA_FOLDER": folder}))
    with app.app_context():
        db.create_all()
        fill(db.session(), tickets)
    print(f"{tickets:,} tickets in {folder}")


if __name__ == "__main__":
    main()
