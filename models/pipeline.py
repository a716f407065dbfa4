"""The inbox of sales: leads by stage, searched, counted, paged, the next step that is due first on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, func, select

from models.base import Labelled, session_of
from models.catalogue import Severity
from models.charges import CloudCharge
from models.events import Event, EventKind
from models.invoices import Invoice
from models.leads import OPEN, Lead, Leads, Stage
from models.organizations import Organization
from models.paging import Paging
from models.prose import searchable
from models.tickets import ACTIVE, Ticket
from models.waiting import waiting_texts
from models.wording import HOUR, day

WORDS_MOST = 8


class Tab(Labelled):
    """The tabs above the list: what is open, then each stage."""

    OPEN = "open", "Open"
    NEW = "new", "New"
    CONTACTED = "contacted", "Contacted"
    QUALIFIED = "qualified", "Qualified"
    WON = "won", "Won"
    LOST = "lost", "Lost"
    SPAM = "spam", "Spam"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that the tab shows."""
        return OPEN if self is Tab.OPEN else (Stage(self.value),)


@dataclass(frozen=True)
class LeadWish:
    """What somebody of sales asked to see; every choice is in the address."""

    tab: Tab = Tab.OPEN
    text: str = ""
    page: int = 1

    def href(self, **changes: object) -> str:
        """Return the address of the list with these changes; what is the default is left out."""
        wish = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        parts = {
            "q": wish.text,
            "stage": "" if wish.tab is Tab.OPEN else wish.tab.value,
            "page": str(wish.page) if wish.page > 1 else "",
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"/sales?{query}" if query else "/sales"


@dataclass(frozen=True)
class Inbox:
    """One page of leads, with the counts of all tabs."""

    rows: Sequence[Lead]
    counts: dict[Tab, int]
    paging: Paging


@dataclass(frozen=True)
class Step:
    """How a lead's next step stands: `mark` and `icon` are those of a clock's face."""

    mark: str
    icon: str
    words: str


def inbox(scope: Leads, wish: LeadWish, *, size: int) -> Inbox:
    """Return the page that was asked for, `size` leads at most; two statements, whatever the number of rows.

    Open leads come by the day of their next step, those without one after them; closed ones the latest first.
    """
    found = and_(scope.condition, *_matching(wish.text))
    per_stage = select(Lead.stage, func.count()).where(found).group_by(Lead.stage)
    by_stage = {row[0]: row[1] for row in scope.session.execute(per_stage)}
    counts = {tab: sum(by_stage.get(stage, 0) for stage in tab.stages) for tab in Tab}
    total = counts[wish.tab]
    page = min(wish.page, max(1, -(-total // size)))
    due_first = (Lead.next_on.is_(None), Lead.next_on, Lead.created_at, Lead.id)
    order = due_first if wish.tab.stages[0] in OPEN else (Lead.closed_at.desc(), Lead.id.desc())
    query = select(Lead).where(found, Lead.stage.in_(wish.tab.stages)).order_by(*order)
    rows = scope.session.scalars(query.offset((page - 1) * size).limit(size)).all()
    return Inbox(rows, counts, Paging(page, size, len(rows), total, lambda n: wish.href(page=n)))


@dataclass(frozen=True)
class Customer:
    """What sales learns of the organization of a lead: figures, and no text that anybody wrote.

    `paid` is what came for its plans within a year, less what went back; `charged` its latest month of cloud charges,
    None while nothing is known; `failed` its failed payments and `blocked` its attempts at technical requests that the
    plan did not allow, both within 90 days; `waiting` how many such texts are kept until the plan lets them through.
    """

    grave: int
    paid: int
    charged: int | None
    month: date | None
    failed: int
    blocked: int
    waiting: int


def customer_of(organization: Organization, *, now: datetime) -> Customer:
    """Return the figures of the lead's organization (three statements)."""
    session = session_of(organization)
    grave = Ticket.severity.in_((Severity.S1, Severity.S2)) & Ticket.state.in_(ACTIVE)
    mine = select(func.count(Ticket.id)).where(Ticket.organization_id == organization.id, grave)
    paid = select(func.sum(Invoice.total)).where(
        Invoice.organization_id == organization.id, Invoice.issued_at > now - timedelta(days=365)
    )
    figures = select(mine.scalar_subquery(), paid.scalar_subquery(), waiting_texts(organization, now).scalar_subquery())
    open_now, came, kept = session.execute(figures).one()
    latest = select(CloudCharge).where(CloudCharge.organization_id == organization.id)
    charge = session.scalars(latest.order_by(CloudCharge.month.desc()).limit(1)).first()
    kinds = (EventKind.PAYMENT_FAILED, EventKind.TICKET_BLOCKED)
    counted = select(Event.kind, func.count(Event.id)).where(
        Event.organization_id == organization.id, Event.kind.in_(kinds), Event.at > now - timedelta(days=90)
    )
    times = {row[0]: row[1] for row in session.execute(counted.group_by(Event.kind))}
    return Customer(
        grave=open_now,
        paid=came or 0,
        charged=charge.cents if charge else None,
        month=charge.month if charge else None,
        failed=times.get(EventKind.PAYMENT_FAILED, 0),
        blocked=times.get(EventKind.TICKET_BLOCKED, 0),
        waiting=kept,
    )


def step_of(lead: Lead, today: date) -> Step:
    """Return how the next step stands; `today` is the reader's."""
    if lead.next_on is None:
        return Step("none", "minus", "No next step")
    if lead.next_on < today:
        late = (today - lead.next_on).days
        return Step("over", "triangle-alert", f"Late by {late} day{'' if late == 1 else 's'}")
    if lead.next_on == today:
        return Step("soon", "clock-alert", "Today")
    return Step("ok", "calendar", day(lead.next_on, today))


def age_of(lead: Lead, *, now: datetime) -> str:
    """Return how long ago the lead came: "under 1 h", "3 h", "1 day", "16 days"."""
    past = now - lead.created_at
    if past.days:
        return "1 day" if past.days == 1 else f"{past.days} days"
    return f"{past // HOUR} h" if past >= HOUR else "under 1 h"


def _matching(text: str) -> list[ColumnElement[bool]]:
    words = searchable(text).split()[:WORDS_MOST]
    return [Lead.search_text.contains(word, autoescape=True) for word in words]
