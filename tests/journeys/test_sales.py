"""From Contact Sales to Premium: the customer asks, sales works the lead, and the customer reads how it stands."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from journeys.conftest import Visit
from journeys.portal import Portal
from playwright.sync_api import Page, expect

SUPPORT = "/console/aurora-games/support"


@pytest.fixture
def untouched(portal: Portal) -> Iterator[None]:
    """Close what is open for Aurora Games before, and put it back on Basic afterwards: others meet it there."""
    mine = "(SELECT id FROM organizations WHERE slug = 'aurora-games')"
    closed = "stage = 'lost', closed_at = created_at, open_for = NULL, next_on = NULL, next_step = ''"
    portal.change(f"UPDATE leads SET {closed} WHERE open_for = {mine}")
    yield
    basic = "plan = 'basic', contract_start = NULL, contract_end = NULL, contract_note = NULL, account_manager = NULL"
    basic += ", contract_reference = NULL, contract_cents = NULL"
    portal.change(f"UPDATE organizations SET {basic} WHERE slug = 'aurora-games'")


def labels(page: Page) -> list[str]:
    found = page.locator("form .label").all_inner_texts()
    return [re.sub(r"\s*\(optional\)$", "", words.strip()) for words in found]


def ask(page: Page, need: str) -> str:
    """Go from the Support page through Contact Us and back; return the reference."""
    pane = page.locator(".plan", has=page.get_by_role("heading", name="Premium", exact=True))
    pane.get_by_role("link", name="Contact Sales", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Contact Us")
    expected = ["Name", "Work email", "Company", "Phone", "What do you need?", "Preferred contact time"]
    assert labels(page) == expected
    expect(page.get_by_label("Name")).to_have_value("Maya Okafor")
    expect(page.get_by_label("Work email")).to_have_value("owner@aurora.example")
    expect(page.get_by_label("Company")).to_have_value("Aurora Games")
    # Whoever goes on with the keyboard never meets the field that only programs fill.
    page.get_by_label("Preferred contact time").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_focused()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Say what you need")
    page.get_by_label("What do you need?").fill(need)
    page.get_by_label("Preferred contact time").fill("Mornings")
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url(f"**{SUPPORT}")
    told = page.locator("#flash")
    expect(told).to_contain_text("Thank you. We will write to owner@aurora.example by")
    return (re.search(r"LEAD-\d+", told.inner_text()) or [""])[0]


def work(page: Page, key: str, need: str) -> None:
    """Find the lead in the inbox, take it, and write down the first contact."""
    assert page.url.endswith("/sales")
    page.get_by_label("Search by reference or words").fill(need)
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("row").filter(has_text=key).get_by_role("link").click()
    page.wait_for_url(f"**/sales/{key}")
    expect(page.get_by_role("main")).to_contain_text(need)
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#flash")).to_contain_text(f"{key} is yours")
    page.get_by_label("Stage").select_option("Contacted")
    page.get_by_role("button", name="Set stage", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("The stage is changed")
    page.get_by_label("Note").fill("Budget is there")
    page.get_by_role("button", name="Add note", exact=True).click()
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Budget is there")


def agree(page: Page, key: str) -> None:
    """Plan the next step, then mark the lead as won."""
    today = datetime.now(UTC).date()
    page.get_by_label("Next step (optional)", exact=True).fill("Send the contract")
    page.get_by_label("Day of the next step").fill((today + timedelta(days=3)).isoformat())
    page.get_by_role("button", name="Save next step", exact=True).click()
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Send the contract")
    page.get_by_role("link", name="Mark as won", exact=True).click()
    page.get_by_label("Start", exact=True).fill((today - timedelta(days=1)).isoformat())
    page.get_by_label("End", exact=True).fill((today + timedelta(days=365)).isoformat())
    page.get_by_label("Contract reference").fill("PREM-2026-020")
    page.get_by_label("Price of a month, US dollars").fill("4,200")
    page.get_by_label("Price note").fill("$4,200 a month")
    page.get_by_role("button", name="Activate Premium", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Name the Technical Account Manager.")
    page.get_by_label("Technical Account Manager").fill("Emeka Obi")
    page.get_by_role("button", name="Activate Premium", exact=True).click()
    expect(page.locator("#flash")).to_contain_text(f"{key} is won: Aurora Games has Premium from now on.")


def renew(page: Page) -> None:
    """Let the contract go on for another year, at another price."""
    page.get_by_role("link", name="Renew the contract", exact=True).click()
    expect(page.get_by_label("Contract reference")).to_have_value("PREM-2026-020")
    page.get_by_role("button", name="Renew contract", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the last day of the contract.")
    page.get_by_label("End", exact=True).fill((datetime.now(UTC).date() + timedelta(days=730)).isoformat())
    page.get_by_label("Price of a month, US dollars").fill("4,500")
    page.get_by_role("button", name="Renew contract", exact=True).click()
    expect(page.locator("#flash")).to_contain_text("The contract of Aurora Games runs until")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("renewed the contract until")


@pytest.mark.usefixtures("untouched")
def test_contact_sales_until_premium_is_active(visit: Visit, portal: Portal, scripts: bool) -> None:
    need = f"A launch in March ({'with' if scripts else 'without'} JavaScript)"
    page = visit("owner@aurora.example", SUPPORT, java_script_enabled=scripts)
    premium = page.locator(".plan", has=page.get_by_role("heading", name="Premium", exact=True))
    key = ask(page, need)
    expect(premium).to_contain_text(key)
    expect(premium).to_contain_text("Received")

    seller = visit("sales@support.example", "/", java_script_enabled=scripts)
    work(seller, key, need)
    page.goto(SUPPORT)
    expect(premium).to_contain_text("In contact")
    expect(page.get_by_role("main")).not_to_contain_text("Budget is there")

    agree(seller, key)
    page.reload()
    expect(page.get_by_role("region", name="Current Plan")).to_contain_text("Premium")
    page.goto(f"{SUPPORT}?tab=premium")
    expect(page.get_by_role("region", name="Premium", exact=True)).to_contain_text("PREM-2026-020")
    renew(seller)
    page.reload()
    expect(page.get_by_role("region", name="Premium", exact=True)).to_contain_text("$4,500.00 a month")
    page.goto(SUPPORT)
    expect(page.get_by_role("main")).to_contain_text("Premium is managed by contract")
    expect(page.get_by_role("region", name="Current Plan")).to_contain_text("Emeka Obi")
    expect(premium.get_by_role("link", name="Contact Sales")).to_have_count(0)
    alerts = portal.ask("SELECT recipient FROM messages WHERE kind = 'lead_alert' AND data LIKE ?", f'%"{key}"%')
    assert alerts == [("sales@support.example",)]
