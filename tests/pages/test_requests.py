"""The list of requests: filters, order, counts and pages, all of it in the address."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import SignIn
from factories import LUMEN, NORTHWIND, Town, now
from page import Browser, Page
from sqlalchemy import insert, select

from models.catalogue import DoorName, Severity
from models.tickets import Ticket, TicketState


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    start = now() - timedelta(days=20)
    spec = [
        ("owner@lumen.example", DoorName.TECHNICAL, Severity.S1, "alpha outage"),
        ("owner@lumen.example", DoorName.BILLING, Severity.S3, "bravo invoice"),
        ("member@lumen.example", DoorName.TECHNICAL, Severity.S2, "charlie latency"),
        ("member@lumen.example", DoorName.TECHNICAL, Severity.S4, "delta question"),
        ("billing@lumen.example", DoorName.BILLING, Severity.S2, "echo refund"),
    ]
    for hours, (email, door, severity, summary) in enumerate(spec):
        town.file(email, door=door, severity=severity, summary=summary, at=start + timedelta(hours=hours))
    town.answer("TECH-2", then=TicketState.WAITING, at=start + timedelta(hours=10))
    town.move("TECH-3", TicketState.RESOLVED, at=start + timedelta(hours=11))
    town.take_part("BILL-2", "owner@lumen.example", by="billing@lumen.example")
    return sign_in("owner@lumen.example")


def rows(page: Page) -> list[str]:
    """The first word of each row's summary."""
    return [page.words(a).split()[0] for a in page.all("a") if "data-row" in a.attrib]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"alpha", "bravo", "charlie", "echo"}),
        ("status=waiting", {"charlie"}),
        ("status=resolved", {"delta"}),
        ("status=closed", set()),
        ("status=all", {"alpha", "bravo", "charlie", "delta", "echo"}),
        ("by=me", {"alpha", "bravo"}),
        ("by=part", {"alpha", "bravo", "echo"}),
        ("by=organization", {"alpha", "bravo", "charlie", "echo"}),
        ("door=billing", {"bravo", "echo"}),
        ("severity=S2&status=all", {"charlie", "echo"}),
        (f"organization={LUMEN}&door=technical", {"alpha", "charlie"}),
        ("q=ALPHA", {"alpha"}),
        ("q=outage+alpha", {"alpha"}),
        ("q=TECH-2", {"charlie"}),
        ("q=13:40&door=billing", {"bravo", "echo"}),
        ("q=%25", set()),
        ("q=_", set()),
        ("q=try+this", {"charlie"}),
        (f"organization={NORTHWIND}", {"alpha", "bravo", "charlie", "echo"}),
        ("status=nonsense&door=x&severity=S9&by=x&sort=x&page=x", {"alpha", "bravo", "charlie", "echo"}),
    ],
)
def test_filters_are_in_the_address(lumen: Browser, query: str, found: set[str]) -> None:
    page = lumen.get(f"/requests?{query}")
    assert set(rows(page)) == found
    assert page.at("count") == f"{len(found)} request{'' if len(found) == 1 else 's'}"


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("updated", ["delta", "charlie", "echo", "bravo", "alpha"]),
        ("updated-up", ["alpha", "bravo", "echo", "charlie", "delta"]),
        ("severity", ["alpha", "charlie", "echo", "bravo", "delta"]),
        ("severity-up", ["delta", "bravo", "charlie", "echo", "alpha"]),
        ("created", ["echo", "delta", "charlie", "bravo", "alpha"]),
    ],
)
def test_orders(lumen: Browser, town: Town, sort: str, order: list[str]) -> None:
    # Taking part was the last that happened to the fifth: its place is told by its own time.
    with town.open() as session:
        echo = session.merge(town.ticket("BILL-2"))
        echo.updated_at = echo.created_at
    assert rows(lumen.get(f"/requests?status=all&sort={sort}")) == order


def test_tabs_carry_counts_and_keep_the_other_filters(lumen: Browser) -> None:
    page = lumen.get("/requests?door=technical&q=13:40")
    tabs = {page.words(a): a.get("href") for nav in page.all("nav", class_="tabs") for a in nav.iter("a")}
    assert list(tabs) == ["Open 2", "Waiting for you 1", "Resolved 1", "Closed 0", "All 3"]
    assert tabs["All 3"] == "/requests?q=13%3A40&status=all&door=technical"


def test_the_search_form_works_without_javascript_and_keeps_its_choices(lumen: Browser) -> None:
    lumen.get("/requests?status=all&sort=severity")
    page = lumen.submit("/requests", q="alpha", door="technical", severity="S1", by="me")
    assert rows(page) == ["alpha"]
    form = page.find("/requests")[0]
    assert [form.value_of(name) for name in ("q", "door", "severity", "by", "status", "sort")] == [
        "alpha", "technical", "S1", "me", "all", "severity",
    ]  # fmt: skip


def test_pages_show_every_request_once(town: Town, sign_in: SignIn) -> None:
    start = now() - timedelta(days=5)
    for number in range(23):
        town.file(summary=f"n{number} request", at=start + timedelta(minutes=number))
    with town.open() as session:
        session.merge(town.person("owner@lumen.example")).page_size = 10
    browser = sign_in("owner@lumen.example")
    page, seen = browser.get("/requests?door=technical"), list[str]()
    assert "1–10 of 23" in page.main
    while True:
        seen += rows(page)
        further = page.all("a", rel="next")
        if not further:
            break
        page = browser.get(further[0].get("href"))
    assert page.path == "/requests?door=technical&page=3"
    assert seen == [f"n{number}" for number in range(22, -1, -1)]
    assert "21–23 of 23" in page.main
    assert rows(browser.get("/requests?page=99")) == rows(browser.get("/requests?page=3"))


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' OR 1=1 --", "{{1234*5678}}"]
)
def test_what_is_searched_for_is_text(lumen: Browser, text: str) -> None:
    from urllib.parse import quote

    for path in ("/requests?q=", "/requests?status=", "/requests?organization=", "/requests?page="):
        page = lumen.get(path + quote(text))
        assert text not in page.html or text.startswith("{{")
        assert "7006652" not in page.main
    assert lumen.get(f"/requests?q={quote(text)}").find("/requests")[0].value_of("q") == text


def test_an_empty_list_says_what_to_do(town: Town, sign_in: SignIn) -> None:
    page = sign_in("nobody@nowhere.example").get("/requests")
    assert "Nothing is open" in page.main
    assert "/help" in page.links()


def test_a_key_that_is_sent_jumps_to_its_request(lumen: Browser) -> None:
    lumen.get("/requests")
    for written in ("TECH-1", " tech-1 "):
        page = lumen.submit("/requests", q=written)
        assert page.path == "/requests/TECH-1"
        lumen.get("/requests")
    # While it is being typed, nothing jumps; and what one does not see is as if it were not there.
    assert lumen.get("/requests?q=TECH-1").path == "/requests?q=TECH-1"
    assert lumen.get("/requests?q=TECH-999&go=1").path == "/requests?q=TECH-999&go=1"


def test_pages_behind_the_last_number_go_on_from_a_row(town: Town, sign_in: SignIn) -> None:
    start = now() - timedelta(days=50)
    first = town.file(summary="n0 request", at=start)
    copies(town, first, 1060)
    with town.open() as session:
        session.merge(town.person("owner@lumen.example")).page_size = 25
    browser = sign_in("owner@lumen.example")
    for sort in ("updated", "updated-up", "severity", "severity-up", "created"):
        page = browser.get(f"/requests?sort={sort}&page=40")
        numbered = rows(page)
        assert "976–1,000 of 1,000+" in page.main
        after = browser.get(page.all("a", rel="next")[0].get("href"))
        assert "page=41" in after.path
        assert "after=" in after.path
        beyond = browser.get(after.all("a", rel="next")[0].get("href"))
        last = browser.get(beyond.all("a", rel="next")[0].get("href"))
        assert not last.all("a", rel="next")
        assert len(rows(last)) == 11
        seen = [*numbered, *rows(after), *rows(beyond), *rows(last)]
        assert len(set(seen)) == len(seen) == 86, sort
        back = browser.get(last.all("a", rel="prev")[0].get("href"))
        assert rows(back) == rows(beyond)
        assert rows(browser.get(back.all("a", rel="prev")[0].get("href"))) == rows(after)
        assert rows(browser.get(browser.get(after.path).all("a", rel="prev")[0].get("href"))) == numbered
    # A place that is none leads to the last numbered page, and to no fault.
    for place in ("x", "20260101T000000.000000~x", "~", "9" * 70, "20260101T000000.000000~99999999999999999999"):
        assert rows(browser.get(f"/requests?page=50&after={place}")) == rows(browser.get("/requests?page=40"))


def copies(town: Town, key: str, number: int) -> None:
    """Write so many more requests like the one, a minute apart."""
    with town.open() as session:
        one = session.scalars(select(Ticket).where(Ticket.key == key)).unique().one()
        columns = [c.name for c in Ticket.__table__.columns if c.name not in {"id", "key"}]
        model = {name: getattr(one, name) for name in columns}
        severities = list(Severity)
        many = [
            model
            | {
                "key": f"TECH-{10_000 + n}",
                "summary": f"n{n} request",
                "severity": severities[n % 4],
                # Many share a moment: then their numbers tell which comes first.
                "updated_at": one.updated_at + timedelta(minutes=n // 3),
                "created_at": one.created_at + timedelta(minutes=n // 3),
            }
            for n in range(1, number + 1)
        ]
        session.execute(insert(Ticket), many)
