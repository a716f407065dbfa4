"""Administration of business hours: calendars, their weekly hours and their holidays."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other
from blueprints.uploads import given_key
from extensions import clock, db
from forms.base import Form
from forms.schedules import CalendarForm, HolidayForm
from models import schedules
from models.base import Refused, token
from models.calendars import DEFAULT_HOURS, Calendar, hours_of
from models.paging import Paging
from models.permissions import Permission
from models.recounting import progress_of
from models.schedules import calendar_of
from models.tickets import result_of, settle

bp = Blueprint("schedules", __name__)
LIST = "/admin/calendars"


@bp.get("/admin/calendars")
@requires(Permission.ADMINISTRATION)
def index() -> Answer:
    wanted, size = page_here(), actor().page_size
    rows, total = schedules.calendars(db.session(), wanted, size)
    paging = Paging(wanted, size, len(rows), total, lambda n: f"{LIST}?page={n}" if n > 1 else LIST)
    return page("admin/calendars.html", rows=rows, paging=paging)


@bp.get("/admin/calendars/new")
@requires(Permission.ADMINISTRATION)
def new() -> Answer:
    form = CalendarForm(formdata=None, key=token(), zone=actor().time_zone)
    form.show(DEFAULT_HOURS)
    return page("admin/new_calendar.html", form=form)


@bp.post("/admin/calendars/new")
@requires(Permission.ADMINISTRATION)
def create() -> Answer:
    form, earlier = CalendarForm(), result_of(actor(), given_key())
    if earlier is not None:
        return see_other(f"{LIST}/{earlier}")
    try:
        if not form.validate():
            return invalid("admin/new_calendar.html", form=form)
        name, zone = form.name.data or "", form.zone.data
        calendar = schedules.create(db.session(), actor(), name, zone, form.week, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/new_calendar.html", form=form)
    settle(actor(), given_key(), str(calendar.id), now=clock.now())
    db.session.commit()
    return see_other(f"{LIST}/{calendar.id}", good="The calendar is saved. Choose it on the pages of organizations.")


@bp.get("/admin/calendars/<number:id>")
@requires(Permission.ADMINISTRATION)
def show(id: int) -> Answer:  # noqa: A002 (the name in the address)
    return page("admin/calendar.html", **_shown(calendar_of(db.session(), id)))


def _shown(calendar: Calendar, form: Form | None = None) -> dict[str, Any]:
    """Return what the page of one calendar shows; `form` is the one that came back with errors."""
    blank = CalendarForm(formdata=None, was=str(calendar.version), name=calendar.name, zone=calendar.zone)
    blank.show(calendar.hours)
    return {
        "calendar": calendar,
        "form": form if isinstance(form, CalendarForm) else blank,
        "holiday": form if isinstance(form, HolidayForm) else HolidayForm(formdata=None),
        "refused": form,
        "words": hours_of(calendar).words,
        "users": schedules.users_of(calendar),
        "progress": progress_of(calendar),
    }


@bp.post("/admin/calendars/<number:id>")
@requires(Permission.ADMINISTRATION)
def update(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), CalendarForm()
    if not form.validate():
        return invalid("admin/calendar.html", **_shown(calendar, form))
    if form.was.data != str(calendar.version):
        form.was.data = str(calendar.version)
        words = f"Somebody else was quicker: the calendar is “{calendar.name}”, {hours_of(calendar).words}"
        form.refuse(Refused(f"{words}, {calendar.zone}. Nothing of yours is saved. Compare, then save again."))
        return conflict("admin/calendar.html", **_shown(calendar, form))
    try:
        name, zone = form.name.data or "", form.zone.data
        moved = schedules.change(calendar, actor(), name, zone, form.week, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/calendar.html", **_shown(calendar, form))
    db.session.commit()
    return see_other(f"{LIST}/{id}", good=f"The calendar is saved.{_moved(moved)}")


def _moved(number: int) -> str:
    return f" {number} running target{'' if number == 1 else 's'} come{'s' if number == 1 else ''} due at another time."


@bp.post("/admin/calendars/<number:id>/holidays")
@requires(Permission.ADMINISTRATION)
def add_holiday(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), HolidayForm()
    try:
        if not form.validate():
            return invalid("admin/calendar.html", **_shown(calendar, form))
        # The form has checked the day.
        assert form.date.data is not None
        moved = schedules.add_holiday(calendar, actor(), form.date.data, form.holiday.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/calendar.html", **_shown(calendar, form))
    db.session.commit()
    return see_other(f"{LIST}/{id}#holidays", good=f"The holiday is added.{_moved(moved)}")


@bp.post("/admin/calendars/<number:id>/holidays/<number:holiday>/remove")
@requires(Permission.ADMINISTRATION)
def remove_holiday(id: int, holiday: int) -> Answer:  # noqa: A002
    moved = schedules.remove_holiday(calendar_of(db.session(), id), actor(), holiday, now=clock.now())
    db.session.commit()
    return see_other(f"{LIST}/{id}#holidays", good=f"The holiday is removed.{_moved(moved)}")


@bp.get("/admin/calendars/<number:id>/delete")
@requires(Permission.ADMINISTRATION)
def ask_delete(id: int) -> Answer:  # noqa: A002
    calendar = calendar_of(db.session(), id)
    return page("admin/delete_calendar.html", calendar=calendar, users=schedules.users_of(calendar), reason="")


@bp.post("/admin/calendars/<number:id>/delete")
@requires(Permission.ADMINISTRATION)
def delete(id: int) -> Answer:  # noqa: A002
    calendar = calendar_of(db.session(), id)
    try:
        schedules.delete(calendar, actor(), now=clock.now())
    except Refused as refused:
        users = schedules.users_of(calendar)
        return invalid("admin/delete_calendar.html", calendar=calendar, users=users, reason=refused.reason)
    db.session.commit()
    return see_other(LIST, good="The calendar is deleted.")
