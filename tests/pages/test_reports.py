"""Reports and scorecards: a number is what its list and its file hold, and nobody counts what they may not see."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, timedelta

import pytest
from checks import ORIGIN
from conftest import SignIn
from factories import LUMEN, NORTHWIND, Town, now
from openpyxl import load_workbook
from page import Browser, Page
from sqlalchemy import select, update

from models.catalogue import Severity
from models.evidence import SHEET
from models.organizations import Visibility
from models.people import Person
from models.periods import Month
from models.tickets import Ticket, TicketState
from models.workbooks import workbook_of
from models.workload import COLUMNS

AGENT, OWNER, BANK = "agent@support.example", "owner@lumen.example", "owner@northwind.example"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def history(town: Town) -> Town:
    """Requests of two organizations: two first replies on time, one late, one overdue, one not due yet."""
    for days, late in ((70, False), (40, True), (3, False)):
        at = now() - days * DAY
        key = town.file(at=at, severity=Severity.S1, summary=f"=cmd|{days}")
        town.answer(key, at=at + (10 * DAY if late else timedelta(minutes=5)))
        town.move(key, TicketState.RESOLVED, at=at + (11 * DAY if late else HOUR))
    town.file(BANK, NORTHWIND, severity=Severity.S2, summary="Not due yet")
    town.file(BANK, NORTHWIND, severity=Severity.S1, at=now() - 2 * DAY, summary="Overdue")
    return town


@pytest.fixture
def agent(history: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


def row(page: Page, heading: str) -> list[str]:
    """Return the cells of the first row that begins with the heading."""
    for line in page.all("tr"):
        cells = [page.words(cell) for cell in line if cell.tag in {"th", "td"}]
        if cells and cells[0] == heading:
            return cells[1:]
    raise AssertionError(f"no row {heading!r}")


def test_promises_come_out_as_they_were_kept(agent: Browser) -> None:
    page = agent.get("/reports")
    assert row(page, "All months") == ["5", "2", "2", "50 %"]
    assert row(page, "Standard, S1") == ["3", "2", "1", "66 %"]
    assert row(page, "Enterprise, S1") == ["1", "0", "1", "0 %"]
    assert row(page, "Enterprise, S2") == ["1", "0", "0", "None due yet"]
    caption = "First replies kept by plan, severity and month"
    (table,) = [one for one in page.all("table") if page.words(next(one.iter("caption"))) == caption]
    cells = {page.words(line[0]): [page.words(cell) for cell in line[1:]] for line in table.iter("tr")}
    assert len(cells["Standard, S1"]) == len(cells["Plan and severity"]) == 6
    shares = [words for words in cells["Standard, S1"] if words]
    assert sum(int(words.rpartition(" of ")[2]) for words in shares) == 3
    assert [words for words in cells["Enterprise, S2"] if words] == ["– of 1"]
    assert {figure.get("aria-label") for figure in page.all(role="img")} >= {
        "First reply, median by month; the table has the numbers",
        "Solution, median by month; the table has the numbers",
        "Open requests of severity S1 by age; the table has the numbers",
    }
    assert row(page, "1 to 3 days")[:2] == ["1", "0"]
    assert row(page, "Up to 1 day")[:2] == ["0", "1"]


def test_each_number_opens_as_many_requests(agent: Browser) -> None:
    page, opened = agent.get("/reports"), 0
    for link in page.all("a"):
        href, words = link.get("href", ""), page.words(link)
        if href.startswith("/reports/requests"):
            listed = [a for a in agent.get(href).links() if re.fullmatch(r"/desk/[A-Z]+-\d+", a)]
            # A length opens the requests that it is the median of.
            assert len(listed) == int(words) if words.isdigit() else listed, href
            opened += 1
            agent.get("/reports")
    assert opened > 12
    kept = agent.get(f"/reports/requests?count=promised&kept=missed&from={_month(100)}&until={_month(0)}")
    assert "=cmd|40" in kept.main
    assert "Overdue" in kept.main
    assert "=cmd|3" not in kept.main.replace("=cmd|40", "")
    assert agent.get("/reports/requests?count=nothing").h1 == "Requests filed"


def _month(days: int) -> str:
    return Month.of((now() - days * DAY).astimezone(UTC).date()).written


@pytest.mark.parametrize("query", ["from=2026-13&until=x", "from=9999-12&until=9999-12", "from=0001-01&until=0001-01"])
def test_months_that_are_none_show_others(agent: Browser, query: str) -> None:
    assert "First replies on time" in agent.get(f"/reports?{query}").main
    agent.get(f"/reports/requests?count=filed&{query}")


def test_the_filters_narrow_everything(agent: Browser) -> None:
    page = agent.get("/reports?plan=enterprise")
    assert row(page, "All months") == ["2", "0", "1", "0 %"]
    assert "Standard, S1" not in page.main
    assert "No first reply was promised" in agent.get("/reports?door=billing").main
    early = agent.get(f"/reports?from={_month(800)}&until={_month(400)}")
    assert "No first reply was promised" in early.main


def test_files_hold_a_line_for_each_promise_and_no_formula(agent: Browser) -> None:
    text = _bytes(agent, "/reports/promises.csv").decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sorted(line["Result"] for line in lines) == ["Late", "Late", "Not due yet", "On time", "On time"]
    assert {line["Summary"] for line in lines} == {"'=cmd|70", "'=cmd|40", "'=cmd|3", "Not due yet", "Overdue"}
    book = load_workbook(io.BytesIO(_bytes(agent, "/reports/promises.xlsx")))
    titles, *rows = list(book.active.iter_rows())
    assert [cell.value for cell in titles] == list(SHEET)
    assert [row[0].value for row in rows] == [line["Request"] for line in lines]
    assert {cell.value for row in rows for cell in row if "cmd" in str(cell.value)} == {"=cmd|70", "=cmd|40", "=cmd|3"}
    # A reader that took it for a formula would say "f".
    assert {cell.data_type for row in rows for cell in row if cell.value is not None} <= {"s", "n", "inlineStr"}


def _bytes(browser: Browser, path: str) -> bytes:
    answer = browser.client.get(path, base_url=ORIGIN)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return answer.data


def test_administrators_count_and_open_nothing(history: Town, sign_in: SignIn) -> None:
    page = sign_in("admin@support.example").get("/reports")
    assert row(page, "All months")[0] == "5"
    assert not [a for a in page.links() if "/reports/" in a]
    sign_in("admin@support.example").get("/reports/requests?count=filed", status=403)


def test_a_scorecard_counts_what_its_reader_sees(history: Town, sign_in: SignIn) -> None:
    history.set_house(LUMEN, visibility=Visibility.MANAGERS)
    here = f"/console/{LUMEN}/scorecard"
    owner = sign_in(OWNER)
    page = owner.get(here)
    assert row(page, "S1") == ["3", "2", "1", "66 %"]
    assert row(page, "All") == ["3", "2", "1", "66 %"]
    missed = next(a for a in page.links() if "kept=missed" in a)
    assert [a for a in owner.get(missed).links() if a.startswith("/requests/TECH")] == ["/requests/TECH-2"]
    assert "Northwind" not in _bytes(owner, f"{here}/promises.csv").decode()
    history.answer(history.file(severity=Severity.S1), then=TicketState.WAITING)
    assert ",Waiting for you," in _bytes(owner, f"{here}/promises.csv").decode()
    agent = sign_in(AGENT)
    assert ",Waiting for customer," in _bytes(agent, "/reports/promises.csv").decode()
    assert "Waiting for customer" in agent.get("/reports/requests?count=promised&kept=met").main
    member = sign_in("member@lumen.example")
    assert "No first reply was promised" in member.get(here).main
    assert len(_bytes(member, f"{here}/promises.csv").splitlines()) == 1
    sign_in(BANK).get(here, status=404)


@pytest.fixture
def manager(history: Town, sign_in: SignIn) -> Browser:
    with history.open() as session:
        session.execute(update(Person).where(Person.email == AGENT).values(duty_manager=True))
    return sign_in(AGENT)


def test_by_agent_for_duty_managers_alone(history: Town, sign_in: SignIn, agent: Browser) -> None:
    assert agent.get("/reports/agents", status=None).status == 403
    assert agent.get("/reports/agents.csv", status=None).status == 403
    assert not agent.get("/reports").all("a", href=re.compile("/reports/agents"))
    assert sign_in("admin@support.example").get("/reports/agents", status=None).status == 403
    with history.open() as session:
        session.execute(update(Person).where(Person.email == AGENT).values(duty_manager=True))
    page = sign_in(AGENT).get("/reports")
    assert [a for a in page.all("a") if (a.get("href") or "").startswith("/reports/agents?from=")]


def test_each_number_of_an_agent_opens_as_many(history: Town, manager: Browser) -> None:
    with history.open() as session:
        number = session.scalars(select(Person.id).where(Person.email == AGENT)).one()
        session.execute(update(Ticket).values(assignee_id=number))
    page = manager.get("/reports/agents")
    (name,) = history.scalars(select(Person.name).where(Person.email == AGENT))
    cells = row(page, name)
    assert cells[:4] == ["5", "2", "2", "50 %"]
    assert cells[6:8] == ["3", "2"]
    links = [a for a in page.all("a") if (a.get("href") or "").startswith("/reports/requests?")]
    assert len(links) == 7
    for link in links:
        listed = manager.get(link.get("href"))
        assert name in listed.h1
        number, words = len(listed.all("td", class_="what")), page.words(link)
        assert number == int(words) if words.isdigit() else number, link.get("href")
    # One who is gone, and one who does not exist.
    assert "one agent" in manager.get("/reports/requests?count=filed&agent=999999").h1
    assert manager.get("/reports/requests?count=filed&agent=x").h1 == "Requests filed"


def test_the_file_by_agent_is_safe_and_says_the_same(history: Town, manager: Browser) -> None:
    with history.open() as session:
        session.execute(update(Person).where(Person.email == AGENT).values(name="=HYPERLINK(1)"))
        number = session.scalars(select(Person.id).where(Person.email == AGENT)).one()
        session.execute(update(Ticket).values(assignee_id=number))
    answer = manager.client.get("/reports/agents.csv", base_url=ORIGIN)
    lines = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert lines[0] == list(COLUMNS)
    assert lines[1][0] == "'=HYPERLINK(1)"
    assert lines[1][1:5] == ["5", "2", "2", "50"]
    book = load_workbook(io.BytesIO(manager.client.get("/reports/agents.xlsx", base_url=ORIGIN).data))
    rows = list(book.active.iter_rows(values_only=True))
    assert rows[1][1:5] == (5, 2, 2, 50)
    assert book.active["A2"].data_type == "s"
    whole = load_workbook(io.BytesIO(b"".join(workbook_of(("Rating",), iter([[(4.5,), (True,)]])))))
    assert [cell.data_type for cell in whole.active["A"]] == ["s", "n", "s"]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_each_hour_of_the_week_opens_as_many(history: Town, sign_in: SignIn, zone: str) -> None:
    with history.open() as session:
        session.execute(update(Person).where(Person.email == AGENT).values(time_zone=zone))
    agent = sign_in(AGENT)
    page = agent.get("/reports")
    links = [a for a in page.all("a") if "hour=" in (a.get("href") or "")]
    assert sum(int(page.words(link)) for link in links) == 5
    for link in links:
        assert len(agent.get(link.get("href")).all("td", class_="what")) == int(page.words(link)), link.get("href")
    assert agent.get("/reports/requests?count=filed&hour=9-99").h1 == "Requests filed"
