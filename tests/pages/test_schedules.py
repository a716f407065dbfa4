"""Calendars: what an administrator may say of business hours, and what it does to promises that run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import SignIn
from factories import LUMEN, Town, now
from page import File
from sqlalchemy import select

from models import recounting
from models.accounts import account_of
from models.base import Refused
from models.calendars import Calendar, hours_of, next_open_days
from models.catalogue import DoorName, PlanName, Severity
from models.events import Event, EventKind
from models.organizations import Organization
from models.schedules import (
    HOLIDAYS_MOST,
    add_holiday,
    add_holidays,
    calendar_of,
    change,
    create,
    remove_holiday,
)
from models.tickets import TicketState
from models.upgrades import bring_forward

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
    assert do(town, change, "Weekdays", "Asia/Tokyo", WEEKDAYS, at=MONDAY + timedelta(hours=6)) == 1
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
    page = admin.submit("/admin/calendars/1/effect")
    assert (page.h1, page.main.count("Slower")) == ("Effect of the change", 1)
    page = admin.submit("/admin/calendars/1")
    assert page.h1 == "Slower"
    assert "09:00–18:00, Monday to Friday" in page.main


def test_the_effect_is_shown_before_it_is_saved_and_keeps_what_was_typed(town: Town, sign_in: SignIn) -> None:
    admin, at = sign_in(ADMIN), now()
    key = town.file(severity=Severity.S4, at=at)
    before = town.ticket(key).due_at
    admin.get("/admin/calendars/1")
    typed = {"d01b": "12:00", "d02a": "13:00", "d02b": "17:00", "zone": "Asia/Tokyo"}
    page = admin.submit("/admin/calendars/1/effect", **typed)
    assert page.h1 == "Effect of the change"
    assert key in page.main
    assert "none late at once" in page.main
    assert "09:00–12:00 and 13:00–17:00" in page.main
    assert town.ticket(key).due_at == before, "nothing is saved yet"
    page = admin.submit("/admin/calendars/1/effect", d01b="xx", status=422)
    page = admin.submit("/admin/calendars/1/effect", d01b="11:00")
    page = admin.submit("/admin/calendars/1")
    assert "09:00–11:00 and 13:00–17:00, Monday" in page.main
    assert "1 running target goes on by the new hours" in page.text
    assert town.ticket(key).due_at != before


def test_the_effect_of_an_outdated_page_is_a_conflict(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    town.file()
    admin.get("/admin/calendars/1")
    do(town, add_holiday, now().date() + timedelta(days=40), "Quicker", at=now())
    page = admin.submit("/admin/calendars/1/effect", name="Slower", status=409)
    assert "Somebody else was quicker" in page.main
    empty = {f"d{day}{pair}{end}": "" for day in range(7) for pair in "12" for end in "ab"}
    page = admin.submit("/admin/calendars/1/effect", status=422, **empty)
    assert "at least one hour" in page.main


@pytest.mark.parametrize("way", ["add", "import", "remove"])
def test_the_effect_of_holidays_is_shown_before_they_are_saved(town: Town, sign_in: SignIn, way: str) -> None:
    admin, day = sign_in(ADMIN), (now() + timedelta(days=1)).date()
    while day.weekday() > 4:
        day += timedelta(days=1)
    if way == "remove":
        do(town, add_holiday, day, "Founders’ Day", at=now())
    key = town.file(severity=Severity.S4, at=now())
    before, base = town.ticket(key).due_at, "/admin/calendars/1"
    page = admin.get(base)
    if way == "add":
        page = admin.submit(f"{base}/holidays/effect", date="", holiday="Founders’ Day", status=422)
        assert "Choose the day." in page.main
        page = admin.submit(f"{base}/holidays/effect", date=day.isoformat())
        action = f"{base}/holidays"
    elif way == "import":
        event = f"BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{day:%Y%m%d}\r\nSUMMARY:Founders’ Day\r\nEND:VEVENT\r\n"
        content = f"BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n".encode()
        admin.submit(f"{base}/holidays/file", file=File("days.ics", content))
        assert "Line 1 is not a day" in admin.submit(f"{base}/holidays/import/effect", days="never", status=422).main
        page = admin.submit(f"{base}/holidays/import/effect", days=f"{day} Founders’ Day")
        action = f"{base}/holidays/import"
    else:
        [action] = [path for path in page.links() if path.endswith("/remove")]
        page = admin.get(action)
    assert page.h1 == "Effect of the change"
    assert f"{0 if way == 'remove' else 1} later" in page.main
    assert f"{1 if way == 'remove' else 0} would be due earlier" in page.main
    assert key in page.main
    assert "Founders’ Day" in page.main
    assert len(page.all("dt")) == 10, "the next ten working days"
    assert town.ticket(key).due_at == before, "nothing is saved yet"
    admin.submit(action)
    moved = town.ticket(key).due_at
    assert moved < before if way == "remove" else moved > before


def test_how_far_the_worker_is_has_a_page_and_is_polled(
    town: Town, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recounting, "AT_ONCE", 0)
    admin = sign_in(ADMIN)
    town.file(at=MONDAY)
    town.file(at=MONDAY)
    do(town, change, "Short", "UTC", [[["09:00", "13:00"]]] * 7, at=MONDAY)
    page = admin.get("/admin/calendars/1")
    assert "0 of 2 running targets are counted" in page.main
    with town.open() as session:
        recounting.recount(session, 1, most=1)
    page = admin.get("/admin/calendars/1/progress")
    assert "1 of 2 running targets are counted" in page.main
    assert "every 2s" in [one.get("hx-trigger") for one in page.all("a")]
    with town.open() as session:
        recounting.recount(session, 1)
    page = admin.get("/admin/calendars/1/progress")
    assert "All 2 running targets" in page.main
    assert "every 2s" not in [one.get("hx-trigger") for one in page.all("a")]
    assert "are counted by the present hours" not in admin.get("/admin/calendars/1").main


def test_holidays_are_read_from_a_file_shown_and_then_added(town: Town, sign_in: SignIn) -> None:
    admin, year = sign_in(ADMIN), now().year + 1
    event = "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{}\r\nSUMMARY:{}\r\nEND:VEVENT\r\n"
    events = event.format(f"{year}0101", "New Year") + event.format(f"{year}0501", "May Day")
    bad = event.format(f"{year}1301", "Never")
    content = f"BEGIN:VCALENDAR\r\n{events}{bad}END:VCALENDAR\r\n".encode()
    do(town, add_holiday, datetime(year, 5, 1, tzinfo=UTC).date(), "Known", at=now())
    admin.get("/admin/calendars/1")
    where = "/admin/calendars/1/holidays/file"
    page = admin.submit(where, file=File("days.ics", b"nonsense"), status=422)
    assert "no iCalendar file" in page.main
    page = admin.submit(where, file=File("days.ics", content))
    assert "1 day is a holiday already" in page.main
    assert "Line 10: “" in page.main
    assert len(town.scalars(select(Calendar))) == 1
    with town.open() as session:
        assert len(calendar_of(session, 1).holidays) == 1
    where = "/admin/calendars/1/holidays/import"
    page = admin.submit(where, days=f"{year}-01-01 New Year\nnever", status=422)
    assert "Line 2 is not a day" in page.main
    with town.open() as session:
        assert len(calendar_of(session, 1).holidays) == 1, "nothing is half done"
    page = admin.submit(where, days=f"{year}-01-01 New Year\n{year}-12-25 Christmas\n{year}-05-01 Again")
    assert "2 holidays added" in page.text
    with town.open() as session:
        assert [one.name for one in calendar_of(session, 1).holidays] == ["New Year", "Known", "Christmas"]


def test_the_next_working_days_are_those_of_the_calendar(town: Town, sign_in: SignIn) -> None:
    tomorrow = now().date() + timedelta(days=1)
    with town.open() as session:
        hours = hours_of(calendar_of(session, 1))
        first = next_open_days(hours, tomorrow)
    assert len(first) == 10
    do(town, add_holiday, first[0][0], "Off", at=now())
    with town.open() as session:
        later = next_open_days(hours_of(calendar_of(session, 1)), tomorrow)
    assert (later[:9], len(later)) == (first[1:], 10)
    assert {words for _, words in later} == {"09:00–18:00"}
    assert "Next working days" in sign_in(ADMIN).get("/admin/calendars/1").text


def test_holidays_that_come_and_go_are_named(town: Town) -> None:
    key, day = town.file(severity=Severity.S2, at=MONDAY), MONDAY.date()
    many = [(day + timedelta(days=30 + n), f"Day {n}") for n in range(5)]
    do(town, add_holidays, many, at=MONDAY + timedelta(hours=1))
    with town.open() as session:
        [first, *_] = [holiday.id for holiday in calendar_of(session, 1).holidays]
    do(town, remove_holiday, first, at=MONDAY + timedelta(hours=2))
    with town.open() as session:
        found = account_of(town._ticket(session, key), MONDAY + timedelta(hours=3), ZoneInfo("UTC"))
    assert found is not None
    assert [change.words for change in found.changes] == [
        "Holidays added: Day 0, Wed 31 Mar; Day 1, Thu 1 Apr; Day 2, Fri 2 Apr; and 2 more",
        "Holiday removed: Day 0, Wed 31 Mar",
    ]


def test_the_short_explanation_is_of_what_decides_the_due_time(town: Town, sign_in: SignIn) -> None:
    key, owner = town.file(severity=Severity.S1, at=now()), sign_in("owner@lumen.example")
    page = owner.get(f"/requests/{key}").main
    assert "4 business hours for Severity S1 on the Standard plan" in page
    assert "It stops while we wait for you." in page
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
        assert bring_forward(house, PlanName.ENTERPRISE, now=now() + timedelta(minutes=1)) == 1
    page = owner.get(f"/requests/{key}").main
    assert "for Severity S1 from the upgrade to Enterprise on" in page
    assert "filed on the Standard plan" in page
    assert "The clock runs day and night." in page
    assert "It stops while we wait for the customer." in sign_in("agent@support.example").get(f"/desk/{key}").main


def test_an_answered_promise_is_explained_by_the_hours_that_counted_it(town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    town.answer(key, at=MONDAY + timedelta(hours=1))
    do(town, change, "Weekdays", "UTC", [[["09:00", "13:00"]]] * 5 + [[], []], at=MONDAY + timedelta(hours=2))
    assert "The clock runs 09:00–18:00" in sign_in("owner@lumen.example").get(f"/requests/{key}").main


def test_customer_and_agent_read_how_the_clock_counts(town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S2, at=MONDAY)
    do(town, change, "Weekdays", "UTC", [[["09:00", "13:00"]]] * 5 + [[], []], at=MONDAY + timedelta(hours=2))
    do(town, add_holiday, datetime(2027, 3, 2, tzinfo=UTC).date(), "Founders’ Day", at=MONDAY + timedelta(hours=2))
    with town.open() as session:
        found = account_of(town._ticket(session, key), MONDAY + timedelta(hours=2), ZoneInfo("Asia/Tokyo"))
        assert found is not None
        assert (found.counted, found.explanation.due) == (timedelta(hours=8), datetime(2027, 3, 4, 10, tzinfo=UTC))
        assert any(part.label == "Holiday: Founders’ Day" for part in found.segments)
        assert [change.words for change in found.changes] == [
            "Business hours changed to 09:00–13:00, Monday to Friday (UTC)",
            "Holiday added: Founders’ Day, Tue 2 Mar",
        ]
    town.move(key, TicketState.WAITING, at=MONDAY + timedelta(hours=2, minutes=30))
    page = sign_in("owner@lumen.example").get(f"/requests/{key}/clock")
    for words in ("2 h 30 min counted before the pause", "until you reply", "Standard when filed", "2026"):
        assert words in page.main
    assert f"/requests/{key}/clock" in sign_in("owner@lumen.example").get(f"/requests/{key}").links()
    desk = sign_in("agent@support.example").get(f"/desk/{key}/clock")
    assert "until the customer replies" in desk.main
    town.reply(key, "owner@lumen.example", at=MONDAY + timedelta(hours=2, minutes=40))
    town.answer(key, at=MONDAY + timedelta(hours=2, minutes=50))
    page = sign_in("owner@lumen.example").get(f"/requests/{key}/clock")
    assert "so the target is met" in page.main
    assert sign_in("owner@northwind.example").get(f"/requests/{key}/clock", status=404).status == 404
    billing = town.file(door=DoorName.BILLING, severity=Severity.S4)
    assert "carry no first-reply target" in sign_in("owner@lumen.example").get(f"/requests/{billing}/clock").main
