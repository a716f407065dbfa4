"""Administration of announcements: what customers read on the Help Center, from when to when, on which plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, page_here, see_other, zone_here
from blueprints.uploads import given_key
from extensions import clock, db
from forms.announcing import AnnouncementForm
from models import announcements
from models.announcements import Announcement, announcement_of
from models.base import Refused, token
from models.catalogue import PlanName
from models.permissions import Permission
from models.submissions import result_of, settle

bp = Blueprint("announcing", __name__)
LIST = "/admin/announcements"


@bp.get("/admin/announcements")
@requires(Permission.ADMINISTRATION)
def index() -> Answer:
    now = clock.now()
    rows, paging = announcements.all_announcements(db.session(), page_here(), actor().page_size)
    parts = [
        ("Current", [one for one in rows if one.starts_at <= now and not one.is_over(now)]),
        ("Planned", [one for one in rows if one.starts_at > now]),
        ("Past", [one for one in rows if one.starts_at <= now and one.is_over(now)]),
    ]
    return page("admin/announcements.html", parts=parts, every=len(PlanName), any=bool(rows), paging=paging)


@bp.get("/admin/announcements/new")
@requires(Permission.ADMINISTRATION)
def new() -> Answer:
    start = clock.now().astimezone(zone_here()).replace(tzinfo=None, second=0, microsecond=0)
    plans = [plan.value for plan in PlanName]
    form = AnnouncementForm(formdata=None, key=token(), starts_at=start, plans=plans)
    return page("admin/announcement.html", **_shown(form))


def _shown(
    form: AnnouncementForm, announcement: Announcement | None = None, *, preview: bool = False
) -> dict[str, Any]:
    started = announcement is not None and announcement.starts_at <= clock.now()
    over = announcement is not None and announcement.is_over(clock.now())
    return {"form": form, "announcement": announcement, "preview": preview, "started": started, "over": over}


@bp.post("/admin/announcements/new")
@requires(Permission.ADMINISTRATION)
def create() -> Answer:
    form = AnnouncementForm()
    if result_of(actor(), given_key()) is not None:
        return see_other(LIST)
    try:
        if not form.validate():
            return invalid("admin/announcement.html", **_shown(form))
        made = announcements.announce(db.session(), actor(), form.notice(zone_here()), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/announcement.html", **_shown(form))
    settle(actor(), given_key(), str(made.id), now=clock.now())
    db.session.commit()
    return see_other(LIST, good="The announcement is saved.")


@bp.post("/admin/announcements/new/preview")
@requires(Permission.ADMINISTRATION)
def preview_new() -> Answer:
    form = AnnouncementForm()
    if not form.validate():
        return invalid("admin/announcement.html", **_shown(form))
    return page("admin/announcement.html", **_shown(form, preview=True))


@bp.get("/admin/announcements/<number:id>")
@requires(Permission.ADMINISTRATION)
def edit(id: int) -> Answer:  # noqa: A002 (the name in the address)
    there, zone = announcement_of(db.session(), id), zone_here()
    form = AnnouncementForm(
        formdata=None,
        was=there.mark,
        title=there.title,
        body=there.body,
        tone=there.tone.value,
        starts_at=there.starts_at.astimezone(zone),
        ends_at=there.ends_at.astimezone(zone) if there.ends_at else None,
        plans=[plan.value for plan in there.plan_names],
    )
    return page("admin/announcement.html", **_shown(form, there))


@bp.post("/admin/announcements/<number:id>")
@requires(Permission.ADMINISTRATION)
def update(id: int) -> Answer:  # noqa: A002
    there, form = announcement_of(db.session(), id), AnnouncementForm()
    if not form.validate():
        return invalid("admin/announcement.html", **_shown(form, there))
    if form.was.data != there.mark:
        form.was.data = there.mark
        words = f"Somebody else was quicker: “{there.title}” reads now “{there.body}”"
        form.refuse(Refused(f"{words}. Nothing of yours is saved. Compare, then save again."))
        return conflict("admin/announcement.html", **_shown(form, there))
    try:
        announcements.revise(there, actor(), form.notice(zone_here()), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/announcement.html", **_shown(form, there))
    db.session.commit()
    return see_other(LIST, good="The announcement is saved.")


@bp.post("/admin/announcements/<number:id>/preview")
@requires(Permission.ADMINISTRATION)
def preview(id: int) -> Answer:  # noqa: A002
    there, form = announcement_of(db.session(), id), AnnouncementForm()
    if not form.validate():
        return invalid("admin/announcement.html", **_shown(form, there))
    return page("admin/announcement.html", **_shown(form, there, preview=True))


@bp.get("/admin/announcements/<number:id>/end")
@requires(Permission.ADMINISTRATION)
def ask_end(id: int) -> Answer:  # noqa: A002
    form = AnnouncementForm(formdata=None)
    return page("admin/end_announcement.html", **_shown(form, announcement_of(db.session(), id)))


@bp.post("/admin/announcements/<number:id>/end")
@requires(Permission.ADMINISTRATION)
def end(id: int) -> Answer:  # noqa: A002
    return _do(announcement_of(db.session(), id), announcements.end, "The announcement has ended.")


@bp.post("/admin/announcements/<number:id>/delete")
@requires(Permission.ADMINISTRATION)
def delete(id: int) -> Answer:  # noqa: A002
    return _do(announcement_of(db.session(), id), announcements.discard, "The announcement is deleted.")


def _do(there: Announcement, verb: Callable[..., None], words: str) -> Answer:
    """End or delete the announcement, or show the reason against it."""
    try:
        verb(there, actor(), now=clock.now())
    except Refused as refused:
        form = AnnouncementForm(formdata=None)
        form.refuse(Refused(refused.reason))
        return invalid("admin/end_announcement.html", **_shown(form, there))
    db.session.commit()
    return see_other(LIST, good=words)
