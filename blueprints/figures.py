"""Figures of the business: plans and revenue, ups and downs, failed renewals, the pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, request, stream_with_context

from blueprints.access import requires
from blueprints.pages import Answer, download, page
from extensions import clock, db
from models.catalogue import PlanName
from models.charts import Bar, Tick, bar_chart, labels_below
from models.figures import AGE_WORDS, COLUMNS, MONTHS_OFFERED, Dunning, Figures, FirstTouch, Move, figures, sheet_of
from models.leads import OPEN
from models.permissions import Permission
from models.spreadsheets import csv_of

bp = Blueprint("figures", __name__)


def _months() -> int:
    """Read how many months the address asks for; twelve for what it does not know."""
    return next((months for months in MONTHS_OFFERED if str(months) == request.args.get("months")), 12)


@bp.get("/business")
@requires(Permission.FIGURES)
def index() -> Answer:
    found = figures(db.session(), _months(), now=clock.now())
    return page(
        "reports/business.html",
        found=found,
        months=_months(),
        offered=MONTHS_OFFERED,
        plans=list(PlanName),
        moves=list(Move),
        stages=OPEN,
        ages=AGE_WORDS,
        nothing=(Dunning(), FirstTouch()),
        charts_=_charts(found),
    )


def _charts(found: Figures) -> dict[str, tuple[tuple[Bar, ...], tuple[Tick, ...]]]:
    """Return the bars of each chart with the words below them; amounts are whole dollars."""
    ups = [(month.label, found.moves.get((month, Move.UPGRADED), 0)) for month in found.months]
    downs = [
        (month.label, sum(found.moves.get((month, move), 0) for move in (Move.DOWNGRADED, Move.LAPSED)))
        for month in found.months
    ]
    most = max(count for _, count in (*ups, *downs))
    return {
        "recurring": _bars([(plan.label, found.recurring.get(plan, 0) // 100) for plan in PlanName]),
        "invoiced": _bars([(month.label, max(0, found.invoiced_in(month)) // 100) for month in found.months]),
        "up": _bars(ups, most),
        "down": _bars(downs, most),
        "ages": _bars(
            [(words, sum(found.pipeline.get((stage, at), 0) for stage in OPEN)) for at, words in enumerate(AGE_WORDS)]
        ),
    }


def _bars(values: Sequence[tuple[str, int]], most: int | None = None) -> tuple[tuple[Bar, ...], tuple[Tick, ...]]:
    highest = max(count for _, count in values) if most is None else most
    return bar_chart(values, highest), labels_below([label for label, _ in values])


@bp.get("/business.csv")
@requires(Permission.FIGURES)
def export() -> Answer:
    months = _months()
    found = figures(db.session(), months, now=clock.now())
    return download(
        stream_with_context(csv_of(COLUMNS, sheet_of(found))), name=f"business-{months}.csv", kind="text/csv"
    )
