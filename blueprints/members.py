"""The people of an organization: who they are, inviting, roles, leaving, and who sees requests."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, may_there, requires
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other, too_many
from blueprints.uploads import given_key
from extensions import clock, db, outside
from forms.base import Form
from forms.billing import ConfirmForm
from forms.members import InviteForm, RoleForm, VisibilityForm
from models import invitations, members, people
from models.base import Refused, token
from models.organizations import Membership, Organization, Visibility, organization_of, owners
from models.people import INVITES_PER_ADDRESS, INVITES_PER_PERSON, TooMany
from models.permissions import Permission, Role
from models.submissions import result_of, settle

bp = Blueprint("members", __name__)

ALL = "/console/<slug:org>/members"
ONE = f"{ALL}/<number:id>"


@bp.get(ALL)
@requires(Permission.SUPPORT)
def index(org: str) -> Answer:
    return page("members/index.html", **_list(organization_of(actor(), org)))


@bp.post(f"{ALL}/invite")
@requires(Permission.MEMBERS)
def invite(org: str) -> Answer:
    organization, form, now = organization_of(actor(), org), InviteForm(), clock.now()
    where = f"/console/{organization.slug}/members"
    if result_of(actor(), given_key()) is not None:
        return see_other(where)
    if not form.validate():
        return invalid("members/index.html", **_list(organization, form))
    try:
        _count(form.email.data or "")
        domain = outside().settings.mail_from.rpartition("@")[2]
        email, role = form.email.data or "", Role(form.role.data)
        invitations.invite(organization, actor(), email, role, our_domain=domain, now=now)
    except TooMany as wait:
        return too_many("auth/wait.html", wait.until, what="invite somebody")
    except Refused as refused:
        db.session.rollback()
        form.refuse(refused)
        return invalid("members/index.html", **_list(organization, form))
    settle(actor(), given_key(), where, now=now)
    db.session.commit()
    return see_other(where, good=f"{email} is invited. The link in the mail works for 24 hours.")


@bp.post(f"{ALL}/invitations/<number:id>/resend")
@requires(Permission.MEMBERS)
def resend(org: str, id: int) -> Answer:  # noqa: A002 (the name in the address)
    organization, now = organization_of(actor(), org), clock.now()
    invitation = invitations.invitation_of(organization, id)
    try:
        _count(invitation.email)
    except TooMany as wait:
        return too_many("auth/wait.html", wait.until, what="send an invitation")
    invitations.resend(invitation, actor(), now=now)
    db.session.commit()
    where = f"/console/{organization.slug}/members"
    return see_other(where, good=f"A new mail is on its way to {invitation.email}. The older link no longer works.")


@bp.post(f"{ALL}/invitations/<number:id>/revoke")
@requires(Permission.MEMBERS)
def revoke(org: str, id: int) -> Answer:  # noqa: A002
    organization = organization_of(actor(), org)
    invitation = invitations.invitation_of(organization, id)
    invitations.revoke(invitation, actor(), now=clock.now())
    db.session.commit()
    where = f"/console/{organization.slug}/members"
    return see_other(where, good=f"The invitation of {invitation.email} is revoked. Its link no longer works.")


@bp.get(ONE)
@requires(Permission.MEMBERS)
def edit(org: str, id: int) -> Answer:  # noqa: A002
    member = members.member_of(organization_of(actor(), org), id)
    return page("members/edit.html", **_one(member, RoleForm(formdata=None, role=member.role.value)))


@bp.post(f"{ONE}/role")
@requires(Permission.MEMBERS)
def change_role(org: str, id: int) -> Answer:  # noqa: A002
    member, form = members.member_of(organization_of(actor(), org), id), RoleForm()
    if not form.validate():
        return invalid("members/edit.html", **_one(member, form))
    if form.was.data != member.role.value:
        form.refuse(
            Refused(f"Somebody was quicker: {member.person.name} is {member.role.label} now. Check, then save.")
        )
        return conflict("members/edit.html", **_one(member, form))
    try:
        members.change_role(member, actor(), Role(form.role.data), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("members/edit.html", **_one(member, form))
    db.session.commit()
    return see_other(f"/console/{org}/members", good=f"{member.person.name} is {member.role.label} now.")


@bp.get(f"{ONE}/remove")
@requires(Permission.MEMBERS)
def ask_remove(org: str, id: int) -> Answer:  # noqa: A002
    member = members.member_of(organization_of(actor(), org), id)
    return page("members/remove.html", **_ending(member, ConfirmForm(formdata=None)))


@bp.post(f"{ONE}/remove")
@requires(Permission.MEMBERS)
def remove(org: str, id: int) -> Answer:  # noqa: A002
    member = members.member_of(organization_of(actor(), org), id)
    return _end(member, f"/console/{org}/members", f"{member.person.name} is no longer a member. Access has ended.")


@bp.get("/console/<slug:org>/leave")
@requires(Permission.SUPPORT)
def ask_leave(org: str) -> Answer:
    return page("members/remove.html", **_ending(_me(org), ConfirmForm(formdata=None)))


@bp.post("/console/<slug:org>/leave")
@requires(Permission.SUPPORT)
def leave(org: str) -> Answer:
    member = _me(org)
    return _end(member, "/help", f"You have left {member.organization.name}.")


@bp.post("/console/<slug:org>/visibility")
@requires(Permission.MEMBERS)
def set_visibility(org: str) -> Answer:
    organization, form = organization_of(actor(), org), VisibilityForm()
    if not form.validate():
        return invalid("members/index.html", **_list(organization, form))
    members.set_visibility(organization, actor(), Visibility(form.visibility.data), now=clock.now())
    db.session.commit()
    return see_other(f"/console/{organization.slug}/members", good=f"{organization.visibility.label}, from now on.")


def _count(email: str) -> None:
    """Count a try to send an invitation, also one that is refused afterwards; raises TooMany."""
    limits = {INVITES_PER_PERSON: str(actor().id), INVITES_PER_ADDRESS: people.folded(email)}
    people.count_try(db.session(), limits, now=clock.now())
    db.session.commit()


def _me(org: str) -> Membership:
    organization = organization_of(actor(), org)
    return next(m for m in actor().memberships if m.organization_id == organization.id)


def _end(member: Membership, path: str, words: str) -> Answer:
    form = ConfirmForm()
    try:
        members.remove(member, actor(), now=clock.now())
    except Refused as refused:
        form.refuse(Refused(refused.reason))
        return invalid("members/remove.html", **_ending(member, form))
    db.session.commit()
    return see_other(path, good=words)


def _ending(member: Membership, form: Form) -> dict[str, Any]:
    return _one(member, form) | {"reason": members.stays_because(member)}


def _one(member: Membership, form: Form) -> dict[str, Any]:
    if isinstance(form, RoleForm):
        form.was.data = member.role.value
    own = member.person_id == actor().id
    return {"organization": member.organization, "member": member, "form": form, "own": own}


def _list(organization: Organization, form: Form | None = None) -> dict[str, Any]:
    where = f"/console/{organization.slug}/members"
    rows, paging = members.members_of(organization, page_here(), actor().page_size, where)
    may_change = may_there(Permission.MEMBERS, organization)
    invite_form = form if isinstance(form, InviteForm) else InviteForm(formdata=None)
    invite_form.key.data = token()
    visibility = organization.visibility.value
    return {
        "organization": organization,
        "rows": rows,
        "paging": paging,
        "may_change": may_change,
        "managers": [] if may_change else owners(organization),
        "pending": invitations.open_invitations(organization, now=clock.now()) if may_change else [],
        "form": form if form is not None else invite_form,
        "invite": invite_form,
        "seen_by": form if isinstance(form, VisibilityForm) else VisibilityForm(formdata=None, visibility=visibility),
    }
