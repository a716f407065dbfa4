"""The demo world's plans: bought with test cards, renewed month by month, made by the real verbs."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.catalogue import PlanName
from models.charges import CloudCharge
from models.checkout import Price, begin_upgrade
from models.collecting import CARD, next_call, take
from models.organizations import Organization
from models.outside import CardDetails, Payments
from models.payments import OPEN, Payment
from models.people import Person
from models.quotes import quote_upgrade
from models.renewals import begin_renewals

DAY = timedelta(days=1)
VISA, MASTERCARD = "4242424242424242", "5555555555554444"


def buy(
    session: Session, gateway: Payments, house: str, email: str, plan: PlanName, number: str, *, at: datetime
) -> None:
    """Buy the plan for the organization `house` as that person, with a card of that number, at that moment."""
    organization = session.scalars(select(Organization).where(Organization.slug == house)).one()
    person = session.scalars(select(Person).where(Person.email == email)).one()
    price = Price(at, quote_upgrade(organization, plan, at=at).total)
    payment = begin_upgrade(organization, person, plan, price=price, card=None, now=at)
    details = CardDetails(number, 4, at.year + 3, "123", person.name)
    key = f"{payment.public_id}:{CARD}"
    take(payment, CARD, gateway.save_card(house, details, key=key, back=payment.back), now=at)
    charge_open(session, gateway, now=at)


def charge_open(session: Session, gateway: Payments, *, now: datetime) -> None:
    """Make every call that open payments wait for, in the caller's transaction."""
    session.flush()
    for payment in session.scalars(select(Payment).where(Payment.state.in_(OPEN)).order_by(Payment.id)).all():
        while (call := next_call(payment, now=now)) is not None:
            take(payment, call[0], call[1](gateway), now=now)
    session.flush()


def renew_until(session: Session, gateway: Payments, *, start: datetime, now: datetime) -> None:
    """Do what the worker would have done by itself between the two moments, day by day."""
    at = start
    while at <= now:
        if begin_renewals(session, at):
            charge_open(session, gateway, now=at)
        at += DAY


def charge_month(session: Session, house: str, month: date, cents: int, *, now: datetime) -> None:
    """Write what the cloud console says of one month."""
    organization = session.scalars(select(Organization).where(Organization.slug == house)).one()
    session.add(CloudCharge(organization_id=organization.id, month=month, cents=cents, imported_at=now))
    session.flush()


def months_back(at: datetime, months: int) -> datetime:
    """Return the same day and time so many months before, no later than the 28th."""
    number = at.year * 12 + at.month - 1 - months
    return at.replace(year=number // 12, month=number % 12 + 1, day=min(at.day, 28))


def tell_purchases(session: Session, gateway: Payments, *, now: datetime) -> None:
    """Buy what the demo's organizations have, and renew it until now."""
    lumen, northwind = months_back(now + 9 * DAY - timedelta(hours=2), 3), months_back(now + 19 * DAY, 5)
    for back in range(1, 6):
        month = months_back(now, back).date().replace(day=1)
        charge_month(session, "lumen-retail", month, 41_250 - 2_375 * back, now=now)
        charge_month(session, "northwind-bank", month, 612_080 - 38_190 * back, now=now)
    purchases = (
        (northwind, "northwind-bank", "owner@northwind.example", PlanName.ENTERPRISE, MASTERCARD),
        (lumen, "lumen-retail", "billing@lumen.example", PlanName.STANDARD, VISA),
    )
    for at, house, email, plan, number in purchases:
        buy(session, gateway, house, email, plan, number, at=at)
    renew_until(session, gateway, start=northwind, now=now)
