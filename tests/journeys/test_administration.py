"""An administrator adds a colleague, announces something, and finds both in the audit log."""

import re

from journeys.conftest import Visit
from journeys.portal import Portal
from playwright.sync_api import expect


def test_a_colleague_an_announcement_and_the_log(visit: Visit, portal: Portal, scripts: bool) -> None:
    assert portal.base
    page = visit("admin@support.example", "/admin", java_script_enabled=scripts)
    areas = page.get_by_role("navigation", name="Administration")
    areas.get_by_role("link", name="People", exact=True).click()
    page.get_by_role("link", name="Add to the staff").click()
    page.get_by_label("Name", exact=True).fill("Nora Quist")
    page.get_by_role("button", name="Add and send the link").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter the email address")
    address = f"nora.{'scripted' if scripts else 'plain'}@support.example"
    page.get_by_label("Email", exact=True).fill(address)
    page.get_by_role("button", name="Add and send the link").click()
    expect(page.locator("#flash")).to_contain_text(f"on its way to {address}")
    page.get_by_role("link", name="Deactivate").click()
    page.get_by_role("button", name="Deactivate Nora Quist").click()
    expect(page.locator("#flash")).to_contain_text("Nora Quist is deactivated")

    areas.get_by_role("link", name="Announcements").click()
    page.get_by_role("link", name="Write an announcement").click()
    title = f"Quokka maintenance {'scripted' if scripts else 'plain'}"
    page.get_by_label("Title").fill(title)
    page.get_by_label("Text", exact=True).fill("Nothing to do.")
    page.get_by_label("Basic", exact=True).uncheck()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("article")).to_contain_text("Nothing to do.")
    page.get_by_role("button", name="Save announcement").click()
    expect(page.get_by_role("row").filter(has_text=title)).to_contain_text("Standard")
    customer = visit("owner@aurora.example", "/announcements", java_script_enabled=scripts)
    expect(customer.get_by_text(title)).to_have_count(0)
    page.get_by_role("link", name=title).click()
    page.get_by_role("link", name="End it now").click()
    page.get_by_role("button", name="End the announcement").click()

    areas.get_by_role("link", name="Audit log").click()
    page.get_by_label("What", exact=True).select_option("announcement.ended")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text(title)
    page.get_by_label("What", exact=True).select_option("")
    page.get_by_label(re.compile("^Person")).fill(address)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text("deactivated an account")
