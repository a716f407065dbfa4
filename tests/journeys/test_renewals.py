"""A renewal that fails, as its organization meets it: told, paid late, or lost; and a text that waited for a plan."""

from __future__ import annotations

import pytest
from journeys.portal import Portal, sign_in
from journeys.test_accessibility import problems
from journeys.test_buying import AURORA, FINE, Shop, current, fill, save, shop, shop_portal, to_card
from playwright.sync_api import Page, expect

__all__ = ["shop", "shop_portal"]

# It can be saved, and every charge of it is declined.
LATER_DECLINED = "4000 0000 0000 0341"
FAILED = "SELECT 1 FROM subscriptions WHERE organization_id = 1 AND standing = 'past-due'"


@pytest.fixture
def failed(shop: Shop, shop_portal: Portal) -> Page:
    """The Support page of an organization whose free month is over, and whose card is declined."""
    shop_portal.change("DELETE FROM terms WHERE organization_id = 1 AND plan = 'standard'")
    page = shop()
    to_card(page, "Standard")
    fill(page, LATER_DECLINED)
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    assert current(page) == "Standard"
    shop_portal.turn(32)
    shop_portal.work_until(FAILED)
    page.context.clear_cookies()
    sign_in(page, shop_portal.base, "owner@aurora.example")
    page.goto(f"{AURORA}/support")
    return page


def test_a_failed_renewal_is_told_and_paid_with_another_card(failed: Page, shop_portal: Portal, scripts: bool) -> None:
    page, told = failed, failed.get_by_role("group", name="Unpaid")
    expect(told).to_contain_text("The renewal of Standard could not be charged.")
    expect(told).to_contain_text("The plan goes on until")
    expect(told).to_contain_text("We try the card again on")
    if scripts:
        assert problems(page, page.url) == []
    letters = "SELECT recipient FROM messages WHERE kind = 'payment_failed' AND data LIKE '%\"plan\": \"standard\"%'"
    assert ("owner@aurora.example",) in shop_portal.ask(letters)
    told.get_by_role("link", name="See what is due").click()
    page.wait_for_url(f"**{AURORA}/cards")
    page.get_by_role("link", name="Add card").click()
    fill(page, FINE)
    save(page)
    page.wait_for_url(f"**{AURORA}/cards")
    page.get_by_role("row").filter(has_text="4242").get_by_role("button", name="Make default").click()
    page.get_by_role("button", name="Pay $").click()
    expect(page.get_by_role("main")).not_to_contain_text("could not be charged")
    assert current(page) == "Standard"
    expect(page.get_by_role("group", name="Unpaid")).to_have_count(0)
    page.goto(f"{AURORA}/history")
    expect(page.get_by_role("main")).to_contain_text("Standard renewed with Visa ending 4242")


def test_a_renewal_that_nobody_pays_ends_the_plan_and_requests_stay_answerable(
    failed: Page, shop_portal: Portal
) -> None:
    page = failed
    shop_portal.turn(45)
    shop_portal.work_until("SELECT 1 FROM organizations WHERE id = 1 AND plan = 'basic'")
    page.context.clear_cookies()
    sign_in(page, shop_portal.base, "owner@aurora.example")
    assert current(page) == "Basic"
    page.goto(f"{AURORA}/history")
    expect(page.get_by_role("main")).to_contain_text("Standard ended unpaid; Basic began")
    page.goto("/requests")
    page.locator("a[data-row]").first.click()
    expect(page.get_by_label("Your reply")).to_be_visible()


def test_a_text_that_waited_for_a_plan_is_filed_by_one_click(shop: Shop, shop_portal: Portal, scripts: bool) -> None:
    shop_portal.change(
        "DELETE FROM drafts WHERE person_id = (SELECT id FROM people WHERE email = 'owner@aurora.example')"
    )
    page = shop()
    page.goto("/help/technical/new")
    page.get_by_role("link", name="Write it for later").click()
    page.get_by_label("Summary").fill("Logins take four seconds")
    page.get_by_label("Description").fill("Since Monday, in the evening.")
    page.get_by_label("Production", exact=True).check()
    page.get_by_role("radio", name="S2").check()
    page.get_by_role("button", name="Keep it until a plan opens it").click()
    expect(page.locator("#kept")).to_contain_text("Nothing is filed yet")
    expect(page.locator("#organization-hint")).to_contain_text("Aurora Games is on the Basic plan")
    if scripts:
        expect(page.locator("#kept")).to_be_focused()
        assert problems(page, page.url) == []
    page.goto(f"{AURORA}/support")
    expect(page.get_by_role("region", name="Waiting for a plan")).to_contain_text("Logins take four seconds")
    if scripts:
        assert problems(page, page.url) == []
    to_card(page, "Enterprise")
    fill(page, FINE)
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    ready = page.get_by_role("region", name="Finish what you started")
    expect(ready).to_contain_text("Logins take four seconds")
    ready.get_by_role("button", name="File it now", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Logins take four seconds")
    expect(page.get_by_role("main")).to_contain_text("wrote this before the plan allowed it")
    expect(page.locator("#flash")).to_contain_text("created. We will reply by")
