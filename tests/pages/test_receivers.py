"""Receivers of webhooks: named, checked, told of leads with a signature, and each delivery to be read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from conftest import SignIn
from factories import AURORA, Town
from page import Browser, Page
from receiver import Receiver
from sqlalchemy import select
from sqlalchemy.orm import Session

import extensions
from gateways.webhooks import Webhooks
from models import selling
from models.events import Event, EventKind
from models.hooks import BOTH_FOR, GAPS, TRIED_FOR, Endpoint, Hook, deliver_hook
from models.leads import Stage

PAGE = "/admin/webhooks"
GIVEN = {"url": "https://crm.example.com/leads", "topics": ["leads"]}
Deliver = Callable[[], int]


@pytest.fixture
def leads_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that says to which address every name leads."""

    def say(address: str) -> None:
        def found(_host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    say("203.0.112.9")
    return say


@pytest.fixture
def administrator(town: Town, sign_in: SignIn, leads_to: Callable[[str], None]) -> Browser:
    browser = sign_in("admin@support.example")
    browser.get(PAGE)
    return browser


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    there = Receiver()
    yield there
    there.server.shutdown()
    there.server.server_close()


@pytest.fixture
def named(administrator: Browser, town: Town, receiver: Receiver, leads_to: Callable[[str], None]) -> Browser:
    """An administrator who has named a receiver, which is the one on this machine."""
    administrator.submit(PAGE, **GIVEN)
    with town.open() as session:
        session.scalars(select(Endpoint)).one().url = receiver.url
    leads_to("127.0.0.1")
    return administrator


@pytest.fixture
def deliver(town: Town) -> Iterator[Deliver]:
    before = extensions._outside[:]
    key = str(before[0].settings.secret_key)
    extensions._outside[:] = [replace(before[0], hooks=Webhooks(key, private=True))]
    yield lambda: deliver_hook(lambda: Session(town.engine), extensions.outside().hooks, extensions.clock)
    extensions._outside[:] = before


def one(town: Town) -> str:
    """The address of the one receiver's page."""
    return f"{PAGE}/{town.scalars(select(Endpoint.id))[0]}"


def test_a_lead_reaches_the_receiver_signed_with_its_own_secret(
    named: Browser, town: Town, receiver: Receiver, deliver: Deliver
) -> None:
    key = town.enquire("owner@aurora.example", AURORA)
    town.sell(key, selling.set_stage, Stage.CONTACTED)
    assert [deliver(), deliver(), deliver()] == [1, 1, 0]
    bodies = [json.loads(body) for _, body in receiver.heard]
    assert [(body["type"], body["data"]["key"], body["data"]["stage"]) for body in bodies] == [
        ("lead.received", key, "new"),
        ("lead.stage", key, "contacted"),
    ]
    assert bodies[0]["data"]["organization"] == AURORA
    page = named.get(one(town))
    (secret,) = [page.words(e) for e in page.all("code") if page.words(e).startswith("whsec_")]
    headers, body = receiver.heard[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    made = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(made).decode()}"
    assert page.main.count("Delivered") == 2
    # The secret stands in no row.
    with town.open() as session:
        assert secret not in str([vars(row) for row in session.scalars(select(Endpoint))])


def secret_on(page: Page) -> str:
    return next(page.words(e) for e in page.all("code") if page.words(e).startswith("whsec_"))


def signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    made = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def test_a_new_secret_signs_beside_the_old_one_for_a_day(
    named: Browser, town: Town, receiver: Receiver, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one(town)
    old = secret_on(named.get(path))
    new = secret_on(named.submit(f"{path}/secret"))
    assert old != new
    named.submit(f"{path}/test")
    assert deliver() == 1
    headers, body = receiver.heard[0]
    assert headers["webhook-signature"].split() == [signature(new, headers, body), signature(old, headers, body)]
    assert "within a day" in named.submit(f"{path}/secret").at("flash")
    assert secret_on(named.get(path)) == new
    named.submit(f"{path}/test")
    real = extensions.clock.now
    monkeypatch.setattr(extensions.clock, "now", lambda: real() + BOTH_FOR)
    assert deliver() == 1
    headers, body = receiver.heard[1]
    assert headers["webhook-signature"] == signature(new, headers, body)


def test_what_fails_is_shown_tried_again_and_sent_once_more_under_its_id(
    named: Browser, town: Town, receiver: Receiver, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [500, 410]
    named.submit(f"{one(town)}/test")
    assert deliver() == 1
    page = named.get(one(town))
    assert "The receiver answers 500." in page.main
    assert "Tried again" in page.main
    again = next((f.action for f in page.forms if f.action.endswith("/again")), None)
    assert again is None
    real = extensions.clock.now
    monkeypatch.setattr(extensions.clock, "now", lambda: real() + GAPS[0] * 2)
    assert deliver() == 1
    page = named.get(one(town))
    assert "Given up" in page.main
    named.submit(next(f.action for f in page.forms if f.action.endswith("/again")))
    assert deliver() == 1
    assert "Delivered" in named.get(one(town)).main
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
    (hook,) = town.scalars(select(Hook))
    assert hook.give_up_at - hook.created_at > TRIED_FOR


def test_a_removed_receiver_is_told_nothing_more(
    named: Browser, town: Town, receiver: Receiver, deliver: Deliver
) -> None:
    town.enquire("owner@aurora.example", AURORA)
    path = one(town)
    named.get(path)
    page = named.submit(f"{path}/remove")
    assert "Nobody is told yet" in page.main
    assert deliver() == 0
    assert receiver.heard == []
    assert [hook.last_error for hook in town.scalars(select(Hook))] == ["The receiver was removed."]
    assert named.get(path, status=404)
    wanted = [EventKind.HOOK_ADDED, EventKind.HOOK_REMOVED]
    assert [event.kind for event in town.scalars(select(Event).where(Event.kind.in_(wanted)))] == wanted


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"url": "http://crm.example.com/"}, "Use an https address, such as https://alerts.example.com/support."),
        ({"url": "https://127.0.0.1/"}, "Use a public address: one inside a private network is never sent to."),
        ({"url": "https://[::1]/"}, "Use a public address: one inside a private network is never sent to."),
        ({"url": "https://localhost/"}, "Use a public address: one inside a private network is never sent to."),
        ({"url": ""}, "Enter the https address that receives webhooks."),
        ({"topics": []}, "Choose what it is told of."),
        ({"topics": ["everything"]}, "Choose what it is told of."),
    ],
)
def test_what_cannot_be_is_said_and_keeps_the_rest(
    administrator: Browser, town: Town, given: dict[str, str], error: str
) -> None:
    answer = administrator.post(PAGE, {"key": "k" * 20} | GIVEN | given)
    assert (answer.status, answer.errors) == (422, [error])
    assert town.count(Endpoint) == 0


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.0.1", "::1"])
def test_a_name_that_leads_inside_is_refused_at_save(
    administrator: Browser, town: Town, leads_to: Callable[[str], None], address: str
) -> None:
    leads_to(address)
    page = administrator.submit(PAGE, **GIVEN, status=422)
    assert page.errors == ["Use a public address: this name leads into a private network, where nothing is sent."]
    assert town.count(Endpoint) == 0


def test_a_name_that_leads_inside_later_is_refused_at_send(
    administrator: Browser, town: Town, leads_to: Callable[[str], None]
) -> None:
    administrator.submit(PAGE, **GIVEN)
    administrator.submit(f"{one(town)}/test")
    leads_to("10.0.0.7")
    deliver_hook(lambda: Session(town.engine), extensions.outside().hooks, extensions.clock)
    assert "inside a private network" in administrator.get(one(town)).main


def test_sent_twice_a_receiver_is_named_once(administrator: Browser, town: Town) -> None:
    form, button = administrator.get(PAGE).find(PAGE)
    entries = form.entries(button, GIVEN)
    first, second = (administrator.post(PAGE, entries, token="") for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert town.count(Endpoint) == 1
