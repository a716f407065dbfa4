"""After everything that can be done with a card: its number and its code stand nowhere."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from threading import Event as Gate

import pytest
from conftest import SignIn
from everything import cells, traces
from factories import AURORA, Town, now
from flask import Flask
from sqlalchemy import Engine, create_engine
from time_machine import travel

import worker
from extensions import outside
from gateways.payments_sandbox import CARDS

TYPING = f"/console/{AURORA}/upgrade/enterprise/card"
# Valid check digits, and on nobody's list of test cards.
REAL = ("4532015112830366", "6011514433546201", "371449635398431")
CODES = {True: "9137", False: "913"}
# The page itself prints one published number as an example.
PRINTED = "4242424242424242"


def code_of(number: str) -> str:
    return CODES[number.startswith(("34", "37"))]


def test_no_number_and_no_code_stand_anywhere(
    app: Flask, engine: Engine, town: Town, sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    served: list[str] = []
    numbers = [*CARDS, *REAL, "4242424242424241"]
    for number in numbers:
        for path in (TYPING, f"/console/{AURORA}/cards/new"):
            # The last round has ended the sign-in.
            browser = sign_in("owner@aurora.example")
            form, _ = browser.get(path, status=None).find(path)
            typed = {"card_number": " ".join(re.findall("....?", number)), "card_expiry": "04/31", "holder": "Maya"}
            hidden = {name: form.value_of(name) for name in ("key", "quote", "csrf_token") if form.has(name)}
            sent = hidden | typed | {"card_code": code_of(number)}
            # A page that is refused, one that expired, one of a database in trouble, and one that goes through.
            served.append(browser.post(path, sent | {"card_expiry": "13/31"}).html)
            served.append(browser.post(path, sent | {"csrf_token": "stale"}).html)
            answer = browser.post(path, sent)
            served.append(answer.html if answer.status != 303 else browser.get(answer.headers["Location"]).html)
            with travel(now() + timedelta(days=3), tick=False):
                browser.post(path, sent)
            with town.open() as session:
                session.execute(_back_to_basic())
    with app.app_context():
        worker.collect(Gate())
        while worker.deliver_one():
            pass
    browser = sign_in("owner@aurora.example")
    for path in ("support", "cards", "invoices", "history"):
        served.append(browser.get(f"/console/{AURORA}/{path}").html)

    data = outside().settings.data
    sandbox = outside().sandbox
    assert sandbox is not None
    till = create_engine(f"sqlite:///{sandbox.path}")
    values = [*cells(engine), *cells(till)]
    till.dispose()
    assert len(values) > 1000
    written = "\n".join(values) + caplog.text
    letters = list((data / "mail").glob("*.eml"))
    assert letters
    written += "\n".join(path.read_bytes().decode("utf-8", "replace") for path in letters)
    kept = "\n".join(path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file())
    pages = "\n".join(served)
    for number in numbers:
        assert not traces(written, number), f"{number} was written"
        assert not traces(kept, number), f"{number} is in a file"
        shown = [
            one for one in traces(pages, number) if number != PRINTED or ("such as" not in one and "example" not in one)
        ]
        assert not shown, f"{number} was shown: {shown[:2]}"
    assert not set(CODES.values()) & set(values), "a security code was written"
    assert not re.search(r'value="9137?"', pages), "a security code was given back"


def _back_to_basic() -> object:
    from sqlalchemy import update

    from models.organizations import Organization

    return update(Organization).where(Organization.slug == AURORA).values(plan="basic")
