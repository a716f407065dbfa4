"""One's own account: how pages look, the password, and where one is signed in."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import absolute_limit, actor, idle_limit, requires, sign_in_id
from blueprints.pages import Answer, invalid, page, see_other, too_many
from extensions import clock, db, outside, reading, writing
from forms.auth import ChangePasswordForm, ProfileForm
from models import people
from models.base import Refused
from models.outbox import Letter, queue
from models.people import PER_ACCOUNT, Theme, TooMany
from models.permissions import Permission

bp = Blueprint("profile", __name__)


def _profile_form() -> ProfileForm:
    return ProfileForm(obj=actor())


@bp.get("/profile")
@requires(Permission.SIGNED_IN)
def show() -> Answer:
    return page("profile/show.html", form=_profile_form(), password=ChangePasswordForm())


@bp.post("/profile")
@requires(Permission.SIGNED_IN)
def update() -> Answer:
    form, person = _profile_form(), actor()
    if not form.validate():
        return invalid("profile/show.html", form=form, password=ChangePasswordForm(formdata=None))
    person.name, person.time_zone = (form.name.data or ""), form.time_zone.data
    person.theme, person.page_size = Theme(form.theme.data), form.page_size.data
    person.shortcuts = form.shortcuts.data
    db.session.commit()
    return see_other("/profile", good="Your profile is saved.")


@bp.post("/profile/password")
@requires(Permission.SIGNED_IN)
def change_password() -> Answer:
    form, person, now = ChangePasswordForm(), actor(), clock.now()
    shown = {"form": ProfileForm(formdata=None, obj=person), "password": form}
    if not form.validate():
        return invalid("profile/show.html", **shown)
    limits = {PER_ACCOUNT: person.email_folded}
    try:
        people.count_try(db.session(), limits, now=now)
        reading()
        fits = outside().passwords.fits(person, (form.current_password.data or ""))
        writing()
        if not fits:
            raise Refused("This is not your current password.", "current_password")  # noqa: TRY301 (shown beside it)
        people.forgive(db.session(), limits, now=now)
        people.change_password(person, (form.new_password.data or ""), outside().passwords, now=now, keep=sign_in_id())
    except TooMany as wait:
        return too_many("auth/wait.html", wait.until, what="change your password")
    except Refused as refused:
        form.refuse(
            Refused(refused.reason, refused.field.replace("password", "new_password", refused.field == "password"))
        )
        return invalid("profile/show.html", **shown)
    queue(db.session(), Letter.PASSWORD_CHANGED, to=person, now=now)
    db.session.commit()
    return see_other("/profile", good="Your password is changed. Everywhere else you are signed out.")


@bp.get("/profile/sessions")
@requires(Permission.SIGNED_IN)
def sessions() -> Answer:
    mine = people.sign_ins_of(actor(), now=clock.now(), idle=idle_limit(), absolute=absolute_limit())
    return page("profile/sessions.html", sessions=mine, here=sign_in_id())


@bp.post("/profile/sessions/<number:id>/end")
@requires(Permission.SIGNED_IN)
def end_session(id: int) -> Answer:  # noqa: A002 (the name in the address)
    people.end_sign_in(actor(), id, now=clock.now())
    db.session.commit()
    return see_other("/profile/sessions", good="That session is ended.")


@bp.post("/profile/sessions/end-others")
@requires(Permission.SIGNED_IN)
def end_others() -> Answer:
    people.end_sign_ins(actor(), now=clock.now(), but=sign_in_id())
    db.session.commit()
    return see_other("/profile/sessions", good="You are signed out everywhere else.")


@bp.get("/shortcuts")
@requires(Permission.SIGNED_IN)
def shortcuts() -> Answer:
    return page("profile/shortcuts.html")
