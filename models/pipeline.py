"""The inbox of sales: leads by stage, searched, counted, paged, the next step that is due first on top."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, case, func, select

from models.base import Labelled, session_of
from models.catalogue import PlanName, Severity
from models.charges import CloudCharge
from models.events import Event, EventKind
from models.invoices import Invoice
from models.leads import CLOSED, OPEN, STALLED_AFTER, Lead, Leads, Stage
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
    STALLED = "stalled", "Stalled"
    NEW = "new", "New"
    CONTACTED = "contacted", "Contacted"
    QUALIFIED = "qualified", "Qualified"
    WON = "won", "Won"
    LOST = "lost", "Lost"
    SPAM = "spam", "Spam"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that the tab shows."""
        return OPEN if self in {Tab.OPEN, Tab.STALLED} else (Stage(self.value),)


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


def inbox(scope: Leads, wish: LeadWish, *, size: int, now: datetime) -> Inbox:
    """Return the page that was asked for, `size` leads at most; two statements, whatever the number of rows.

    Open leads come by the day of their next step, those without one after them; closed ones the latest first.
    """
    found = and_(scope.condition, *_matching(wish.text))
    still = func.sum(case((Lead.touched_at < now - STALLED_AFTER, 1), else_=0))
    per_stage = select(Lead.stage, func.count(), still).where(found).group_by(Lead.stage)
    by_stage = {row[0]: (row[1], int(row[2] or 0)) for row in scope.session.execute(per_stage)}
    counts = {tab: sum(by_stage.get(stage, (0, 0))[tab is Tab.STALLED] for stage in tab.stages) for tab in Tab}
    total = counts[wish.tab]
    page = min(wish.page, max(1, -(-total // size)))
    query = asked(scope, wish, now=now)
    rows = scope.session.scalars(query.offset((page - 1) * size).limit(size)).all()
    return Inbox(rows, counts, Paging(page, size, len(rows), total, lambda n: wish.href(page=n)))


def asked(scope: Leads, wish: LeadWish, *, now: datetime) -> Select[Lead]:
    """Select all that the wish asks for, in the order of the list."""
    due_first = (Lead.next_on.is_(None), Lead.next_on, Lead.created_at, Lead.id)
    order = due_first if wish.tab.stages[0] in OPEN else (Lead.closed_at.desc(), Lead.id.desc())
    query = select(Lead).where(scope.condition, *_matching(wish.text), Lead.stage.in_(wish.tab.stages))
    return (query.where(Lead.touched_at < now - STALLED_AFTER) if wish.tab is Tab.STALLED else query).order_by(*order)


SHEET = (
    "Lead", "Organization", "Plan", "Stage", "Company", "Name", "Email", "Phone", "Best time", "Owner", "Next step",
    "Next step on", "Received (UTC)", "First touch due (UTC)", "First touch (UTC)", "Last touch (UTC)", "Closed (UTC)",
    "What they need",
)  # fmt: skip
BATCH = 500


def sheet_rows(scope: Leads, wish: LeadWish, *, now: datetime) -> Iterator[list[tuple[object, ...]]]:
    """Yield what the list shows, with what each lead's form says, in batches: the newest first.

    Whoever reads them may end the transaction between two batches.
    """
    last: int | None = None
    while True:
        query = asked(scope, wish, now=now).order_by(None).order_by(Lead.id.desc())
        rows = scope.session.scalars((query if last is None else query.where(Lead.id < last)).limit(BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        yield [_line(lead) for lead in rows]


def _line(lead: Lead) -> tuple[object, ...]:
    moments = (lead.created_at, lead.touch_by, lead.first_touch_at, lead.touched_at, lead.closed_at)
    return (
        lead.key,
        lead.organization.name,
        PlanName(lead.organization.plan).label,
        lead.stage.label,
        lead.company,
        lead.name,
        lead.email,
        lead.phone,
        lead.contact_time,
        lead.owner.name if lead.owner else "",
        lead.next_step,
        lead.next_on.isoformat() if lead.next_on else "",
        *(f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else "" for at in moments),
        lead.need,
    )


@dataclass(frozen=True)
class Column:
    """One open stage on the board: the first leads of it, how many there are, and what they can be moved to."""

    stage: Stage
    leads: Sequence[Lead]
    total: int


# A board of more is read as a list.
CARDS_MOST = 25


def board(scope: Leads) -> list[Column]:
    """Return a column for each open stage, its leads by the day of their next step; four statements."""
    counted = select(Lead.stage, func.count()).where(scope.condition, Lead.stage.in_(OPEN)).group_by(Lead.stage)
    totals = {row[0]: row[1] for row in scope.session.execute(counted)}
    columns = []
    for stage in OPEN:
        mine = select(Lead).where(scope.condition, Lead.stage == stage)
        due_first = mine.order_by(Lead.next_on.is_(None), Lead.next_on, Lead.created_at, Lead.id)
        rows = scope.session.scalars(due_first.limit(CARDS_MOST)).all() if totals.get(stage) else []
        columns.append(Column(stage, rows, totals.get(stage, 0)))
    return columns


def closed_lately(scope: Leads, *, now: datetime) -> dict[Stage, int]:
    """Return how many leads were closed within thirty days, by their stage."""
    lately = select(Lead.stage, func.count()).where(scope.condition, Lead.closed_at > now - timedelta(days=30))
    found = {row[0]: row[1] for row in scope.session.execute(lately.group_by(Lead.stage))}
    return {stage: found.get(stage, 0) for stage in CLOSED}


def last_events(scope: Leads, leads: Iterable[Lead]) -> dict[int, int]:
    """Return the id of the last event of each lead: what a form on a page that shows them has seen."""
    ids = [lead.id for lead in leads]
    counted = select(Event.lead_id, func.max(Event.id)).where(Event.lead_id.in_(ids)).group_by(Event.lead_id)
    return {row[0]: row[1] for row in scope.session.execute(counted) if row[0] is not None}


def touch_of(lead: Lead, *, now: datetime) -> Step | None:
    """Return how the first-touch clock of an open lead stands; None once somebody was in touch, or without one."""
    if not lead.is_open or lead.first_touch_at is not None or lead.touch_by is None:
        return None
    if lead.touch_by < now:
        return Step("over", "triangle-alert", "First touch is late")
    return Step("soon" if lead.touch_by - now < timedelta(hours=4) else "ok", "timer", "First touch by")


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
        Event.organization_id == organization.id,
        Event.kind.in_(kinds),
        Event.at > now - timedelta(days=90),
        # Who pays by transfer has not failed: nothing was tried.
        func.coalesce(Event.data["reason"].as_string(), "") != "offline",
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
