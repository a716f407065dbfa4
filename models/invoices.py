"""Invoices and credit notes: what was paid, for what, written in the transaction that gives it; never changed after.

Source: product rules 9.2 and 9.3. Amounts are US cents; the lines add up to the subtotal, tax comes on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ForeignKey, Index, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Labelled, Model, NotFound, session_of
from models.bills import details_of, seller
from models.events import EventKind, record
from models.money import dollars, percent, tax_on
from models.numbers import next_number
from models.organizations import Organization
from models.outside import Paper
from models.paging import COUNTED_TO, Paging, within
from models.people import Person
from models.wording import dated

UTC_ZONE = ZoneInfo("UTC")
COUNTERS = {"invoice": "INV", "credit-note": "CN"}


class InvoiceKind(Labelled):
    """Money that came, or money that went back."""

    INVOICE = "invoice", "Invoice"
    CREDIT_NOTE = "credit-note", "Credit note"


class LineKind(Labelled):
    """What a line is about."""

    PLAN = "plan", "Plan"
    CREDIT = "credit", "Credit"
    USAGE = "usage", "Usage"


@dataclass(frozen=True)
class Line:
    """One line before it is written: words, cents, and the time that it pays for (aware, UTC)."""

    kind: LineKind
    words: str
    cents: int
    starts_at: datetime
    ends_at: datetime

    def as_facts(self) -> dict[str, Any]:
        """Return the line as JSON facts."""
        times = {"starts_at": self.starts_at.isoformat(), "ends_at": self.ends_at.isoformat()}
        return asdict(self) | {"kind": self.kind.value} | times

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Self:
        """Return the line that `as_facts` wrote."""
        starts_at, ends_at = (datetime.fromisoformat(facts[name]) for name in ("starts_at", "ends_at"))
        return cls(LineKind(facts["kind"]), facts["words"], facts["cents"], starts_at, ends_at)


class TaxRate(Model):
    """The one rate of tax from a moment on; the newest holds."""

    __tablename__ = "tax_rates"

    basis_points: Mapped[int]
    since: Mapped[datetime]
    set_by: Mapped[int] = mapped_column(ForeignKey("people.id"))


class Invoice(Model):
    """An invoice that is paid, or a credit note; both as they were on their day."""

    __tablename__ = "invoices"
    __table_args__ = (Index(None, "organization_id", "issued_at", "id"), Index(None, "issued_at"))

    number: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[InvoiceKind]
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    # A charge or a refund is written down once, however often its answer comes.
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id"), unique=True)
    bill_to: Mapped[str]
    bill_address: Mapped[str] = mapped_column(String(500), default="")
    bill_tax_id: Mapped[str] = mapped_column(String(60), default="")
    seller: Mapped[str] = mapped_column(String(500), default="")
    # How it was paid: the card's brand and last digits, or what came by another way.
    card: Mapped[str] = mapped_column(String(160))
    issued_at: Mapped[datetime]
    subtotal: Mapped[int] = mapped_column(BigInteger)
    tax_basis_points: Mapped[int]
    tax: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)

    lines: Mapped[list[InvoiceLine]] = relationship(order_by="InvoiceLine.position", lazy="raise")


class InvoiceLine(Model):
    """One line of an invoice."""

    __tablename__ = "invoice_lines"
    __table_args__ = (Index(None, "invoice_id", "position"),)

    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    position: Mapped[int]
    kind: Mapped[LineKind]
    words: Mapped[str] = mapped_column(String(300))
    cents: Mapped[int] = mapped_column(BigInteger)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]


def tax_rate(session: Session) -> int:
    """Return the rate of tax that invoices get now, in basis points; 0 until an administrator sets one."""
    return session.scalar(select(TaxRate.basis_points).order_by(TaxRate.id.desc()).limit(1)) or 0


def set_tax_rate(actor: Person, basis_points: int, *, now: datetime) -> None:
    """Let invoices from now on carry the rate; those that are written stay as they are."""
    session = session_of(actor)
    before = tax_rate(session)
    if basis_points == before:
        return
    session.add(TaxRate(basis_points=basis_points, since=now, set_by=actor.id))
    rates = {"before": percent(before), "after": percent(basis_points)}
    record(session, EventKind.TAX_CHANGED, now=now, actor_id=actor.id, before=rates["before"], after=rates["after"])


def write_invoice(
    organization: Organization,
    kind: InvoiceKind,
    lines: Sequence[Line],
    *,
    payment_id: int,
    card: str,
    tax_basis_points: int,
    now: datetime,
) -> Invoice:
    """Write the invoice with the next number, in the caller's transaction, and return it."""
    session, details = session_of(organization), details_of(organization)
    prefix = COUNTERS[kind.value]
    subtotal = sum(line.cents for line in lines)
    tax = tax_on(subtotal, tax_basis_points)
    invoice = Invoice(
        number=f"{prefix}-{next_number(session, prefix)}",
        kind=kind,
        organization_id=organization.id,
        payment_id=payment_id,
        bill_to=details.company or organization.name,
        bill_address=details.address,
        bill_tax_id=details.tax_id,
        seller=seller(session),
        card=card,
        issued_at=now,
        subtotal=subtotal,
        tax_basis_points=tax_basis_points,
        tax=tax,
        total=subtotal + tax,
        lines=[InvoiceLine(position=position, **asdict(line)) for position, line in enumerate(lines, 1)],
    )
    session.add(invoice)
    session.flush()
    return invoice


def invoice_of(organization: Organization, number: str) -> tuple[Invoice, Sequence[InvoiceLine]]:
    """Return the organization's invoice of that number with its lines; raises NotFound for any other's."""
    session = session_of(organization)
    mine = (Invoice.organization_id == organization.id) & (Invoice.number == number.upper()[:20])
    found = session.scalars(select(Invoice).where(mine)).one_or_none()
    if found is None:
        raise NotFound
    return found, lines_of(session, [found.id])


def paper_of(invoice: Invoice, lines: Sequence[InvoiceLine]) -> Paper:
    """Return the invoice as a paper. Its days are those of UTC: it reads alike wherever it is opened."""
    given_back = invoice.total < 0
    nothing = "None: paid back by hand" if given_back else "None: nothing was charged"
    tax_id = f"Tax ID: {invoice.bill_tax_id}" if invoice.bill_tax_id else ""
    to = (invoice.bill_to, *invoice.bill_address.splitlines(), *([tax_id] if tax_id else []))
    issuer = (("From", tuple(invoice.seller.splitlines())),) if invoice.seller else ()
    return Paper(
        name=invoice.number,
        title=f"{invoice.kind.label} {invoice.number}",
        subtitle=f"{'Given back' if given_back else 'Paid'} on {dated(invoice.issued_at, UTC_ZONE)}",
        parties=(*issuer, ("For", to), ("Paid to" if given_back else "Paid with", (invoice.card or nothing,))),
        columns=("What", "From", "Until", "Amount"),
        rows=tuple(
            (line.words, dated(line.starts_at, UTC_ZONE), dated(line.ends_at, UTC_ZONE), dollars(line.cents))
            for line in lines
        ),
        sums=(
            ("Subtotal", dollars(invoice.subtotal)),
            (f"Tax, {percent(invoice.tax_basis_points)}", dollars(invoice.tax)),
            ("Total in US dollars", dollars(invoice.total)),
        ),
        foot=("Times are in UTC.",),
    )


def lines_of(session: Session, invoices: Iterable[int]) -> Sequence[InvoiceLine]:
    """Return the lines of the invoices with those keys, in their order."""
    mine = select(InvoiceLine).where(InvoiceLine.invoice_id.in_(list(invoices)))
    return session.scalars(mine.order_by(InvoiceLine.invoice_id, InvoiceLine.position)).all()


def invoices_of(organization: Organization, page: int, size: int) -> tuple[Sequence[Invoice], Paging]:
    """Return one page of the organization's invoices, the newest first."""
    session = session_of(organization)
    mine = Invoice.organization_id == organization.id
    some = select(Invoice.id).where(mine).limit(COUNTED_TO + 1).subquery()
    total = session.scalar(select(func.count()).select_from(some)) or 0
    page = within(page, total, size)
    first = select(Invoice).where(mine).order_by(Invoice.issued_at.desc(), Invoice.id.desc())
    rows = session.scalars(first.offset((page - 1) * size).limit(size)).all()
    path = f"/console/{organization.slug}/invoices"
    return rows, Paging(page, size, len(rows), total, lambda number: f"{path}?page={number}" if number > 1 else path)
