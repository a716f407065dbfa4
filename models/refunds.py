"""Money that goes back to the charge that brought it: the intent is written here, and the worker makes it."""

from __future__ import annotations

from datetime import datetime

from models.invoices import Line, LineKind
from models.payments import Payment, PaymentKind, PaymentState, begin, tell_administrators
from models.quotes import Quote


def give_back(paid: Payment, line: Line, rate: int, *, now: datetime) -> None:
    """Write the intent to give back what the line says, with tax of `rate` basis points, to the charge of `paid`."""
    quote = Quote.without_plan((line,), rate, now, line.ends_at)
    refund = begin(
        paid.organization,
        PaymentKind.REFUND,
        quote=quote.as_facts() | {"charge": f"{paid.public_id}:charge"},
        cents=-quote.total,
        card=paid.card,
        refund_of=paid.id,
        now=now,
        alone=False,
    )
    if paid.offline:
        # No gateway knows of it: an administrator pays it back, and is told so now.
        refund.close(PaymentState.DECLINED, now=now, reason="offline")
        tell_administrators(refund, now=now)
    else:
        # The worker makes it in its next round.
        refund.next_at = now


def send_back(paid: Payment, *, now: datetime) -> None:
    """Give back a payment whose plan is not given, since another one holds by now; usage that it paid stays paid."""
    quote = Quote.from_facts(paid.quote)
    cents = sum(line.cents for line in quote.lines if line.kind is not LineKind.USAGE)
    if cents > 0 and quote.plan is not None:
        words = f"{quote.plan.label} plan, not begun"
        line = Line(LineKind.CREDIT, words, -cents, quote.period_start, quote.period_end)
        give_back(paid, line, quote.tax_basis_points, now=now)
