"""What an organization has bought and until when: the subscription, and the terms that were paid for.

Source: product rules 9.2 to 9.6. The gateway knows nothing of this. All instants are aware, in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Row, String, bindparam, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Labelled, Model, read, session_of
from models.catalogue import Plan, PlanName
from models.events import Event, EventKind, record
from models.organizations import Organization, managers_of
from models.outbox import Letter, queue
from models.people import Person

# A renewal that is not paid ends the plan after so long (product rule 9.5).
GRACE = timedelta(days=8)
# A transfer takes its time, and a purchase order its way through a company.
OFFLINE_GRACE = timedelta(days=30)
# So long after a renewal was due it is charged again by itself; a day after the last one the plan ends.
RETRIES = tuple(timedelta(days=days) for days in (1, 3, 5, 7))


class Standing(Labelled):
    """How a subscription stands."""

    ACTIVE = "active", "Active"
    PAST_DUE = "past-due", "Payment failed"
    ENDED = "ended", "Ended"


class Subscription(Model):
    """An organization's paid plan, of which it has one at most; one that ended keeps its row for the next purchase."""

    __tablename__ = "subscriptions"
    __table_args__ = (Index(None, "standing", "period_end"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), unique=True)
    plan: Mapped[PlanName]
    standing: Mapped[Standing]
    # The day of the month on which periods begin, as far as the month has it.
    anchor: Mapped[int]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    # What the plan costs for a whole period without usage, as it was sold; nothing in a free month.
    floor_cents: Mapped[int] = mapped_column(BigInteger)
    pending_plan: Mapped[PlanName | None]
    # The moment at which a plan that is not paid ends.
    last_day_at: Mapped[datetime | None]
    # When a renewal that was declined is charged again by itself; null where it is not.
    retry_at: Mapped[datetime | None]
    # Since when usage of an ended plan could not be charged: it is not tried again by itself.
    owed_since: Mapped[datetime | None]
    # Whether it was last paid by transfer or purchase order: no card is charged for it by itself then.
    pays_offline: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=1)

    organization: Mapped[Organization] = relationship(lazy="joined", innerjoin=True)

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 (SQLAlchemy reads it from the class)

    @property
    def grace(self) -> timedelta:
        """How long the plan goes on after a renewal that is not paid."""
        return OFFLINE_GRACE if self.pays_offline else GRACE

    @property
    def grace_from(self) -> datetime:
        """From when the days of grace are counted, once a renewal was declined (`models/dunning.py`)."""
        return self.period_end if self.last_day_at is None else self.last_day_at - self.grace

    @property
    def is_live(self) -> bool:
        """Whether it gives a plan now."""
        return self.standing is not Standing.ENDED


class Term(Model):
    """One plan for one stretch of one period: what was paid, and what its usage is counted by."""

    __tablename__ = "terms"
    __table_args__ = (Index(None, "organization_id", "starts_at"), Index(None, "settled_at", "period_end"))

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    plan: Mapped[PlanName]
    catalogue: Mapped[str] = mapped_column(String(20))
    floor_cents: Mapped[int] = mapped_column(BigInteger)
    percent: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payments.id"))
    # When its usage was invoiced, or found to be nothing; a free month's is nothing from the start.
    settled_at: Mapped[datetime | None]


def next_retry(since: datetime, now: datetime) -> datetime | None:
    """Return when a renewal whose grace counts from `since` is charged again after `now`; None after the last time."""
    return next((at for at in (since + later for later in RETRIES) if at > now), None)


def subscription_of(organization: Organization) -> Subscription | None:
    """Return the organization's subscription, live or ended; None when it never bought a plan."""
    mine = select(Subscription).where(Subscription.organization_id == organization.id)
    return session_of(organization).scalars(mine).one_or_none()


def unpaid_of(organization: Organization) -> Row[Any] | None:
    """Return what a page says of a subscription of which something is not paid; None where all is."""
    return read(session_of(organization), _UNPAID, house=organization.id).one_or_none()


_UNPAID = select(
    Subscription.plan,
    Subscription.last_day_at,
    Subscription.retry_at,
    Subscription.owed_since,
    Subscription.pays_offline,
).where(
    Subscription.organization_id == bindparam("house"),
    or_(Subscription.last_day_at.is_not(None), Subscription.owed_since.is_not(None)),
)


def hold_plan(organization: Organization) -> Subscription | None:
    """Let nobody else change the organization's plan until the transaction ends, and return its subscription as it is.

    Whoever decides by what is bought, owed or under way holds it first, then looks: one of two comes first, and the
    other one sees what it wrote. A payment's row is held before, never after.
    """
    session = session_of(organization)
    mine = select(Organization).where(Organization.id == organization.id).with_for_update(key_share=True)
    session.scalars(mine.execution_options(populate_existing=True)).one()
    bought = select(Subscription).where(Subscription.organization_id == organization.id)
    return session.scalars(bought.execution_options(populate_existing=True)).one_or_none()


def by_contract(organization: Organization) -> bool:
    """Tell whether a contract sets the organization's plan."""
    return organization.plan == PlanName.PREMIUM.value


def live_subscription(organization: Organization) -> Subscription | None:
    """Return the subscription that gives the organization its plan now, if one does."""
    found = subscription_of(organization)
    return found if found is not None and found.is_live else None


def terms_of(organization: Organization) -> Sequence[Term]:
    """Return what the organization has paid for and whose usage is not settled, the oldest first."""
    mine = select(Term).where(Term.organization_id == organization.id, Term.settled_at.is_(None))
    return session_of(organization).scalars(mine.order_by(Term.starts_at, Term.id)).all()


def begins_free(organization: Organization, plan: Plan) -> bool:
    """Tell whether the plan's first month costs the organization nothing: that of its first Standard (rule 9.2)."""
    if not plan.first_month_free:
        return False
    mine = select(Term.id).where(Term.organization_id == organization.id, Term.plan == plan.key)
    return session_of(organization).scalar(mine.limit(1)) is None


def set_plan(
    organization: Organization,
    plan: PlanName,
    kind: EventKind,
    *,
    now: datetime,
    actor_id: int | None = None,
    **facts: Any,  # noqa: ANN401 (JSON facts)
) -> Event:
    """Give the organization another plan from now on: the only way in which a plan changes.

    Requests that are open keep the terms under which they were opened, which stand on the requests (rule 8.6).
    """
    before, organization.plan = organization.plan, plan.value
    if before != plan.value:
        organization.plan_since = now
    session = session_of(organization)
    return record(
        session,
        kind,
        now=now,
        actor_id=actor_id,
        organization_id=organization.id,
        before=before,
        after=plan.value,
        **facts,
    )


def open_term(
    subscription: Subscription,
    *,
    catalogue: str,
    percent: int,
    starts_at: datetime,
    payment_id: int,
    free: bool,
    now: datetime,
) -> None:
    """Begin to count the subscription's plan from `starts_at` until its period ends; nothing when that is over."""
    # A clock that was set back must not make time before the period that is paid for.
    starts_at = max(starts_at, subscription.period_start)
    if starts_at >= subscription.period_end:
        return
    session_of(subscription).add(
        Term(
            organization_id=subscription.organization_id,
            plan=subscription.plan,
            catalogue=catalogue,
            floor_cents=subscription.floor_cents,
            percent=percent,
            starts_at=starts_at,
            ends_at=subscription.period_end,
            period_start=subscription.period_start,
            period_end=subscription.period_end,
            payment_id=payment_id,
            settled_at=now if free else None,
        )
    )


def close_term(subscription: Subscription, *, now: datetime) -> None:
    """End the stretch that runs now, since another plan goes on in its place."""
    running = select(Term).where(Term.organization_id == subscription.organization_id, Term.ends_at > now)
    for term in session_of(subscription).scalars(running):
        term.ends_at = max(term.starts_at, now)


def end(subscription: Subscription, *, now: datetime) -> None:
    """Let the subscription give no plan any more; its usage is still counted."""
    close_term(subscription, now=now)
    subscription.standing, subscription.pending_plan = Standing.ENDED, None
    subscription.last_day_at = subscription.retry_at = None


def tell_managers(
    organization: Organization,
    letter: Letter,
    *,
    now: datetime,
    also: Person | None = None,
    **facts: Any,  # noqa: ANN401 (JSON facts)
) -> None:
    """Write to those who may change the plan, and to `also`, each once."""
    session = session_of(organization)
    people = list(session.scalars(managers_of(organization)))
    if also is not None and also.id not in {person.id for person in people}:
        people.append(also)
    for person in people:
        queue(session, letter, to=person, now=now, organization=organization.id, **facts)


def contracts_over(session: Session, today: date, most: int = 100) -> Sequence[Organization]:
    """Return organizations whose contract's last day is past, at most so many."""
    over = (Organization.plan == PlanName.PREMIUM.value) & (Organization.contract_end < today)
    return session.scalars(select(Organization).where(over).order_by(Organization.id).limit(most)).all()
