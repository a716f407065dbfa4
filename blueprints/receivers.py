"""Administration of webhooks: who receives them, signed with what, and what became of each."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, invalid, page, page_here, see_other
from blueprints.uploads import given_key
from extensions import clock, db, outside, reading, writing
from forms.receivers import ReceiverForm
from models import hooks
from models.base import Refused, token
from models.hooks import Endpoint
from models.permissions import Permission
from models.submissions import result_of, settle

bp = Blueprint("receivers", __name__)

ONE = "/admin/webhooks/<number:id>"


@bp.get("/admin/webhooks")
@requires(Permission.ADMINISTRATION)
def index() -> Answer:
    return page("admin/webhooks.html", **_shown(ReceiverForm(formdata=None, key=token())))


def _shown(form: ReceiverForm) -> dict[str, Any]:
    return {"form": form, "rows": hooks.endpoints(db.session()), "standing": outside().hooks.standing is not None}


@bp.post("/admin/webhooks")
@requires(Permission.ADMINISTRATION)
def add() -> Answer:
    form = ReceiverForm()
    if (there := result_of(actor(), given_key())) is not None:
        return see_other(there)
    if not form.validate():
        return invalid("admin/webhooks.html", **_shown(form))
    try:
        # Where the name leads is asked while nobody is kept from writing.
        reading()
        outside().hooks.check(form.url.data or "")
        writing()
        endpoint = hooks.add_endpoint(actor(), form.url.data or "", form.topics.data or [], now=clock.now())
    except ValueError as wrong:
        form.refuse(Refused(f"{str(wrong)[:1].upper()}{str(wrong)[1:]}.", "url"))
        return invalid("admin/webhooks.html", **_shown(form))
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/webhooks.html", **_shown(form))
    back = f"/admin/webhooks/{endpoint.id}"
    settle(actor(), given_key(), back, now=clock.now())
    db.session.commit()
    return see_other(back, good="The receiver is named. Give it the signing secret, then send a test.")


def _endpoint(number: int) -> Endpoint:
    return hooks.endpoint_of(db.session(), number)


@bp.get(ONE)
@requires(Permission.ADMINISTRATION)
def show(id: int) -> Answer:  # noqa: A002 (the name in the address)
    endpoint = _endpoint(id)
    rows, paging = hooks.deliveries(endpoint, page_here(), actor().page_size, f"/admin/webhooks/{endpoint.id}")
    secret = outside().hooks.secret_of(endpoint.seed)
    return page("admin/webhook.html", endpoint=endpoint, rows=rows, paging=paging, secret=secret)


@bp.post(f"{ONE}/test")
@requires(Permission.ADMINISTRATION)
def test(id: int) -> Answer:  # noqa: A002
    endpoint = _endpoint(id)
    hooks.send_test(endpoint, now=clock.now())
    return _done(endpoint, "A test is on its way. Read this page again in a few seconds.")


@bp.post(f"{ONE}/secret")
@requires(Permission.ADMINISTRATION)
def renew(id: int) -> Answer:  # noqa: A002
    endpoint = _endpoint(id)
    try:
        hooks.renew_secret(endpoint, actor(), now=clock.now())
    except Refused as refused:
        db.session.rollback()
        return see_other(f"/admin/webhooks/{id}", warn=refused.reason)
    return _done(endpoint, "There is a new signing secret. Give it to the receiver: the old one signs for a day more.")


@bp.post(f"{ONE}/remove")
@requires(Permission.ADMINISTRATION)
def remove(id: int) -> Answer:  # noqa: A002
    hooks.remove_endpoint(_endpoint(id), actor(), now=clock.now())
    db.session.commit()
    return see_other("/admin/webhooks", good="The receiver is removed. Nothing more is sent there.")


@bp.post(f"{ONE}/deliveries/<number:number>/again")
@requires(Permission.ADMINISTRATION)
def again(id: int, number: int) -> Answer:  # noqa: A002
    endpoint = _endpoint(id)
    try:
        hooks.send_again(endpoint, number, now=clock.now())
    except Refused as refused:
        db.session.rollback()
        return see_other(f"/admin/webhooks/{id}", warn=refused.reason)
    return _done(endpoint, "The message goes out once more, under the same id.")


def _done(endpoint: Endpoint, words: str) -> Answer:
    db.session.commit()
    return see_other(f"/admin/webhooks/{endpoint.id}", good=words)
