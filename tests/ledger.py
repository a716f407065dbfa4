"""A small company with its gateway, its clock and its database in memory: for laws about money that need no pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import databases
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool
from stripe_double import TriedStripe

from gateways.payments_sandbox import SandboxPayments
from models import changes, checkout, collecting, offline, outcomes, renewals
from models.base import Model
from models.calendars import DEFAULT_HOURS, Calendar
from models.cards import default_card
from models.catalogue import PlanName
from models.charges import CloudCharge
from models.invoices import Invoice, TaxRate
from models.organizations import Membership, Organization
from models.outside import CardDetails
from models.payments import Payment, PaymentKind, PaymentState, open_payment_of
from models.people import Person, folded
from models.permissions import Role
from models.quotes import quote_upgrade
from models.subscriptions import Subscription, Term, subscription_of

HOUSE = "lumen-retail"
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
FINE, DECLINES, ASKS = "4242424242424242", "4000000000000341", "4000002760003184"


class Ledger:
    """One organization with an Owner and a seller; `at` is the clock, and every verb acts at it."""

    def __init__(self, folder: Path, start: datetime = START, gateway: TriedStripe | None = None) -> None:
        self.at = start
        self.gateway = gateway or SandboxPayments(folder / "sandbox.sqlite")
        self.engine = self._database(folder)
        with Session(self.engine) as session:
            calendar = Calendar(name="Weekdays", zone="UTC", hours=DEFAULT_HOURS, holidays=[])
            session.add(calendar)
            session.flush()
            owner, seller = (self._person(session, email) for email in ("owner@lumen.example", "sales@x.example"))
            house = Organization(
                slug=HOUSE, name="Lumen Retail", plan="basic", plan_since=start, calendar_id=calendar.id, members=[]
            )
            session.add(house)
            session.flush()
            session.add(Membership(person=owner, organization=house, role=Role.OWNER))
            self.owner, self.seller, self.house = owner.id, seller.id, house.id
            session.commit()

    def _database(self, folder: Path) -> Engine:
        if databases.server() is not None:
            return databases.spare(folder / "ledger.sqlite")
        # In memory, since laws are tried on hundreds of ledgers.
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        # The driver's own transactions know no savepoints.
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        Model.metadata.create_all(engine)
        return engine

    def _person(self, session: Session, email: str) -> Person:
        person = Person(
            email=email, email_folded=folded(email), name=email, memberships=[], created_at=self.at, time_zone="UTC"
        )
        session.add(person)
        session.flush()
        return person

    def now(self) -> datetime:
        """The clock, as the gateway's callers read it."""
        return self.at

    def sessions(self) -> Session:
        return Session(self.engine)

    def do(self, verb: Callable[[Session, Organization, Person], Any]) -> Any:
        """Do something in one transaction and return what it returns."""
        with Session(self.engine, expire_on_commit=False) as session:
            result = verb(session, session.get_one(Organization, self.house), session.get_one(Person, self.owner))
            session.commit()
            return result

    def price(self, plan: PlanName) -> checkout.Price:
        """What the page shows for the plan now."""
        cents = self.do(lambda _, house, __: quote_upgrade(house, plan, at=self.at).total)
        return checkout.Price(self.at, cents)

    def begin(self, plan: PlanName, *, saved: bool = False, price: checkout.Price | None = None) -> str:
        """Write the intent to upgrade, at the price that a page showed or at the one of now, and return its id."""

        def verb(_: Session, house: Organization, owner: Person) -> str:
            card = default_card(house) if saved else None
            shown = price or checkout.Price(self.at, quote_upgrade(house, plan, at=self.at).total)
            return checkout.begin_upgrade(house, owner, plan, price=shown, card=card, now=self.at).public_id

        return str(self.do(verb))

    def type(self, key: str, number: str = FINE) -> PaymentState:
        """Type a card for the payment: into our own form, or into Stripe's element."""
        if isinstance(self.gateway, TriedStripe):
            state = collecting.save_card(self.sessions, self.gateway, key, None, self)
            if state is PaymentState.ASKING and self.payment(key).asks == collecting.CARD:
                self.gateway.double.type_card(self.gateway.double.intent(f"{key}:card"), number)
                return self.advance(key)
            return state
        details = CardDetails(number, 1, self.at.year + 3, "123", "Daniel Reyes")
        return collecting.save_card(self.sessions, self.gateway, key, details, self)

    def advance(self, key: str) -> PaymentState:
        return collecting.advance(self.sessions, self.gateway, key, self)

    def answer(self, key: str, *, confirmed: bool = True) -> PaymentState:
        """Answer the bank, and come back."""
        self.gateway.answer_bank(f"{key}:{self.payment(key).asks}", confirmed=confirmed)
        return self.advance(key)

    def buy(self, plan: PlanName, number: str = FINE) -> PaymentState:
        return self.type(self.begin(plan), number)

    def downgrade(self, plan: PlanName) -> None:
        self.do(lambda _, house, owner: changes.schedule_downgrade(house, owner, plan, now=self.at))

    def keep(self) -> None:
        self.do(lambda _, house, owner: changes.keep_plan(house, owner, now=self.at))

    def pay(self) -> PaymentState:
        """Pay what is owed."""

        def verb(_: Session, house: Organization, owner: Person) -> str:
            due = checkout.arrears_of(house, now=self.at)
            shown = str(due.total) if due is not None else ""
            return checkout.begin_arrears(house, owner, shown=shown, now=self.at).public_id

        return self.advance(str(self.do(verb)))

    def record(self, what: str | None = None) -> str:
        """Record a transfer for what is due, or for the plan, as an administrator does."""

        def verb(session: Session, house: Organization, _: Person) -> str:
            due = offline.due_of(house, "" if what in {None, offline.ARREARS} else str(what), at=self.at)
            wanted = what or due.key
            paid = offline.record_payment(
                house,
                session.get_one(Person, self.seller),
                wanted,
                offline.Came(offline.Method.TRANSFER, "2026-1128", self.at.date(), str(due.quote.total)),
                quoted_at=self.at,
                now=self.at,
            )
            return paid.public_id

        return str(self.do(verb))

    def contract(self, end: date = date(2099, 1, 1)) -> None:
        """Let a contract begin, until the day `end`."""

        def verb(session: Session, house: Organization, _: Person) -> None:
            seller, start = session.get_one(Person, self.seller), self.at.date()
            changes.start_contract(house, seller, now=self.at, start=start.isoformat(), end=end.isoformat())
            house.contract_start, house.contract_end = start, end

        self.do(verb)

    def replace_card(self, number: str = FINE) -> str:
        """Type a card in the place of the default one; return the id of the payment that saves it."""

        def verb(_: Session, house: Organization, owner: Person) -> str:
            old = default_card(house)
            return checkout.begin_saving(house, owner, replaces=old.id if old else None, now=self.at).public_id

        key = str(self.do(verb))
        self.type(key, number)
        return key

    def pay_back(self, refund: int) -> None:
        """Pay a declined refund back by hand, as an administrator does."""

        def verb(session: Session, _: Organization, __: Person) -> None:
            seller = session.get_one(Person, self.seller)
            outcomes.paid_back_by_hand(session.get_one(Payment, refund), seller, now=self.at)

        self.do(verb)

    def charge(self, month: date, cents: int) -> None:
        """Import what the cloud console says of one month."""
        row = CloudCharge(organization_id=self.house, month=month, cents=cents, imported_at=self.at)
        self.do(lambda session, _, __: session.add(row))

    def tax(self, basis_points: int) -> None:
        rate = TaxRate(basis_points=basis_points, since=self.at, set_by=self.seller)
        self.do(lambda session, _, __: session.add(rate))

    def step(self, **length: float) -> None:
        self.at += timedelta(**length)

    def work(self) -> None:
        """Do the worker's round, as often as there is something to do."""
        for _ in range(50):
            done = 0
            for begin in (
                renewals.begin_renewals,
                renewals.begin_retries,
                renewals.begin_last_usage,
                renewals.end_unpaid,
                renewals.end_contracts,
            ):
                done += self.do(lambda session, _, __, begin=begin: begin(session, self.at))
            done += collecting.advance_due(self.sessions, self.gateway, self)
            if not done:
                return
        raise AssertionError("the worker never comes to an end")

    @property
    def plan(self) -> str:
        return str(self.do(lambda _, house, __: house.plan))

    def payment(self, key: str) -> Payment:
        found = self.do(lambda session, _, __: session.scalars(select(Payment).where(Payment.public_id == key)).one())
        assert isinstance(found, Payment)
        return found

    def open_payment(self) -> Payment | None:
        return self.do(lambda _, house, __: open_payment_of(house))  # type: ignore[no-any-return]

    def subscription(self) -> Subscription:
        found = self.do(lambda _, house, __: subscription_of(house))
        assert isinstance(found, Subscription)
        return found

    def rows(self, table: type[Any], *where: Any) -> list[Any]:
        def read(session: Session, *_: object) -> list[Any]:
            return list(session.scalars(select(table).where(*where).order_by(table.id)))

        return list(self.do(read))

    def invoices(self) -> list[Invoice]:
        return self.rows(Invoice)

    def terms(self) -> list[Term]:
        return self.rows(Term)

    def invoiced(self) -> int:
        return int(self.do(lambda session, _, __: session.scalar(select(func.sum(Invoice.total))) or 0))

    def moved(self) -> int:
        """The money that the gateway has moved to us, less what went back, and what came or went past it."""
        paid = self.rows(Payment, Payment.state == PaymentState.PAID)
        by_hand = sum(one.cents for one in paid if one.kind is PaymentKind.REFUND and one.card_id is None)
        sent = sum(one.cents for one in paid if one.offline) - by_hand
        return sent + sum(cents if kind == "charge" else -cents for _, kind, cents in self.gateway.charged(HOUSE))
