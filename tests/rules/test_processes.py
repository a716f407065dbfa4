"""Four processes of the portal on one database: no update is lost, no ticket doubled, no job taken twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import databases
import pytest
from checks import ORIGIN
from conftest import settings_in
from factories import Town, now, settle_town
from flask import Flask
from page import Browser
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import judge, token
from models.events import Event, EventKind
from models.handling import take
from models.outbox import Message, MessageState
from models.people import person_by_email
from models.permissions import Role
from models.tickets import Comment, Ticket, desk_of

PROCESSES, ROUNDS = 4, 12
OWNER, AGENTS = "owner@lumen.example", ("agent@support.example", "agent2@support.example")


@pytest.fixture
def crowd(app: Flask, tmp_path: Path) -> tuple[Town, str]:
    """A database that other processes reach as well, and its address."""
    engine = databases.spare(tmp_path / "crowd.sqlite")
    with Session(engine) as session:
        settle_town(session)
        session.commit()
    return Town(engine), engine.url.render_as_string(hide_password=False)


def together(folder: Path, address: str, work: dict[str, Any]) -> list[dict[str, Any]]:
    """Have four processes of the portal do the work at the same time; return what each of them reports."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'tests'}"}
    given = json.dumps(work | {"address": address, "folder": str(folder)})
    started = [
        subprocess.Popen([sys.executable, __file__, given, str(number)], env=environment, stdout=subprocess.PIPE)
        for number in range(PROCESSES)
    ]
    found = []
    for process in started:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        found.append(json.loads(said))
    return found


def test_nothing_is_lost_doubled_or_taken_twice(crowd: tuple[Town, str], tmp_path: Path) -> None:
    town, address = crowd
    shared, free = town.file(), [town.file(summary=f"Free {number}") for number in range(ROUNDS)]
    work = {"shared": shared, "free": free, "keys": [token() for _ in range(ROUNDS)]}
    reports = together(tmp_path, address, work)
    assert {status for report in reports for status in report["statuses"]} <= {303, 409}, reports

    # Each process has replied in each round to the same ticket: all replies are there, and so is their trace.
    replies = town.scalars(select(Comment.source).where(Comment.source.startswith("Reply ")))
    assert Counter(replies) == Counter(f"Reply {p} {r}" for p in range(PROCESSES) for r in range(ROUNDS))
    told = (Event.kind == EventKind.TICKET_REPLIED) & (Event.ticket_id == town.ticket(shared).id)
    assert town.count(Event, told) == PROCESSES * ROUNDS

    # All have sent the same forms, by the same keys: each is one ticket, and each led everybody to it.
    same = town.scalars(select(Ticket.summary).where(Ticket.summary.startswith("Same ")))
    assert sorted(same) == sorted(f"Same {number}" for number in range(ROUNDS))
    assert town.count(Comment, Comment.form_key.in_(work["keys"])) == ROUNDS
    for number in range(ROUNDS):
        assert len({report["same"][number] for report in reports}) == 1
    keys, numbers = town.scalars(select(Ticket.key)), town.scalars(select(Ticket.id))
    assert len(keys) == len(set(keys)) == 1 + len(free) + ROUNDS

    # Of those who took a free ticket at the same moment, one has it, and is written down once.
    for key in free:
        ticket = town.ticket(key)
        assert town.count(Event, Event.kind == EventKind.TICKET_ASSIGNED, Event.ticket_id == ticket.id) == 1
        winners = [report["agent"] for report in reports if key in report["took"]]
        assert len(winners) >= 1
        assert len(set(winners)) == 1

    # Who asked for the next ticket got one that nobody else got, until none was left.
    given_out = Counter(key for report in reports for key in report["next"])
    assert given_out
    assert set(given_out.values()) == {1}
    assert set(given_out) | {key for report in reports for key in report["took"]} == set(keys)
    once = [town.count(Event, Event.kind == EventKind.TICKET_ASSIGNED, Event.ticket_id == t) for t in numbers]
    assert set(once) == {1}

    # Every letter went out once, whoever took it.
    sent = Counter(name for report in reports for name in report["sent"])
    assert set(sent.values()) == {1}
    assert set(sent) == set(town.scalars(select(Message.public_id)))
    assert set(town.scalars(select(Message.state))) == {MessageState.SENT}


def test_who_waits_for_a_ticket_sees_all_that_the_first_one_wrote(crowd: tuple[Town, str]) -> None:
    town, _ = crowd
    key, near = town.file(), threading.Event()

    def find(session: Session) -> Ticket:
        judge(session, writes=True)
        return desk_of(person_by_email(session, AGENTS[0]), {Role.AGENT}).one_or_404(key)

    def second() -> tuple[str, list[bool]]:
        with Session(town.engine) as session:
            near.set()
            found = find(session)
            return found.assignee.name if found.assignee else "", [t.met_at is not None for t in found.targets]

    with Session(town.engine) as session, ThreadPoolExecutor(1) as other:
        first = find(session)
        waiting = other.submit(second)
        near.wait(10)
        time.sleep(0.3)
        assert not waiting.done()
        agent = person_by_email(session, AGENTS[1])
        take(first, agent, now=now())
        first.targets[-1].met_at = now()
        session.commit()
        assert waiting.result(10) == (agent.name, [True])


def _work(given: dict[str, Any], number: int) -> dict[str, Any]:
    """Do one process's share, through the pages that people use."""
    import extensions
    from app import create_app
    from models import people
    from models.outbox import deliver_due

    folder = Path(given["folder"]) / f"process{number}"
    app = create_app(settings_in(folder, DATABASE_URL=given["address"]))
    with app.app_context():
        engine = extensions.db.engine
    agent = AGENTS[number % 2]

    def browser(email: str) -> Browser:
        with Session(engine) as session:
            person = people.person_by_email(session, email)
            assert person is not None
            secret, whose = people.sign_in(person, device="", address="", now=extensions.clock.now()), person.id
            session.commit()
        signed_in = Browser(app)
        with signed_in.client.session_transaction(base_url=ORIGIN) as cookie:
            cookie.update({"_user_id": secret, "_fresh": True, "was": whose})
        signed_in.get("/shortcuts", check=False)
        return signed_in

    customer, staff = browser(OWNER), browser(agent)
    report: dict[str, Any] = {"statuses": [], "same": [], "took": [], "next": [], "sent": [], "agent": agent}

    def post(who: Browser, path: str, form: dict[str, str]) -> Any:
        answer = who.post(path, form, check=False)
        report["statuses"].append(answer.status)
        return answer

    filing = {
        "organization": "lumen-retail",
        "environment": "Production",
        "description": "All at once",
        "severity": "S3",
        "cluster": "",
        "version": "",
    }
    for r in range(ROUNDS):
        post(customer, f"/requests/{given['shared']}/comments", {"body": f"Reply {number} {r}", "key": token()})
        same = post(customer, "/help/technical/new", filing | {"summary": f"Same {r}", "key": given["keys"][r]})
        report["same"].append(same.headers.get("Location", same.text[:400]))
        if post(staff, f"/desk/{given['free'][r]}/take", {}).status == 303:
            report["took"].append(given["free"][r])

    while (key := post(staff, "/desk/next", {}).headers["Location"].removeprefix("/desk/")).startswith("TECH-"):
        report["next"].append(key)

    class Hands:
        def now(self) -> Any:
            return extensions.clock.now()

        def send(self, letter: Any) -> None:
            report["sent"].append(letter["Message-ID"])

    def write(message: Message, _session: Session) -> dict[str, str]:
        return {"Message-ID": message.public_id}

    hands = Hands()
    while deliver_due(lambda: Session(engine), hands, write, hands):
        pass
    return report


if __name__ == "__main__":
    print(json.dumps(_work(json.loads(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 (read by the test)
