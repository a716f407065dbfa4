"""Two web machines and two worker machines on one database, while one of each is killed; and the ways they stop."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import databases
import pytest
from aiosmtpd.controller import Controller
from factories import Town, settle_town
from flask import Flask
from machines import Answer, Client, Gate, Machine, free_port, until
from sqlalchemy import make_url, select, update
from sqlalchemy.orm import Session

from models import recounting
from models.base import token
from models.catalogue import Severity
from models.outbox import Message, MessageState
from models.promises import Breach, ResponseTarget
from models.recounting import progress_of
from models.schedules import calendar_of, change
from models.tickets import Comment, Ticket

_server = databases.server()
pytestmark = pytest.mark.skipif(
    _server is None or _server.get_backend_name() != "postgresql",
    reason="several machines share a database server: name a PostgreSQL in DATABASE_URL",
)
OWNER = "owner@lumen.example"
CLIENTS, ROUNDS = 4, 10


class Post:
    """The mail server: takes every letter, slowly enough for a worker to be killed while it hands one over."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.kept.append(message_from_bytes(envelope.content)["Message-ID"])
        time.sleep(0.02)  # noqa: ASYNC251 (one letter after the other is what it is for)
        return "250 OK"


@dataclass
class Floor:
    """A database of its own with the town in it, and the machines that were started on it."""

    town: Town
    post: Post
    folder: Path
    settings: dict[str, str]
    machines: list[Machine] = field(default_factory=list)

    def start(self, command: str, **settings: str) -> Machine:
        folder = self.folder / f"{command}{len(self.machines)}"
        machine = Machine(folder, command, **self.settings | settings).start()
        self.machines.append(machine)
        return machine

    def webs(self, number: int, **settings: str) -> list[Machine]:
        """Start so many web machines at the same moment, and return them when all are ready."""
        webs = [self.start("web", **settings) for _ in range(number)]
        for web in webs:
            until(web.ready, 30, f"{web.log} says ready")
        return webs


@pytest.fixture
def floor(app: Flask, tmp_path: Path) -> Iterator[Floor]:
    url, post = databases.own_url("machines"), Post()
    engine = databases.open_engine(url)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        controller = Controller(post, hostname="127.0.0.1", port=free_port())
        controller.start()
        stack.callback(controller.stop)
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(controller.port), "SMTP_SECURITY": "none"}
        made = Floor(Town(engine), post, tmp_path, {"DATABASE_URL": url} | mail)
        yield made
        for machine in made.machines:
            if machine.process is not None and machine.process.poll() is None:
                machine.kill()


def fill(floor: Floor) -> None:
    with Session(floor.town.engine) as session:
        settle_town(session)
        session.commit()


@dataclass
class Sent:
    """What customers sent to the machines, and which of it was acknowledged."""

    webs: list[Machine]
    ticket: str
    filed: list[str] = field(default_factory=list)
    replied: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)

    def work(self, customer: Client, number: int) -> None:
        """File and reply, each through the machine whose turn it is."""
        for r in range(ROUNDS):
            self._send(customer, f"Filed {number}-{r}", number + r)
            self._send(customer, f"Replied {number}-{r}", number + r)

    def _send(self, customer: Client, mark: str, first: int) -> None:
        key, filing = token(), mark.startswith("Filed")
        for turn in range(first, first + 60):
            mine = customer.at(self.webs[turn % len(self.webs)])
            answer = mine.file(mark, key) if filing else mine.reply(self.ticket, mark, key)
            if answer.status == 303:
                (self.filed if filing else self.replied).append(mark)
                return
            # As a person would: what was not acknowledged is sent again, by the same form.
            assert answer.status in {0, -1, 409, 503}, answer
            self.retried.append(mark)
            time.sleep(0.1)


def test_nothing_that_was_acknowledged_is_lost_or_doubled_when_machines_die(floor: Floor) -> None:
    began = time.monotonic()
    # Both find the database empty: one of them makes the tables, the other waits for it.
    webs, workers = floor.webs(2), [floor.start("worker") for _ in range(2)]
    fill(floor)
    customer = Client(webs[0])
    assert customer.sign_in(OWNER).status == 303
    assert "<h1>Requests</h1>" in customer.at(webs[1]).get("/requests").text
    first = customer.file("The one that all reply to", token())
    assert first.status == 303, first
    ticket = first.headers["Location"].rpartition("/")[2].partition("?")[0]

    sent = Sent(webs, ticket)
    threads = [threading.Thread(target=sent.work, args=(customer, number)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    until(
        lambda: len(sent.filed) + len(sent.replied) >= CLIENTS * 3 and len(floor.post.kept) >= 3,
        20,
        "the first requests",
    )
    webs[1].kill()
    workers[1].kill()
    time.sleep(0.5)
    webs[1].start()
    workers[1].start()
    for thread in threads:
        thread.join(40)

    everything = sorted(f"{c}-{r}" for c in range(CLIENTS) for r in range(ROUNDS))
    assert sorted(mark.split()[1] for mark in sent.filed) == everything
    assert sorted(mark.split()[1] for mark in sent.replied) == everything
    assert sent.retried, "the kill was not noticed by anybody"
    found = Counter(floor.town.scalars(select(Ticket.summary).where(Ticket.summary.startswith("Filed "))))
    assert found == Counter(sent.filed)
    found = Counter(floor.town.scalars(select(Comment.source).where(Comment.source.startswith("Replied "))))
    assert found == Counter(sent.replied)
    keys = floor.town.scalars(select(Ticket.key))
    assert len(keys) == len(set(keys)) == 1 + CLIENTS * ROUNDS

    # What the killed worker had in hand is another's when its lease has run out, which is moved up here.
    with floor.town.open() as session:
        session.execute(update(Message).where(Message.lease.is_not(None)).values(leased_until=Message.created_at))
    until(lambda: set(floor.town.scalars(select(Message.state))) == {MessageState.SENT}, 30, "every letter is sent")
    names = set(floor.town.scalars(select(Message.public_id)))
    letters = Counter(name.strip("<>").partition("@")[0] for name in floor.post.kept)
    assert {name for name in names if not any(name in letter for letter in letters)} == set()
    assert sum(letters.values()) - len(letters) <= 1, "one worker was killed once"
    assert time.monotonic() - began < 60


def test_wrong_passwords_count_together_wherever_they_are_tried(floor: Floor) -> None:
    webs = floor.webs(2)
    fill(floor)
    tries = [Client(webs[number % 2]).sign_in(OWNER, "wrong-password").status for number in range(12)]
    assert tries == [422] * 10 + [429] * 2


def test_a_machine_with_another_secret_does_not_start(floor: Floor) -> None:
    web = floor.webs(1)[0]
    for command in ("web", "worker"):
        other = floor.start(command, SECRET_KEY="another-secret-" * 3)
        assert other.process is not None
        assert other.process.wait(20) == 1
        assert other.log.read_text().startswith("SECRET_KEY: "), other.log.read_text()
    assert web.stop() == 0
    changed = floor.start("new-secret", SECRET_KEY="another-secret-" * 3)
    assert changed.process is not None
    assert changed.process.wait(20) == 0
    until(floor.start("web", SECRET_KEY="another-secret-" * 3).ready, 20, "the machine with the new secret")
    assert floor.start("web").process.wait(20) == 1  # type: ignore[union-attr]


@dataclass
class Balancer:
    """Leads customers to the machines that are ready, and looks twice a second which those are, as all of them do."""

    floor: Floor
    standing: list[Machine]
    answers: list[Answer] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        while not self.done.wait(0.5):
            self.standing = [one for one in self.floor.machines if Client(one).get("/readyz").status == 200]

    def ask(self, customer: Client, number: int) -> None:
        for r in itertools.count():
            if self.done.wait(0.1):
                return
            standing = self.standing
            mine = customer.at(standing[r % len(standing)])
            self.answers.append(mine.file(f"Kept {number}-{r}", token()) if r % 2 else mine.get("/requests"))


def test_no_request_fails_while_a_machine_is_drained_and_another_takes_over(floor: Floor) -> None:
    old = floor.webs(1, DRAIN_SECONDS="2")[0]
    fill(floor)
    customer = Client(old)
    assert customer.sign_in(OWNER).status == 303
    balancer = Balancer(floor, [old])
    asking = [threading.Thread(target=balancer.ask, args=(customer, number)) for number in range(3)]
    threads = [threading.Thread(target=balancer.look), *asking]
    for thread in threads:
        thread.start()
    time.sleep(1)
    new = floor.webs(1)[0]
    until(lambda: new in balancer.standing, 5, "the new machine is in use")
    assert old.stop() == 0
    after = len(balancer.answers)
    until(lambda: len(balancer.answers) > after + 10, 10, "the new machine answers")
    balancer.done.set()
    for thread in threads:
        thread.join(20)
    assert balancer.standing == [new]
    statuses = Counter(answer.status for answer in balancer.answers)
    assert set(statuses) == {200, 303}, statuses
    filed = floor.town.scalars(select(Ticket.summary).where(Ticket.summary.startswith("Kept ")))
    assert len(filed) == len(set(filed)) == statuses[303]


def test_what_a_machine_works_on_when_it_is_told_to_stop_is_answered(floor: Floor) -> None:
    own = make_url(floor.settings["DATABASE_URL"])
    gate = Gate(own.port or 5432)
    through = own.set(host="127.0.0.1", port=gate.port).render_as_string(hide_password=False)
    web = floor.webs(1, DATABASE_URL=through)[0]
    fill(floor)
    customer = Client(web)
    assert customer.sign_in(OWNER).status == 303
    gate.freeze()
    with ThreadPoolExecutor() as crowd:
        waiting = [crowd.submit(customer.file, f"Last {number}", token()) for number in range(3)]
        time.sleep(1)
        ending = crowd.submit(web.stop)
        time.sleep(2)
        gate.open()
        assert [one.result().status for one in waiting] == [303] * 3
        assert ending.result() == 0
    assert floor.town.count(Ticket, Ticket.summary.startswith("Last ")) == 3
    gate.refuse()


def test_a_worker_that_is_stopped_finishes_the_letter_in_its_hands(floor: Floor) -> None:
    web, worker = floor.webs(1)[0], floor.start("worker")
    fill(floor)
    customer = Client(web)
    assert customer.sign_in(OWNER).status == 303
    for number in range(30):
        assert customer.file(f"Told {number}", token()).status == 303
    until(lambda: len(floor.post.kept) >= 3, 15, "the first letters")
    assert worker.stop() == 0
    assert floor.town.count(Message, Message.lease.is_not(None)) == 0
    assert floor.town.count(Message, Message.state == MessageState.SENT) == len(floor.post.kept)


def test_a_count_after_a_change_of_hours_goes_on_when_its_worker_is_killed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every due time is right in the end, whoever of two workers died, and no promise is counted twice."""
    monkeypatch.setattr(recounting, "AT_ONCE", 0)
    floor.webs(1)
    fill(floor)
    town, at = floor.town, datetime(2027, 3, 1, 10, tzinfo=UTC)
    town.copies(town.file(OWNER, severity=Severity.S2, at=at), 5999)
    with town.open() as session:
        week: list[Any] = [[["09:00", "13:00"]]] * 5 + [[], []]
        admin = town._person(session, "admin@support.example")
        change(calendar_of(session, 1), admin, "Changed", "UTC", week, now=at + timedelta(hours=2))

    def done() -> int:
        with town.open() as session:
            return progress_of(calendar_of(session, 1)).done

    first, second = (floor.start("worker") for _ in range(2))
    until(lambda: done() > 0, 60, "a worker counts")
    first.kill()
    assert done() < 6000, "it was killed in the middle"
    until(lambda: done() == 6000, 60, "the other one goes on")
    assert second.process is not None
    assert second.process.poll() is None
    # Two of eight hours were counted, one is left of Monday, four of Tuesday, one of Wednesday.
    assert set(town.scalars(select(ResponseTarget.due_at))) == {datetime(2027, 3, 3, 10, tzinfo=UTC)}
    assert set(town.scalars(select(Ticket.due_at))) == {datetime(2027, 3, 3, 10, tzinfo=UTC)}
    assert town.count(Breach) == 0
