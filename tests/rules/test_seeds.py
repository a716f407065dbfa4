"""The demo world has everything that a visitor should meet, whichever day it is started on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import databases
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateways.files_local import LocalFiles
from gateways.payments_sandbox import SandboxPayments
from models.announcements import announcements
from models.attachments import Attachment, contents
from models.base import Model
from models.cards import default_card
from models.catalogue import DoorName, Severity
from models.demo import ACCOUNTS, PASSWORD
from models.events import Event, EventKind
from models.faces import face
from models.organizations import Cluster, Organization, Visibility
from models.outbox import Message, MessageState
from models.people import Passwords, Person
from models.seeds import empty, found, is_demo, is_empty, person, plant, ticket_of_story
from models.subscriptions import subscription_of
from models.tickets import Ticket, TicketState, tickets_of

PASSWORDS = Passwords(8, 1)
UTC_ZONE = ZoneInfo("UTC")
# A working morning, a weekend's night, New Year, and the hour that clocks change in.
MOMENTS = [
    datetime(2026, 11, 25, 9, 30, tzinfo=UTC),
    datetime(2026, 11, 28, 23, 50, tzinfo=UTC),
    datetime(2027, 1, 1, 0, 5, tzinfo=UTC),
    datetime(2027, 3, 28, 1, 30, tzinfo=UTC),
]


# The moment is the same for every database; servers take ten times as long to be filled.
@pytest.fixture(params=MOMENTS if databases.server() is None else MOMENTS[2:3], ids=lambda at: f"{at:%d-%b-%H%M}")
def now(request: pytest.FixtureRequest) -> datetime:
    return request.param


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = databases.spare(tmp_path / "seed.sqlite")
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_every_kind_of_request_is_there(session: Session, tmp_path: Path, now: datetime) -> None:
    plant(session, PASSWORDS, LocalFiles(tmp_path / "files"), SandboxPayments(tmp_path / "pay.sqlite"), now=now)
    session.commit()
    tickets = session.scalars(select(Ticket)).unique().all()
    assert 30 <= len(tickets) <= 45
    assert {ticket.state for ticket in tickets} == set(TicketState)
    assert {ticket.severity for ticket in tickets} == set(Severity)
    assert {ticket.door for ticket in tickets} == set(DoorName)
    marks = {face(ticket.target, UTC_ZONE, now).mark for ticket in tickets}
    assert marks == {"ok", "soon", "over", "paused", "met", "missed", "none"}
    assert all(ticket.created_at <= ticket.updated_at <= now for ticket in tickets)
    assert session.scalar(select(func.max(Event.at))) <= now
    assert any(ticket.severity_asked for ticket in tickets)
    assert any(len(ticket.targets) == 2 for ticket in tickets)
    assert not any(target for ticket in tickets if ticket.door is DoorName.BILLING for target in ticket.targets)


def test_particular_requests(session: Session, tmp_path: Path, now: datetime) -> None:
    files = LocalFiles(tmp_path / "files")
    plant(session, PASSWORDS, files, SandboxPayments(tmp_path / "pay.sqlite"), now=now)
    late = ticket_of_story(session, "ledger-down")
    assert face(late.target, UTC_ZONE, now).words == "Late by 42 min"
    missed = (Event.ticket_id == late.id) & (Event.kind == EventKind.PROMISE_MISSED)
    assert session.scalar(select(func.count()).where(missed)) == 1
    assert ticket_of_story(session, "backup-again").follows is ticket_of_story(session, "backup-window")
    secret = ticket_of_story(session, "security-report")
    seen = {one.email for one in session.scalars(select(Person)) if tickets_of(one).find(secret.key)}
    assert seen == {"member@northwind.example", "owner@northwind.example"}
    attachment = session.scalars(select(Attachment).where(Attachment.name == "lag.csv")).one()
    assert b"".join(contents(attachment, files)).startswith(b"minute,lag_seconds\n01:00,4\n")


def test_people_organizations_and_the_rest(session: Session, tmp_path: Path, now: datetime) -> None:
    plant(session, PASSWORDS, LocalFiles(tmp_path / "files"), SandboxPayments(tmp_path / "pay.sqlite"), now=now)
    assert {one.email for one in session.scalars(select(Person))} == {account.email for account in ACCOUNTS}
    assert PASSWORDS.fits(person(session, "owner@lumen.example"), PASSWORD)
    partner = person(session, "partner@consult.example")
    assert {m.organization.slug for m in partner.memberships} == {"aurora-games", "northwind-bank"}
    per_house = select(func.count(Cluster.id)).group_by(Cluster.organization_id)
    assert all(2 <= count <= 4 for count in session.scalars(per_house))
    lumen = session.scalars(select(Organization).where(Organization.slug == "lumen-retail")).one()
    running, card = subscription_of(lumen), default_card(lumen)
    assert lumen.plan == "standard"
    assert card is not None
    assert card.words == "Visa ending 4242"
    assert running is not None
    assert timedelta(days=5) <= running.period_end - now <= timedelta(days=9)
    hidden = [one.slug for one in session.scalars(select(Organization)) if one.visibility is not Visibility.EVERYONE]
    assert hidden == ["northwind-bank"]
    assert announcements(person(session, "owner@lumen.example"), now=now)


def test_only_the_last_hour_s_mail_waits(session: Session, tmp_path: Path, now: datetime) -> None:
    plant(session, PASSWORDS, LocalFiles(tmp_path / "files"), SandboxPayments(tmp_path / "pay.sqlite"), now=now)
    messages = session.scalars(select(Message)).all()
    waiting = [message for message in messages if message.state is MessageState.WAITING]
    assert 5 <= len(waiting) <= 20
    assert all(message.created_at >= now - timedelta(hours=1) for message in waiting)
    assert all(m.state is MessageState.SENT and m.sent_at == m.created_at for m in messages if m not in waiting)


def test_emptied_and_filled_anew(session: Session, tmp_path: Path) -> None:
    files = LocalFiles(tmp_path / "files")
    assert is_empty(session)
    plant(session, PASSWORDS, files, SandboxPayments(tmp_path / "pay.sqlite"), now=MOMENTS[0])
    session.commit()
    assert is_demo(session)
    empty(session)
    assert is_empty(session)
    assert not is_demo(session)
    assert not any(sizes_of(session).values())
    plant(session, PASSWORDS, files, SandboxPayments(tmp_path / "pay.sqlite"), now=MOMENTS[1])
    session.commit()


def test_a_real_installation_begins_with_lists_and_a_calendar_once(session: Session) -> None:
    found(session)
    sizes = sizes_of(session)
    assert {name for name, size in sizes.items() if size} == {"list_entries", "calendars"}
    found(session)
    assert sizes == sizes_of(session)


def sizes_of(session: Session) -> dict[str, int]:
    tables = Model.metadata.sorted_tables
    return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}
