"""Who gets an invoice by mail: those who may change the plan, who paid, and the company's address for invoices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.base import session_of
from models.bills import details_of
from models.organizations import Organization, managers_of
from models.outbox import Letter, queue
from models.people import Person, folded
from models.subscriptions import tell_managers


@dataclass(frozen=True)
class _Office:
    """The company's address for invoices: nobody of ours."""

    email: str
    name: str
    id: None = None


def send_receipt(organization: Organization, number: str, *, now: datetime, also: Person | None = None) -> None:
    """Queue the invoice or credit note of that number for each of them once; the paper goes along as a PDF."""
    tell_managers(organization, Letter.PAYMENT_RECEIPT, now=now, also=also, invoice=number)
    session, details = session_of(organization), details_of(organization)
    there = {folded(person.email) for person in session.scalars(managers_of(organization))}
    if also is not None:
        there.add(folded(also.email))
    if details.email and folded(details.email) not in there:
        office = _Office(details.email, details.company or organization.name)
        queue(session, Letter.PAYMENT_RECEIPT, to=office, now=now, organization=organization.id, invoice=number)
