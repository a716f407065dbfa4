"""Signing in, its limits, and the list of one's sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from conftest import SignIn
from factories import Town, now
from flask import Flask
from page import ORIGIN, Browser, Page
from sqlalchemy import select

from models.demo import ACCOUNTS, PASSWORD
from models.outbox import Letter, Message
from models.people import SignIn as SignInRow
from models.people import digest

EMAIL = "owner@lumen.example"
FRESH = "four green horses jump"


def try_in(browser: Browser, email: str, password: str = "wrong password", status: int = 422) -> Page:
    browser.get("/sign-in")
    return browser.submit("/sign-in", email=email, password=password, status=status)


def test_the_sign_in_page_lists_the_demo_accounts_in_a_demo(town: Town, client: Browser) -> None:
    page = client.get("/sign-in")
    for account in ACCOUNTS:
        assert account.email in page.main
    agent = next(form for form in page.forms if form.value_of("email") == "agent@support.example")
    assert client.post("/sign-in", agent.entries(None, {}), token="", follow=True).path == "/desk"


def test_a_real_installation_lists_nobody_and_has_no_mailbox(app_with: Callable[..., Flask]) -> None:
    real = Browser(app_with(DEMO="0"))
    page = real.get("/sign-in")
    assert PASSWORD not in page.html
    assert "@" not in page.main
    assert real.get("/demo/mail", status=404)


@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, "wrong"), ("nobody@x.example", "wrong"), (EMAIL, ""), ("", ""), ("no address", "x")]
)
def test_a_wrong_password_and_an_unknown_address_read_the_same(
    town: Town, client: Browser, email: str, password: str
) -> None:
    page = try_in(client, email, password)
    assert page.title.startswith("Error: Sign in")
    if email and password:
        assert page.errors == ["The email or the password is wrong. Check both, or choose a new password."]
    assert page.forms[0].value_of("email") == email
    assert page.forms[0].value_of("password") == ""
    assert town.count(SignInRow) == 0


def test_case_and_spaces_of_an_address_do_not_matter(town: Town, client: Browser) -> None:
    assert try_in(client, "  OWNER@Lumen.Example ", PASSWORD, status=200).h1 == "Support"


def test_ten_wrong_passwords_in_fifteen_minutes_stop_an_account_until_the_stated_time(
    town: Town, client: Browser
) -> None:
    start = now().replace(second=0, microsecond=0) + timedelta(hours=1)
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(10):
            try_in(client, EMAIL)
        page = try_in(client, EMAIL, PASSWORD, status=429)
        assert int(page.headers["Retry-After"]) in range(895, 902)
        assert f"{start + timedelta(minutes=15):%H:%M}" in page.main
        try_in(client, EMAIL.upper(), PASSWORD, status=429)
        try_in(client, "billing@lumen.example", PASSWORD, status=200)
        clock.shift(timedelta(minutes=15, seconds=1))
        try_in(Browser(client.app), EMAIL, PASSWORD, status=200)


def test_thirty_tries_stop_an_address_whatever_the_accounts(town: Town, client: Browser) -> None:
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        for number in range(30):
            try_in(client, f"guess{number}@x.example")
        assert try_in(client, EMAIL, PASSWORD, status=429).h1 == "Too many tries"


def test_good_sign_ins_do_not_use_up_the_limit(town: Town, app: Flask) -> None:
    for _ in range(35):
        browser = Browser(app)
        browser.get("/sign-in", check=False)
        assert browser.post("/sign-in", {"email": EMAIL, "password": PASSWORD}).status == 303


def test_a_sign_in_makes_a_new_secret_that_only_the_cookie_has(town: Town, client: Browser) -> None:
    client.get("/sign-in")
    with client.client.session_transaction(base_url=ORIGIN) as cookie:
        cookie["_user_id"] = "chosen-by-the-client"
    try_in(client, EMAIL, PASSWORD, status=200)
    with client.client.session_transaction(base_url=ORIGIN) as cookie:
        secret = cookie["_user_id"]
    assert secret != "chosen-by-the-client"
    (row,) = town.scalars(select(SignInRow))
    assert row.token_hash == digest(secret)


def test_an_old_cookie_is_worth_nothing_after_signing_out(town: Town, sign_in: SignIn) -> None:
    browser = sign_in(EMAIL)
    browser.get("/profile")
    cookie = browser.client.get_cookie("help-center")
    assert cookie is not None
    browser.submit("/sign-out")
    browser.client.set_cookie("help-center", cookie.value, domain="localhost")
    assert browser.get("/profile", follow=False, status=303).headers["Location"] == "/sign-in?next=/profile"


@pytest.mark.parametrize(("idle", "status"), [(timedelta(hours=23), 200), (timedelta(hours=25), 303)])
def test_an_unused_sign_in_ends_after_a_day(town: Town, sign_in: SignIn, idle: timedelta, status: int) -> None:
    browser = sign_in(EMAIL)
    browser.get("/profile")
    with time_machine.travel(now() + idle, tick=False):
        assert browser.get("/profile", follow=False, status=status)


def test_a_sign_in_ends_after_two_weeks_however_much_it_is_used(town: Town, sign_in: SignIn) -> None:
    browser, start = sign_in(EMAIL), now()
    for hours in range(0, 14 * 24, 20):
        with time_machine.travel(start + timedelta(hours=hours), tick=False):
            assert browser.get("/shortcuts", follow=False)
    with time_machine.travel(start + timedelta(days=14, minutes=1), tick=False):
        assert browser.get("/shortcuts", follow=False, status=303)


def test_sessions_are_listed_and_ended_one_by_one_or_all_others(town: Town, sign_in: SignIn) -> None:
    here, there, third = sign_in(EMAIL), sign_in(EMAIL), sign_in(EMAIL)
    page = here.get("/profile/sessions")
    ends = [form.action for form in page.forms if form.action.endswith("/end")]
    assert len(ends) == 2
    assert page.main.count("This session") == 1
    here.submit(ends[0])
    alive = [b for b in (there, third) if b.get("/profile", follow=False, status=None).status == 200]
    assert len(alive) == 1
    here.submit("/profile/sessions/end-others")
    assert alive[0].get("/profile", follow=False, status=303)
    assert "End all other sessions" not in here.get("/profile/sessions").main


def test_nobody_ends_the_session_of_another(town: Town, sign_in: SignIn) -> None:
    victim = sign_in(EMAIL)
    (row,) = town.scalars(select(SignInRow))
    assert sign_in("billing@lumen.example").post(f"/profile/sessions/{row.id}/end").status == 404
    assert victim.get("/profile")


def test_a_changed_password_ends_the_other_sessions_and_is_told_by_mail(town: Town, sign_in: SignIn) -> None:
    here, there = sign_in(EMAIL), sign_in(EMAIL)
    here.get("/profile")
    page = here.submit("/profile/password", current_password="wrong", new_password=FRESH, status=422)
    assert page.errors == ["This is not your current password."]
    for weak in ("short", "password1234", "aaaaaaaaaaaa", EMAIL):
        page = here.submit("/profile/password", current_password=PASSWORD, new_password=weak, status=422)
        assert page.errors, weak
    page = here.submit("/profile/password", current_password=PASSWORD, new_password=FRESH)
    assert "Your password is changed" in page.main
    assert there.get("/profile", follow=False, status=303)
    assert [m.kind for m in town.scalars(select(Message))] == [Letter.PASSWORD_CHANGED]
    try_in(Browser(here.app), EMAIL, PASSWORD)
    try_in(Browser(here.app), EMAIL, FRESH, status=200)


def test_guessing_the_current_password_has_the_limit_of_signing_in(town: Town, sign_in: SignIn) -> None:
    browser = sign_in(EMAIL)
    for _ in range(10):
        browser.get("/profile")
        browser.submit("/profile/password", current_password="wrong", new_password=FRESH, status=422)
    browser.get("/profile")
    page = browser.submit("/profile/password", current_password=PASSWORD, new_password=FRESH, status=429)
    assert int(page.headers["Retry-After"]) > 800


def test_the_profile_is_kept_and_nonsense_refused_with_the_words(town: Town, sign_in: SignIn) -> None:
    browser = sign_in(EMAIL)
    browser.get("/profile")
    page = browser.submit(
        "/profile", name="  Zoë <b> ", time_zone="Asia/Tokyo", theme="dark", page_size="10", shortcuts=True
    )
    assert "Your profile is saved" in page.at("flash")
    person = town.person(EMAIL)
    assert (person.name, person.time_zone, person.page_size, person.shortcuts) == ("Zoë <b>", "Asia/Tokyo", 10, True)
    assert page.all("html")[0].get("data-theme") == "dark"
    assert "Asia/Tokyo" in browser.get("/profile/sessions").main
    browser.get("/profile")
    page = browser.submit("/profile", name="n" * 101, status=422)
    assert page.errors == ["Shorten the name to 100 characters."]
    assert page.find("/profile")[0].value_of("name") == "n" * 101
    for part, value in (("time_zone", "Mars/Olympus"), ("theme", "neon"), ("page_size", "1000000"), ("page_size", "x")):
        sent = {"name": "Zoë", "time_zone": "UTC", "theme": "dark", "page_size": "10"} | {part: value}
        assert browser.post("/profile", sent).status == 422, part
    assert town.person(EMAIL).name == "Zoë <b>"
