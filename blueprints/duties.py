"""Who is on call: seen by every agent, kept by the duty managers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, may, requires
from blueprints.pages import Answer, invalid, page, page_here, see_other, zone_here
from extensions import clock, db, outside
from forms.base import choices
from forms.desk import DutyForm
from models import oncall
from models.base import Refused
from models.hooks import tells_on_call
from models.people import agents
from models.permissions import Permission

bp = Blueprint("duties", __name__)


@bp.get("/desk/duty")
@requires(Permission.DESK)
def index() -> Answer:
    return page("desk/duty.html", **_shown(DutyForm(formdata=None)))


@bp.post("/desk/duty")
@requires(Permission.DUTY)
def add() -> Answer:
    form = DutyForm()
    shown = _shown(form)
    person = next((one for one in shown["agents"] if str(one.id) == form.person.data), None)
    try:
        if not form.validate():
            return invalid("desk/duty.html", **shown)
        if person is None:
            raise Refused("Choose one of the support agents.", "person")  # noqa: TRY301 (shown beside the field)
        oncall.add_duty(actor(), person, *form.period(zone_here()), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/duty.html", **shown)
    db.session.commit()
    return see_other("/desk/duty", good=f"{person.name} is on call in that time.")


@bp.post("/desk/duty/<number:id>/remove")
@requires(Permission.DUTY)
def remove(id: int) -> Answer:  # noqa: A002 (the name in the address)
    duty = oncall.duty_of(db.session(), id)
    oncall.end_duty(actor(), duty, now=clock.now())
    db.session.commit()
    return see_other("/desk/duty", good=f"{duty.person.name} is not on call in that time any more.")


def _shown(form: DutyForm) -> dict[str, Any]:
    now, people = clock.now(), agents(db.session())
    form.person.choices = choices([("", "Select an agent"), *((str(one.id), one.name) for one in people)])
    rows, paging = oncall.duties(db.session(), page_here(), actor().page_size, now=now)
    return {
        "form": form,
        "agents": people,
        "rows": rows,
        "paging": paging,
        "now": now,
        "may_change": may(Permission.DUTY),
        "managers": [one for one in people if one.duty_manager],
        "webhook": outside().hooks.standing is not None or tells_on_call(db.session()),
    }
