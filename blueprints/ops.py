"""For those who run the installation: is it alive, is it ready, and which mail could not be delivered."""

from __future__ import annotations

import logging
import secrets

from flask import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from blueprints.access import actor, public, requires
from blueprints.pages import Answer, page, plain, see_other
from extensions import clock, db, outside, reading
from models import outcomes
from models.base import NotFound, Refused
from models.installation import overview, ping
from models.outbox import undelivered
from models.payments import declined_refund, declined_refunds
from models.permissions import Permission

bp = Blueprint("ops", __name__)
log = logging.getLogger(__name__)


@bp.get("/healthz")
@public
def alive() -> Answer:
    return plain("alive")


@bp.get("/readyz")
@public
def ready() -> Answer:
    try:
        if outside().settings.draining.exists():
            return plain("not ready: stopping", 503)
        ping(db.session())
        reading()
        folder = outside().settings.data
        probe = folder / f"probe.{secrets.token_hex(4)}"
        try:
            probe.write_bytes(b"ready" * 1000)
        finally:
            probe.unlink(missing_ok=True)
    except (SQLAlchemyError, OSError):
        db.session.rollback()
        return plain("not ready: database or storage", 503)
    try:
        outside().files.ready()
    except OSError as trouble:
        log.error("The store of attachments is not ready: %s", trouble)  # noqa: TRY400 (asked again every few seconds)
        return plain("not ready: attachments", 503)
    return plain("ready")


@bp.get("/admin")
@requires(Permission.ADMINISTRATION)
def admin() -> Answer:
    settings, refunds = outside().settings, declined_refunds(db.session())
    view = overview(db.session())
    return page("ops/admin.html", view=view, refunds=refunds, mail=settings.smtp_host, demo=settings.demo)


@bp.post("/admin/refunds/<number:id>/paid-back")
@requires(Permission.ADMINISTRATION)
def paid_back(id: int) -> Answer:  # noqa: A002 (the name in the address)
    refund = declined_refund(db.session(), id)
    try:
        note = outcomes.paid_back_by_hand(refund, actor(), now=clock.now())
    except Refused as refused:
        db.session.rollback()
        return see_other("/admin", warn=refused.reason)
    db.session.commit()
    return see_other("/admin", good=f"Marked as paid back. {note.number} is the credit note.")


@bp.get("/delivery")
@requires(Permission.DELIVERY)
def delivery() -> Answer:
    return page("ops/delivery.html", messages=undelivered(db.session()), works=outside().mailer is not None)


@bp.post("/delivery/<number:id>/retry")
@requires(Permission.DELIVERY)
def retry(id: int) -> Answer:  # noqa: A002 (the name in the address)
    message = next((m for m in undelivered(db.session()) if m.id == id), None)
    if message is None:
        raise NotFound
    message.retry(clock.now())
    db.session.commit()
    return see_other("/delivery", good=f"The mail to {message.recipient} goes out again within a minute.")
