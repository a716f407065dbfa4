"""Calendars: what an administrator may say of business hours, and what it does to promises that run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import SignIn
from factories import LUMEN, Town, now
from sqlalchemy import select

from models.base import Refused
from models.calendars import Calendar
from models.catalogue import Severity
from models.events import Event, EventKind
from models.schedules import HOLIDAYS_MOST, add_holiday, calendar_of, change, create

ADMIN = "admin@support.example"
# A Monday, 10:00 UTC.
MONDAY = datetime(2027, 3, 1, 10, tzinfo=UTC)
WEEKDAYS: list[Any] = [[["09:00", "18:00"]]] * 5 + [[], []]


def do(town: Town, verb: Any, *given: Any, at: datetime = MONDAY) -> Any:
    with town.open() as session:
        return verb(calendar_of(session, 1), town._person(session, ADMIN), *given, now=at)


def test_hours_that_change_move_what_runs_and_keep_what_was_counted(town: Town) -> None:
    # Eight business hours from 10:00 on a day that ends at 18:00: due at 18:00. At 12:00 two are counted.
    key = town.file(severity=Severity.S2, at=MONDAY)
    urgent = town.file("owner@northwind.example", "northwind-bank", severity=Severity.S1, at=MONDAY)
    other = town.ticket(urgent).due_at
    assert town.ticket(key).due_at == MONDAY + timedelta(hours=8)
    moved = do(town, change, "Short days", "UTC", [[["09:00", "13:00"]]] * 5 + [[], []], at=MONDAY + timedelta(hours=2))
    # One hour is left of Monday, four of Tuesday, one of Wednesday.
    assert town.ticket(key).due_at == datetime(2027, 3, 3, 10, tzinfo=UTC)
    assert town.ticket(key).target.due_at == town.ticket(key).due_at
    assert town.ticket(urgent).due_at == other
    assert moved == 1


def test_what_is_answered_or_late_stays_as_it_was(town: Town) -> None:
    answered, late = town.file(severity=Severity.S1, at=MONDAY), town.file(severity=Severity.S1, at=MONDAY)
    town.answer(answered, at=MONDAY + timedelta(hours=1))
    was = [town.ticket(key).target.due_at for key in (answered, late)]
    assert do(town, change, "Weekdays", "Asia/Tokyo", WEEKDAYS, at=MONDAY + timedelta(hours=6)) == 0
    assert [town.ticket(key).target.due_at for key in (answered, late)] == was


def test_a_holiday_moves_what_runs(town: Town) -> None:
    key = town.file(severity=Severity.S3, at=MONDAY)
    assert town.ticket(key).due_at == datetime(2027, 3, 2, 13, tzinfo=UTC)
    assert do(town, add_holiday, datetime(2027, 3, 2, tzinfo=UTC).date(), "Founders’ Day") == 1
    assert town.ticket(key).due_at == datetime(2027, 3, 3, 13, tzinfo=UTC)


def test_nothing_is_taken_that_would_never_come_due(town: Town) -> None:
    empty: list[Any] = [[]] * 7
    for week, words in ((empty, "at least one hour"), ([[["09:00", "09:30"]], *empty[1:]], "at least one hour")):
        with pytest.raises(Refused, match=words) as refused:
            do(town, change, "None", "UTC", week)
        assert refused.value.field == "hours"
    with pytest.raises(Refused) as refused:
        do(town, change, "Nowhere", "Mars/Olympus", WEEKDAYS)
    assert refused.value.field == "zone"
    with town.open() as session:
        actor = town._person(session, ADMIN)
        rare = create(session, actor, "Rare", "UTC", [[["09:00", "10:00"]], *empty[1:]], now=MONDAY)
        monday = MONDAY.date()
        for week_ in range(HOLIDAYS_MOST):
            add_holiday(rare, actor, monday + timedelta(weeks=week_), "Closed", now=MONDAY)
        with pytest.raises(Refused, match="at most"):
            add_holiday(rare, actor, monday - timedelta(days=1), "One more", now=MONDAY)
        session.flush()
        number = rare.id
    town.set_house(LUMEN, calendar_id=number)
    assert town.ticket(town.file(severity=Severity.S4, at=MONDAY)).due_at is not None


def test_a_calendar_is_created_used_and_deleted_by_its_pages(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    admin.get("/admin/calendars/new")
    page = admin.submit("/admin/calendars/new", name="Tokyo", zone="Asia/Tokyo", d01b="12:00", d02a="13:00", status=422)
    assert "Write the hours of Monday as from and to" in page.main
    assert [field.get("id") for field in page.all("input", aria_invalid="true")] == ["d01a"]
    assert [a.get("href") for a in page.all("a") if "hours of Monday" in page.words(a)] == ["#d01a"]
    page = admin.submit("/admin/calendars/new", d02b="17:00", d41b="08:00", status=422)
    assert [field.get("id") for field in page.all("input", aria_invalid="true")] == ["d41a"]
    admin.get("/admin/calendars/new")
    admin.submit("/admin/calendars/new", name="Tokyo", zone="Asia/Tokyo", d01b="12:00", d02a="13:00", status=422)
    page = admin.submit("/admin/calendars/new", d02b="17:00")
    assert "09:00–12:00 and 13:00–17:00, Monday; 09:00–18:00, Tuesday to Friday (Asia/Tokyo)" in page.main
    page = admin.submit(f"{page.path}/holidays", date="2027-01-01", holiday="New Year")
    assert "New Year" in page.main
    address = page.path
    page = admin.submit(f"{address}/holidays", date="2027-01-01", holiday="Again", status=422)
    assert "a holiday already" in page.main
    (holiday,) = town.scalars(select(Calendar).where(Calendar.name == "Tokyo"))[0:1]
    with town.open() as session:
        number = session.merge(holiday).holidays[0].id
    assert admin.post(f"/admin/calendars/1/holidays/{number}/remove").status == 404
    admin.get(address)
    admin.submit(f"{address}/holidays/{number}/remove")
    page = admin.get("/admin/calendars/1/delete")
    assert f"/admin/organizations/{LUMEN}" in page.links(), "who uses it, and where to choose another"
    assert not [form for form in page.forms if form.action == page.path]
    page = admin.post("/admin/calendars/1/delete")
    assert (page.status, f"/admin/organizations/{LUMEN}" in page.links()) == (422, True)
    admin.get(f"{address}/delete")
    assert "Tokyo" not in admin.submit(f"{address}/delete").words(admin.page.all("table")[0])
    kinds = [e.kind for e in town.scalars(select(Event).order_by(Event.id)) if e.kind.value.startswith("calendar")]
    assert kinds == [
        EventKind.CALENDAR_CREATED,
        EventKind.HOLIDAY_ADDED,
        EventKind.HOLIDAY_REMOVED,
        EventKind.CALENDAR_DELETED,
    ]


def test_a_calendar_that_promised_something_stays(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    town.file()
    with town.open() as session:
        number = create(session, town._person(session, ADMIN), "New", "UTC", WEEKDAYS, now=now()).id
    for house in (LUMEN, "aurora-games", "northwind-bank", "harbor-logistics"):
        town.set_house(house, calendar_id=number)
    page = admin.post("/admin/calendars/1/delete")
    assert page.status == 422
    assert "so it stays" in page.main


def test_the_slower_of_two_who_change_hours_sees_both(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    town.file()
    page = admin.get("/admin/calendars/1")
    assert "1 running target counts" in page.main
    do(town, change, "Quicker", "UTC", [[["10:00", "12:00"]]] * 7, at=now())
    page = admin.submit("/admin/calendars/1", name="Slower", status=409)
    assert "“Quicker”, 10:00–12:00, every day" in page.main
    page = admin.submit("/admin/calendars/1")
    assert page.h1 == "Slower"
    assert "09:00–18:00, Monday to Friday" in page.main
