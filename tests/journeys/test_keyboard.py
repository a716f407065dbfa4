"""The whole way with the keyboard alone: nothing here touches a mouse."""

import re

from journeys.conftest import Visit
from journeys.portal import file_request
from playwright.sync_api import Locator, Page, expect

from models.demo import PASSWORD

OUTLINE = (
    "one => { const s = getComputedStyle(one); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; }"
)


def tab_to(page: Page, target: Locator, *, most: int = 60, back: bool = False) -> None:
    """Press Tab until the target has the focus, which must be visible on the way."""
    for _ in range(most):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if target.evaluate("one => one === document.activeElement"):
            break
    else:
        raise AssertionError("the keyboard does not get there")
    shown = target.evaluate(f"one => [one, ...(one.labels ?? []), one.parentElement].some({OUTLINE})")
    assert shown, "focus is visible"


def test_customer_signs_in_creates_replies_and_resolves(visit: Visit) -> None:
    page = visit(None, "/sign-in?next=/help")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to main content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Email"), most=3)
    page.keyboard.type("owner@harbor.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/help")

    tab_to(page, page.get_by_role("link", name="Create ticket about a technical problem"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/help/technical/new")
    tab_to(page, page.get_by_label("Summary"))
    page.keyboard.press("Enter")
    expect(page.locator("#errors")).to_be_focused()
    tab_to(page, page.locator("#errors a").first, most=2)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Summary")).to_be_focused()
    page.keyboard.type("Filed by keyboard")
    tab_to(page, page.locator("#environment input").first)
    page.keyboard.press("Space")
    tab_to(page, page.get_by_label("Description"))
    page.keyboard.type("All of it.")
    tab_to(page, page.locator("#severity input").first)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#severity input[value=S3]")).to_be_checked()
    expect(page.locator("#promise .by")).to_be_visible()
    expect(page.locator("#severity input[value=S3]")).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Create ticket", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests/TECH-*")

    tab_to(page, page.locator("#body"))
    page.keyboard.type("A reply.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**#message-*")
    expect(page.locator("#thread")).to_contain_text("A reply.")
    page.keyboard.press("Control+Home")
    tab_to(page, page.get_by_role("button", name="Mark as resolved"), back=True)
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Resolved")


def test_menus_open_close_and_give_the_focus_back(visit: Visit) -> None:
    page = visit("partner@consult.example", "/help")
    for button, menu in (("Change organization", "#orgs"), ("Account menu for", "#me")):
        opener = page.get_by_role("button", name=re.compile(button))
        tab_to(page, opener)
        page.keyboard.press("Enter")
        expect(page.locator(menu)).to_be_visible()
        tab_to(page, page.locator(f"{menu} .item").first, most=2)
        page.keyboard.press("Escape")
        expect(page.locator(menu)).to_be_hidden()
        expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, page.locator("#me").get_by_role("link", name=re.compile("^Requests")), most=3)
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests")


def test_agent_takes_notes_and_replies(visit: Visit) -> None:
    key = file_request(visit("owner@harbor.example"), "For the agent's keyboard", "S1")
    page = visit("agent2@support.example", "/desk?queue=unassigned")
    tab_to(page, page.get_by_role("link", name="For the agent's keyboard"), most=120)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/desk/{key}")
    tab_to(page, page.get_by_role("button", name="Take", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator("#flash")).to_contain_text("is yours")
    tab_to(page, page.locator("#mode input:checked"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Internal note")).to_be_checked()
    expect(page.get_by_role("button", name="Add internal note")).to_be_visible()
    expect(page.get_by_role("button", name="Send reply to customer")).to_be_hidden()
    tab_to(page, page.locator("#body"), most=2)
    page.keyboard.type("Only for us.")
    tab_to(page, page.get_by_role("button", name="Add internal note"))
    page.keyboard.press("Enter")
    page.wait_for_url("**#message-*")
    expect(page.locator("article.internal")).to_contain_text("Only for us.")
    page.reload()
    tab_to(page, page.locator("#body"))
    page.keyboard.type("For the customer.")
    tab_to(page, page.get_by_role("button", name="Send reply to customer"))
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Waiting for customer")
    expect(page.locator("#clock")).to_contain_text("Met")
