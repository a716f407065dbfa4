"""What a change of plan, a renewal, or the usage of an ended plan costs: lines, tax and total, to the cent.

Source: product rule 9.3. The floor is charged at the start of each period; when the period is over, what a percentage
of the month's cloud charges comes to beyond the floor is a usage line of the next invoice. In the middle of a period
the unused part of the old floor is credited and the remaining part of the new one charged, to the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Self

from sqlalchemy import select

from models.base import Refused, session_of
from models.catalogue import Plan, PlanName, catalogue
from models.charges import CloudCharge
from models.invoices import Line, LineKind, tax_rate
from models.money import dollars, fraction, half_up, next_month, share, tax_on
from models.organizations import Organization
from models.subscriptions import Standing, Subscription, Term, begins_free, live_subscription, terms_of

MONTH_NAMES = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
               "November", "December")  # fmt: skip
# Cards are charged no less (docs.stripe.com/currencies, minimum and maximum charge amounts), and nobody owes less.
LEAST_CENTS = 50

_TIMES = ("at", "period_start", "period_end")


@dataclass(frozen=True)
class Quote:
    """What one payment buys. `plan` is None for usage alone; `settles` are the terms whose usage the lines count."""

    plan: PlanName | None
    catalogue: str
    lines: tuple[Line, ...]
    tax_basis_points: int
    at: datetime
    period_start: datetime
    period_end: datetime
    anchor: int
    floor_cents: int
    percent: int
    free: bool
    settles: tuple[int, ...]
    months: tuple[str, ...]

    @classmethod
    def without_plan(
        cls,
        lines: tuple[Line, ...],
        rate: int,
        start: datetime,
        end: datetime,
        *,
        settles: tuple[int, ...] = (),
        months: tuple[str, ...] = (),
    ) -> Self:
        """Return a quote that begins no period: usage alone, or a credit."""
        return cls(
            plan=None,
            catalogue="",
            lines=lines,
            tax_basis_points=rate,
            at=start,
            period_start=start,
            period_end=end,
            anchor=start.day,
            floor_cents=0,
            percent=0,
            free=False,
            settles=settles,
            months=months,
        )

    @property
    def subtotal(self) -> int:
        """The sum of the lines, in cents."""
        return sum(line.cents for line in self.lines)

    @property
    def tax(self) -> int:
        """The tax on the subtotal, in cents."""
        return tax_on(self.subtotal, self.tax_basis_points)

    @property
    def total(self) -> int:
        """What is charged, in cents."""
        return self.subtotal + self.tax

    def as_facts(self) -> dict[str, Any]:
        """Return the quote as JSON facts."""
        return {
            "plan": self.plan.value if self.plan else None,
            "catalogue": self.catalogue,
            "lines": [line.as_facts() for line in self.lines],
            "tax_basis_points": self.tax_basis_points,
            "at": self.at.isoformat(),
            "period_start": self.period_start.isoformat(),
            "period_end": self.period_end.isoformat(),
            "anchor": self.anchor,
            "floor_cents": self.floor_cents,
            "percent": self.percent,
            "free": self.free,
            "settles": list(self.settles),
            "months": list(self.months),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Return the quote that `as_facts` wrote."""
        times: dict[str, Any] = {name: datetime.fromisoformat(facts[name]) for name in _TIMES}
        plain = {name: facts[name] for name in ("catalogue", "tax_basis_points", "anchor", "floor_cents", "percent")}
        return cls(
            plan=PlanName(facts["plan"]) if facts["plan"] else None,
            lines=tuple(Line.from_facts(line) for line in facts["lines"]),
            free=facts["free"],
            settles=tuple(facts["settles"]),
            months=tuple(facts["months"]),
            **times,
            **plain,
        )


@dataclass(frozen=True)
class Usage:
    """The usage that can be invoiced now: its lines, the terms that they settle, the months that they count."""

    lines: tuple[Line, ...]
    settles: tuple[int, ...]
    months: tuple[str, ...]


def quote_upgrade(organization: Organization, plan: PlanName, *, at: datetime) -> Quote:
    """Return what it costs to have the plan from `at` on. Raises Refused for a plan that is not dearer, or by contract.

    From no paid plan a whole period begins; within one, its rest is charged, less the unused rest of the old plan.
    """
    check_upgrade(organization, plan, at=at)
    terms = catalogue(at.date())
    wanted, running = terms.plan(plan), live_subscription(organization)
    usage = usage_of(organization, until=at)
    if running is None:
        return _whole(organization, wanted, terms.version, at, at.day, usage)
    rest, whole = running.period_end - at, running.period_end - running.period_start
    floor = _floor(wanted)
    credit = share(running.floor_cents, rest, whole)
    lines = (
        Line(LineKind.CREDIT, f"Unused {running.plan.label} plan", -credit, at, running.period_end),
        Line(LineKind.PLAN, f"{plan.label} plan", share(floor, rest, whole), at, running.period_end),
    )
    rate = tax_rate(session_of(organization))
    return Quote(
        plan=plan,
        catalogue=terms.version,
        lines=_waived((*lines, *usage.lines), rate, at),
        tax_basis_points=rate,
        at=at,
        period_start=running.period_start,
        period_end=running.period_end,
        anchor=running.anchor,
        floor_cents=floor,
        percent=wanted.percent or 0,
        free=False,
        settles=usage.settles,
        months=usage.months,
    )


def quote_renewal(subscription: Subscription) -> Quote:
    """Return what the next period costs, under the plan that it shall have, and the usage of the one that is over."""
    start = subscription.period_end
    plan = subscription.pending_plan or subscription.plan
    usage = usage_of(subscription.organization, until=start)
    if plan is PlanName.BASIC:
        return _usage_alone(subscription.organization, usage, start)
    terms = catalogue(start.date())
    return _whole(subscription.organization, terms.plan(plan), terms.version, start, subscription.anchor, usage)


def quote_next(subscription: Subscription) -> Quote:
    """Return what the next period costs before it begins; usage is not known yet, and is on the invoice after."""
    start, organization = subscription.period_end, subscription.organization
    terms, plan = catalogue(start.date()), subscription.pending_plan or subscription.plan
    return _whole(organization, terms.plan(plan), terms.version, start, subscription.anchor, Usage((), (), ()))


def quote_usage(organization: Organization, *, at: datetime) -> Quote:
    """Return what is owed for usage alone, after a plan has ended."""
    return _usage_alone(organization, usage_of(organization, until=at), at)


def check_upgrade(organization: Organization, plan: PlanName, *, at: datetime) -> None:
    """Raise Refused when the organization cannot buy the plan by card now, with what to do instead."""
    present, terms = PlanName(organization.plan), catalogue(at.date())
    if terms.plan(present).by_contract:
        raise Refused(f"{organization.name} has the {present.label} plan, which is managed by contract.")
    if terms.plan(plan).by_contract or plan is PlanName.BASIC:
        raise Refused(f"{plan.label} cannot be bought by card.")
    if plan is present:
        raise Refused(f"{organization.name} has the {plan.label} plan already.")
    if plan.rank < present.rank:
        raise Refused(f"{organization.name} has {present.label}, which is more than {plan.label}. Downgrade instead.")
    running = live_subscription(organization)
    if running is not None and running.standing is Standing.PAST_DUE:
        raise Refused(f"The renewal of {running.plan.label} is not paid. Pay it first, then upgrade.")
    if running is not None and running.period_end <= at:
        raise Refused(f"The renewal of {running.plan.label} is being charged. Upgrade in a few minutes.")


def usage_of(organization: Organization, *, until: datetime) -> Usage:
    """Return the usage of all periods that ended by `until` and whose cloud charges are known."""
    over = [term for term in terms_of(organization) if term.period_end <= until]
    if not over:
        return Usage((), (), ())
    charges = _charges(organization, {month_of(term) for term in over})
    known = [term for term in over if month_of(term) in charges]
    lines = [line for term in known if (line := _usage_line(term, charges[month_of(term)])) is not None]
    months = sorted({month_of(term).isoformat() for term in known})
    return Usage(tuple(lines), tuple(term.id for term in known), tuple(months))


def month_of(term: Term) -> date:
    """Return the first day of the calendar month whose charges count for the term's period.

    It is the month that ends within the period: each period has exactly one, and each month falls into one period.
    """
    first = term.period_end.astimezone(UTC).date().replace(day=1)
    return (first - timedelta(days=1)).replace(day=1)


def usage_cents(term: Term, charged: int) -> int:
    """Return what the term's share of the percentage comes to beyond its floor, in cents; never less than nothing."""
    part = fraction(term.ends_at - term.starts_at, term.period_end - term.period_start)
    return half_up(max(Fraction(0), part * (Fraction(charged * term.percent, 100) - term.floor_cents)))


def _usage_line(term: Term, charged: int) -> Line | None:
    cents, month = usage_cents(term, charged), month_of(term)
    if not cents:
        return None
    words = (
        f"{term.plan.label} usage: {term.percent} % of the {dollars(charged)} of {MONTH_NAMES[month.month - 1]} "
        f"{month.year}, less {dollars(term.floor_cents)}"
    )
    part = fraction(term.ends_at - term.starts_at, term.period_end - term.period_start)
    if part < 1:
        words += f", for {float(part):.1%} of the period".replace("%", " %")
    return Line(LineKind.USAGE, words, cents, term.starts_at, term.ends_at)


def _charges(organization: Organization, months: Iterable[date]) -> dict[date, int]:
    mine = (CloudCharge.organization_id == organization.id) & CloudCharge.month.in_(list(months))
    rows = session_of(organization).execute(select(CloudCharge.month, CloudCharge.cents).where(mine))
    return {month: cents for month, cents in rows}  # noqa: C416 (rows are not pairs to the type checker)


def _whole(organization: Organization, plan: Plan, version: str, start: datetime, anchor: int, usage: Usage) -> Quote:
    """Return the price of a whole period that begins at `start`."""
    free = begins_free(organization, plan)
    floor, end = (0 if free else _floor(plan)), next_month(start, anchor)
    words = f"{plan.key.label} plan, first month free" if free else f"{plan.key.label} plan"
    rate = tax_rate(session_of(organization))
    return Quote(
        plan=plan.key,
        catalogue=version,
        lines=_waived((Line(LineKind.PLAN, words, floor, start, end), *usage.lines), rate, start),
        tax_basis_points=rate,
        at=start,
        period_start=start,
        period_end=end,
        anchor=anchor,
        floor_cents=floor,
        percent=plan.percent or 0,
        free=free,
        settles=usage.settles,
        months=usage.months,
    )


def _usage_alone(organization: Organization, usage: Usage, at: datetime) -> Quote:
    rate = tax_rate(session_of(organization))
    lines = _waived(usage.lines, rate, at)
    return Quote.without_plan(lines, rate, at, at, settles=usage.settles, months=usage.months)


def _waived(lines: tuple[Line, ...], rate: int, at: datetime) -> tuple[Line, ...]:
    """Return the lines with one that takes all of them back, where they come to less than can be charged."""
    net = sum(line.cents for line in lines)
    if not 0 < net + tax_on(net, rate) < LEAST_CENTS:
        return lines
    return (*lines, Line(LineKind.CREDIT, f"Waived: less than {dollars(LEAST_CENTS)} is not charged", -net, at, at))


def _floor(plan: Plan) -> int:
    assert plan.floor_cents is not None, "a plan by contract has no price"
    return plan.floor_cents
