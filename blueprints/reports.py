"""Reports: for the staff how promises were kept and what there was to do, for customers the scorecard of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, request, stream_with_context

from blueprints.access import actor, may, requires, roles
from blueprints.pages import Answer, download, face_of, page, page_here, zone_here
from extensions import clock, db, outside
from models import evidence, people, reports
from models.catalogue import DoorName, PlanName, Severity
from models.charts import Bar, bar_chart, labels_below, line_chart, shade
from models.organizations import organization_of
from models.periods import AGE_WORDS, Count, Kept, Picked, ReportWish
from models.permissions import Permission
from models.reports import Report
from models.spreadsheets import csv_of
from models.tickets import Tickets, desk_of, measured_by, tickets_of
from models.wording import WEEKDAYS, duration
from models.workbooks import KIND, workbook_of
from models.workload import COLUMNS, by_agent, sheet_of

bp = Blueprint("reports", __name__)


def _wish(base: str = "/reports") -> ReportWish:
    return ReportWish.read(request.args.to_dict(), _today(), base)


def _today() -> date:
    return clock.now().astimezone(zone_here()).date()


@bp.get("/reports")
@requires(Permission.REPORTS)
def index() -> Answer:
    wish = _wish()
    found = reports.report(measured_by(actor(), roles()), wish, zone_here(), now=clock.now())
    return page("reports/index.html", **_shown(found, wish, lists=may(Permission.DESK)))


@bp.get("/console/<slug:org>/scorecard")
@requires(Permission.SUPPORT)
def scorecard(org: str) -> Answer:
    organization = organization_of(actor(), org)
    wish = _wish(f"/console/{org}/scorecard")
    scope = tickets_of(actor()).within(organization)
    found = reports.report(scope, wish, zone_here(), now=clock.now())
    return page("reports/scorecard.html", organization=organization, **_shown(found, wish, lists=True))


def _shown(found: Report, wish: ReportWish, *, lists: bool) -> dict[str, Any]:
    """Return what both pages show; `lists` says whether the reader may open what a number counts."""
    goal, names = outside().settings.on_time_goal, [month.label for month in wish.months]
    most_old = max(found.backlog.values(), default=0)
    old = {s: [(words, found.backlog.get((n, s), 0)) for n, words in enumerate(AGE_WORDS)] for s in Severity}
    filed = {s: [(m.label, found.filed.get((m, s), 0)) for m in wish.months] for s in Severity}
    most = max((count for bars in filed.values() for _, count in bars), default=0)
    return _asked(wish) | {
        "report": found,
        "lists": lists,
        "goal": goal,
        "on_time": line_chart([(m.label, found.tally(m).percent) for m in wish.months], goal),
        "volume": {severity: bar_chart(bars, most) for severity, bars in filed.items()},
        "old": {severity: bar_chart(bars, most_old) for severity, bars in old.items()},
        "times": _times(found),
        "below": labels_below(names),
        "below_ages": labels_below(AGE_WORDS),
        "shades": shade(found.load, max(found.load.values(), default=0)),
        "weekdays": WEEKDAYS,
        "severities": list(Severity),
        "ages": AGE_WORDS,
        "Kept": Kept,
        "by_agent": may(Permission.DUTY),
    }


def _times(found: Report) -> dict[str, tuple[Bar, ...]]:
    """Return the charts of how long first replies and solutions took, and of how they were rated."""
    charts = {}
    for name, spreads in (("First reply, median", found.replies), ("Solution, median", found.solutions)):
        lengths = [int(spreads[m].median.total_seconds()) if m in spreads else 0 for m in found.months]
        values = [(m.label, seconds) for m, seconds in zip(found.months, lengths, strict=True)]
        charts[name] = bar_chart(values, max(lengths), lambda seconds: duration(timedelta(seconds=seconds)))
    tenths = [(m.label, round(found.ratings[m][1] * 10) if m in found.ratings else 0) for m in found.months]
    return charts | {"Rating, of 5": bar_chart(tenths, 50, lambda tenth: f"{tenth / 10:.1f}")}


def _asked(wish: ReportWish) -> dict[str, Any]:
    """Return what the form above every report shows, and what its numbers are called in addresses."""
    offered = wish.offered(_today())
    return {"wish": wish, "offered": offered, "doors": list(DoorName), "plans": list(PlanName), "Count": Count}


@bp.get("/reports/agents")
@requires(Permission.DUTY)
def agents() -> Answer:
    wish = _wish("/reports/agents")
    rows = by_agent(desk_of(actor(), roles()), wish, zone_here(), now=clock.now())
    names = [people.badge_of(row.name, "").initials for row in rows]
    most = max((max(row.resolved, row.open) for row in rows), default=0)
    bars = {
        "Resolved": bar_chart([(name, row.resolved) for name, row in zip(names, rows, strict=True)], most),
        "Open now": bar_chart([(name, row.open) for name, row in zip(names, rows, strict=True)], most),
    }
    below = labels_below(names)
    return page("reports/agents.html", rows=rows, bars=bars, below=below, listed=_wish(), **_asked(wish))


@bp.get("/reports/agents.<any(csv, xlsx):kind>")
@requires(Permission.DUTY)
def export_agents(kind: str) -> Answer:
    rows = by_agent(desk_of(actor(), roles()), _wish(), zone_here(), now=clock.now())
    return _sent(kind, "agents", COLUMNS, sheet_of(rows))


@bp.get("/reports/requests")
@requires(Permission.DESK)
def behind() -> Answer:
    return _behind(desk_of(actor(), roles()), _wish(), "/desk")


@bp.get("/console/<slug:org>/scorecard/requests")
@requires(Permission.SUPPORT)
def behind_scorecard(org: str) -> Answer:
    scope = tickets_of(actor()).within(organization_of(actor(), org))
    return _behind(scope, _wish(f"/console/{org}/scorecard"), "/requests")


def _behind(scope: Tickets, wish: ReportWish, where: str) -> Answer:
    """Answer the list that a number of the report counts."""
    given, now, zone = request.args.to_dict(), clock.now(), zone_here()
    picked = Picked.read(given)
    lines, paging = evidence.behind(scope, wish, picked, zone, now=now, page=page_here(), size=actor().page_size)
    return page(
        "reports/requests.html",
        wish=wish,
        picked=picked,
        whose=next((one.name for one in people.agents(db.session()) if one.id == picked.agent), "one agent")
        if picked.agent
        else "",
        lines=lines,
        paging=paging,
        where=where,
        faces={line.id: face_of(line, zone, now, staff=where == "/desk") for line in lines},
    )


@bp.get("/reports/promises.<any(csv, xlsx):kind>")
@requires(Permission.DESK)
def export(kind: str) -> Answer:
    return _file(desk_of(actor(), roles()), _wish(), kind, "promises")


@bp.get("/console/<slug:org>/scorecard/promises.<any(csv, xlsx):kind>")
@requires(Permission.SUPPORT)
def export_scorecard(org: str, kind: str) -> Answer:
    scope = tickets_of(actor()).within(organization_of(actor(), org))
    return _file(scope, _wish(), kind, f"{org}-promises")


def _file(scope: Tickets, wish: ReportWish, kind: str, name: str) -> Answer:
    zone, now = zone_here(), clock.now()

    def batches() -> Iterator[list[tuple[object, ...]]]:
        for rows in evidence.sheet_rows(scope, wish, zone, now=now):
            yield rows
            # Nobody's change waits for a reader who is slow.
            db.session.rollback()

    return _sent(kind, name, evidence.SHEET, batches())


def _sent(kind: str, name: str, columns: Sequence[str], batches: Iterator[list[tuple[object, ...]]]) -> Answer:
    if kind == "csv":
        return download(stream_with_context(csv_of(columns, batches)), name=f"{name}.csv", kind="text/csv")
    return download(stream_with_context(workbook_of(columns, batches)), name=f"{name}.xlsx", kind=KIND)
