"""Administration of people and organizations, and the audit log of what was done."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from conftest import SignIn
from factories import LUMEN, Town, now
from page import Browser
from sqlalchemy import select

from extensions import outside
from models.base import Refused
from models.calendars import Calendar
from models.events import Event, EventKind
from models.organizations import Organization
from models.outbox import Letter, Message
from models.people import OneTimeLink, Person
from models.permissions import Role
from models.staff import deactivate, set_role
from models.tickets import Ticket, TicketState

ADMIN = "admin@support.example"
AGENT = "agent@support.example"


def address(town: Town, email: str) -> str:
    return f"/admin/people/{town.person(email).id}"


def kinds(town: Town) -> list[EventKind]:
    return [event.kind for event in town.scalars(select(Event).order_by(Event.id))]


def link_in_mail(town: Town) -> str:
    letters = town.scalars(select(Message).where(Message.kind == Letter.STAFF_ADDED).order_by(Message.id))
    return f"/reset-password/{letters[-1].data['token']}"


def test_people_are_found_by_name_address_and_role(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    page = admin.get("/admin/people")
    assert "owner@lumen.example" in page.main
    assert "Support agents 2" in page.main
    page = admin.submit("/admin/people", q="LUMEN.example")
    assert "owner@lumen.example" in page.main
    assert "northwind" not in page.main
    page = admin.get("/admin/people?kind=agents")
    assert AGENT in page.main
    assert ADMIN not in page.words(page.all("table")[0])
    assert "Nobody matches" in admin.get("/admin/people?q=nothing-like-this").main


def test_somebody_new_chooses_a_password_by_a_link_that_works_once(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    admin.get("/admin/people/new")
    given = {"name": "Nora Quist", "email": "nora@support.example", "role": "sales"}
    page = admin.submit("/admin/people/new", **given)
    assert page.h1 == "Nora Quist"
    assert "No password yet" in page.main
    link = link_in_mail(town)
    nora = Browser(admin.client.application)
    nora.get(link)
    nora.submit("/reset-password/new", password="four words of mine", status=None)
    assert town.person("nora@support.example").staff_role is Role.SALES
    assert outside().passwords.fits(town.person("nora@support.example"), "four words of mine")
    assert {EventKind.PERSON_ADDED, EventKind.PASSWORD_CHANGED} <= set(kinds(town))
    assert admin.post(f"{page.path}/send-link").status == 422


def test_a_second_link_ends_the_first_and_sending_the_form_twice_adds_one(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    form = admin.get("/admin/people/new").find("/admin/people/new", "")[0]
    given = form.entries(None, {"name": "Nora", "email": "nora@support.example", "role": "agent"})
    for _ in range(2):
        assert admin.post("/admin/people/new", given).status == 303
    assert town.count(Person, Person.email == "nora@support.example") == 1
    assert town.count(Message, Message.kind == Letter.STAFF_ADDED) == 1
    first = link_in_mail(town)
    admin.get(address(town, "nora@support.example"))
    admin.submit(f"{address(town, 'nora@support.example')}/send-link")
    live = town.scalars(select(OneTimeLink).where(OneTimeLink.used_at.is_(None)))
    assert len(live) == 1
    assert live[0].expires_at - now() > timedelta(hours=23)
    assert link_in_mail(town) != first


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"email": "owner@lumen.example"}, "has an account with this address"),
        ({"email": "no address"}, "Enter the email address"),
        ({"name": ""}, "Enter the name."),
        ({"name": " \x00"}, "Enter the name."),
    ],
)
def test_what_cannot_be_added_keeps_what_was_typed(
    changed: dict[str, str], words: str, town: Town, sign_in: SignIn
) -> None:
    admin = sign_in(ADMIN)
    admin.get("/admin/people/new")
    given = {"name": "Nora Typed", "email": "nora@support.example", "role": "sales"} | changed
    page = admin.submit("/admin/people/new", status=422, **given)
    assert words in page.main
    assert page.find("/admin/people/new", "")[0].value_of("email") == given["email"]
    assert not town.count(Message)


def test_a_role_holds_at_once_and_frees_what_was_open(town: Town, sign_in: SignIn) -> None:
    key, done = town.file(), town.file()
    town.take(key)
    town.take(done)
    town.move(done, TicketState.RESOLVED)
    agent, admin = sign_in(AGENT), sign_in(ADMIN)
    agent.get("/desk")
    page = admin.get(address(town, AGENT))
    assert "Open tickets1" in page.main
    page = admin.submit(f"{address(town, AGENT)}/role", role="sales")
    assert "1 of their open tickets" in page.at("flash")
    assert town.ticket(key).assignee_id is None
    assert town.ticket(done).assignee_id is not None
    assert agent.get("/desk", status=403)
    assert agent.get("/sales")
    (event,) = town.scalars(select(Event).where(Event.kind == EventKind.STAFF_ROLE))
    assert (event.data["before"], event.data["after"]) == ("agent", "sales")
    assert event.person_id == town.person(AGENT).id


def test_a_role_that_somebody_else_changed_is_a_conflict(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    admin.get(address(town, AGENT))
    with town.open() as session:
        session.merge(town.person(AGENT)).staff_role = Role.SALES
    page = admin.submit(f"{address(town, AGENT)}/role", role="", status=409)
    assert "it is Sales now" in page.main
    admin.submit(f"{address(town, AGENT)}/role", role="")
    assert town.person(AGENT).staff_role is None


def test_who_is_deactivated_is_out_and_their_work_is_free(town: Town, sign_in: SignIn) -> None:
    key, lead = town.file(), town.enquire()
    town.take(key)
    seller = sign_in("sales@support.example")
    seller.get(f"/sales/{lead}")
    seller.submit(f"/sales/{lead}/take")
    admin, agent = sign_in(ADMIN), sign_in(AGENT)
    agent.get("/desk")
    for email, words in ((AGENT, "1 open ticket and 0 open enquiries"), ("sales@support.example", "1 open enquiry")):
        page = admin.get(f"{address(town, email)}/deactivate")
        assert words in page.main
        admin.submit(f"{address(town, email)}/deactivate")
    assert town.ticket(key).assignee_id is None
    assert town.lead(lead).owner_id is None
    for browser in (agent, seller):
        assert browser.get("/help", follow=False, status=303).headers["Location"].startswith("/sign-in")
    assert "Support agent" in admin.get("/admin/people?kind=deactivated").main
    admin.get(address(town, AGENT))
    admin.submit(f"{address(town, AGENT)}/reactivate")
    assert town.person(AGENT).active
    # The sign-in that ended stays ended: a fresh one is needed.
    assert agent.get("/help", follow=False, status=303)
    assert sign_in(AGENT).get("/desk")


def test_all_sessions_of_a_person_end(town: Town, sign_in: SignIn) -> None:
    admin, member = sign_in(ADMIN), sign_in("member@lumen.example")
    admin.get(address(town, "member@lumen.example"))
    admin.submit(f"{address(town, 'member@lumen.example')}/end-sessions")
    assert member.get("/help", follow=False, status=303)


def test_nobody_locks_themselves_out(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    admin.get(address(town, ADMIN))
    for part in ("deactivate", "role", "end-sessions"):
        assert admin.post(f"{address(town, ADMIN)}/{part}", {"role": "", "was": "administrator"}).status == 422
    assert town.person(ADMIN).staff_role is Role.ADMINISTRATOR
    assert town.person(ADMIN).active


def test_of_two_administrators_who_remove_each_other_one_stays(town: Town) -> None:
    other = town.hire("admin2@support.example", Role.ADMINISTRATOR)
    with town.open() as session:
        first, second = session.merge(town.person(ADMIN)), session.merge(other)
        deactivate(second, first, now=now())
        # The other one's request was let in before: it is refused by what holds now.
        for verb in (lambda: deactivate(first, second, now=now()), lambda: set_role(first, second, None, now=now())):
            with pytest.raises(Refused, match="the only administrator"):
                verb()


def test_an_organization_gets_another_name_and_calendar_and_keeps_what_runs(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    with town.open() as session:
        calendar = Calendar(name="Tokyo", zone="Asia/Tokyo", hours=[[["09:00", "18:00"]]] * 7, holidays=[])
        session.add(calendar)
        session.flush()
        number = calendar.id
    admin = sign_in(ADMIN)
    page = admin.get(f"/admin/organizations/{LUMEN}")
    assert "Owner Of Lumen" in page.main
    before = town.ticket(key).target.calendar_id
    page = admin.submit(f"/admin/organizations/{LUMEN}", name="Lumen Stores", calendar=str(number))
    assert page.h1 == "Lumen Stores"
    assert town.ticket(key).target.calendar_id == before
    assert town.ticket(town.file()).target.calendar_id == number
    (event,) = town.scalars(select(Event).where(Event.kind == EventKind.ORGANIZATION_CHANGED))
    assert event.data["after"] == {"name": "Lumen Stores", "calendar": "Tokyo"}
    assert "name from Lumen Retail to Lumen Stores" in page.main
    with town.open() as session:
        session.scalars(select(Organization).where(Organization.slug == LUMEN)).one().name = "Quicker"
    page = admin.submit(f"/admin/organizations/{LUMEN}", name="Slower", status=409)
    assert "the name is “Quicker”" in page.main
    assert page.find(f"/admin/organizations/{LUMEN}", "")[0].value_of("name") == "Slower"


def test_organizations_are_searched(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    assert "Harbor Logistics" in admin.get("/admin/organizations").main
    page = admin.submit("/admin/organizations", q="lumen")
    assert "Lumen Retail" in page.main
    assert "Harbor" not in page.main


def test_the_log_is_found_by_each_of_its_filters(town: Town, sign_in: SignIn) -> None:
    key = town.file(at=now() - timedelta(days=3))
    town.answer(key, body="A text of nobody else’s business.")
    admin = sign_in(ADMIN)
    admin.get(address(town, AGENT))
    admin.submit(f"{address(town, AGENT)}/role", role="")
    page = admin.get("/admin/audit")
    assert "from Support agent to nothing" in page.main
    assert "from nothing" not in page.main, "a first assignee is the only one there ever was"
    assert "business" not in page.main
    found = {
        "key=" + key: ("filed the request", "changed a staff role"),
        "kind=person.staff-role": ("changed a staff role", "filed the request"),
        "kind=ticket": ("filed the request", "changed a staff role"),
        f"person={AGENT}": ("changed a staff role", "filed the request"),
        "organization=lumen-retail": ("filed the request", "changed a staff role"),
        f"until={(now() - timedelta(days=2)).date()}": ("filed the request", "changed a staff role"),
        f"from={(now() - timedelta(days=1)).date()}": ("changed a staff role", "filed the request"),
        f"person={AGENT}&kind=person": ("changed a staff role", "filed the request"),
    }
    for query, (there, not_there) in found.items():
        rows = admin.get(f"/admin/audit?{query}")
        table = rows.words(rows.all("table")[0])
        assert there in table, query
        assert not_there not in table, query
    assert "Nobody has the address x@y.example" in admin.get("/admin/audit?person=x@y.example").main
    assert "Write the day" in admin.get("/admin/audit?from=tomorrow").main
    assert "Choose one from the list." in admin.get("/admin/audit?kind=zebra").main


def test_a_filter_that_cannot_be_read_exports_nothing(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    for name, value, words in (
        ("from", "tomorrow", "Write the day"),
        ("kind", "zebra", "Choose one from the list."),
        ("person", "x" * 255, "Shorten the address"),
    ):
        page = admin.post("/admin/audit/export", {name: value})
        assert (page.status, page.h1) == (422, "Audit log")
        assert words in page.errors[0]
    assert EventKind.AUDIT_EXPORTED not in kinds(town)


def test_the_log_leads_from_page_to_page_without_a_gap(town: Town, sign_in: SignIn) -> None:
    with town.open() as session:
        session.merge(town.person(ADMIN)).page_size = 10
    at = now()
    for minutes in range(12):
        town.file(at=at - timedelta(minutes=minutes // 2))
    admin, met, path = sign_in(ADMIN), list[str](), "/admin/audit?kind=ticket"
    for _ in range(3):
        page = admin.get(path)
        met += re.findall(r"TECH-\d+", page.words(page.all("table")[0]))
        path = next((link.get("href") for link in page.all("a", rel="next")), "")
        if not path:
            break
    assert not path
    assert len(met) == len(set(met)) == 12


def test_the_export_holds_what_the_filters_say_and_no_formula(town: Town, sign_in: SignIn) -> None:
    town.file()
    with town.open() as session:
        session.merge(town.person(AGENT)).name = "=HYPERLINK(1)"
    agent, admin = sign_in(AGENT), sign_in(ADMIN)
    agent.get("/desk")
    admin.get("/admin/audit?kind=person")
    page = admin.submit("/admin/audit/export")
    assert page.headers["Content-Disposition"] == 'attachment; filename="audit-log.csv"'
    assert page.headers["Cache-Control"] == "no-store"
    assert page.body.startswith(b"\xef\xbb\xbf")
    titles, *rows = csv.reader(io.StringIO(page.body.decode("utf-8-sig"), newline=""))
    assert titles[:3] == ["Time (UTC)", "Local time", "Who"]
    assert "'=HYPERLINK(1)" in [row[2] for row in rows]
    assert {row[8].partition(".")[0] for row in rows} == {"person"}
    assert EventKind.AUDIT_EXPORTED in kinds(town)
    assert town.count(Ticket) == 1
