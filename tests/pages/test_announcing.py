"""Announcements: written by administrators, seen by those whose plan they are for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import SignIn
from factories import NOBODY, Town, now
from page import Browser
from sqlalchemy import select

from models.announcements import Announcement
from models.events import Event, EventKind

ADMIN = "admin@support.example"


def written(hours: float) -> str:
    return f"{now() + timedelta(hours=hours):%Y-%m-%dT%H:%M}"


def say(admin: Browser, *, status: int = 200, button: str = "Save", **changed: Any) -> Any:
    admin.get("/admin/announcements/new")
    given = {"title": "Zebra maintenance", "body": "Be ready.", "starts_at": written(-1)} | changed
    where = "/admin/announcements/new" + ("/preview" if button == "Preview" else "")
    return admin.submit(where, button=button, status=status, **given)


def test_only_those_on_its_plans_see_it_and_staff(town: Town, sign_in: SignIn) -> None:
    say(sign_in(ADMIN), plans=["enterprise", "premium"])
    seen = {
        "owner@northwind.example": True,
        "partner@consult.example": True,
        "owner@aurora.example": False,
        "owner@lumen.example": False,
        NOBODY: False,
        "agent@support.example": True,
    }
    for email, there in seen.items():
        browser = sign_in(email)
        for path in ("/help", "/announcements"):
            assert ("Zebra" in browser.get(path).main) is there, f"{email} {path}"
    (one,) = town.scalars(select(Announcement))
    assert sign_in("owner@lumen.example").post(f"/announcements/{one.id}/dismiss").status == 404


def test_what_is_for_every_plan_is_seen_without_an_organization(town: Town, sign_in: SignIn) -> None:
    say(sign_in(ADMIN))
    assert "Zebra" in sign_in(NOBODY).get("/help").main


def test_a_planned_one_is_hidden_and_can_be_deleted(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    assert "Planned" in say(admin, starts_at=written(5), ends_at=written(9)).main
    assert "Zebra" not in sign_in("owner@lumen.example").get("/help").main
    (one,) = town.scalars(select(Announcement))
    page = admin.get(f"/admin/announcements/{one.id}/end")
    assert "it goes for good" in page.main
    admin.submit(f"/admin/announcements/{one.id}/delete")
    assert not town.scalars(select(Announcement))
    kinds = [e.kind for e in town.scalars(select(Event).order_by(Event.id)) if e.kind.value.startswith("announcement")]
    assert kinds == [EventKind.ANNOUNCEMENT_CREATED, EventKind.ANNOUNCEMENT_DELETED]


def test_one_that_was_shown_is_ended_and_stays_on_record(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    say(admin)
    (one,) = town.scalars(select(Announcement))
    assert admin.post(f"/admin/announcements/{one.id}/delete").status == 422
    admin.get(f"/admin/announcements/{one.id}/end")
    assert "Past" in admin.submit(f"/admin/announcements/{one.id}/end").main
    assert "Zebra" not in sign_in("owner@lumen.example").get("/help").main
    assert admin.post(f"/admin/announcements/{one.id}/end").status == 422


def test_moments_are_those_of_the_readers_zone(town: Town, sign_in: SignIn) -> None:
    with town.open() as session:
        session.merge(town.person(ADMIN)).time_zone = "Asia/Tokyo"
    admin = sign_in(ADMIN)
    say(admin, starts_at="2030-01-02T09:00", ends_at="2030-01-02T10:00")
    (one,) = town.scalars(select(Announcement))
    assert one.starts_at.astimezone(ZoneInfo("UTC")).isoformat() == "2030-01-02T00:00:00+00:00"
    page = admin.get(f"/admin/announcements/{one.id}")
    assert "Asia/Tokyo" in page.main
    assert page.find(f"/admin/announcements/{one.id}", "")[0].value_of("starts_at") == "2030-01-02T09:00"


def test_preview_shows_it_and_saves_nothing(town: Town, sign_in: SignIn) -> None:
    page = say(sign_in(ADMIN), button="Preview", title="Nearly <b>said</b>")
    assert "As customers will read it Nearly <b>said</b>" in page.main
    assert not town.scalars(select(Announcement))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"title": ""}, "Enter a title."),
        ({"title": " \x00"}, "Enter a title."),
        ({"ends_at": "2020-01-01T00:00"}, "after the start"),
        ({"plans": []}, "Choose at least one plan."),
        ({"starts_at": "tomorrow"}, "Write day and time"),
        ({"starts_at": "0001-01-01T00:00"}, "between 2000 and 2200"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    changed: dict[str, Any], words: str, town: Town, sign_in: SignIn
) -> None:
    page = say(sign_in(ADMIN), status=422, **changed)
    assert words in page.main
    assert page.find("/admin/announcements/new", "")[0].value_of("body") == "Be ready."


def test_of_two_who_edit_the_slower_sees_both(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    say(admin)
    (one,) = town.scalars(select(Announcement))
    admin.get(f"/admin/announcements/{one.id}")
    with town.open() as session:
        session.merge(one).title = "Quicker"
    page = admin.submit(f"/admin/announcements/{one.id}", title="Slower", status=409)
    assert "“Quicker”" in page.main
    page = admin.submit(f"/admin/announcements/{one.id}")
    assert "Slower" in page.main


def test_what_needs_attention_is_not_pushed_out_by_what_is_newer(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    say(admin, title="Clusters are down", tone="warn", starts_at=written(-9))
    for hours in (-4, -3, -2):
        say(admin, title=f"Of {-hours} hours ago", starts_at=written(hours))
    page = sign_in("owner@lumen.example").get("/help")
    shown = [page.words(note) for note in page.all("h2") if page.words(note).startswith("Announcement")]
    titles = ("Clusters are down", "Of 2 hours ago", "Of 3 hours ago")
    assert shown == [f"Announcement: {title}" for title in titles]
    assert town.count(Announcement) == 4
