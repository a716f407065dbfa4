"""What could only be refused says so before anybody clicks, with a way on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import SignIn
from factories import HARBOR, LUMEN, NORTHWIND, Town, now
from page import Browser, Page
from sqlalchemy import select

from models.cards import Card
from models.catalogue import Severity
from models.organizations import Organization
from models.tickets import TicketState

BASE = f"/console/{LUMEN}"
ASKS = {"card_number": "4000002760003184", "card_expiry": "04/31", "card_code": "913", "holder": "Daniel Reyes"}


@pytest.fixture
def owner(town: Town, sign_in: SignIn) -> Browser:
    assert town
    return sign_in("owner@lumen.example")


def forms_to(page: Page, path: str) -> list[str]:
    return [form.action for form in page.forms if form.action == path]


def test_the_only_card_of_a_plan_that_runs_offers_no_button_to_remove_it(town: Town, owner: Browser) -> None:
    mine = select(Card.id).join(Organization, Organization.id == Card.organization_id).where(Organization.slug == LUMEN)
    path = f"{BASE}/cards/{town.scalars(mine)[0]}/remove"
    page = owner.get(path)
    assert "This card pays for the plan. Add another card" in page.main
    assert not forms_to(page, path)
    assert f"{BASE}/cards/new?replaces={town.scalars(mine)[0]}" in page.links()
    refused = owner.post(path, {})
    assert refused.status == 422
    assert not forms_to(refused, path)


def test_the_only_owner_reads_what_to_do_before_leaving(town: Town, owner: Browser, sign_in: SignIn) -> None:
    assert town
    page = owner.get(f"{BASE}/leave")
    assert "is the only Owner of Lumen Retail. Make somebody else an Owner first." in page.main
    assert not forms_to(page, f"{BASE}/leave")
    assert f"{BASE}/members" in page.links()
    refused = owner.post(f"{BASE}/leave", {})
    assert refused.status == 422
    assert not forms_to(refused, f"{BASE}/leave")
    assert forms_to(sign_in("member@lumen.example").get(f"{BASE}/leave"), f"{BASE}/leave")


def test_while_a_payment_waits_no_other_one_is_offered(town: Town, owner: Browser, sign_in: SignIn) -> None:
    assert town
    upgrade = f"{BASE}/upgrade/enterprise"
    assert forms_to(owner.get(upgrade), upgrade), "as long as nobody pays"
    owner.get(f"{upgrade}/card")
    where = owner.submit(f"{upgrade}/card", follow=False, status=303, **ASKS).headers["Location"].removesuffix("/bank")
    for browser in (owner, sign_in("billing@lumen.example")):
        for path, posts in ((upgrade, upgrade), (f"{upgrade}/card", f"{upgrade}/card")):
            page = browser.get(path)
            assert where in "".join(page.links())
            assert "Another payment can begin once the one under way is paid or ended." in page.main
            assert not forms_to(page, posts)
            assert "Add Credit Card and Upgrade" not in page.main
        page = browser.get(f"{BASE}/downgrade/basic")
        assert "once the payment under way is paid or ended" in page.main
        assert not forms_to(page, f"{BASE}/downgrade/basic")
    owner.get(where)
    owner.submit(f"{where}/end")
    assert forms_to(owner.get(upgrade), upgrade)


@pytest.mark.parametrize("part", ["severity", "participants"])
def test_a_closed_request_explains_instead_of_showing_a_form(
    town: Town, owner: Browser, sign_in: SignIn, part: str
) -> None:
    key = town.file(severity=Severity.S2, at=now() - timedelta(days=20))
    path = f"/requests/{key}/{part}"
    assert forms_to(owner.get(path), path)
    town.move(key, TicketState.RESOLVED, at=now() - timedelta(days=15))
    page = owner.get(path)
    assert "This request is closed, so nothing of it changes any more. Open a follow-up" in page.main
    assert not forms_to(page, path)
    assert f"/requests/{key}" in page.links()
    person = town.person("member@lumen.example").id
    refused = owner.post(path, {"severity": "S3", "reason": "", "person": str(person)})
    assert refused.status == 422
    assert "This request is closed" in refused.main
    assert not forms_to(refused, path)


def test_the_upgrade_to_what_is_held_already_explains_and_compares_nothing(
    town: Town, owner: Browser, sign_in: SignIn
) -> None:
    assert town
    page = owner.get(f"{BASE}/upgrade/standard")
    assert "Lumen Retail has the Standard plan already." in page.main
    assert "What you get" not in page.main
    assert f"{BASE}/support" in page.links()
    bank = f"/console/{NORTHWIND}"
    page = sign_in("owner@northwind.example").get(f"{bank}/upgrade/standard")
    assert "which is more than Standard. Downgrade instead." in page.main
    assert "What you get" not in page.main
    assert f"{bank}/downgrade/standard" in page.links()
    assert "What you get" in owner.get(f"{BASE}/upgrade/enterprise").main


def test_no_change_of_a_plan_by_contract_is_a_missing_page(town: Town, sign_in: SignIn) -> None:
    assert town
    harbor = sign_in("owner@harbor.example")
    for change in ("upgrade/standard", "upgrade/enterprise", "downgrade/standard", "downgrade/enterprise"):
        page = harbor.get(f"/console/{HARBOR}/{change}")
        assert "managed by contract" in page.main
        assert f"/help/billing/new?organization={HARBOR}" in page.links()
        assert "What you get" not in page.main
    assert harbor.post(f"/console/{HARBOR}/downgrade/enterprise", {}).status == 422
    page = sign_in("owner@lumen.example").get(f"{BASE}/downgrade/enterprise")
    assert "Enterprise is not less than Standard" in page.main
    assert f"{BASE}/upgrade/enterprise" in page.links()
