"""Checking, upgrading and downgrading a plan, as the documentation tells customers to, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from journeys.portal import Portal, Watch, sign_in
from journeys.test_accessibility import problems
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateways.payments_sandbox import SandboxPayments

AURORA = "/console/aurora-games"
FINE, DECLINES, ASKS = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0027 6000 3184"

Shop = Callable[[], Page]


@pytest.fixture(scope="module")
def shop_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of its own, since other tests meet its organizations on the plans that they had."""
    running = Portal(tmp_path_factory.mktemp("shop") / "data")
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def shop(shop_portal: Portal, browser: Browser, scripts: bool) -> Iterator[Shop]:
    """Return a function that opens the Support page as Aurora's Owner; before, Aurora is put back on Basic."""
    mine = "(SELECT id FROM organizations WHERE slug = 'aurora-games')"
    shop_portal.change("UPDATE organizations SET plan = 'basic' WHERE slug = 'aurora-games'")
    shop_portal.change(f"UPDATE subscriptions SET standing = 'ended' WHERE organization_id = {mine}")
    shop_portal.change(f"UPDATE cards SET removed_at = added_at, default_for = NULL WHERE organization_id = {mine}")
    shop_portal.change(f"UPDATE payments SET state = 'abandoned', open_for = NULL WHERE open_for = {mine}")
    (shop_portal.folder / "clock").unlink(missing_ok=True)
    contexts: list[BrowserContext] = []
    watch = Watch(shop_portal.base)

    def open_page() -> Page:
        context = browser.new_context(
            base_url=shop_portal.base, java_script_enabled=scripts, viewport={"width": 1280, "height": 900}
        )
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        sign_in(page, shop_portal.base, "owner@aurora.example")
        page.goto(f"{AURORA}/support")
        return page

    yield open_page
    (shop_portal.folder / "clock").unlink(missing_ok=True)
    for context in contexts:
        context.close()
    watch.check()


def to_card(page: Page, plan: str) -> None:
    """Go from the pane to the card form, by the words of the documentation."""
    page.locator(".plan", has=page.get_by_role("heading", name=plan, exact=True)).get_by_role(
        "link", name="Upgrade", exact=True
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Upgrade to {plan} Plan")
    assert page.title().startswith(f"Upgrade to {plan} Plan")
    expect(page.get_by_role("link", name="Connected Care Details")).to_have_attribute("href", "/plans")
    page.get_by_role("link", name="Add Credit Card and Upgrade", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Credit Card")


def fill(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiry").fill("04/31")
    page.get_by_label("Security code").fill("913")
    page.get_by_label("Name on the card").fill("Maya Okafor")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save Card", exact=True).click()


def current(page: Page) -> str:
    page.goto(f"{AURORA}/support")
    return page.get_by_role("region", name="Current Plan").locator("b").first.inner_text()


@pytest.mark.parametrize("plan", ["Standard", "Enterprise"])
def test_upgrading_word_for_word(shop: Shop, shop_portal: Portal, plan: str) -> None:
    page = shop()
    assert current(page) == "Basic"
    to_card(page, plan)
    button, form = (
        page.get_by_role("button", name="Save Card", exact=True),
        page.locator("form", has_text="Card number"),
    )
    fill(page, FINE)
    place, around = button.bounding_box(), form.bounding_box()
    assert place
    assert around
    assert place["x"] + place["width"] > around["x"] + around["width"] - 40, "lower right: it ends at the right edge"
    assert place["y"] + place["height"] > around["y"] + around["height"] - 40, "lower right: it is the last row"
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    expect(page.locator("#flash")).to_contain_text(f"Aurora Games has the {plan} plan now.")
    assert current(page) == plan
    expect(page.get_by_role("region", name="Current Plan")).to_contain_text("Visa ending 4242")
    page.goto("/help")
    expect(page.get_by_role("link", name="TiDB Cloud Technical Support", exact=True)).to_be_visible()
    page.goto(f"{AURORA}/invoices")
    page.locator("td a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Invoice INV-\d+$"))
    number = page.get_by_role("heading", level=1).inner_text().partition(" ")[2]
    for _ in range(40):
        page.goto("/demo/mail")
        if page.get_by_text(f"[{number}] Receipt for Aurora Games").count():
            break
        page.wait_for_timeout(250)
    expect(page.get_by_text(f"[{number}] Receipt for Aurora Games").first).to_be_visible()


def test_a_declined_card_leaves_everything_and_the_next_one_pays(shop: Shop) -> None:
    page = shop()
    to_card(page, "Enterprise")
    fill(page, DECLINES)
    save(page)
    page.locator("#errors").wait_for()
    expect(page.get_by_role("alert")).to_contain_text("The bank declined this card. Nothing was charged.")
    expect(page.get_by_label("Card number")).to_have_value("")
    expect(page.get_by_label("Security code")).to_have_value("")
    expect(page.get_by_label("Name on the card")).to_have_value("Maya Okafor")
    help_ = page.get_by_role("link", name="Write to TiDB Cloud Account/Billing about this payment")
    expect(help_).to_be_visible()
    fill(page, FINE)
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    assert current(page) == "Enterprise"


def test_the_saved_card_pays_the_next_upgrade_and_a_refusal_fills_a_request(shop: Shop, scripts: bool) -> None:
    page = shop()
    to_card(page, "Standard")
    fill(page, FINE)
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    to_card(page, "Enterprise")
    fill(page, DECLINES)
    save(page)
    page.get_by_role("link", name="Write to TiDB Cloud Account/Billing about this payment").click()
    expect(page.get_by_label("Summary")).to_have_value("Upgrade to Enterprise: Declined")
    expect(page.get_by_label("TiDB Cloud Org")).to_have_value(re.compile("."))
    expect(page.get_by_label("Description")).to_have_value(re.compile("declined this card. Nothing was charged"))
    page.get_by_role("radio", name=re.compile("^Severity S3")).check()
    page.get_by_role("button", name="Create ticket", exact=True).click()
    page.wait_for_url("**/requests/BILL-*")
    page.goto(f"{AURORA}/upgrade/enterprise")
    page.get_by_role("button", name=re.compile(r"^Pay \$[0-9.]+ with Visa ending 4242$")).click()
    page.wait_for_url(f"**{AURORA}/support")
    assert current(page) == "Enterprise"
    if scripts:
        assert not problems(page, "a plan that was paid with a saved card")


def at_the_bank(page: Page) -> None:
    to_card(page, "Enterprise")
    fill(page, ASKS)
    save(page)
    page.wait_for_url("**/bank")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your bank asks")


def test_the_bank_asks_and_the_tab_may_be_closed(shop: Shop, scripts: bool) -> None:
    page = shop()
    at_the_bank(page)
    if scripts:
        assert not problems(page, "the bank")
    page.context.close()
    page = shop()
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Waits for the bank’s confirmation")
    if scripts:
        assert not problems(page, "a payment")
    page.get_by_role("link", name="Continue to your bank").click()
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("$699.00")
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.wait_for_url(f"**{AURORA}/support")
    assert current(page) == "Enterprise"


def test_the_bank_refuses_or_the_customer_gives_it_up(shop: Shop) -> None:
    page = shop()
    at_the_bank(page)
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("main")).to_contain_text("Your bank did not confirm that it is you. Nothing was charged.")
    assert current(page) == "Basic"
    at_the_bank(page)
    page.get_by_role("link", name="Decide later").click()
    page.get_by_role("button", name="End the payment").click()
    expect(page.locator("#flash")).to_contain_text("Nothing was charged, and the plan is as it was.")
    assert current(page) == "Basic"


def test_a_question_of_the_bank_expires(shop: Shop, shop_portal: Portal) -> None:
    page = shop()
    at_the_bank(page)
    where = page.url.removesuffix("/bank")
    (shop_portal.folder / "clock").write_text(str(61 * 60))
    page.goto(where)
    page.get_by_role("button", name="I have confirmed it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not confirmed in time")
    expect(page.get_by_role("main")).to_contain_text("Nothing was charged")
    assert current(page) == "Basic"


def test_an_answer_that_is_lost_is_asked_for_again(shop: Shop, shop_portal: Portal) -> None:
    page = shop()
    to_card(page, "Enterprise")
    fill(page, FINE)
    SandboxPayments(shop_portal.folder / "sandbox.sqlite").break_down("answer lost")
    save(page)
    expect(page.get_by_role("main")).to_contain_text("did not hear from it yet")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(f"**{AURORA}/support")
    assert current(page) == "Enterprise"
    charges = SandboxPayments(shop_portal.folder / "sandbox.sqlite").charged("aurora-games")
    newest = shop_portal.ask(
        "SELECT count(*) FROM payments WHERE cents = 69900 AND state = 'paid' AND organization_id = 1"
    )
    assert len([one for one in charges if one[2] == 69900]) == newest[0][0]


def test_downgrading_begins_later_and_is_taken_back_with_one_click(shop: Shop) -> None:
    page = shop()
    to_card(page, "Enterprise")
    fill(page, FINE)
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    page.locator(".plan", has=page.get_by_role("heading", name="Standard", exact=True)).get_by_role(
        "link", name="Downgrade", exact=True
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Downgrade to Standard")
    expect(page.get_by_role("region", name="What you lose")).to_contain_text("Clinic (advanced monitoring)")
    page.get_by_role("button", name="Downgrade to Standard").click()
    page.wait_for_url(f"**{AURORA}/support")
    expect(page.get_by_role("region", name="Current Plan")).to_contain_text("Standard starts on")
    assert current(page) == "Enterprise"
    page.get_by_role("button", name="Keep Enterprise").click()
    expect(page.locator("#flash")).to_contain_text("keeps the Enterprise plan")
    expect(page.get_by_role("region", name="Current Plan")).to_contain_text("Renews")


def test_the_tabs_lead_to_upgrade_and_to_contact_sales(shop: Shop, scripts: bool) -> None:
    page = shop()
    tabs = page.get_by_role("navigation", name="Ways to more support")
    tabs.get_by_role("link", name="Premium: Contact Sales", exact=True).press("Enter")
    page.wait_for_url("**?tab=premium")
    expect(page.get_by_role("region", name="What Premium adds")).to_be_visible()
    if scripts:
        expect(tabs.get_by_role("link", name="Premium: Contact Sales", exact=True)).to_be_focused()
    expect(page.locator("#plans").get_by_role("link", name="Contact Sales", exact=True)).to_be_visible()
    tabs.get_by_role("link", name="Upgrade", exact=True).click()
    expect(page.locator(".plan")).to_have_count(4)
    page.go_back()
    page.wait_for_url("**?tab=premium")


def test_a_plan_is_bought_by_keyboard_alone(shop: Shop) -> None:
    page = shop()
    page.goto(f"{AURORA}/upgrade/standard/card")
    page.get_by_label("Card number").focus()
    for words in (FINE, "0431", "913", "Maya Okafor"):
        page.keyboard.type(words)
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save Card", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{AURORA}/support")
    assert current(page) == "Standard"
