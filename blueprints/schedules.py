"""Administration of business hours: calendars, their weekly hours and their holidays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other
from blueprints.uploads import given_key
from extensions import clock, db, reading
from forms.base import Form
from forms.schedules import CalendarForm, HolidayFileForm, HolidayForm, HolidaysForm
from models import schedules
from models.base import Refused, token
from models.calendars import DEFAULT_HOURS, Calendar, Hours, hours_of, next_open_days
from models.effects import effect_of
from models.icalendars import BYTES_MOST, holidays_in, written_days
from models.paging import Paging
from models.permissions import Permission
from models.recounting import progress_of
from models.schedules import calendar_of, fresh_days
from models.submissions import result_of, settle

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
        "file": form if isinstance(form, HolidayFileForm) else HolidayFileForm(formdata=None),
        "refused": form,
        "days": _next_days(hours_of(calendar)),
        "words": hours_of(calendar).words,
        "users": schedules.users_of(calendar),
        "progress": progress_of(calendar),
    }


@bp.post("/admin/calendars/<number:id>")
@requires(Permission.ADMINISTRATION)
def update(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), CalendarForm()
    if (answer := _not_yet(calendar, form)) is not None:
        return answer
    try:
        name, zone = form.name.data or "", form.zone.data
        moved = schedules.change(calendar, actor(), name, zone, form.week, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/calendar.html", **_shown(calendar, form))
    db.session.commit()
    return see_other(f"{LIST}/{id}", good=f"The calendar is saved.{_counted(moved)}")


def _not_yet(calendar: Calendar, form: CalendarForm) -> Answer | None:
    """Answer a form that cannot be taken as it is, or that somebody else was quicker than; None for a good one."""
    if not form.validate():
        return invalid("admin/calendar.html", **_shown(calendar, form))
    return _outdated(calendar, form) if form.was.data != str(calendar.version) else None


def _outdated(calendar: Calendar, form: CalendarForm) -> Answer:
    form.was.data = str(calendar.version)
    words = f"Somebody else was quicker: the calendar is “{calendar.name}”, {hours_of(calendar).words}"
    form.refuse(Refused(f"{words}, {calendar.zone}. Nothing of yours is saved. Compare, then save again."))
    return conflict("admin/calendar.html", **_shown(calendar, form))


def _counted(number: int) -> str:
    """Say what happens to the targets that run."""
    if not number:
        return ""
    return f" {number:,} running target{' goes' if number == 1 else 's go'} on by the new hours from now."


@bp.post("/admin/calendars/<number:id>/effect")
@requires(Permission.ADMINISTRATION)
def effect(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), CalendarForm()
    if (answer := _not_yet(calendar, form)) is not None:
        return answer
    try:
        new = schedules.proposed(calendar, form.name.data or "", form.zone.data, form.week)
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/calendar.html", **_shown(calendar, form))
    reading()
    found, days = effect_of(calendar, new, clock.now()), _next_days(new)
    return page("admin/calendar_effect.html", calendar=calendar, form=form, words=new.words, effect=found, days=days)


@bp.get("/admin/calendars/<number:id>/progress")
@requires(Permission.ADMINISTRATION)
def progress(id: int) -> Answer:  # noqa: A002
    calendar = calendar_of(db.session(), id)
    return page("admin/calendar_progress.html", calendar=calendar, progress=progress_of(calendar))


@bp.post("/admin/calendars/<number:id>/holidays/file")
@requires(Permission.ADMINISTRATION)
def read_holidays(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), HolidayFileForm()
    given = request.files.get("file")
    try:
        found = holidays_in(given.stream.read(BYTES_MOST + 1) if given else b"", clock.now().date())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/calendar.html", **_shown(calendar, form))
    reading()
    fresh = fresh_days(calendar, found.days)
    lines = HolidaysForm(formdata=None, days="\n".join(f"{day} {name}" for day, name in fresh))
    known = len(found.days) - len(fresh)
    return page("admin/import_holidays.html", **_importing(calendar, lines, found.faults, known))


@bp.post("/admin/calendars/<number:id>/holidays/import")
@requires(Permission.ADMINISTRATION)
def import_holidays(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), HolidaysForm()
    try:
        if not form.validate():
            return invalid("admin/import_holidays.html", **_importing(calendar, form))
        added = schedules.add_holidays(calendar, actor(), written_days(form.days.data or ""), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/import_holidays.html", **_importing(calendar, form))
    db.session.commit()
    return see_other(f"{LIST}/{id}#holidays", good=f"{added} holiday{'' if added == 1 else 's'} added.")


@bp.post("/admin/calendars/<number:id>/holidays/import/effect")
@requires(Permission.ADMINISTRATION)
def import_effect(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), HolidaysForm()
    try:
        if not form.validate():
            return invalid("admin/import_holidays.html", **_importing(calendar, form))
        days = written_days(form.days.data or "")
        new = schedules.with_holidays(calendar, days)
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/import_holidays.html", **_importing(calendar, form))
    fields = {"days": form.days.data or ""}
    return _holidays_effect(calendar, new, fresh_days(calendar, days), "import", "Add these holidays", fields)


def _importing(calendar: Calendar, form: HolidaysForm, faults: Any = (), known: int = 0) -> dict[str, Any]:  # noqa: ANN401
    return {"calendar": calendar, "form": form, "faults": faults, "known": known, "progress": progress_of(calendar)}


def _holidays_effect(
    calendar: Calendar, new: Hours, days: Sequence[tuple[date, str]], path: str, button: str, fields: dict[str, str]
) -> Answer:
    """Show what other holidays would do; the button posts the fields to the path below the calendar's holidays."""
    reading()
    return page(
        "admin/holidays_effect.html",
        calendar=calendar,
        holidays=days,
        action=f"{LIST}/{calendar.id}/holidays{path and '/'}{path}",
        button=button,
        fields=fields,
        effect=effect_of(calendar, new, clock.now()),
        days=_next_days(new),
    )


def _next_days(hours: Hours) -> list[tuple[date, str]]:
    return next_open_days(hours, clock.now().astimezone(hours.zone).date())


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
    return see_other(f"{LIST}/{id}#holidays", good=f"The holiday is added.{_counted(moved)}")


@bp.post("/admin/calendars/<number:id>/holidays/effect")
@requires(Permission.ADMINISTRATION)
def add_effect(id: int) -> Answer:  # noqa: A002
    calendar, form = calendar_of(db.session(), id), HolidayForm()
    try:
        if not form.validate():
            return invalid("admin/calendar.html", **_shown(calendar, form))
        # The form has checked the day.
        assert form.date.data is not None
        day, name = form.date.data, form.holiday.data or ""
        new = schedules.with_holiday(calendar, day, name)
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/calendar.html", **_shown(calendar, form))
    fields = {"date": day.isoformat(), "holiday": name}
    return _holidays_effect(calendar, new, [(day, name)], "", "Add holiday", fields)


@bp.get("/admin/calendars/<number:id>/holidays/<number:holiday>/remove")
@requires(Permission.ADMINISTRATION)
def ask_remove(id: int, holiday: int) -> Answer:  # noqa: A002
    calendar = calendar_of(db.session(), id)
    one, new = schedules.without_holiday(calendar, holiday)
    return _holidays_effect(calendar, new, [(one.date, one.name)], f"{holiday}/remove", "Remove holiday", {})


@bp.post("/admin/calendars/<number:id>/holidays/<number:holiday>/remove")
@requires(Permission.ADMINISTRATION)
def remove_holiday(id: int, holiday: int) -> Answer:  # noqa: A002
    moved = schedules.remove_holiday(calendar_of(db.session(), id), actor(), holiday, now=clock.now())
    db.session.commit()
    return see_other(f"{LIST}/{id}#holidays", good=f"The holiday is removed.{_counted(moved)}")


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
