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
    _settle(page)
    page.keyboard.press("r")
    expect(page.locator("#body")).to_be_focused()
    page.keyboard.type("For the customer.")
    tab_to(page, page.get_by_role("button", name="Send reply to customer"))
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Waiting for customer")
    expect(page.locator("#clock")).to_contain_text("Met")


def go(page: Page, key: str, address: str) -> None:
    page.keyboard.press(key)
    page.wait_for_url(address)


def _settle(page: Page) -> None:
    """Wait until the browser is done with the new page: going to its fragment, it takes the focus away once more."""
    page.wait_for_load_state()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def told(page: Page, words: str) -> None:
    """Wait until the next page says so, and its keys work."""
    expect(page.locator("#flash")).to_contain_text(words)
    _settle(page)


def say(page: Page, words: str) -> None:
    """Write the words where the focus is, and send them."""
    expect(page.locator("#body")).to_be_focused()
    page.keyboard.type(words)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#thread article", has_text=words)).to_be_visible()
    _settle(page)


def test_an_agents_hour_in_the_queues(visit: Visit) -> None:
    """From the queues to the most urgent ticket and on; single keys are on for agents."""
    customer = visit("owner@harbor.example")
    urgent, second, _ = (file_request(customer, f"Keys {n}", s) for n, s in enumerate(("S1", "S3", "S3")))
    page = visit("agent2@support.example", "/reports")
    press, body, rows = page.keyboard.press, page.locator("#body"), page.locator("[data-row]")
    press("g")
    go(page, "d", "**/desk")
    press("/")
    page.keyboard.type("Keys")
    go(page, "Enter", "**q=Keys*")
    for key in ("j", "j", "x", "j", "x"):
        press(key)
    expect(page.locator("[data-pick]:checked")).to_have_count(2)
    tab_to(page, page.get_by_label("Give them to"), most=120)
    press("Tab")
    press("Enter")
    told(page, "2 tickets")

    press("j")
    expect(rows.first).to_have_text("Keys 0")
    go(page, "Enter", f"**/desk/{urgent}")
    press("t")
    told(page, "is yours")
    press("n")
    expect(page.get_by_role("radio", name="Internal note")).to_be_checked()
    say(page, "Who knows this node?")
    press("m")
    expect(page.locator("#macro")).to_be_focused()
    page.keyboard.type("Ask")
    tab_to(page, page.get_by_role("button", name="Insert", exact=True), most=2)
    press("Enter")
    expect(body).not_to_have_value("")
    say(page, " Which version is it?")
    expect(page.locator("#clock")).to_contain_text("Met")
    go(page, "]", f"**/desk/{second}")
    go(page, "[", f"**/desk/{urgent}*")


def test_an_agents_hour_on_a_ticket(visit: Visit) -> None:
    """Straight to a ticket by its key: reclassified with a reason, linked, answered, and the help read."""
    customer = visit("owner@harbor.example")
    key, other = file_request(customer, "A late report", "S3"), file_request(customer, "The same report", "S3")
    page = visit("agent2@support.example", f"/desk/{other}")
    press = page.keyboard.press
    press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type(key.lower())
    go(page, "Enter", f"**/desk/{key}")
    tab_to(page, page.get_by_role("link", name="Change severity"), most=120)
    go(page, "Enter", "**/severity")
    tab_to(page, page.locator("#severity input:checked"))
    press("ArrowDown")
    tab_to(page, page.get_by_role("textbox", name="Reason"))
    page.keyboard.type("One report a day is late.")
    go(page, "Enter", f"**/desk/{key}*")
    expect(page.locator("#marks")).to_contain_text("S4")
    tab_to(page, page.get_by_role("link", name="Link a ticket"), most=120)
    go(page, "Enter", "**/links")
    tab_to(page, page.locator("#other"))
    page.keyboard.type(other)
    press("Enter")
    expect(page.locator("#main")).to_contain_text("The same report")
    page.wait_for_url(re.compile(rf"/desk/{key}(#|$)"))
    _settle(page)
    press("n")
    tab_to(page, page.get_by_role("radio", name="Internal note"), back=True, most=2)
    press("r")
    expect(page.get_by_role("radio", name="Reply to the customer")).to_be_checked()
    say(page, "We look at it today.")
    go(page, "?", "**/shortcuts")
    expect(page.get_by_role("heading", name="At the desk")).to_be_visible()
