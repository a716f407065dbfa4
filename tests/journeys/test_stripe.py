"""Buying with Stripe in a browser: its element, the bank's question, what is declined, and who has no JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import localstripe
import pytest
from journeys.portal import Portal, Watch, sign_in
from journeys.test_accessibility import problems
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from stripe_double import SETTINGS, StripeDouble, stripe_double

AURORA = "/console/aurora-games"
FINE, DECLINES, ASKS = "4242424242424242", "4000000000000002", "4000002760003184"
SCRIPT = (Path(localstripe.__file__).parent / "localstripe-v3.js").read_text()

Shop = Callable[..., Page]


class StripeWatch(Watch):
    """A watch that lets the browser meet Stripe's double where it would meet Stripe."""

    def _answer(self, route: Route) -> None:
        address, double = route.request.url, stripe_double()
        if address == "https://js.stripe.com/v3/":
            before, _, after = SCRIPT.partition("const LOCALSTRIPE_BASE_API = ")
            rest = after.partition("})();")[2]
            script = f'{before}const LOCALSTRIPE_BASE_API = "https://api.stripe.com";{rest}'
            route.fulfill(body=script, content_type="text/javascript")
        elif address.startswith("https://api.stripe.com/"):
            path = address.removeprefix("https://api.stripe.com")
            body = (route.request.post_data or "").encode()
            status, told = double.from_browser(route.request.method, path, body)
            headers = {"access-control-allow-origin": "*", "content-type": "application/json"}
            route.fulfill(status=status, body=told, headers=headers)
        else:
            super()._answer(route)


@pytest.fixture(scope="module")
def double() -> StripeDouble:
    there = stripe_double()
    there.forget_all()
    return there


@pytest.fixture(scope="module")
def stripe_portal(double: StripeDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """The demo's people and organizations, in a portal that Stripe is paid by."""
    folder = tmp_path_factory.mktemp("stripe") / "data"
    filled = Portal(folder)
    try:
        filled.wait()
    finally:
        filled.stop()
    running = Portal(folder, **(SETTINGS | {"STRIPE_API": double.address}))
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def shop(stripe_portal: Portal, browser: Browser) -> Iterator[Shop]:
    """Return a function that opens the Support page as Aurora's Owner; before, Aurora is put back on Basic."""
    mine = "(SELECT id FROM organizations WHERE slug = 'aurora-games')"
    stripe_portal.change("UPDATE organizations SET plan = 'basic' WHERE slug = 'aurora-games'")
    stripe_portal.change(f"UPDATE subscriptions SET standing = 'ended' WHERE organization_id = {mine}")
    stripe_portal.change(f"UPDATE cards SET removed_at = added_at, default_for = NULL WHERE organization_id = {mine}")
    stripe_portal.change(f"UPDATE payments SET state = 'abandoned', open_for = NULL WHERE open_for = {mine}")
    contexts: list[BrowserContext] = []
    watch = StripeWatch(stripe_portal.base)
    watch.expected += ["status of 402", "localstripe"]

    def open_page(**options: object) -> Page:
        context = browser.new_context(base_url=stripe_portal.base, **options)  # type: ignore[arg-type]
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        sign_in(page, stripe_portal.base, "owner@aurora.example")
        page.goto(f"{AURORA}/upgrade/enterprise")
        return page

    yield open_page
    for context in contexts:
        context.close()
    watch.check()


def to_card(page: Page) -> None:
    page.get_by_role("button", name="Add Credit Card and Upgrade", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Credit Card")


def fill(page: Page, number: str) -> None:
    for field, value in (("number", number), ("exp_month", "4"), ("exp_year", "31"), ("cvc", "123")):
        page.get_by_placeholder(field, exact=True).fill(value)
    page.get_by_label("Name on the card").fill("Maya Okafor")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save Card", exact=True).click()


def confirm(page: Page) -> None:
    """Let the bank ask: its page is there before the script that does so."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Your bank asks")
    expect(page.locator("#no-script")).to_be_hidden()
    page.get_by_role("button", name="Confirm", exact=True).click()


def test_a_plan_is_paid_by_a_card_typed_into_stripes_element(shop: Shop, double: StripeDouble) -> None:
    page = shop(viewport={"width": 1280, "height": 900})
    to_card(page)
    assert problems(page, "Stripe") == []
    before = len(double.moved())
    button, form = page.get_by_role("button", name="Save Card", exact=True), page.locator("form#card")
    place, around = button.bounding_box(), form.bounding_box()
    assert place
    assert around
    assert place["x"] + place["width"] > around["x"] + around["width"] - 40, "lower right: it ends at the right edge"
    fill(page, FINE)
    save(page)
    page.wait_for_url(f"**{AURORA}/support")
    expect(page.locator("#flash")).to_contain_text("Aurora Games has the Enterprise plan now.")
    assert len(double.moved()) == before + 1


def test_a_declined_card_is_said_and_another_one_pays(shop: Shop, double: StripeDouble) -> None:
    page = shop(viewport={"width": 390, "height": 844})
    to_card(page)
    before = len(double.moved())
    fill(page, DECLINES)
    save(page)
    expect(page.get_by_role("alert").filter(has_text="Your card was declined.")).to_contain_text("Nothing was charged.")
    help_ = page.get_by_role("link", name="write to TiDB Cloud Account/Billing").filter(visible=True)
    assert "payment=" in (help_.get_attribute("href") or "")
    button = page.get_by_role("button", name="Save Card", exact=True)
    expect(button).to_be_enabled()
    assert problems(page, "Stripe") == []
    fill(page, FINE)
    button.click()
    page.wait_for_url(f"**{AURORA}/support")
    assert len(double.moved()) == before + 1


def test_the_bank_is_answered_in_the_page_and_after_the_tab_was_closed(shop: Shop, double: StripeDouble) -> None:
    page = shop()
    to_card(page)
    before = len(double.moved())
    fill(page, ASKS)
    save(page)
    page.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your bank asks")
    assert problems(page, "Stripe") == []
    # The tab is closed; the Support page leads back to the payment.
    page.goto(f"{AURORA}/support")
    page.get_by_role("link", name="Continue", exact=True).click()
    page.get_by_role("link", name="Continue to your bank").click()
    confirm(page)
    page.get_by_role("button", name="Complete authentication").click()
    page.wait_for_url(f"**{AURORA}/support")
    expect(page.locator("#flash")).to_contain_text("Aurora Games has the Enterprise plan now.")
    assert len(double.moved()) == before + 1


def test_a_bank_that_is_told_no_and_a_payment_that_is_given_up(shop: Shop, double: StripeDouble) -> None:
    page = shop()
    to_card(page)
    before = len(double.moved())
    fill(page, ASKS)
    save(page)
    page.get_by_role("button", name="Complete authentication").click()
    confirm(page)
    page.get_by_role("button", name="Fail authentication").click()
    expect(page.get_by_role("main")).to_contain_text("Your bank did not confirm that it is you. Nothing was charged.")
    page.get_by_role("link", name="Try again").click()
    to_card(page)
    page.get_by_role("link", name="Decide later").click()
    page.get_by_role("button", name="End the payment").click()
    expect(page.locator("#flash")).to_contain_text("Nothing was charged")
    assert len(double.moved()) == before


def test_without_javascript_the_page_says_what_to_do(shop: Shop) -> None:
    page = shop(java_script_enabled=False)
    to_card(page)
    expect(page.get_by_text("This page needs JavaScript.")).to_be_visible()
    page.get_by_role("link", name="write to TiDB Cloud Account/Billing").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("account or billing")


def test_where_stripes_script_is_blocked_the_page_says_so(shop: Shop) -> None:
    page = shop()
    page.context.route("https://js.stripe.com/**", lambda route: route.fulfill(body="", content_type="text/javascript"))
    to_card(page)
    expect(page.get_by_role("alert").filter(has_text="could not be reached from your browser")).to_be_visible()
    expect(page.get_by_role("button", name="Save Card", exact=True)).to_be_disabled()
