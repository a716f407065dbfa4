"""The desk's queues: narrowed by everything, the next ticket taken once, and many tickets changed together or none."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from checks import ORIGIN
from conftest import Later, SignIn
from factories import LUMEN, NORTHWIND, Town, now
from page import Browser, Forged, Page
from sqlalchemy import select

from models.catalogue import DoorName, Severity
from models.events import Event, EventKind
from models.following import follow
from models.people import Person
from models.tickets import Ticket, TicketState

AGENT, OTHER, BANK = "agent@support.example", "agent2@support.example", "owner@northwind.example"


@pytest.fixture
def agent(town: Town, sign_in: SignIn) -> Browser:
    return sign_in(AGENT)


def listed(page: Page) -> list[str]:
    """Return the keys of the rows, in order."""
    found = [a.removeprefix("/desk/") for a in page.links() if a.startswith(("/desk/TECH-", "/desk/BILL-"))]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("plan=enterprise", {"TECH-2"}),
        ("severity=S1", {"TECH-2"}),
        ("state=in-progress", {"TECH-3"}),
        ("assignee=nobody", {"TECH-1", "TECH-2", "BILL-1"}),
        (f"organization={LUMEN}", {"TECH-1", "TECH-3", "BILL-1"}),
        ("door=billing", {"BILL-1"}),
        ("plan=standard&severity=S3&assignee=nobody&door=technical", {"TECH-1"}),
        ("organization=Lumen+Retail", {"TECH-1", "TECH-3", "BILL-1"}),
        (f"requester={BANK.upper()}", {"TECH-2"}),
        ("environment=Staging", {"TECH-2"}),
        ("component=PD", {"TECH-2"}),
        ("component=P", set()),
        ("cluster=orders", {"TECH-2"}),
        ("only=confidential", {"TECH-3"}),
        ("only=followed", {"TECH-1"}),
        ("only=followed&environment=Staging", set()),
        ("organization=nobody-at-all", set()),
        ("organization=a%00b&requester=%00&environment=%ff&component=%22%5C&cluster=%F0%9F%92%A9&tag=%00", set()),
        ("plan=gold&severity=S9&state=x&assignee=-1", {"TECH-1", "TECH-2", "TECH-3", "BILL-1"}),
    ],
)
def test_everything_narrows_a_queue(agent: Browser, town: Town, query: str, expected: set[str]) -> None:
    town.file()
    town.file(BANK, NORTHWIND, severity=Severity.S1)
    town.take(town.file())
    town.file(door=DoorName.BILLING)
    with town.open() as session:
        rows = {ticket.key: ticket for ticket in session.scalars(select(Ticket)).unique()}
        bank = rows["TECH-2"]
        bank.environment, bank.components, bank.cluster_name = "Staging", ["PD", "TiDB"], "orders"
        rows["TECH-3"].confidential = True
        follow(rows["TECH-1"], session.scalars(select(Person).where(Person.email == AGENT)).one())
    page = agent.get(f"/desk?queue=all&{query}")
    assert set(listed(page)) == expected
    form, _ = page.find("/desk")
    assert form.value_of("queue") == "all"


def test_the_next_ticket_is_the_one_that_is_due_first(agent: Browser, town: Town) -> None:
    town.file(severity=Severity.S4)
    town.file(severity=Severity.S1)
    town.file(severity=Severity.S2, at=now() - timedelta(days=9))
    taken = []
    for _ in range(3):
        agent.get("/desk")
        taken.append(agent.submit("/desk/next").path)
    assert taken == ["/desk/TECH-3", "/desk/TECH-2", "/desk/TECH-1"]
    agent.get("/desk")
    page = agent.submit("/desk/next")
    assert "No ticket waits for an assignee" in page.text
    assert town.ticket("TECH-2").state is TicketState.IN_PROGRESS


def test_no_two_get_the_same_ticket(town: Town, sign_in: SignIn) -> None:
    keys = {town.file() for _ in range(8)}
    browsers = [sign_in(who) for who in (AGENT, OTHER) * 4]
    forms, barrier, taken = (
        [browser.get("/desk").find("/desk/next")[0] for browser in browsers],
        threading.Barrier(8),
        [],
    )

    def take(browser: Browser, token: str) -> None:
        barrier.wait()
        answer = browser.client.post("/desk/next", data={"csrf_token": token}, base_url=ORIGIN)
        taken.append(answer.headers["Location"])

    threads = [
        threading.Thread(target=take, args=(browser, form.value_of("csrf_token")))
        for browser, form in zip(browsers, forms, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"/desk/{key}" for key in keys)
    assert town.count(Event, Event.kind == EventKind.TICKET_ASSIGNED) == len(keys)


def test_several_tickets_are_given_away_and_set_together(agent: Browser, town: Town) -> None:
    keys = [town.file() for _ in range(3)]
    other = str(town.person(OTHER).id)
    agent.get("/desk?queue=unassigned")
    page = agent.submit("#together", ticket=keys[:2], assignee=other)
    assert "2 tickets are given to" in page.text
    assert page.path == "/desk?queue=unassigned"
    assert [bool(town.ticket(key).assignee_id) for key in keys] == [True, True, False]
    agent.get("/desk?queue=all")
    agent.submit("/desk/together/state", ticket=keys, state="waiting")
    assert {town.ticket(key).state for key in keys} == {TicketState.WAITING}


@pytest.mark.parametrize("what", ["foreign", "closed", "none", "nonsense"])
def test_one_that_cannot_be_changed_keeps_all_as_they_are(agent: Browser, town: Town, what: str) -> None:
    good = town.file()
    bad = {"foreign": "TECH-999", "none": "", "nonsense": "x' OR 1=1"}.get(what)
    if what == "closed":
        at = now() - timedelta(days=20)
        bad = town.file(at=at)
        town.move(bad, TicketState.RESOLVED, at=at)
    other = str(town.person(OTHER).id)
    agent.get("/desk?queue=all")
    chosen = [] if what == "none" else [good, Forged(bad)]
    page = agent.submit(
        "#together", status=404 if what in {"foreign", "nonsense"} else 422, ticket=chosen, assignee=other
    )
    if what == "closed":
        assert f"{bad}: This request is closed" in page.main
    assert town.ticket(good).assignee_id is None
    assert town.count(Event, Event.kind == EventKind.TICKET_ASSIGNED) == 0


def test_nobody_is_sent_elsewhere(agent: Browser, town: Town) -> None:
    key = town.file()
    agent.get("/desk?queue=all")
    for back in (
        "https://evil.example/desk",
        "//evil.example/desk",
        "/sign-out",
        "javascript:alert(1)",
        "//[",
        "/desk\0",
        "/desk/x",
    ):
        agent.get("/desk?queue=all")
        page = agent.submit("#together", follow=False, status=303, ticket=[key], assignee="nobody", back=Forged(back))
        assert page.headers["Location"] == "/desk"


@pytest.mark.parametrize(
    "query",
    ["?organization=a%00b", "/changed?back=//%5B", "/changed?back=%00", "/{key}/merge?into=TECH-%00", "?tag=%00"],
)
def test_an_odd_address_is_no_fault(agent: Browser, town: Town, query: str) -> None:
    address = "/desk" + query.format(key=town.file())
    assert agent.get(address, status=None, check=False).status in {200, 422}


def test_odd_words_of_a_form_are_no_fault(agent: Browser, town: Town) -> None:
    key = town.file()
    agent.get("/desk?queue=all")
    for path, name in (
        ("/desk/together/assignee", "ticket"),
        ("/desk/together/tag", "ticket"),
        (f"/desk/{key}/links/remove", "other"),
        (f"/desk/{key}/links", "other"),
        (f"/desk/{key}/merge", "into"),
        ("/help/billing/files/remove", "file"),
    ):
        given = {"assignee": "nobody", "tag": "x", "back": "//[", name: "TECH-\0"}
        assert agent.post(path, given, check=False).status < 500, path
    page = agent.post("/desk/together/tag", {"ticket": key, "tag": "slow\0query"}, follow=False, check=False)
    assert page.status == 303
    assert "#slowquery" in agent.get("/desk").text


@pytest.mark.usefixtures("window")
def test_a_reply_that_goes_out_after_the_page_was_read_is_noticed(
    agent: Browser, town: Town, sign_in: SignIn, later: Later
) -> None:
    key = town.file()
    other = sign_in(OTHER)
    other.get(f"/desk/{key}")
    other.submit(f"/desk/{key}/messages", body="Run the planner again.")
    there = next(e.get("hx-get") for e in agent.get("/desk").every() if e.get("id") == "changed")
    assert "changed since" not in agent.client.get(there, base_url=ORIGIN).text
    later(town, timedelta(seconds=20))
    assert "1 changed since" in agent.client.get(there, base_url=ORIGIN).text


@pytest.mark.parametrize(
    ("query", "many"),
    [
        ("", 3),
        ("?door=billing", 1),
        ("?queue=all&plan=enterprise", 1),
        (f"?organization={LUMEN}", 2),
        ("?queue=mine", 1),
    ],
)
def test_what_changed_is_counted_of_the_queue_on_screen(agent: Browser, town: Town, query: str, many: int) -> None:
    there = next(e.get("hx-get") for e in agent.get(f"/desk{query}").every() if e.get("id") == "changed")
    soon = now() + timedelta(seconds=5)
    town.file(door=DoorName.BILLING, at=soon)
    town.file(BANK, NORTHWIND, at=soon)
    town.answer(town.file(at=soon), at=soon)
    assert f"{many} changed since" in agent.client.get(there, base_url=ORIGIN).text


def test_what_changed_is_counted_and_nothing_moves(agent: Browser, town: Town) -> None:
    key = town.file()
    there = next(e.get("hx-get") for e in agent.get("/desk").every() if e.get("id") == "changed")
    client = agent.client
    answer = client.get(there, base_url=ORIGIN)
    assert answer.text.strip().endswith("-->") or "refresh" not in answer.text
    same = client.get(there, base_url=ORIGIN, headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304
    town.reply(key, "owner@lumen.example", at=now() + timedelta(seconds=5))
    later = client.get(there, base_url=ORIGIN)
    assert "1 changed since" in later.text
    for since in ("", "x", "9" * 15, "-5"):
        assert client.get(f"/desk/changed?since={since}", base_url=ORIGIN).status_code == 200
