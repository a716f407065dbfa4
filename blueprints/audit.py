"""The audit log: who did what, when; on a page and as a file for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, request, stream_with_context

from blueprints.access import actor, requires
from blueprints.pages import Answer, download, invalid, page, zone_here
from extensions import clock, db, reading
from forms.audit import AuditForm
from models import audit
from models.audit import AuditWish
from models.events import EventKind, record
from models.permissions import Permission
from models.spreadsheets import csv_of

bp = Blueprint("audit", __name__)


@bp.get("/admin/audit")
@requires(Permission.ADMINISTRATION)
def index() -> Answer:
    return page("admin/audit.html", **_shown(_checked(AuditForm(request.args))))


def _shown(form: AuditForm) -> dict[str, Any]:
    wish = _wish(form)
    found = audit.log(db.session(), wish, zone_here(), size=actor().page_size)
    return {"form": form, "wish": wish, "log": found}


def _wish(form: AuditForm) -> AuditWish:
    """Return what the form asks for; a field that cannot be read narrows nothing, and its error says so."""
    before = request.args.get("before", "")
    return AuditWish(
        kind=form.kind.data if form.kind.data and not form.kind.errors else "",
        person=form.person.data if form.person.data and not form.person.errors else "",
        organization=form.organization.data if form.organization.data and not form.organization.errors else "",
        since=None if form.since.errors else form.since.data,
        until=None if form.until.errors else form.until.data,
        key=form.key.data if form.key.data and not form.key.errors else "",
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else 0,
    )


@bp.post("/admin/audit/export")
@requires(Permission.ADMINISTRATION)
def export() -> Answer:
    form = _checked(AuditForm(request.form))
    if form.errors:
        # A filter that cannot be read narrows nothing: the file would hold what nobody asked for.
        return invalid("admin/audit.html", **_shown(form))
    wish, zone = _wish(form), zone_here()
    record(
        db.session(), EventKind.AUDIT_EXPORTED, now=clock.now(), actor_id=actor().id, filters=list(wish.parts.values())
    )
    # The export itself is the newest line of its file, and nobody waits for the rest: from here on it only reads.
    reading()

    def batches() -> Iterator[Iterator[tuple[str, ...]]]:
        for lines in audit.lines_of(db.session(), wish, zone):
            yield audit.sheet_of(lines, zone)
            db.session.rollback()

    return download(stream_with_context(csv_of(audit.SHEET, batches())), name="audit-log.csv", kind="text/csv")


def _checked(form: AuditForm) -> AuditForm:
    form.validate()
    return form
