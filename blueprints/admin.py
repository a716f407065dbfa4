"""Administration of people and organizations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, request

from blueprints.access import absolute_limit, actor, idle_limit, requires
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other
from blueprints.uploads import given_key
from extensions import clock, db
from forms.admin import AddStaffForm, OrganizationForm, RoleForm
from forms.base import choices
from models import audit, clients, people, registers, staff
from models.base import Refused, token
from models.catalogue import PlanName
from models.members import members_of
from models.organizations import Organization, clusters_of
from models.people import Person
from models.permissions import Permission, Role
from models.prose import cleaned
from models.registers import Kind, OrganizationsWish, PeopleWish
from models.submissions import result_of, settle
from models.subscriptions import live_subscription

bp = Blueprint("admin", __name__)


@bp.get("/admin/people")
@requires(Permission.ADMINISTRATION)
def people_index() -> Answer:
    kind = next((kind for kind in Kind if kind.value == request.args.get("kind")), Kind.EVERYBODY)
    wish = PeopleWish(kind, _text(), page_here())
    listing = registers.people(db.session(), wish, size=actor().page_size)
    return page("admin/people.html", wish=wish, listing=listing, kinds=list(Kind))


def _text() -> str:
    return cleaned(request.args.get("q", ""))[:200].strip()


@bp.get("/admin/people/new")
@requires(Permission.ADMINISTRATION)
def new_person() -> Answer:
    return page("admin/new_person.html", form=AddStaffForm(formdata=None, key=token(), role=Role.AGENT.value))


@bp.post("/admin/people/new")
@requires(Permission.ADMINISTRATION)
def add_person() -> Answer:
    form, earlier = AddStaffForm(), result_of(actor(), given_key())
    if earlier is not None:
        return see_other(f"/admin/people/{earlier}")
    try:
        if not form.validate():
            return invalid("admin/new_person.html", form=form)
        name, email, role = form.name.data or "", form.email.data or "", Role(form.role.data)
        person = staff.add_staff(db.session(), actor(), name, email, role, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/new_person.html", form=form)
    settle(actor(), given_key(), str(person.id), now=clock.now())
    db.session.commit()
    return see_other(
        f"/admin/people/{person.id}", good=f"{name} is added. A link to choose a password is on its way to {email}."
    )


@bp.get("/admin/people/<number:id>")
@requires(Permission.ADMINISTRATION)
def show_person(id: int) -> Answer:  # noqa: A002 (the name in the address)
    return page("admin/person.html", **_person(_found(id)))


def _found(number: int) -> Person:
    return registers.person_of(db.session(), number)


def _person(person: Person, form: RoleForm | None = None) -> dict[str, Any]:
    session, now = db.session(), clock.now()
    role = person.staff_role.value if person.staff_role else ""
    live = people.sign_ins_of(person, now=now, idle=idle_limit(), absolute=absolute_limit())
    return {
        "person": person,
        "form": form or RoleForm(formdata=None, role=role, was=role),
        "sessions": len(live),
        "seen": registers.last_seen(session, [person.id]).get(person.id),
        "work": staff.open_work(person),
        "events": audit.recent(session, person=person.id),
        "oneself": person.id == actor().id,
    }


@bp.post("/admin/people/<number:id>/role")
@requires(Permission.ADMINISTRATION)
def set_role(id: int) -> Answer:  # noqa: A002
    person, form = _found(id), RoleForm()
    if not form.validate():
        return invalid("admin/person.html", **_person(person, form))
    has = person.staff_role.value if person.staff_role else ""
    if has != form.was.data:
        form.refuse(Refused(f"Somebody else changed the role meanwhile: it is {_label(has)} now.", "role"))
        form.was.data = has
        return conflict("admin/person.html", **_person(person, form))
    try:
        role = Role(form.role.data) if form.role.data else None
        freed = staff.set_role(person, actor(), role, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/person.html", **_person(person, form))
    db.session.commit()
    return see_other(f"/admin/people/{id}", good=f"The staff role is {_label(form.role.data)} now.{_freed(freed)}")


def _label(role: str) -> str:
    return Role(role).label if role else "None"


def _freed(number: int) -> str:
    return f" {number} of their open tickets or enquiries went back to everybody." if number else ""


@bp.post("/admin/people/<number:id>/duty-manager")
@requires(Permission.ADMINISTRATION)
def set_duty_manager(id: int) -> Answer:  # noqa: A002
    person, on = _found(id), bool(request.form.get("on"))

    def verb() -> str:
        staff.set_duty_manager(person, actor(), on=on, now=clock.now())
        return f"{person.name} is {'a duty manager now' if on else 'no duty manager any more'}."

    return _do(person, verb)


@bp.get("/admin/people/<number:id>/deactivate")
@requires(Permission.ADMINISTRATION)
def ask_deactivate(id: int) -> Answer:  # noqa: A002
    return page("admin/deactivate.html", **_person(_found(id)))


@bp.post("/admin/people/<number:id>/deactivate")
@requires(Permission.ADMINISTRATION)
def deactivate(id: int) -> Answer:  # noqa: A002
    person = _found(id)

    def verb() -> str:
        freed = staff.deactivate(person, actor(), now=clock.now())
        return f"{person.name} is deactivated and signed out everywhere.{_freed(freed)}"

    return _do(person, verb, "admin/deactivate.html")


@bp.post("/admin/people/<number:id>/reactivate")
@requires(Permission.ADMINISTRATION)
def reactivate(id: int) -> Answer:  # noqa: A002
    person = _found(id)

    def verb() -> str:
        staff.reactivate(person, actor(), now=clock.now())
        return f"{person.name} can sign in again."

    return _do(person, verb)


@bp.post("/admin/people/<number:id>/end-sessions")
@requires(Permission.ADMINISTRATION)
def end_sessions(id: int) -> Answer:  # noqa: A002
    person = _found(id)

    def verb() -> str:
        staff.end_sessions(person, actor(), now=clock.now())
        return f"{person.name} is signed out everywhere."

    return _do(person, verb)


@bp.post("/admin/people/<number:id>/send-link")
@requires(Permission.ADMINISTRATION)
def send_link(id: int) -> Answer:  # noqa: A002
    person = _found(id)

    def verb() -> str:
        staff.send_link(person, actor(), now=clock.now())
        return f"A new link is on its way to {person.email}. Earlier ones do not work any more."

    return _do(person, verb)


def _do(person: Person, verb: Callable[[], str], template: str = "admin/person.html") -> Answer:
    """Do what a button of the person's page says, and show that page, or the reason against it."""
    try:
        words = verb()
    except Refused as refused:
        shown = _person(person)
        shown["form"].refuse(Refused(refused.reason))
        return invalid(template, **shown)
    db.session.commit()
    return see_other(f"/admin/people/{person.id}", good=words)


@bp.get("/admin/organizations")
@requires(Permission.ADMINISTRATION)
def organizations_index() -> Answer:
    wish = OrganizationsWish(_text(), page_here())
    listing = registers.organizations(db.session(), wish, size=actor().page_size)
    plans = {organization.id: PlanName(organization.plan).label for organization in listing.rows}
    return page("admin/organizations.html", wish=wish, listing=listing, plans=plans)


@bp.get("/admin/organizations/<slug:slug>")
@requires(Permission.ADMINISTRATION)
def show_organization(slug: str) -> Answer:
    return page("admin/organization.html", **_organization(registers.organization_named(db.session(), slug)))


def _organization(organization: Organization, form: OrganizationForm | None = None) -> dict[str, Any]:
    session = db.session()
    form = form or OrganizationForm(
        formdata=None,
        was=clients.mark_of(organization),
        name=organization.name,
        calendar=str(organization.calendar_id),
    )
    form.calendar.choices = choices(clients.calendars_on_offer(session))
    rows, paging = members_of(organization, page_here(), actor().page_size, f"/admin/organizations/{organization.slug}")
    return {
        "organization": organization,
        "form": form,
        "plan": PlanName(organization.plan).label,
        "clusters": clusters_of(organization),
        "requests": registers.open_requests(session, organization),
        "events": audit.recent(session, organization=organization.id),
        "running": live_subscription(organization),
        "members": rows,
        "paging": paging,
    }


@bp.post("/admin/organizations/<slug:slug>")
@requires(Permission.ADMINISTRATION)
def update_organization(slug: str) -> Answer:
    organization, form = registers.organization_named(db.session(), slug), OrganizationForm()
    if not form.validate():
        return invalid("admin/organization.html", **_organization(organization, form))
    if form.was.data != clients.mark_of(organization):
        form.was.data = clients.mark_of(organization)
        calendar = dict(clients.calendars_on_offer(db.session())).get(str(organization.calendar_id), "")
        words = f"Somebody else was quicker: the name is “{organization.name}”, the business hours are “{calendar}”"
        form.refuse(Refused(f"{words} now. Nothing of yours is saved. Compare, then save again."))
        return conflict("admin/organization.html", **_organization(organization, form))
    try:
        clients.change(organization, actor(), form.name.data or "", form.calendar.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/organization.html", **_organization(organization, form))
    db.session.commit()
    return see_other(f"/admin/organizations/{slug}", good="The organization is saved.")
