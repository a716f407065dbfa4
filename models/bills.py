"""Who is billed and who bills: company, address, tax id, the mail for invoices.

What changes counts from the next invoice: each carries both as they were on its day, in its own row.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, Refused, session_of
from models.entrance import is_address
from models.events import EventKind, record
from models.organizations import Organization
from models.people import Person, digest

# What fits into the head of an invoice on paper.
LINES_MOST = 6
BLOCK_MOST = 500


class BillingDetails(Model):
    """Whom an organization's invoices name, and where they go beside its managers; empty parts are left out."""

    __tablename__ = "billing_details"

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), unique=True)
    company: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(BLOCK_MOST), default="")
    tax_id: Mapped[str] = mapped_column(String(60), default="")
    email: Mapped[str] = mapped_column(String(320), default="")


class Seller(Model):
    """The company that issues invoices, from a moment on; the newest holds."""

    __tablename__ = "sellers"

    words: Mapped[str] = mapped_column(String(BLOCK_MOST))
    since: Mapped[datetime]
    set_by: Mapped[int] = mapped_column(ForeignKey("people.id"))


def details_of(organization: Organization) -> BillingDetails:
    """Return the organization's details; where none were given, empty ones that are not kept."""
    mine = select(BillingDetails).where(BillingDetails.organization_id == organization.id)
    found = session_of(organization).scalars(mine).one_or_none()
    return found or BillingDetails(organization_id=organization.id, company="", address="", tax_id="", email="")


def hold(organization: Organization) -> None:
    """Let nobody else change the details until the transaction ends: what is read after this is the newest."""
    session_of(organization).execute(
        select(Organization.id).where(Organization.id == organization.id).with_for_update()
    )


def mark_of(details: BillingDetails) -> str:
    """Return a mark that changes when anything of the details does."""
    return digest(f"{details.company}\n{details.address}\n{details.tax_id}\n{details.email}")[:16]


def change_details(
    organization: Organization, actor: Person, *, company: str, address: str, tax_id: str, email: str, now: datetime
) -> bool:
    """Set the details that invoices from now on carry; return whether anything changed.

    Raises Refused, naming the field, for an address that mail cannot go to and for one of too many lines. The history
    says which parts changed; what stood there is on the invoices.
    """
    session, details = session_of(organization), details_of(organization)
    if email and not is_address(email):
        raise Refused("Enter an email address, for example invoices@example.com, or leave it empty.", "email")
    block = _block(address, "address")
    after = {"company": company.strip(), "address": block, "tax_id": tax_id.strip(), "email": email.strip()}
    changed = [part for part, value in after.items() if getattr(details, part) != value]
    if not changed:
        return False
    for part in changed:
        setattr(details, part, after[part])
    session.add(details)
    record(
        session, EventKind.BILLING_CHANGED, now=now, actor_id=actor.id, organization_id=organization.id, parts=changed
    )
    return True


def seller(session: Session) -> str:
    """Return who issues invoices now, as lines of text; "" until an administrator says so."""
    return session.scalar(select(Seller.words).order_by(Seller.id.desc()).limit(1)) or ""


def set_seller(actor: Person, words: str, *, now: datetime) -> None:
    """Let invoices from now on name this seller. Raises Refused for too many lines."""
    session, block = session_of(actor), _block(words, "seller")
    if block == seller(session):
        return
    session.add(Seller(words=block, since=now, set_by=actor.id))
    record(session, EventKind.SELLER_CHANGED, now=now, actor_id=actor.id)


def _block(text: str, field: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > LINES_MOST:
        raise Refused(f"Shorten it to {LINES_MOST} lines.", field)
    return "\n".join(lines)
