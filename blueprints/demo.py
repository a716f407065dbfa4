"""The demo's mailbox: what the portal has sent, readable without a mail server. There is none outside the demo."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import public
from blueprints.pages import Answer, page
from extensions import outside
from gateways.mail_folder import read_all, read_one
from models.base import NotFound

bp = Blueprint("demo", __name__)


def _only_in_demo() -> None:
    settings = outside().settings
    if not settings.demo or settings.smtp_host:
        raise NotFound


@bp.get("/demo/mail")
@public
def index() -> Answer:
    _only_in_demo()
    return page("demo/index.html", letters=read_all(outside().settings.data / "mail"))


@bp.get("/demo/mail/<string:name>")
@public
def show(name: str) -> Answer:
    _only_in_demo()
    letter = read_one(outside().settings.data / "mail", name)
    if letter is None:
        raise NotFound
    return page("demo/show.html", letter=letter)
