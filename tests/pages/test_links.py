"""One-time links: a forgotten password, and the first administrator of an installation."""

from __future__ import annotations

import threading
from datetime import timedelta

import time_machine
from conftest import SignIn
from factories import Town, now
from flask import Flask
from page import Browser
from sqlalchemy import select

from models.entrance import ask_reset, make_link
from models.outbox import Letter, Message
from models.people import Person, person_by_email
from models.permissions import Role

EMAIL = "owner@lumen.example"
FRESH = "four green horses jump"


def link_of(town: Town) -> str:
    (letter,) = town.scalars(select(Message).where(Message.kind == Letter.SIGN_IN_RESET))
    return f"/reset-password/{letter.data['token']}"


def test_a_forgotten_password_is_set_anew_by_a_link_whose_secret_leaves_the_address(
    town: Town, client: Browser, sign_in: SignIn
) -> None:
    elsewhere = sign_in(EMAIL)
    client.get("/reset-password")
    client.submit("/reset-password", email=EMAIL)
    link = link_of(town)
    page = client.get(link)
    assert page.path == "/reset-password/new"
    assert link.rsplit("/", 1)[1] not in page.html
    assert client.submit("/reset-password/new", password="short", status=422).errors
    assert client.submit("/reset-password/new", password=FRESH).h1 == "Sign in"
    assert elsewhere.get("/profile", follow=False, status=303)
    assert Browser(client.app).get(link, status=422).h1 == "This link no longer works"
    client.get("/sign-in")
    assert client.submit("/sign-in", email=EMAIL, password=FRESH).h1 == "Support"


def test_nobody_learns_which_addresses_have_an_account(town: Town, app: Flask) -> None:
    pages = []
    for email in (EMAIL, "stranger@x.example"):
        browser = Browser(app)
        browser.get("/reset-password")
        pages.append(browser.submit("/reset-password", email=email))
    assert pages[0].main == pages[1].main
    assert pages[0].hops == pages[1].hops
    assert town.count(Message) == 1


def test_a_link_lives_an_hour_and_the_newest_alone(town: Town, app: Flask) -> None:
    with town.open() as session:
        old = make_link(session, person_by_email(session, EMAIL), now=now(), life=timedelta(hours=1))
        ask_reset(session, EMAIL, now=now())
    assert Browser(app).get(f"/reset-password/{old}", status=422)
    assert Browser(app).get(link_of(town)).h1 == "Choose a new password"
    with time_machine.travel(now() + timedelta(minutes=61), tick=False):
        assert Browser(app).get(link_of(town), status=422)


def test_too_many_links_are_refused_with_the_time_to_wait(town: Town, client: Browser) -> None:
    for _ in range(3):
        client.get("/reset-password")
        client.submit("/reset-password", email=EMAIL)
    client.get("/reset-password")
    page = client.submit("/reset-password", email=EMAIL, status=429)
    assert 0 < int(page.headers["Retry-After"]) <= 901
    assert town.count(Message) == 3


def set_up_link(town: Town) -> str:
    with town.open() as session:
        return f"/setup/{make_link(session, None, now=now(), life=timedelta(hours=24))}"


def test_the_first_administrator_comes_by_a_link_and_then_there_is_no_such_page(empty: Town, client: Browser) -> None:
    link = set_up_link(empty)
    assert client.get("/setup", status=404)
    assert client.get(link).path == "/setup"
    given = {"name": "Ada", "email": "ada@support.example"}
    assert client.submit("/setup", **given, password="short", status=422).forms[0].value_of("name") == "Ada"
    client.submit("/setup", name="Ada", email="no address", password=FRESH, status=422)
    assert client.submit("/setup", **given, password=FRESH).h1 == "Administration"
    for path in ("/setup", link, set_up_link(empty)):
        assert client.get(path, status=404)
        assert Browser(client.app).get(path, status=404)
    assert client.post("/setup", given | {"password": FRESH}).status == 404
    assert empty.count(Person) == 1


def test_the_link_for_setting_up_is_good_for_a_day(empty: Town, client: Browser) -> None:
    link = set_up_link(empty)
    with time_machine.travel(now() + timedelta(hours=25), tick=False):
        assert client.get(link, status=404)


def test_of_ten_who_set_up_at_once_one_becomes_administrator(empty: Town, app: Flask) -> None:
    link, browsers, answers = set_up_link(empty), [Browser(app) for _ in range(10)], list[int]()
    for browser in browsers:
        browser.get(link)

    def send(number: int) -> None:
        given = {"name": f"Ada {number}", "email": f"ada{number}@x.example", "password": FRESH}
        answers.append(browsers[number].post("/setup", given, check=False).status)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [404] * 9
    assert empty.count(Person, Person.staff_role == Role.ADMINISTRATOR) == 1
