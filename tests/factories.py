"""What tests need to exist, made by the real verbs, so that no test has what the portal could not have made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from sqlalchemy import Engine, delete, insert, inspect, select
from sqlalchemy.orm import Session

from extensions import outside
from models import conversations, handling
from models.attachments import Attachment, Upload, attach, store
from models.base import token
from models.calendars import Calendar
from models.catalogue import DoorName, PlanName, Severity, catalogue
from models.choices import fill_lists
from models.demo import ACCOUNTS, PASSWORD
from models.drafts import keep_draft
from models.events import Event
from models.filing import Filing, file_ticket
from models.leads import Enquiry, Lead, submit
from models.organizations import Cluster, Membership, Organization, Visibility
from models.outbox import Message
from models.people import Person, folded, person_by_email
from models.permissions import Role
from models.promises import ResponseTarget
from models.purchases import MASTERCARD, VISA, buy
from models.selling import Contract
from models.tickets import Comment, Ticket, TicketState

AURORA, LUMEN, NORTHWIND, HARBOR = "aurora-games", "lumen-retail", "northwind-bank", "harbor-logistics"

_HOUSES = {
    AURORA: ("Aurora Games", PlanName.BASIC, Visibility.EVERYONE),
    LUMEN: ("Lumen Retail", PlanName.STANDARD, Visibility.EVERYONE),
    NORTHWIND: ("Northwind Bank", PlanName.ENTERPRISE, Visibility.MANAGERS),
    HARBOR: ("Harbor Logistics", PlanName.PREMIUM, Visibility.EVERYONE),
}
_MEMBERS = {
    "owner@aurora.example": {AURORA: Role.OWNER},
    "owner@lumen.example": {LUMEN: Role.OWNER},
    "billing@lumen.example": {LUMEN: Role.BILLING_ADMIN},
    "member@lumen.example": {LUMEN: Role.MEMBER},
    "owner@northwind.example": {NORTHWIND: Role.OWNER},
    "member@northwind.example": {NORTHWIND: Role.MEMBER},
    "owner@harbor.example": {HARBOR: Role.OWNER},
    "partner@consult.example": {AURORA: Role.MEMBER, NORTHWIND: Role.MEMBER},
}
_STAFF = {
    "agent@support.example": Role.AGENT,
    "agent2@support.example": Role.AGENT,
    "sales@support.example": Role.SALES,
    "admin@support.example": Role.ADMINISTRATOR,
}
NOBODY = "nobody@nowhere.example"
SELLER = "sales@support.example"


def now() -> datetime:
    return datetime.now(UTC)


def settle_town(session: Session) -> None:
    """Make the people and organizations of the demo, one person without any role, and no requests."""
    fill_lists(session)
    hours = [[["09:00", "18:00"]]] * 5 + [[], []]
    calendar = Calendar(name="Weekdays", zone="UTC", hours=hours)
    session.add(calendar)
    session.flush()
    houses = {}
    for slug, (name, _plan, visibility) in _HOUSES.items():
        house = Organization(
            slug=slug,
            name=name,
            plan=PlanName.BASIC.value,
            plan_since=now() - timedelta(days=90),
            visibility=visibility,
            calendar_id=calendar.id,
            members=[],
        )
        session.add(house)
        session.flush()
        houses[slug] = house
        for part, environment in (("prod", "Production"), ("dev", "Development")):
            session.add(
                Cluster(
                    organization_id=house.id,
                    name=f"{slug}-{part}",
                    tier="Dedicated",
                    region="eu-central-1",
                    environment=environment,
                    version="v8.5.1",
                )
            )
    hashed = outside().passwords.hash(PASSWORD)
    for email in [account.email for account in ACCOUNTS] + [NOBODY]:
        person = make_person(session, email, staff_role=_STAFF.get(email), password_hash=hashed)
        for slug, role in _MEMBERS.get(email, {}).items():
            join(session, person, houses[slug], role)
    gateway, since = outside().payments, now() - timedelta(days=10)
    assert gateway is not None
    for slug, number in ((LUMEN, VISA), (NORTHWIND, MASTERCARD)):
        owner = next(email for email, roles in _MEMBERS.items() if roles.get(slug) is Role.OWNER)
        buy(session, gateway, slug, owner, _HOUSES[slug][1], number, at=since)
        houses[slug].plan_since = now() - timedelta(days=90)
    harbor = houses[HARBOR]
    harbor.plan, harbor.plan_since = PlanName.PREMIUM.value, now() - timedelta(days=90)
    # Tests count what they cause themselves.
    for table in (Message, Event):
        session.execute(delete(table))
    session.commit()


def make_person(session: Session, email: str, **values: Any) -> Person:
    name = email.replace("@", " of ").partition(".")[0].title()
    person = Person(email=email, email_folded=folded(email), name=name, memberships=[], created_at=now(), **values)
    session.add(person)
    session.flush()
    return person


def join(session: Session, person: Person, organization: Organization, role: Role) -> None:
    session.add(Membership(person=person, organization=organization, role=role))
    session.flush()


def words_of(letter: EmailMessage, kind: str = "plain") -> str:
    """Return the words of a letter's plain part, or of its "html" part."""
    part = letter.get_body((kind,))
    assert part is not None, f"the letter has no {kind} part"
    return str(part.get_content())


@dataclass
class Town:
    """The database of a test: short transactions, so that no request waits for a lock."""

    engine: Engine

    @contextmanager
    def open(self) -> Iterator[Session]:
        """Give a session, and commit what was done with it."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()

    def scalars(self, query: Any) -> list[Any]:
        """Return what is asked for, objects in the order in which they were made: a server gives them in any order."""
        [asked, *_] = query.column_descriptions
        if asked["expr"] is asked["entity"]:
            query = query.order_by(*inspect(asked["entity"]).primary_key)
        with self.open() as session:
            return list(session.scalars(query).unique())

    def count(self, table: type[Any], *where: Any) -> int:
        return len(self.scalars(select(table.id).where(*where)))

    def ticket(self, key: str) -> Ticket:
        with self.open() as session:
            found = session.scalars(select(Ticket).where(Ticket.key == key)).unique().one()
            assert found.targets is not None
            return found

    def file(
        self,
        email: str = "owner@lumen.example",
        house: str | None = LUMEN,
        *,
        door: DoorName = DoorName.TECHNICAL,
        severity: Severity = Severity.S3,
        summary: str = "Checkout queries time out",
        body: str = "Since 13:40 UTC every second query fails.",
        at: datetime | None = None,
        confidential: bool = False,
        files: tuple[tuple[str, bytes], ...] = (),
    ) -> str:
        """File a request and return its key."""
        with self.open() as session:
            person, at = self._person(session, email), at or now()
            organization = session.scalar(select(Organization).where(Organization.slug == house)) if house else None
            technical = door is DoorName.TECHNICAL
            filing = Filing(
                door,
                organization,
                None,
                severity,
                summary,
                body,
                "Production" if technical else "",
                ("TiDB",) if technical else (),
                "",
                confidential,
            )
            draft = self._draft(session, person, door.value, files, at)
            return file_ticket(person, filing, key=token(), now=at, draft=draft)

    def copies(self, key: str, number: int) -> None:
        """Let there be many more tickets like this one, each with its promise."""
        tickets, targets = Ticket.__table__, ResponseTarget.__table__
        with self.open() as session:
            ticket = dict(session.execute(select(tickets).where(tickets.c.key == key)).mappings().one())
            mine = select(targets).where(targets.c.ticket_id == ticket["id"])
            target = dict(session.execute(mine).mappings().one())
            del target["id"]
            more = range(ticket["id"] + 1, ticket["id"] + 1 + number)
            named = [ticket | {"id": n, "key": f"COPY-{n}", "thread": f"copy-{n}"} for n in more]
            session.execute(insert(tickets), named)
            session.execute(insert(targets), [target | {"ticket_id": n} for n in more])

    def enquire(
        self,
        email: str = "owner@lumen.example",
        house: str = LUMEN,
        *,
        need: str = "Answers at night.",
        at: datetime | None = None,
        write_to: str = "",
        **facts: str,
    ) -> str:
        """Send the form Contact Us and return the lead's key."""
        with self.open() as session:
            organization = session.scalars(select(Organization).where(Organization.slug == house)).one()
            person = self._person(session, email)
            told = {
                "name": person.name,
                "email": write_to or email,
                "company": organization.name,
                "phone": "",
                "contact_time": "",
            }
            return submit(organization, person, Enquiry(need=need, **(told | facts)), now=at or now()).lead.key

    def lead(self, key: str) -> Lead:
        with self.open() as session:
            return session.scalars(select(Lead).where(Lead.key == key)).one()

    def sell(
        self, key: str, verb: Any, *given: Any, by: str = "sales@support.example", at: datetime | None = None
    ) -> None:
        """Do what sales does with a lead: `verb` is one of models.selling."""
        with self.open() as session:
            lead = session.scalars(select(Lead).where(Lead.key == key)).one()
            people = [self._person(session, one.email) if isinstance(one, Person) else one for one in given]
            verb(lead, self._person(session, by), *people, now=at or now())

    def hire(self, email: str, role: Role) -> Person:
        """Add somebody to the staff."""
        with self.open() as session:
            return make_person(session, email, staff_role=role)

    def reply(self, key: str, email: str, body: str = "More from us.", **more: Any) -> int:
        return self._say(conversations.reply, key, email, body, **more)

    def answer(self, key: str, email: str = "agent@support.example", body: str = "Try this.", **more: Any) -> int:
        return self._say(conversations.answer, key, email, body, **more)

    def note(self, key: str, email: str = "agent@support.example", body: str = "Between us.", **more: Any) -> int:
        return self._say(conversations.note, key, email, body, **more)

    def _say(
        self,
        verb: Any,
        key: str,
        email: str,
        body: str,
        *,
        at: datetime | None = None,
        files: tuple[tuple[str, bytes], ...] = (),
        **more: Any,
    ) -> int:
        with self.open() as session:
            ticket, person, at = self._ticket(session, key), self._person(session, email), at or now()
            draft = self._draft(session, person, f"ticket:{key}", files, at)
            comment: Comment = verb(ticket, person, body, now=at, draft=draft, **more)
            return comment.id

    def move(
        self, key: str, state: TicketState, email: str = "agent@support.example", at: datetime | None = None
    ) -> None:
        with self.open() as session:
            conversations.set_state(self._ticket(session, key), self._person(session, email), state, now=at or now())

    def take(self, key: str, email: str = "agent@support.example") -> None:
        with self.open() as session:
            handling.take(self._ticket(session, key), self._person(session, email), now=now())

    def take_part(self, key: str, email: str, by: str = "owner@lumen.example") -> None:
        with self.open() as session:
            newcomer = self._person(session, email)
            handling.add_participant(self._ticket(session, key), self._person(session, by), newcomer, now=now())

    def leave(self, email: str, house: str) -> None:
        """End a membership, as somebody's administrator would."""
        with self.open() as session:
            person = self._person(session, email)
            session.delete(next(m for m in person.memberships if m.organization.slug == house))

    def set_house(self, house: str, **values: Any) -> None:
        with self.open() as session:
            organization = session.scalars(select(Organization).where(Organization.slug == house)).one()
            for name, value in values.items():
                setattr(organization, name, value)

    def person(self, email: str) -> Person:
        with self.open() as session:
            return self._person(session, email)

    def clusters(self, house: str) -> list[Cluster]:
        joined = select(Cluster).join(Organization, Organization.id == Cluster.organization_id)
        return self.scalars(joined.where(Organization.slug == house).order_by(Cluster.id))

    def file_of(self, key: str, name: str) -> str:
        """Return the public id of a ticket's file."""
        mine = select(Attachment.public_id).join(Ticket, Ticket.id == Attachment.ticket_id)
        return str(self.scalars(mine.where(Ticket.key == key, Attachment.name == name))[0])

    def _draft(self, session: Session, person: Person, place: str, files: Any, at: datetime) -> Any:
        if not files:
            return None
        draft = keep_draft(person, place, {}, now=at)
        for name, content in files:
            upload = Upload(name, len(content), [content])
            attach(draft, store(upload, outside().files), outside().limits, now=at)
        session.flush()
        return draft

    def _person(self, session: Session, email: str) -> Person:
        person = person_by_email(session, email)
        assert person is not None, f"nobody has the address {email}"
        return person

    def _ticket(self, session: Session, key: str) -> Ticket:
        return session.scalars(select(Ticket).where(Ticket.key == key)).unique().one()


def offers(plan: PlanName, door: DoorName, severity: Severity) -> bool:
    """Tell whether the catalogue lets an organization on the plan file this at the door."""
    return severity in catalogue(now().date()).severities(door, plan)


def contract(days: int = 365, note: str = "As agreed", cents: int = 420_000) -> Contract:
    """A contract for Premium from today on."""
    today = now().date()
    return Contract(today, today + timedelta(days=days), note, "Emeka Obi", "PREM-1", cents)
