"""Webhooks that leave: signed as Standard Webhooks says, retried, given up, and never sent inside a private network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from factories import Town
from receiver import Receiver
from sqlalchemy import select
from sqlalchemy.orm import Session

from gateways import webhooks
from gateways.webhooks import Webhooks, WebhookSender, is_public, key_of
from models.hooks import Hook, Topic, deliver_hook, queue_hook
from models.outside import HookSender, TryLater, Undeliverable

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
START = datetime(2026, 11, 23, 20, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    there = Receiver()
    yield there
    there.server.shutdown()
    there.server.server_close()


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


def sender(receiver: Receiver) -> HookSender:
    there = senders(receiver).standing
    assert there is not None
    return there


def senders(receiver: Receiver) -> Webhooks:
    return Webhooks("k" * 40, receiver.url, SECRET, private=True)


def test_it_is_signed_so_that_the_receiver_can_check_it(receiver: Receiver) -> None:
    sender(receiver).send("msg_1", b'{"type": "x"}', START)
    ((headers, body),) = receiver.heard
    assert body == b'{"type": "x"}'
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", str(int(START.timestamp())))
    signed = b"msg_1." + headers["webhook-timestamp"].encode() + b"." + body
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "trouble"), [(500, TryLater), (302, TryLater), (404, TryLater), (410, Undeliverable)]
)
def test_what_is_no_success_is_told_apart(receiver: Receiver, status: int, trouble: type[Exception]) -> None:
    receiver.answers = [status]
    with pytest.raises(trouble, match=str(status)):
        sender(receiver).send("msg_1", b"{}", START)
    assert len(receiver.heard) == 1, "a redirect is not followed"


def test_nobody_there_means_later() -> None:
    with pytest.raises(TryLater):
        WebhookSender("http://127.0.0.1:9/", SECRET, private=True).send("msg_1", b"{}", START)


def test_a_private_address_is_never_sent_to(receiver: Receiver) -> None:
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(Undeliverable, match="private network"):
            WebhookSender(url, SECRET).send("msg_1", b"{}", START)
    assert receiver.heard == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "::1", "fe80::1",
     "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "224.0.0.1", "ff02::1", "fe80::1%eth0", "::",
     "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "::7f00:1", "fec0::1"],
)  # fmt: skip
def test_what_is_private(address: str) -> None:
    assert not is_public(address)


def test_what_is_public() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")
    assert is_public("::ffff:93.184.216.34")
    assert is_public("64:ff9b::5db8:d822")


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_short", "whsec_%%%", "other_" + "QUFB" * 10])
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        key_of(secret)


def queue(town: Town, clock: Clock, give_up: timedelta = timedelta(days=1)) -> None:
    with town.open() as session:
        queue_hook(session, Topic.ON_CALL, "test", {"word": "Zürich"}, give_up_at=clock.at + give_up, now=clock.at)


def work(town: Town, receiver: Receiver, clock: Clock) -> int:
    return deliver_hook(lambda: Session(town.engine), senders(receiver), clock)


def test_it_is_tried_again_after_growing_gaps_and_kept_as_a_log(town: Town, receiver: Receiver) -> None:
    clock = Clock()
    queue(town, clock)
    receiver.answers = [500, 503]
    assert work(town, receiver, clock) == 1
    assert work(town, receiver, clock) == 0
    clock.at += timedelta(seconds=5)
    assert work(town, receiver, clock) == 1
    clock.at += timedelta(seconds=29)
    assert work(town, receiver, clock) == 0
    clock.at += timedelta(seconds=1)
    assert work(town, receiver, clock) == 1
    (hook,) = town.scalars(select(Hook))
    assert (hook.attempts, hook.delivered_at, hook.next_at, hook.last_error) == (3, clock.at, None, None)
    assert {headers["webhook-id"] for headers, _ in receiver.heard} == {hook.public_id}
    assert "Zürich".encode() in receiver.heard[0][1]


def test_it_is_given_up_when_its_time_is_over_or_nobody_wants_it(town: Town, receiver: Receiver) -> None:
    clock = Clock()
    queue(town, clock, give_up=timedelta(seconds=3))
    receiver.answers = [500]
    work(town, receiver, clock)
    queue(town, clock)
    receiver.answers = [410]
    work(town, receiver, clock)
    queue(town, clock, give_up=timedelta(minutes=1))
    clock.at += timedelta(hours=1)
    work(town, receiver, clock)
    hooks = town.scalars(select(Hook).order_by(Hook.id))
    assert [(hook.next_at, hook.delivered_at) for hook in hooks] == [(None, None)] * 3
    assert ["500" in (hooks[0].last_error or ""), "410" in (hooks[1].last_error or "")] == [True, True]
    assert "time was over" in (hooks[2].last_error or "")
    assert len(receiver.heard) == 2


def test_two_workers_send_one_once(town: Town, receiver: Receiver) -> None:
    clock = Clock()
    queue(town, clock)
    start, done = threading.Barrier(2), []

    def run() -> None:
        start.wait()
        done.append(work(town, receiver, clock))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(done), len(receiver.heard)) == ([0, 1], 1)


def test_a_worker_that_died_leaves_it_to_the_next(town: Town, receiver: Receiver) -> None:
    clock = Clock()
    queue(town, clock)
    with town.open() as session:
        (hook,) = session.scalars(select(Hook))
        hook.lease, hook.leased_until = "gone", clock.at + timedelta(minutes=2)
    assert work(town, receiver, clock) == 0
    clock.at += timedelta(minutes=3)
    assert work(town, receiver, clock) == 1


def test_a_receiver_that_answers_byte_by_byte_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            conversation, _ = server.accept()
            with conversation, suppress(OSError):
                for _ in range(100):
                    conversation.sendall(b"H")
                    time.sleep(0.2)

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(TryLater):
            WebhookSender(url, SECRET, private=True).send("msg_1", b"{}", START)
        dripping.join(5)
        assert not dripping.is_alive(), "the conversation goes on"
