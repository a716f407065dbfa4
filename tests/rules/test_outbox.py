"""The outbox: at least once, in order, with growing gaps, and never held up by one dead recipient."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import databases
import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from gateways.smtp import SmtpMailer
from models.base import Refused
from models.outbox import GIVE_UP_AFTER, LEASE, Letter, Message, MessageState, deliver_due, queue, undelivered
from models.outside import TryLater, Undeliverable

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Sessions = Callable[[], Session]


@dataclass
class Hands:
    """A clock that stands still, and a mailer that does what it is told for each recipient."""

    time: datetime = START
    trouble: dict[str, Exception] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self.time

    def send(self, letter: EmailMessage) -> None:
        self.tried.append(letter["To"])
        self.during()
        if trouble := self.trouble.get(letter["To"]):
            raise trouble
        self.sent.append(letter["To"])


@dataclass
class Someone:
    email: str
    name: str = "Ann"
    id: int | None = None


def write(message: Message, session: Session) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = "support@help.example"
    letter["To"] = message.recipient
    letter["Message-ID"] = f"<{message.public_id}@help.example>"
    letter.set_content("Hello")
    return letter


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    engine = databases.spare(tmp_path / "box.sqlite")
    yield sessionmaker(engine)
    engine.dispose()


@pytest.fixture
def hands() -> Hands:
    return Hands()


def post(sessions: Sessions, *addresses: str, now: datetime = START, letter: Letter = Letter.TICKET_FILED) -> None:
    for number, address in enumerate(addresses):
        with sessions() as session:
            queue(
                session, letter, to=Someone(address), now=now + timedelta(milliseconds=number), token="s3cret", key="T"
            )
            session.commit()


def only(sessions: Sessions) -> Message:
    with sessions() as session:
        return session.scalars(select(Message)).one()


def test_a_message_that_is_rolled_back_with_its_cause_is_never_sent(sessions: Sessions, hands: Hands) -> None:
    with sessions() as session:
        queue(session, Letter.TICKET_FILED, to=Someone("a@x.example"), now=START)
        session.rollback()
    assert deliver_due(sessions, hands, write, hands) == 0


def test_a_due_message_is_sent_once_and_its_secret_is_wiped(sessions: Sessions, hands: Hands) -> None:
    post(sessions, "a@x.example", letter=Letter.SIGN_IN_RESET)
    assert only(sessions).data == {"token": "s3cret", "key": "T"}
    assert deliver_due(sessions, hands, write, hands) == 1
    assert deliver_due(sessions, hands, write, hands) == 0
    message = only(sessions)
    assert (message.state, message.sent_at, message.attempts) == (MessageState.SENT, START, 1)
    assert message.data == {"key": "T"}
    assert message.lease is None
    assert hands.sent == ["a@x.example"]


def test_a_message_is_not_sent_before_it_is_due(sessions: Sessions, hands: Hands) -> None:
    post(sessions, "a@x.example", now=START + MINUTE)
    assert deliver_due(sessions, hands, write, hands) == 0
    hands.time += MINUTE
    assert deliver_due(sessions, hands, write, hands) == 1


def test_the_longest_due_goes_first_and_no_more_than_the_limit(sessions: Sessions, hands: Hands) -> None:
    hands.time += MINUTE
    post(sessions, "late@x.example", now=START + timedelta(seconds=30))
    post(sessions, "a@x.example", "b@x.example")
    assert deliver_due(sessions, hands, write, hands, limit=2) == 2
    assert hands.sent == ["a@x.example", "b@x.example"]


def test_no_transaction_is_open_while_the_mailer_talks(sessions: Sessions, hands: Hands) -> None:
    hands.time += MINUTE

    def somebody_writes() -> None:
        with sessions() as session:
            if session.get_bind().dialect.name == "sqlite":
                session.connection().exec_driver_sql("PRAGMA busy_timeout=0")
            queue(session, Letter.TICKET_FILED, to=Someone("b@x.example"), now=START + timedelta(hours=1))
            session.commit()

    hands.during = somebody_writes
    post(sessions, "a@x.example")
    deliver_due(sessions, hands, write, hands)
    assert hands.sent == ["a@x.example"]


def test_later_means_growing_gaps_and_the_end_after_five_days(sessions: Sessions, hands: Hands) -> None:
    post(sessions, "a@x.example")
    hands.trouble["a@x.example"] = TryLater("450 4.2.0 Greylisted")
    waits = []
    while only(sessions).state is MessageState.WAITING:
        assert deliver_due(sessions, hands, write, hands) == 1
        assert deliver_due(sessions, hands, write, hands) == 0
        message = only(sessions)
        waits.append((message.next_at - hands.time) // MINUTE)
        hands.time = max(hands.time, message.next_at)
    assert waits[:8] == [1, 2, 5, 15, 30, 60, 60, 60]
    assert set(waits[6:-1]) == {60}
    assert START + GIVE_UP_AFTER <= hands.time < START + GIVE_UP_AFTER + timedelta(hours=1)
    assert (message.state, message.last_error) == (MessageState.UNDELIVERABLE, "450 4.2.0 Greylisted")
    assert message.data == {"key": "T"}


def test_a_greylisted_message_that_is_taken_at_last_is_sent_and_forgets_the_trouble(
    sessions: Sessions, hands: Hands
) -> None:
    post(sessions, "a@x.example")
    hands.trouble["a@x.example"] = TryLater("450 Greylisted")
    deliver_due(sessions, hands, write, hands)
    with sessions() as session:
        assert [message.last_error for message in undelivered(session)] == ["450 Greylisted"]
    hands.trouble.clear()
    hands.time += MINUTE
    deliver_due(sessions, hands, write, hands)
    message = only(sessions)
    assert (message.state, message.last_error, message.attempts) == (MessageState.SENT, None, 2)
    with sessions() as session:
        assert undelivered(session) == []


def test_a_letter_that_expires_is_given_up_when_it_does(sessions: Sessions, hands: Hands) -> None:
    with sessions() as session:
        end = START + 2 * MINUTE
        queue(session, Letter.SIGN_IN_RESET, to=Someone("a@x.example"), now=START, give_up_at=end, token="s3cret")
        session.commit()
    hands.trouble["a@x.example"] = TryLater("421 Busy")
    for _ in range(3):
        deliver_due(sessions, hands, write, hands)
        hands.time += 2 * MINUTE
    assert only(sessions).state is MessageState.UNDELIVERABLE
    assert only(sessions).data == {}


def test_a_refused_recipient_is_never_tried_again_until_staff_say_so(sessions: Sessions, hands: Hands) -> None:
    post(sessions, "a@x.example")
    hands.trouble["a@x.example"] = Undeliverable("550 5.1.1 No such user " + "x" * 600)
    deliver_due(sessions, hands, write, hands)
    hands.time += timedelta(days=30)
    assert deliver_due(sessions, hands, write, hands) == 0
    with sessions() as session:
        [message] = undelivered(session)
        assert message.last_error.startswith("550 5.1.1 No such user")
        assert len(message.last_error) == 500
        message.retry(hands.time)
        session.commit()
    hands.trouble["a@x.example"] = TryLater("450 Greylisted")
    assert deliver_due(sessions, hands, write, hands) == 1
    assert only(sessions).next_at == hands.time + MINUTE


def test_what_is_sent_and_what_has_lost_its_secret_is_not_sent_again(sessions: Sessions, hands: Hands) -> None:
    post(sessions, "a@x.example", letter=Letter.SIGN_IN_RESET)
    hands.trouble["a@x.example"] = Undeliverable("550 No such user")
    with pytest.raises(Refused, match="on its way"):
        only(sessions).retry(START)
    deliver_due(sessions, hands, write, hands)
    with pytest.raises(Refused, match="request a new one"):
        only(sessions).retry(START)


def test_one_dead_recipient_delays_nobody(sessions: Sessions, hands: Hands) -> None:
    hands.time += MINUTE
    post(sessions, "dead@x.example", "gone@x.example", "a@x.example", "b@x.example")
    hands.trouble |= {"dead@x.example": TryLater("timed out"), "gone@x.example": Undeliverable("550 No such user")}
    assert deliver_due(sessions, hands, write, hands) == 4
    assert hands.sent == ["a@x.example", "b@x.example"]
    assert Counter(hands.tried)["dead@x.example"] == 1


def test_a_letter_that_cannot_be_written_waits_like_any_other(
    sessions: Sessions, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    post(sessions, "a@x.example")

    def stumble(message: Message, session: Session) -> EmailMessage:
        raise KeyError("what a person wrote")

    assert deliver_due(sessions, hands, stumble, hands) == 1
    assert deliver_due(sessions, hands, stumble, hands) == 0
    message = only(sessions)
    assert (message.state, message.next_at) == (MessageState.WAITING, START + MINUTE)
    assert message.last_error == "The letter failed here (KeyError)."
    assert "could not be written" in caplog.text


def test_a_lease_that_ran_out_passes_on_and_the_late_worker_has_no_say(
    sessions: Sessions, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    post(sessions, "a@x.example")
    second = Hands(time=START + LEASE)

    def another_worker() -> None:
        assert deliver_due(sessions, second, write, second) == 0
        second.time += timedelta(seconds=1)
        assert deliver_due(sessions, second, write, second) == 1

    hands.during = another_worker
    hands.trouble["a@x.example"] = Undeliverable("550 No such user")
    deliver_due(sessions, hands, write, hands)
    assert second.sent == ["a@x.example"]
    assert only(sessions).state is MessageState.SENT
    assert "taken over" in caplog.text


def test_two_workers_never_send_one_message_twice(sessions: Sessions) -> None:
    everybody = [f"p{number}@x.example" for number in range(40)]
    post(sessions, *everybody)
    gate, hands_full, known = threading.Barrier(3), threading.Barrier(3), threading.local()

    def meet() -> None:
        # Nobody goes on before each has a message in hand: however busy the machine, they are three at once.
        if not getattr(known, "met", False):
            known.met = True
            hands_full.wait(timeout=30)

    workers = [Hands(time=START + MINUTE, during=meet) for _ in range(3)]

    def work(worker: Hands) -> None:
        gate.wait()
        deliver_due(sessions, worker, write, worker)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(address for worker in workers for address in worker.sent) == sorted(everybody)
    assert all(worker.sent for worker in workers)


class Ahead:
    """The real time and so many seconds more, so that a test need not wait for a lease to end."""

    def __init__(self, seconds: float) -> None:
        self.ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class SlowServer:
    """Takes its time before and after it has a letter."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
        await asyncio.sleep(0.01)
        [line] = [line for line in envelope.content.splitlines() if line.startswith(b"Message-ID:")]
        self.copies[line.decode()] += 1
        await asyncio.sleep(0.02)
        return "250 OK"


def test_a_worker_that_is_killed_loses_nothing_and_repeats_at_most_one_letter(tmp_path: Path) -> None:
    engine = databases.spare(tmp_path / "box.sqlite")
    address = engine.url.render_as_string(hide_password=False)
    sessions = sessionmaker(engine)
    post(sessions, *(f"p{number}@x.example" for number in range(60)), now=datetime.now(UTC))
    server = SlowServer()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free_port = probe.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=free_port)
    controller.start()
    kills = 5
    root = Path(__file__).parents[2]
    try:
        for life in range(kills):
            before = server.copies.total()
            command = [sys.executable, __file__, address, str(controller.port), str(life * 61)]
            with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": f"{root}:{root / 'tests'}"}) as worker:
                waited = time.monotonic() + 10
                while server.copies.total() == before:
                    assert worker.poll() is None, "the worker ended by itself"
                    assert time.monotonic() < waited
                    time.sleep(0.002)
                time.sleep(random.uniform(0, 0.2))
                worker.send_signal(signal.SIGKILL)
        last = Ahead(kills * 61)
        deliver_due(sessions, SmtpMailer("127.0.0.1", controller.port), write, last, limit=100)
    finally:
        controller.stop()
    with sessions() as session:
        assert set(session.scalars(select(Message.state))) == {MessageState.SENT}
        expected = {f"Message-ID: <{name}@help.example>" for name in session.scalars(select(Message.public_id))}
    engine.dispose()
    assert set(server.copies) == expected
    assert server.copies.total() <= 60 + kills
    assert len(expected) == 60


if __name__ == "__main__":
    _script, box, port, ahead = sys.argv
    sessions = sessionmaker(databases.open_engine(box))
    deliver_due(sessions, SmtpMailer("127.0.0.1", int(port)), write, Ahead(float(ahead)), limit=100)
    time.sleep(30)
