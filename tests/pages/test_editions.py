"""The plan catalogue in the administration: drafted, changed, compared, tried, published, and read by customers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from conftest import Later, SignIn
from factories import Town, now
from page import Browser
from sqlalchemy import select, update

from models.catalogue import Severity
from models.editions import Edition

ADMIN = "admin@support.example"
LIST = "/admin/catalogue"


@pytest.fixture
def admin(town: Town, sign_in: SignIn) -> Browser:
    assert town
    return sign_in(ADMIN)


def begin(admin: Browser, name: str = "2027-01") -> None:
    admin.get(LIST)
    page = admin.submit(LIST, name=name)
    assert page.h1 == f"Change {name}"


def test_from_a_draft_to_what_customers_read(town: Town, admin: Browser, sign_in: SignIn, later: Later) -> None:
    begin(admin)
    page = admin.get(f"{LIST}/2027-01/edit")
    (minutes,) = [e for e in page.all("input") if e.get("name") == "targets-1-minutes"]
    assert minutes.get("value") == "480"
    page = admin.submit(
        f"{LIST}/2027-01/edit",
        **{"targets-1-minutes": "180", "plans-1-floor": "39.50", "services-0-name": "Support for accounts"},
    )
    assert "The draft is saved" in page.text
    page = admin.get(f"{LIST}/2027-01/differences")
    assert "8 business hours" in page.main
    assert "3 business hours" in page.main
    assert "$39.50" in page.main
    assert page.all("del")
    assert page.all("ins")
    page = admin.get(f"{LIST}/2027-01/publish")
    assert "It cannot be changed or taken back after this." in page.main
    page = admin.submit(f"{LIST}/2027-01/publish", status=422, day="2020-01-01")
    assert "Choose a day from" in page.main
    day = (now() + timedelta(days=2)).date()
    page = admin.submit(f"{LIST}/2027-01/publish", day=day.isoformat())
    assert "2027-01 is published" in page.text
    assert f"Takes effect on {day.isoformat()}" in page.main
    customer = sign_in("owner@lumen.example")
    assert "3 business hours" not in customer.get("/plans").main
    page = customer.get("/plans?version=2027-01")
    assert "which take effect on" in page.main
    assert "3 business hours" in page.main
    later(town, timedelta(days=3))
    page = customer.get("/plans")
    assert "3 business hours" in page.main
    assert "Terms 2027-01, in effect from" in page.main
    assert "8 business hours" in customer.get("/plans?version=2026-01").main
    page = sign_in("owner@lumen.example").get("/help/technical/new?organization=lumen-retail&severity=S2")
    assert "3 business hours" in page.main.lower()


def test_what_is_wrong_is_said_beside_it_and_nothing_is_lost(town: Town, admin: Browser) -> None:
    begin(admin)
    admin.get(f"{LIST}/2027-01/edit")
    given = {"targets-0-minutes": "soon", "plans-1-floor": "much", "plans-2-percent": "200", "plans-0-meant_for": ""}
    page = admin.submit(f"{LIST}/2027-01/edit", status=422, **given)
    for words in ("Write a length of time in minutes", "Write dollars", "Write a whole number", "Write it."):
        assert words in page.main
    assert [e.get("value") for e in page.all("input") if e.get("name") == "targets-0-minutes"] == ["soon"]
    (draft,) = town.scalars(select(Edition))
    assert draft.data["targets"]["standard"]["S1"]["minutes"] == 240


def test_two_who_change_the_same_draft(town: Town, admin: Browser) -> None:
    begin(admin)
    admin.get(f"{LIST}/2027-01/edit")
    with town.open() as session:
        session.execute(update(Edition).values(revision=7))
    page = admin.submit(f"{LIST}/2027-01/edit", status=409, **{"plans-0-meant_for": "Mine"})
    assert "Somebody else changed this draft meanwhile" in page.main
    page = admin.submit(f"{LIST}/2027-01/edit")
    assert "The draft is saved" in page.text
    (draft,) = town.scalars(select(Edition))
    assert draft.data["plans"]["basic"]["meant_for"] == "Mine"


def test_the_back_test_page(town: Town, admin: Browser) -> None:
    key = town.file(severity=Severity.S4, at=now() - timedelta(days=20))
    town.answer(key, at=now() - timedelta(days=20) + timedelta(minutes=5))
    begin(admin)
    page = admin.get(f"{LIST}/2027-01/back-test")
    assert "Standard, S4" in page.main
    assert page.main.count("100 %") == 2
    assert admin.get(f"{LIST}/2026-01/back-test").h1 == "Back-test of 2026-01"


def test_a_draft_is_discarded_and_a_published_one_is_not(town: Town, admin: Browser) -> None:
    begin(admin)
    page = admin.get(f"{LIST}/2027-01")
    page = admin.submit(f"{LIST}/2027-01/discard", button="Discard the draft")
    assert "is discarded" in page.text
    assert town.count(Edition) == 0
    for path in ("edit", "publish"):
        assert admin.get(f"{LIST}/2026-01/{path}", status=None).status == 404
        assert admin.post(f"{LIST}/2026-01/{path}").status == 404
    assert admin.post(f"{LIST}/2026-01/discard").status == 404
    assert admin.get(f"{LIST}/nothing", status=None).status == 404
    assert not admin.get(f"{LIST}/2026-01").all("form", action=re.compile("discard"))


def test_only_administrators(town: Town, admin: Browser, sign_in: SignIn) -> None:
    begin(admin)
    for email in ("agent@support.example", "owner@lumen.example"):
        browser = sign_in(email)
        for path in (LIST, f"{LIST}/2027-01", f"{LIST}/2027-01/edit"):
            assert browser.get(path, status=None).status == 403
        # A draft is nothing that customers can read.
        assert "2027-01" not in browser.get("/plans?version=2027-01").main


def test_it_is_in_the_audit_log(admin: Browser) -> None:
    begin(admin)
    assert "began a draft of the catalogue" in admin.get("/admin/audit").main
