"""Joining an organization by the link in a mail."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, session

from blueprints.access import actor, open_sign_in, public, requires, visitor
from blueprints.pages import Answer, gone, invalid, page, see_other
from extensions import clock, db, outside
from forms.members import JoinForm
from models import invitations
from models.base import NotFound, Refused
from models.invitations import Invitation, entrance_of, masked
from models.organizations import role_in
from models.permissions import Permission

bp = Blueprint("invited", __name__)


@bp.get("/invitations/<secret:token>")
@public
def open_link(token: str) -> Answer:
    # The secret leaves the address at its first use, so that no history and no Referer keeps it.
    session["invitation"] = token
    return see_other("/invitations")


@bp.get("/invitations")
@public
def show() -> Answer:
    invitation = _opened()
    if invitation is None:
        return _over()
    return page("auth/invitation.html", **_shown(invitation, JoinForm(formdata=None)))


@bp.post("/invitations/accept")
@requires(Permission.SIGNED_IN)
def accept() -> Answer:
    invitation = _opened()
    if invitation is None:
        return _over()
    try:
        invitations.accept(invitation, actor(), now=clock.now())
    except NotFound:
        return _over()
    except Refused:
        # The page says for whom it is, and how to go on.
        return invalid("auth/invitation.html", **_shown(invitation, JoinForm(formdata=None)))
    return _joined(invitation)


@bp.post("/invitations/join")
@public
def join() -> Answer:
    invitation, form = _opened(), JoinForm()
    if invitation is None:
        return _over()
    if not form.validate():
        return invalid("auth/invitation.html", **_shown(invitation, form))
    try:
        passwords, name, password = outside().passwords, form.name.data or "", form.password.data or ""
        person = invitations.join(invitation, name, password, passwords, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("auth/invitation.html", **_shown(invitation, form))
    except NotFound:
        return _over()
    open_sign_in(person)
    return _joined(invitation)


def _opened() -> Invitation | None:
    return invitations.find_invitation(db.session(), session.get("invitation", ""), now=clock.now())


def _over() -> Answer:
    """Say that the link no longer works, and whom to ask; who has joined by it already is led on."""
    used, person = invitations.invitation_by(db.session(), session.get("invitation", "")), visitor()
    if used is not None and person is not None and role_in(person, used.organization) is not None:
        return see_other(f"/console/{used.organization.slug}/support")
    return gone("auth/expired.html", what="invitation", ask=used.inviter.name if used is not None else "")


def _joined(invitation: Invitation) -> Answer:
    db.session.commit()
    house = invitation.organization
    return see_other(f"/console/{house.slug}/support", good=f"You belong to {house.name} now.")


def _shown(invitation: Invitation, form: JoinForm) -> dict[str, Any]:
    person = visitor()
    fits = person is not None and person.email_folded == invitation.email_folded
    return {
        "invitation": invitation,
        "organization": invitation.organization,
        "form": form,
        "fits": fits,
        "for_whom": invitation.email if fits or person is None else masked(invitation.email),
        "way": entrance_of(invitation).value if person is None else "",
    }
