"""PostgreSQL goes down, is cut off, or freezes under a running portal: it says so in time, and recovers by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import databases
import pytest
from conftest import SignIn
from factories import Town, settle_town
from flask import Flask
from machines import Answer, Client, Gate, Machine, until
from page import Browser
from sqlalchemy import Engine, make_url, select, text, update
from sqlalchemy.orm import Session

from models.base import token
from models.outbox import Message, MessageState
from models.tickets import Comment, Ticket

_server = databases.server()
pytestmark = pytest.mark.skipif(
    _server is None or _server.get_backend_name() != "postgresql",
    reason="the gate stands before PostgreSQL: name one in DATABASE_URL",
)
TYPED = "Typed for an hour: every node restarts, the log says ‘lease expired’, and then it does so again"


class Place:
    """A web machine and a worker, their database, and the gate between."""

    def __init__(self, url: str, folder: Path) -> None:
        own = make_url(url)
        self.engine = databases.open_engine(url)
        self.town = Town(self.engine)
        self.gate = Gate(own.port or 5432)
        through = own.set(host="127.0.0.1", port=self.gate.port).render_as_string(hide_password=False)
        self.web = Machine(folder / "web", "web", DATABASE_URL=through).start()
        self.worker = Machine(folder / "worker", "worker", DATABASE_URL=through).start()

    def end(self) -> None:
        for machine in (self.web, self.worker):
            if machine.process is not None and machine.process.poll() is None:
                machine.kill()
        self.gate.refuse()
        self.engine.dispose()


@pytest.fixture(scope="module")
def place(app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(databases.own_url("trouble"), tmp_path_factory.mktemp("trouble"))
    with ExitStack() as stack:
        stack.callback(made.end)
        until(made.web.ready, 30, "the portal is ready")
        with Session(made.engine) as session:
            settle_town(session)
            session.commit()
        yield made


@pytest.fixture
def customer(place: Place) -> Client:
    client = Client(place.web)
    assert client.sign_in("owner@lumen.example").status == 303
    return client


def at_once(asks: list[Callable[[], Answer]]) -> list[Answer]:
    """Ask all of it at the same moment, and return the answers in their order."""
    found: dict[int, Answer] = {}

    def note(number: int, ask: Callable[[], Answer]) -> None:
        found[number] = ask()

    threads = [threading.Thread(target=note, args=pair) for pair in enumerate(asks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(asks))]


def told_in_time(answers: list[Answer], within: float) -> None:
    for answer in answers:
        assert answer.status == 503, answer
        assert answer.headers["Retry-After"] == "10"
        assert answer.took < within, [round(one.took, 1) for one in answers]


def back_in_time(place: Place, customer: Client, ticket: str, typed: str) -> None:
    """Everything works within five seconds, nothing that was refused was written, and no connection is dead."""
    until(lambda: customer.get("/requests").status == 200, 5, "the first page after it came back")
    assert customer.reply(ticket, typed).status == 303
    assert customer.get("/readyz").status == 200
    answers = at_once([lambda: customer.get("/requests") for _ in range(12)])
    assert {answer.status for answer in answers} == {200}, answers
    assert place.town.count(Comment, Comment.source == typed) == 1
    assert place.web.process is not None
    assert place.web.process.poll() is None


@pytest.mark.parametrize(("trouble", "within"), [("down", 5), ("frozen", 10)])
def test_people_are_told_in_time_and_it_recovers_by_itself(
    place: Place, customer: Client, trouble: str, within: float
) -> None:
    typed = f"{TYPED} ({trouble})"
    ticket = customer.file("Before", token()).headers["Location"].rpartition("/")[2].partition("?")[0]
    assert place.town.ticket(ticket)
    # Every thread has had its connection by now.
    at_once([lambda: customer.get("/requests") for _ in range(12)])
    if trouble == "down":
        place.gate.refuse()
    else:
        place.gate.freeze()
    try:
        asks = [lambda: customer.reply(ticket, typed), *[lambda: customer.get("/requests")] * 7]
        answers = at_once(asks)
        told_in_time(answers, within)
        assert typed in answers[0].text
        ready, alive = at_once([lambda: customer.get("/readyz"), lambda: customer.get("/healthz")])
        assert ready.status == 503
        assert ready.took < within
        assert alive.status == 200
        # It lasts, and more people come than there are threads.
        for _ in range(2):
            told_in_time(at_once([lambda: customer.get("/requests") for _ in range(8)]), within)
            time.sleep(1)
    finally:
        place.gate.open()
    back_in_time(place, customer, ticket, typed)


def test_connections_that_were_reset_cost_nobody_an_answer(place: Place, customer: Client) -> None:
    first = customer.file("Reset", token())
    assert first.status == 303
    for round_ in range(3):
        at_once([lambda: customer.get("/requests") for _ in range(12)])
        place.gate.cut()
        answers = at_once([lambda: customer.get("/requests") for _ in range(8)])
        assert {answer.status for answer in answers} == {200}, (round_, answers)
        place.gate.cut()
        assert customer.file(f"Reset {round_}", token()).status == 303
    assert place.town.count(Ticket, Ticket.summary.startswith("Reset ")) == 3


def test_the_worker_outlives_all_of_it(place: Place, customer: Client) -> None:
    place.gate.refuse()
    time.sleep(2)
    place.gate.open()
    assert customer.get("/requests").status == 200
    assert customer.file("After", token()).status == 303
    # What it had in hand is taken up again when its lease has run out, which is moved up here.
    with place.town.open() as session:
        session.execute(update(Message).where(Message.lease.is_not(None)).values(leased_until=Message.created_at))
    sent = select(Message.state).distinct()
    until(lambda: place.town.scalars(sent) == [MessageState.SENT], 40, "every letter is sent")
    assert place.worker.process is not None
    assert place.worker.process.poll() is None


def test_a_server_that_ends_its_connections_is_asked_anew(place: Place, customer: Client) -> None:
    """As `pg_ctl restart -m immediate` and a failover do: each connection ends in the server's own words."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    ended = text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    at_once([lambda: customer.get("/requests") for _ in range(12)])
    with place.engine.connect() as connection:
        connection.execute(ended)
    answers = at_once([lambda: customer.get("/requests") for _ in range(8)])
    assert {answer.status for answer in answers} == {200}, answers


def test_with_no_connection_left_people_are_told_in_time(
    town: Town, engine: Engine, sign_in: SignIn, client: Browser
) -> None:
    lumen = sign_in("owner@lumen.example")
    key = town.file()
    lumen.get(f"/requests/{key}")
    taken = [engine.connect() for _ in range(engine.pool.size() + engine.pool._max_overflow)]  # type: ignore[attr-defined]
    try:
        start = time.monotonic()
        answer = lumen.post(f"/requests/{key}/comments", {"body": TYPED, "key": token()})
        assert time.monotonic() - start < 5
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert TYPED in answer.html
        assert client.get("/healthz").status == 200
        assert client.get("/readyz", status=503).status == 503
    finally:
        for connection in taken:
            connection.close()
    assert client.get("/readyz").body == b"ready\n"
    assert town.count(Comment, Comment.source == TYPED) == 0
