"""Administration of the lists that forms offer: environments, components and versions."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, see_other
from extensions import clock, db
from forms.lists import EntryForm
from models import choices
from models.base import NotFound, Refused
from models.choices import ListEntry, ListName, entry_of
from models.permissions import Permission

bp = Blueprint("lists", __name__)


@bp.get("/admin/lists")
@requires(Permission.ADMINISTRATION)
def index() -> Answer:
    return page("admin/lists.html", **_lists())


def _lists(form: EntryForm | None = None, at: ListName | None = None) -> dict[str, object]:
    """Return what the page of all lists shows; `form` came back with errors, for the list `at`."""
    found = choices.entries(db.session())
    rows = [
        (name, [e for e in found[name] if e.retired_at is None], [e for e in found[name] if e.retired_at])
        for name in ListName
    ]
    forms = {name: EntryForm(formdata=None, prefix="") for name in ListName}
    if form is not None and at is not None:
        forms[at] = form
    for name, one in forms.items():
        one.label.id, one.label.label.text = f"label-{name.value}", f"New entry in {name.label}"
    return {"lists": rows, "forms_": forms, "refused": form}


@bp.post("/admin/lists/<slug:part>/add")
@requires(Permission.ADMINISTRATION)
def add(part: str) -> Answer:
    form, wanted = EntryForm(), next((one for one in ListName if one.value == part), None)
    if wanted is None:
        raise NotFound
    try:
        if not form.validate():
            return invalid("admin/lists.html", **_lists(form, wanted))
        choices.add(db.session(), actor(), wanted, form.label.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/lists.html", **_lists(form, wanted))
    db.session.commit()
    return see_other("/admin/lists", good=f"“{form.label.data}” is on offer from now on.")


@bp.get("/admin/lists/entries/<number:id>")
@requires(Permission.ADMINISTRATION)
def edit(id: int) -> Answer:  # noqa: A002 (the name in the address)
    entry = entry_of(db.session(), id)
    return page("admin/entry.html", entry=entry, form=EntryForm(formdata=None, was=entry.label, label=entry.label))


@bp.post("/admin/lists/entries/<number:id>")
@requires(Permission.ADMINISTRATION)
def rename(id: int) -> Answer:  # noqa: A002
    entry, form = entry_of(db.session(), id), EntryForm()
    if not form.validate():
        return invalid("admin/entry.html", entry=entry, form=form)
    if form.was.data != entry.label:
        form.was.data = entry.label
        form.refuse(Refused(f"Somebody else renamed it to “{entry.label}”. Save again to rename it anyway.", "label"))
        return conflict("admin/entry.html", entry=entry, form=form)
    try:
        choices.rename(entry, actor(), form.label.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/entry.html", entry=entry, form=form)
    db.session.commit()
    return see_other("/admin/lists", good="The entry is renamed.")


@bp.post("/admin/lists/entries/<number:id>/up")
@requires(Permission.ADMINISTRATION)
def move_up(id: int) -> Answer:  # noqa: A002
    entry = entry_of(db.session(), id)
    return _do(entry, lambda: choices.shift(entry, actor(), up=True, now=clock.now()), "is one place higher")


@bp.post("/admin/lists/entries/<number:id>/down")
@requires(Permission.ADMINISTRATION)
def move_down(id: int) -> Answer:  # noqa: A002
    entry = entry_of(db.session(), id)
    return _do(entry, lambda: choices.shift(entry, actor(), up=False, now=clock.now()), "is one place lower")


@bp.post("/admin/lists/entries/<number:id>/retire")
@requires(Permission.ADMINISTRATION)
def retire(id: int) -> Answer:  # noqa: A002
    entry = entry_of(db.session(), id)
    return _do(entry, lambda: choices.retire(entry, actor(), now=clock.now()), "is not offered any more")


@bp.post("/admin/lists/entries/<number:id>/restore")
@requires(Permission.ADMINISTRATION)
def restore(id: int) -> Answer:  # noqa: A002
    entry = entry_of(db.session(), id)
    return _do(entry, lambda: choices.restore(entry, actor(), now=clock.now()), "is offered again")


def _do(entry: ListEntry, verb: Callable[[], None], words: str) -> Answer:
    """Do what a button beside the entry says, or show the reason against it at its list."""
    try:
        verb()
    except Refused as refused:
        form = EntryForm(formdata=None)
        form.refuse(Refused(refused.reason))
        return invalid("admin/lists.html", **_lists(form, entry.list))
    db.session.commit()
    return see_other("/admin/lists", good=f"“{entry.label}” {words}.")
