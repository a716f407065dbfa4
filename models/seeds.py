"""The demo world: organizations, people and requests, which the tests know as well. Everything is made by the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from models.announcements import Announcement, Tone
from models.base import Model
from models.calendars import DEFAULT_HOURS, Calendar, Holiday
from models.catalogue import PlanName
from models.choices import fill_lists
from models.chores import note_missed
from models.demo import ACCOUNTS, PASSWORD
from models.editions import begin, change
from models.enquiries import enquire
from models.hooks import Topic, add_endpoint
from models.macros import MacroText, create
from models.numbers import Counter
from models.oncall import add_duty
from models.organizations import Cluster, Membership, Organization, Visibility
from models.outbox import Message, MessageState
from models.outside import FileStore, Payments
from models.people import Passwords, Person, folded, person_by_email
from models.permissions import Role
from models.purchases import VISA, buy, charge_open, tell_purchases
from models.search import clear
from models.stories import summary_of, tell
from models.tickets import Ticket, TicketState
from models.views import save_view

# Mail about older things has long been delivered; the rest goes out when the worker starts.
DELIVERED_BEFORE = timedelta(hours=1)
# So that keys look like those of a portal in use.
FIRST_NUMBERS = {"TECH": 1260, "BILL": 400, "LEAD": 30, "INV": 2040, "CN": 110}


@dataclass(frozen=True)
class _House:
    """An organization of the demo world; clusters are name, tier, region, environment, version."""

    slug: str
    name: str
    zone: str
    members: dict[str, Role]
    clusters: tuple[tuple[str, str, str, str, str], ...]
    holidays: dict[tuple[int, int], str]
    visibility: Visibility = Visibility.EVERYONE


_HOUSES = (
    _House(
        "aurora-games",
        "Aurora Games",
        "Europe/Berlin",
        {"owner@aurora.example": Role.OWNER, "partner@consult.example": Role.MEMBER},
        (
            ("arena-prod", "Starter", "eu-central-1", "Production", "v8.5.1"),
            ("arena-dev", "Starter", "eu-central-1", "Development", "v8.5.1"),
        ),
        {(1, 1): "New Year’s Day", (5, 1): "Labour Day", (10, 3): "German Unity Day", (12, 25): "Christmas Day"},
    ),
    _House(
        "lumen-retail",
        "Lumen Retail",
        "America/New_York",
        {
            "owner@lumen.example": Role.OWNER,
            "billing@lumen.example": Role.BILLING_ADMIN,
            "member@lumen.example": Role.MEMBER,
        },
        (
            ("checkout-prod", "Dedicated", "us-east-1", "Production", "v8.1.2"),
            ("catalog-staging", "Essential", "us-east-1", "Staging", "v8.5.1"),
            ("dev-sandbox", "Starter", "us-west-2", "Development", "v7.1.6"),
        ),
        {(1, 1): "New Year’s Day", (7, 4): "Independence Day", (11, 11): "Veterans Day", (12, 25): "Christmas Day"},
    ),
    _House(
        "northwind-bank",
        "Northwind Bank",
        "Europe/Berlin",
        {
            "owner@northwind.example": Role.OWNER,
            "member@northwind.example": Role.MEMBER,
            "partner@consult.example": Role.MEMBER,
        },
        (
            ("ledger-prod", "Dedicated", "eu-central-1", "Production", "v8.1.2"),
            ("payments-prod", "Dedicated", "eu-central-1", "Production", "v8.1.2"),
            ("reporting", "Dedicated", "eu-west-1", "Production", "v7.5.6"),
            ("core-staging", "Dedicated", "eu-central-1", "Staging", "v8.5.1"),
        ),
        {(1, 1): "New Year’s Day", (5, 1): "Labour Day", (12, 25): "Christmas Day", (12, 26): "Boxing Day"},
        visibility=Visibility.MANAGERS,
    ),
    _House(
        "harbor-logistics",
        "Harbor Logistics",
        "Asia/Tokyo",
        {"owner@harbor.example": Role.OWNER},
        (
            ("fleet-prod", "Dedicated", "ap-northeast-1", "Production", "v8.5.1"),
            ("tracking-prod", "Dedicated", "ap-northeast-1", "Production", "v8.5.1"),
            ("port-analytics", "Dedicated", "ap-northeast-1", "Production", "v8.1.2"),
        ),
        {(1, 1): "New Year’s Day", (1, 2): "Bank holiday", (1, 3): "Bank holiday", (11, 3): "Culture Day"},
    ),
)

# Name, time zone, staff role. The addresses are those of models/demo.py.
_PEOPLE: dict[str, tuple[str, str, Role | None]] = {
    "owner@aurora.example": ("Maya Okafor", "Europe/Berlin", None),
    "owner@lumen.example": ("Daniel Reyes", "America/New_York", None),
    "billing@lumen.example": ("Aisha Rahman", "America/Chicago", None),
    "member@lumen.example": ("Priya Nair", "America/New_York", None),
    "owner@northwind.example": ("Klara Brandt", "Europe/Berlin", None),
    "member@northwind.example": ("Jonas Lindqvist", "Europe/Stockholm", None),
    "owner@harbor.example": ("Yuki Tanaka", "Asia/Tokyo", None),
    "partner@consult.example": ("Tomás Herrera", "Europe/Madrid", None),
    "agent@support.example": ("Sofia Marino", "Europe/Rome", Role.AGENT),
    "agent2@support.example": ("Ravi Menon", "Asia/Kolkata", Role.AGENT),
    "sales@support.example": ("Grace Kim", "America/Los_Angeles", Role.SALES),
    "admin@support.example": ("Oliver Grant", "Europe/London", Role.ADMINISTRATOR),
}


def is_empty(session: Session) -> bool:
    """Tell whether nobody is there yet."""
    return session.scalar(select(Person.id).limit(1)) is None


def is_demo(session: Session) -> bool:
    """Tell whether the database holds the demo world: any of its accounts is enough."""
    known = Person.email_folded.in_([folded(account.email) for account in ACCOUNTS])
    return session.scalar(select(Person.id).where(known).limit(1)) is not None


def empty(session: Session) -> None:
    """Delete every row of every table."""
    for table in reversed(Model.metadata.sorted_tables):
        # Some databases look at each row alone: one that points at another of its own table must let go of it first.
        own = [column for column in table.c if any(key.column.table is table for key in column.foreign_keys)]
        if own:
            session.execute(update(table).values(dict.fromkeys(own)))
        session.execute(delete(table))
    clear(session)
    session.expunge_all()


def found(session: Session) -> None:
    """Write what every installation begins with, where it is missing: the lists, and a calendar of business hours."""
    fill_lists(session)
    if session.scalar(select(Calendar.id).limit(1)) is None:
        session.add(Calendar(name="Business hours", zone="UTC", hours=DEFAULT_HOURS, holidays=[]))
    session.flush()


def plant(session: Session, passwords: Passwords, files: FileStore, payments: Payments, *, now: datetime) -> None:
    """Fill an empty database with the demo world, as it is at `now` (aware); the caller commits."""
    fill_lists(session)
    people = _people(session, passwords, now - timedelta(days=400))
    for house in _HOUSES:
        _found_house(session, house, people, now)
    session.add_all(Counter(name=prefix, value=number) for prefix, number in FIRST_NUMBERS.items())
    _announce(session, now)
    agent, manager = people["agent@support.example"], people["agent2@support.example"]
    _write_macros(agent, now - timedelta(days=40))
    _draft_terms(session, people["admin@support.example"], now=now - timedelta(days=3))
    manager.duty_manager = True
    add_duty(manager, agent, now - timedelta(hours=1), now + timedelta(days=7), now=now)
    session.flush()
    # Plans and contracts first: a request is promised by the plan that its organization has by then.
    signed = now - timedelta(days=100)
    buy(session, payments, "harbor-logistics", "owner@harbor.example", PlanName.ENTERPRISE, VISA, at=signed)
    enquire(session, now=now)
    charge_open(session, payments, now=now - timedelta(days=90))
    tell_purchases(session, payments, now=now)
    tell(session, files, now=now)
    note_missed(session, now)
    old = update(Message).where(Message.created_at < now - DELIVERED_BEFORE)
    session.flush()
    session.execute(old.values(state=MessageState.SENT, attempts=1, sent_at=Message.created_at))
    session.expire_all()
    # Named when all is told: a name below .example leads nowhere, so nothing of the demo leaves.
    add_endpoint(people["admin@support.example"], "https://crm.example/leads", [Topic.LEADS.value], now=now)


def _draft_terms(session: Session, administrator: Person, *, now: datetime) -> None:
    """Draft faster first replies for the Standard plan, which nobody has published yet."""
    session.flush()
    draft = begin(administrator, "2026-12", of="2026-01", now=now)
    targets = {**draft.data["targets"]["standard"], "S2": {"minutes": 240, "clock": "business"}}
    change(draft, administrator, draft.data | {"targets": draft.data["targets"] | {"standard": targets}}, now=now)


def person(session: Session, email: str) -> Person:
    """Return the person of the demo world with that address; raises LookupError."""
    there = person_by_email(session, email)
    if there is None:
        raise LookupError(f"Nobody has the address {email}.")
    return there


def ticket_of_story(session: Session, name: str) -> Ticket:
    """Return the request that the story of that name in stories.toml tells of; raises LookupError."""
    ticket = session.scalar(select(Ticket).where(Ticket.summary == summary_of(name)))
    if ticket is None:
        raise LookupError(f"There is no request {name}.")
    return ticket


def _people(session: Session, passwords: Passwords, since: datetime) -> dict[str, Person]:
    # They share a password, and hashing it is what takes longest.
    hashed = passwords.hash(PASSWORD)
    made = {}
    for account in ACCOUNTS:
        name, zone, role = _PEOPLE[account.email]
        made[account.email] = Person(
            email=account.email,
            email_folded=folded(account.email),
            name=name,
            password_hash=hashed,
            staff_role=role,
            time_zone=zone,
            memberships=[],
            created_at=since,
        )
    session.add_all(made.values())
    session.flush()
    return made


def _found_house(session: Session, house: _House, people: dict[str, Person], now: datetime) -> None:
    years = range(now.year - 1, now.year + 3)
    calendar = Calendar(
        name=f"{house.name}: {house.zone}",
        zone=house.zone,
        hours=DEFAULT_HOURS,
        holidays=[
            Holiday(date=date(year, month, day), name=name)
            for year in years
            for (month, day), name in house.holidays.items()
        ],
    )
    session.add(calendar)
    session.flush()
    organization = Organization(
        slug=house.slug,
        name=house.name,
        plan=PlanName.BASIC.value,
        plan_since=now - timedelta(days=400),
        visibility=house.visibility,
        calendar_id=calendar.id,
        members=[
            Membership(person=people[email], role=role, joined_at=now - timedelta(days=400))
            for email, role in house.members.items()
        ],
    )
    session.add(organization)
    session.flush()
    session.add_all(
        Cluster(
            organization_id=organization.id,
            name=name,
            tier=tier,
            region=region,
            environment=environment,
            version=version,
        )
        for name, tier, region, environment, version in house.clusters
    )


def _write_macros(agent: Person, now: datetime) -> None:
    """Give the agents texts to insert and views of the queues, shared ones and one of each of the agent's own."""
    logs = (
        "to find the cause we need the slow query log of {{cluster}} for the time in question. "
        "Dashboard → Slow Queries → Export gives it as a file; attach it here."
    )
    solved = "we take {{ticket.key}} as solved. If it is not, reply within 14 days and it opens again."
    greeting, end = "Hello {{customer.first_name}},", "{{agent.first_name}}"
    waits, done = TicketState.WAITING, TicketState.RESOLVED
    for text in (
        MacroText("Ask for the slow query log", f"{greeting}\n\n{logs}\n\n{end}", waits, take=True, shared=True),
        MacroText("Solved: ask to confirm", f"{greeting}\n\n{solved}\n\n{end}", done, take=False, shared=True),
        MacroText("Looking into it", "We are on it. More today.", None, take=False, shared=False),
    ):
        create(agent, text, now=now)
    urgent = {"queue": "all", "severity": "S1"}
    save_view(agent, "Whose production stands still", urgent, shared=True)
    save_view(agent, "Nobody’s, of Premium", {"queue": "unassigned", "plan": "premium"}, shared=False)


def _announce(session: Session, now: datetime) -> None:
    session.add_all(
        (
            Announcement(
                title="Maintenance in eu-central-1 on Saturday night",
                body="Private endpoints in eu-central-1 move to new hosts between 22:00 and 23:00 UTC. Connections are "
                "closed once and can be opened again at once; pools that retry notice nothing.",
                tone=Tone.WARN,
                starts_at=now - timedelta(hours=20),
                ends_at=now + timedelta(days=5),
            ),
            Announcement(
                title="v8.5.1 is the recommended version",
                body="It mends the lost time zone after a reconnect through TiProxy. Upgrade from the console when it "
                "suits you; clusters on v7.1 and later go there in one step.",
                tone=Tone.INFO,
                starts_at=now - timedelta(days=6),
                ends_at=None,
            ),
        )
    )
