"""Macros: the texts that agents insert, their own and those that all share."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.deskwork import number_in
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other
from blueprints.uploads import given_key
from extensions import clock, db
from forms.desk import MacroForm
from models import macros
from models.base import Refused, Stale, token
from models.macros import PLACEHOLDERS, Macro, MacroText, macro_of, macros_of
from models.permissions import Permission
from models.submissions import result_of, settle
from models.tickets import TicketState

bp = Blueprint("macros", __name__)


@bp.get("/desk/macros")
@requires(Permission.ANSWER)
def index() -> Answer:
    rows, paging = macros_of(actor(), page_here(), actor().page_size)
    return page("desk/macros/index.html", rows=rows, paging=paging)


@bp.get("/desk/macros/new")
@requires(Permission.ANSWER)
def new() -> Answer:
    return page("desk/macros/new.html", **_filled(MacroForm(formdata=None, key=token())))


def _filled(form: MacroForm, macro: Macro | None = None) -> dict[str, Any]:
    words = [(f"{{{{{name}}}}}", meaning) for name, (meaning, _) in PLACEHOLDERS.items()]
    return {"form": form, "macro": macro, "placeholders": words}


def _text(form: MacroForm) -> MacroText:
    then = next((state for state in TicketState if state.value == form.then.data), None)
    shared = form.whose.data == "shared"
    return MacroText(form.name.data or "", form.body.data or "", then, form.take.data, shared)


@bp.post("/desk/macros/new")
@requires(Permission.ANSWER)
def create() -> Answer:
    form, key = MacroForm(), given_key()
    if result_of(actor(), key) is not None:
        return see_other("/desk/macros")
    try:
        if not form.validate():
            return invalid("desk/macros/new.html", **_filled(form))
        macro = macros.create(actor(), _text(form), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/macros/new.html", **_filled(form))
    settle(actor(), key, str(macro.id), now=clock.now())
    db.session.commit()
    return see_other("/desk/macros", good=f"“{macro.name}” can be inserted from now on.")


@bp.get("/desk/macros/<number:id>")
@requires(Permission.ANSWER)
def edit(id: int) -> Answer:  # noqa: A002 (the address names it so)
    macro = macro_of(actor(), id)
    form = MacroForm(
        formdata=None,
        name=macro.name,
        body=macro.body,
        then=macro.then.value if macro.then else "",
        take=macro.take,
        whose="shared" if macro.shared else "own",
        was=str(macro.revision),
    )
    return page("desk/macros/edit.html", **_filled(form, macro))


@bp.post("/desk/macros/<number:id>")
@requires(Permission.ANSWER)
def update(id: int) -> Answer:  # noqa: A002
    macro, form = macro_of(actor(), id), MacroForm()
    try:
        if not form.validate():
            return invalid("desk/macros/edit.html", **_filled(form, macro))
        macros.change(macro, actor(), _text(form), seen=number_in(form.was.data or ""), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/macros/edit.html", **_filled(form, macro))
    except Stale:
        form.was.data = str(macro.revision)
        return conflict("desk/macros/edit.html", **_filled(form, macro), outdated=True)
    db.session.commit()
    return see_other("/desk/macros", good=f"“{macro.name}” is changed.")


@bp.get("/desk/macros/<number:id>/delete")
@requires(Permission.ANSWER)
def ask_delete(id: int) -> Answer:  # noqa: A002
    return page("desk/macros/delete.html", macro=macro_of(actor(), id))


@bp.post("/desk/macros/<number:id>/delete")
@requires(Permission.ANSWER)
def delete(id: int) -> Answer:  # noqa: A002
    macro = macro_of(actor(), id)
    name = macro.name
    macros.remove(macro, actor(), now=clock.now())
    db.session.commit()
    return see_other("/desk/macros", good=f"“{name}” is deleted.")
