"""Administration of the plan catalogue: its versions, their drafts, how they differ, what they would have brought."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, requires, roles
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other
from extensions import clock, db
from forms.editions import DraftForm, EditionForm, PublishForm, shown
from models import editions
from models.base import NotFound, Refused
from models.catalogue import Catalogue, DoorName, PlanName, Severity, catalogue, versions
from models.clients import organizations_by_plan
from models.editions import Edition
from models.paging import Paging
from models.permissions import Permission
from models.replay import replay
from models.tickets import measured_by

bp = Blueprint("editions", __name__)
LIST = "/admin/catalogue"


@bp.get("/admin/catalogue")
@requires(Permission.ADMINISTRATION)
def index() -> Answer:
    return page("admin/catalogue.html", **_list(DraftForm(formdata=None)))


@bp.post("/admin/catalogue")
@requires(Permission.ADMINISTRATION)
def begin() -> Answer:
    form = DraftForm()
    try:
        if not form.validate():
            return invalid("admin/catalogue.html", **_list(form))
        of = form.of.data or catalogue().version
        draft = editions.begin(actor(), form.name.data or "", of=of, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/catalogue.html", **_list(form))
    db.session.commit()
    return see_other(f"{LIST}/{draft.name}/edit", good=f"The draft {draft.name} says what {of} says. Change it here.")


@bp.get("/admin/catalogue/<version:name>")
@requires(Permission.ADMINISTRATION)
def show(name: str) -> Answer:
    terms = editions.catalogue_named(db.session(), name)
    return page("admin/edition.html", draft=_draft(name), **_terms(terms))


@bp.get("/admin/catalogue/<version:name>/edit")
@requires(Permission.ADMINISTRATION)
def edit(name: str) -> Answer:
    draft = _draft(name) or _none()
    return page("admin/edit_edition.html", draft=draft, form=shown(draft.data, str(draft.revision)))


@bp.post("/admin/catalogue/<version:name>/edit")
@requires(Permission.ADMINISTRATION)
def update(name: str) -> Answer:
    draft, form = editions.draft_to_write(db.session(), name), EditionForm()
    if form.was.data != str(draft.revision):
        form.was.data = str(draft.revision)
        form.refuse(
            Refused("Somebody else changed this draft meanwhile. Compare it, then save yours over it if it is right.")
        )
        return conflict("admin/edit_edition.html", draft=draft, form=form)
    try:
        if not form.validate():
            return invalid("admin/edit_edition.html", draft=draft, form=form)
        editions.change(draft, actor(), form.written(draft.data), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/edit_edition.html", draft=draft, form=form)
    db.session.commit()
    return see_other(f"{LIST}/{name}", good="The draft is saved. Nothing is promised by it before it is published.")


@bp.get("/admin/catalogue/<version:name>/differences")
@requires(Permission.ADMINISTRATION)
def compare(name: str) -> Answer:
    terms = editions.catalogue_named(db.session(), name)
    others = [one for one in versions() if one.version != name]
    before = next((one for one in others if one.version == request.args.get("from")), _before(terms, others))
    found = editions.differences(before, terms) if before else []
    return page("admin/differences.html", terms=terms, before=before, others=others, found=found, draft=_draft(name))


@bp.get("/admin/catalogue/<version:name>/back-test")
@requires(Permission.ADMINISTRATION)
def test(name: str) -> Answer:
    terms = editions.catalogue_named(db.session(), name)
    found = replay(measured_by(actor(), roles()), terms, now=clock.now())
    return page("admin/back_test.html", terms=terms, found=found, draft=_draft(name))


@bp.get("/admin/catalogue/<version:name>/publish")
@requires(Permission.ADMINISTRATION)
def ask_publish(name: str) -> Answer:
    return page("admin/publish_edition.html", **_publishing(_draft(name) or _none(), PublishForm(formdata=None)))


@bp.post("/admin/catalogue/<version:name>/publish")
@requires(Permission.ADMINISTRATION)
def publish(name: str) -> Answer:
    draft, form = editions.draft_to_write(db.session(), name), PublishForm()
    try:
        if not form.validate():
            return invalid("admin/publish_edition.html", **_publishing(draft, form))
        editions.publish(draft, actor(), form.day.data, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/publish_edition.html", **_publishing(draft, form))
    db.session.commit()
    editions.refresh(db.session())
    return see_other(f"{LIST}/{name}", good=f"{name} is published, and in effect from {draft.effective} (00:00 UTC).")


@bp.post("/admin/catalogue/<version:name>/discard")
@requires(Permission.ADMINISTRATION)
def discard(name: str) -> Answer:
    editions.discard(editions.draft_to_write(db.session(), name), actor(), now=clock.now())
    db.session.commit()
    return see_other(LIST, good=f"The draft {name} is discarded.")


def _list(form: DraftForm) -> dict[str, Any]:
    today, known, size = clock.now().date(), versions()[::-1], actor().page_size
    here = catalogue(today).version
    number = max(1, min(page_here(), -(-len(known) // size)))
    rows = known[(number - 1) * size : number * size]
    paging = Paging(number, size, len(rows), len(known), lambda n: f"{LIST}?page={n}")
    form.of.data = form.of.data or here
    return {
        "form": form,
        "rows": rows,
        "paging": paging,
        "here": here,
        "today": today,
        "drafts": editions.drafts(db.session()),
    }


def _draft(name: str) -> Edition | None:
    """Return the draft of that name; None for a version that is published."""
    if any(one.version == name for one in versions()):
        return None
    return editions.edition_of(db.session(), name)


def _none() -> Edition:
    raise NotFound


def _before(terms: Catalogue, others: list[Catalogue]) -> Catalogue | None:
    """Return the version that came before; for a draft, the newest."""
    published = any(one.version == terms.version for one in versions())
    earlier = [one for one in others if not published or one.effective < terms.effective]
    return earlier[-1] if earlier else (others[0] if others else None)


def _terms(terms: Catalogue) -> dict[str, Any]:
    technical = DoorName.TECHNICAL
    return {
        "terms": terms,
        "plans": [terms.plan(name) for name in PlanName],
        "severities": list(Severity),
        "doors": [terms.door(name) for name in DoorName],
        "targets": {(plan, s): terms.target(plan, technical, s) for plan in PlanName for s in Severity},
        "here": None,
        "today": clock.now().date(),
    }


def _publishing(draft: Edition, form: PublishForm) -> dict[str, Any]:
    terms, now = draft.catalogue(), clock.now()
    newest = versions()[-1]
    return {
        "draft": draft,
        "form": form,
        "first": editions.first_day(now),
        "newest": newest,
        "found": editions.differences(newest, terms),
        "houses": organizations_by_plan(db.session()),
    }
