"""Signing in and out, forgotten passwords, and the first administrator."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, request, session

from blueprints.access import close_sign_in, open_sign_in, public, requires, visitor
from blueprints.pages import Answer, found, invalid, page, see_other, too_many
from extensions import clock, db, outside, reading, writing
from forms.auth import NewPasswordForm, ResetForm, SetUpForm, SignInForm
from models import entrance, people
from models.base import NotFound, Refused
from models.demo import ACCOUNTS, PASSWORD
from models.entrance import RESET_LIFE
from models.events import EventKind, record
from models.people import (
    PER_ACCOUNT,
    PER_ADDRESS,
    RESET_PER_ACCOUNT,
    RESET_PER_ADDRESS,
    TooMany,
    folded,
)
from models.permissions import Permission

bp = Blueprint("auth", __name__)

_WRONG = Refused("The email or the password is wrong. Check both, or choose a new password.")


def safe_next(path: str | None) -> str:
    """Return the path if it is one of ours, else the start page: nobody is led to another site."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable() or "\\" in path:
        return "/"
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc and len(path) <= 500 else "/"


def _sign_in_page() -> dict[str, object]:
    settings = outside().settings
    return {
        "next": safe_next(request.values.get("next")),
        "accounts": ACCOUNTS if settings.demo else (),
        "demo_password": PASSWORD if settings.demo else "",
        "held": bool(session.get("held")),
    }


@bp.get("/sign-in")
@public
def sign_in() -> Answer:
    if visitor() is not None:
        return found(safe_next(request.args.get("next")))
    return page("auth/sign_in.html", form=SignInForm(), **_sign_in_page())


@bp.post("/sign-in")
@public
def open_session() -> Answer:
    form, now = SignInForm(), clock.now()
    if not form.validate():
        return invalid("auth/sign_in.html", form=form, **_sign_in_page())
    limits = {PER_ACCOUNT: folded(form.email.data or ""), PER_ADDRESS: request.remote_addr or ""}
    try:
        people.count_try(db.session(), limits, now=now)
    except TooMany as wait:
        return too_many("auth/wait.html", wait.until, what="sign in")
    # The hash is slow on purpose: while it is worked out, others may write.
    reading()
    person = people.person_by_email(db.session(), (form.email.data or ""))
    fits = outside().passwords.fits(person, (form.password.data or ""))
    writing()
    if not fits or person is None or not person.active:
        form.refuse(_WRONG)
        record(db.session(), EventKind.SIGN_IN_FAILED, now=now, actor_id=person.id if person else None)
        db.session.commit()
        return invalid("auth/sign_in.html", form=form, **_sign_in_page())
    people.forgive(db.session(), limits, now=now)
    open_sign_in(person)
    db.session.commit()
    return see_other(safe_next(request.form.get("next")))


@bp.post("/sign-out")
@requires(Permission.SIGNED_IN)
def sign_out() -> Answer:
    close_sign_in()
    db.session.commit()
    answer = see_other("/sign-in", good="You are signed out.")
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@bp.get("/reset-password")
@public
def ask_reset() -> Answer:
    return page("auth/reset.html", form=ResetForm(), sent=False, mail_works=outside().mailer is not None)


@bp.post("/reset-password")
@public
def send_reset() -> Answer:
    form, now = ResetForm(), clock.now()
    works = outside().mailer is not None
    if not form.validate():
        return invalid("auth/reset.html", form=form, sent=False, mail_works=works)
    limits = {RESET_PER_ACCOUNT: folded(form.email.data or ""), RESET_PER_ADDRESS: request.remote_addr or ""}
    try:
        people.count_try(db.session(), limits, now=now)
    except TooMany as wait:
        return too_many("auth/wait.html", wait.until, what="ask for a new password")
    entrance.ask_reset(db.session(), (form.email.data or ""), now=now)
    db.session.commit()
    return see_other("/reset-password/sent")


@bp.get("/reset-password/sent")
@public
def reset_sent() -> Answer:
    return page(
        "auth/reset.html", form=ResetForm(), sent=True, life=RESET_LIFE, mail_works=outside().mailer is not None
    )


@bp.get("/reset-password/<secret:token>")
@public
def open_reset(token: str) -> Answer:
    # The secret leaves the address at its first use, so that no history and no Referer keeps it.
    session["link"] = token
    return see_other("/reset-password/new")


@bp.get("/reset-password/new")
@public
def new_password() -> Answer:
    link = entrance.find_link(db.session(), session.get("link", ""), now=clock.now())
    if link is None:
        return invalid("auth/expired.html", what="reset", ask="")
    return page("auth/new_password.html", form=NewPasswordForm())


@bp.post("/reset-password/new")
@public
def set_password() -> Answer:
    form, now = NewPasswordForm(), clock.now()
    link = entrance.find_link(db.session(), session.get("link", ""), now=now)
    if link is None:
        return invalid("auth/expired.html", what="reset", ask="")
    if not form.validate():
        return invalid("auth/new_password.html", form=form)
    try:
        entrance.use_reset(db.session(), link, (form.password.data or ""), outside().passwords, now=now)
    except Refused as refused:
        form.refuse(refused)
        return invalid("auth/new_password.html", form=form)
    db.session.commit()
    session.pop("link", None)
    return see_other("/sign-in", good="Your password is set. Sign in with it.")


@bp.get("/setup/<secret:token>")
@public
def open_set_up(token: str) -> Answer:
    if entrance.has_administrator(db.session()):
        raise NotFound
    session["link"] = token
    return see_other("/setup")


@bp.get("/setup")
@public
def set_up() -> Answer:
    entrance.set_up_link(db.session(), session.get("link", ""), now=clock.now())
    return page("auth/set_up.html", form=SetUpForm())


@bp.post("/setup")
@public
def create_administrator() -> Answer:
    form, now = SetUpForm(), clock.now()
    link = entrance.set_up_link(db.session(), session.get("link", ""), now=now)
    if not form.validate():
        return invalid("auth/set_up.html", form=form)
    try:
        person = entrance.set_up(
            db.session(),
            link,
            (form.name.data or ""),
            (form.email.data or ""),
            (form.password.data or ""),
            outside().passwords,
            now=now,
        )
    except Refused as refused:
        form.refuse(refused)
        return invalid("auth/set_up.html", form=form)
    open_sign_in(person)
    db.session.commit()
    return see_other("/", good="The installation is set up, and you are its administrator.")
