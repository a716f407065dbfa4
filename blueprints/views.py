"""Saved views of the desk's queues: each an address of its own."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import Blueprint, request

from blueprints.access import actor, requires
from blueprints.pages import Answer, invalid, page, see_other
from blueprints.queues import wish_of
from extensions import db
from forms.desk import ViewForm
from models import views
from models.base import Refused
from models.permissions import Permission

bp = Blueprint("views", __name__)


@bp.get("/desk/views")
@requires(Permission.ANSWER)
def index() -> Answer:
    return page("desk/views/index.html", views=views.views_of(actor()))


@bp.get("/desk/views/new")
@requires(Permission.ANSWER)
def new() -> Answer:
    query = request.query_string.decode("ascii", "replace")[:1000]
    return page("desk/views/edit.html", form=ViewForm(formdata=None, query=query), view=None)


@bp.post("/desk/views/new")
@requires(Permission.ANSWER)
def create() -> Answer:
    form = ViewForm()
    if not form.validate():
        return invalid("desk/views/edit.html", form=form, view=None)
    wish = wish_of(dict(parse_qsl(form.query.data or "")))
    parts = {name: value for name, value in wish.parts.items() if value}
    try:
        view = views.save_view(actor(), form.name.data or "", parts, shared=form.shared.data)
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/views/edit.html", form=form, view=None)
    db.session.commit()
    return see_other(f"/desk/views/{view.id}", good=f"“{view.name}” is saved. It stands beside the queues.")


@bp.get("/desk/views/<number:id>")
@requires(Permission.DESK)
def show(id: int) -> Answer:  # noqa: A002 (the address names it so)
    view = views.view_for(actor(), id)
    stored = {str(name): str(value) for name, value in view.parts.items()}
    wish = wish_of(stored)
    lost = sorted(set(stored.items()) - set(wish.parts.items()))
    address = wish.href()
    words = f"“{view.name}” asks for what there is no more, which is left out: " if lost else ""
    words += ", ".join(f"{name} {value}" for name, value in lost)
    return see_other(f"{address}{'&' if '?' in address else '?'}view={view.id}", warn=words)


@bp.get("/desk/views/<number:id>/edit")
@requires(Permission.ANSWER)
def edit(id: int) -> Answer:  # noqa: A002 (the address names it so)
    view = views.own_view(actor(), id)
    form = ViewForm(formdata=None, name=view.name, shared=view.shared)
    return page("desk/views/edit.html", form=form, view=view)


@bp.post("/desk/views/<number:id>/edit")
@requires(Permission.ANSWER)
def change(id: int) -> Answer:  # noqa: A002 (the address names it so)
    view, form = views.own_view(actor(), id), ViewForm()
    try:
        if not form.validate():
            return invalid("desk/views/edit.html", form=form, view=view)
        views.change_view(view, form.name.data or "", shared=form.shared.data)
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/views/edit.html", form=form, view=view)
    db.session.commit()
    return see_other("/desk/views", good=f"“{view.name}” is changed.")


@bp.post("/desk/views/<number:id>/delete")
@requires(Permission.ANSWER)
def delete(id: int) -> Answer:  # noqa: A002 (the address names it so)
    view = views.own_view(actor(), id)
    name, wish = view.name, wish_of({str(key): str(value) for key, value in view.parts.items()})
    views.delete_view(view)
    db.session.commit()
    return see_other(wish.href(), good=f"“{name}” is deleted. This is its queue: save it again if you miss it.")
