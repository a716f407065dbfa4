"""A request from its first word to its end, between a customer and an agent."""

import re

from journeys.conftest import Visit
from journeys.portal import file_request
from playwright.sync_api import Page, expect

CUSTOMER, AGENT = "owner@northwind.example", "agent@support.example"


def send(page: Page, text: str, button: str) -> None:
    page.locator("#body").fill(text)
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_url("**#message-*")


def letter(page: Page, key: str, words: str) -> None:
    """Wait for a letter about the request in the demo's mailbox, and find the words in it."""
    for _ in range(40):
        page.goto("/demo/mail")
        for link in page.get_by_role("link", name=re.compile(key)).all():
            address = link.get_attribute("href") or ""
            if words in page.context.request.get(address).text():
                return
        page.wait_for_timeout(250)
    raise AssertionError(f"no letter about {key} with “{words}”")


def test_question_answer_note_reply_end_and_reopening(visit: Visit, scripts: bool) -> None:
    word = "scripted" if scripts else "plain"
    customer = visit(CUSTOMER, java_script_enabled=scripts)
    key = file_request(customer, f"Sessions hang ({word})")
    customer.goto(f"/requests/{key}")
    expect(customer.locator("#clock")).to_contain_text("Due")

    agent = visit(AGENT, f"/desk/{key}", java_script_enabled=scripts)
    agent.get_by_role("button", name="Take", exact=True).click()
    expect(agent.locator("#flash")).to_contain_text(f"{key} is yours")
    agent.get_by_role("radio", name="Internal note").check()
    send(agent, f"Secret between us {word}: ask the **storage** team.", "Add internal note")
    expect(agent.locator("article.internal")).to_contain_text("ask the storage team")
    expect(agent.locator("article.internal")).to_contain_text("Internal note")
    send(agent, f"Which version of the driver is it? {word}", "Send reply to customer")
    expect(agent.locator("#status")).to_contain_text("Waiting for customer")

    customer.goto(f"/requests/{key}")
    expect(customer.locator("#status")).to_contain_text("Waiting for you")
    expect(customer.get_by_role("heading", name="Sofia is waiting for your reply")).to_be_visible()
    expect(customer.locator("#clock")).to_contain_text("Met")
    expect(customer.locator("#thread")).to_contain_text("Which version of the driver is it?")
    assert "Secret between us" not in customer.content()
    send(customer, "Version 3.1 of the driver.", "Reply")
    expect(customer.locator("#status")).to_contain_text("Open")

    customer.get_by_role("button", name="Mark as resolved").click()
    expect(customer.locator("#flash")).to_contain_text("Marked as resolved")
    expect(customer.locator("#status")).to_contain_text("Resolved")
    customer.get_by_role("button", name="Reopen", exact=True).click()
    expect(customer.locator("#flash")).to_contain_text("Reopened")
    expect(customer.locator("#status")).to_contain_text("Open")

    agent.goto(f"/desk/{key}")
    expect(agent.locator("#thread")).to_contain_text("Version 3.1 of the driver.")
    for path in (f"/requests/{key}/print", f"/requests?q={key}", "/help"):
        customer.goto(path)
        assert "Secret between us" not in customer.content()
    letter(customer, key, f"Which version of the driver is it? {word}")


def test_two_agents_at_once_see_each_other(visit: Visit) -> None:
    key = file_request(visit(CUSTOMER), "Two agents")
    first, second = (visit(who, f"/desk/{key}") for who in (AGENT, "agent2@support.example"))
    first.locator("#body").fill("I look at it.")
    send(second, "Restart the node.", "Send reply to customer")
    first.get_by_role("button", name="Send reply to customer").click()
    expect(first.get_by_role("heading", name="Somebody else was quicker")).to_be_visible()
    expect(first.locator("#conflict")).to_be_focused()
    expect(first.locator("#conflict")).to_contain_text("Restart the node.")
    expect(first.locator("#body")).to_have_value("I look at it.")
    send(first, "I look at it, too.", "Send anyway")
    expect(first.locator("#thread")).to_contain_text("I look at it, too.")


def test_a_text_that_is_html_stays_text(visit: Visit) -> None:
    page = visit(CUSTOMER)
    key = file_request(page, "<img src=x onerror=alert(1)> & <b>bold</b>")
    page.goto(f"/requests/{key}")
    expect(page.get_by_role("heading", level=1)).to_have_text("<img src=x onerror=alert(1)> & <b>bold</b>")
    send(page, '<script>document.title="x"</script><a href="javascript:alert(1)" hx-get="/help">go</a>', "Reply")
    assert page.locator("#thread script, #thread [hx-get]:not(#composer *, #live)").count() == 0
    assert page.locator("#thread [href^=javascript]").count() == 0
    assert key in page.title()


def test_an_open_page_shows_what_comes_and_leaves_the_writer_alone(visit: Visit) -> None:
    customer, agent = visit(CUSTOMER), visit(AGENT)
    key = file_request(customer, "Left open")
    customer.clock.install()
    agent.clock.install()
    customer.goto(f"/requests/{key}")
    agent.goto(f"/desk/{key}")
    body = customer.locator("#body")
    body.fill("It began after")
    body.press("Home")
    other = visit("agent2@support.example", f"/desk/{key}")
    other.locator("#then").select_option("waiting")
    send(other, "Which version is it?", "Send reply to customer")

    for page in (customer, agent):
        page.clock.fast_forward(21_000)
        expect(page.locator("#thread")).to_contain_text("Which version is it?")
        expect(page.locator("#news")).to_contain_text("in the conversation")
    expect(customer.locator("#status")).to_contain_text("Waiting for you")
    expect(customer.get_by_role("heading", name="is waiting for your reply")).to_be_visible()
    expect(customer.locator("#engineer")).not_to_have_text("Nobody yet")
    expect(body).to_be_focused()
    assert body.evaluate("e => [e.value, e.selectionStart]") == ["It began after", 0]
    expect(agent.get_by_role("button", name="Take", exact=True)).to_have_count(0)

    # Who has read it on the page may answer without being held up.
    send(agent, "It is 8.5.1, I looked it up.", "Send reply to customer")
    customer.clock.fast_forward(21_000)
    expect(customer.locator("#thread")).to_contain_text("I looked it up")
    assert customer.locator("#thread article").count() == 3, "nothing comes twice"


def test_what_an_agent_is_choosing_stays_and_what_it_has_seen_does(visit: Visit) -> None:
    key = file_request(visit(CUSTOMER), "Somebody takes it meanwhile")
    page, other = (visit(who) for who in (AGENT, "agent2@support.example"))
    page.clock.install()
    page.goto(f"/desk/{key}")
    box = page.locator("#assignee")
    nobody = box.input_value()
    other.goto(f"/desk/{key}")
    other.get_by_role("button", name="Take", exact=True).click()
    page.clock.run_for(21_000)
    expect(page.locator("#thread")).to_contain_text("took this request")
    expect(box).not_to_have_value(nobody)
    theirs = box.input_value()
    box.select_option(nobody)
    send(other, "I look at it.", "Send reply to customer")
    page.clock.run_for(21_000)
    expect(page.locator("#thread")).to_contain_text("I look at it.")
    expect(box).to_have_value(nobody)
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_role("heading", name="Somebody else was quicker")).to_be_visible()
    expect(box).to_have_value(theirs)
