"""Writing at the desk in a browser: undo in time, macros by key and without JavaScript, and who else is writing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from journeys.conftest import Visit
from journeys.portal import Portal, Watch, file_request, sign_in
from journeys.test_accessibility import problems
from playwright.sync_api import Browser, Page, expect

CUSTOMER, AGENT, OTHER = "owner@northwind.example", "agent@support.example", "agent2@support.example"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal where replies wait, for long enough that no machine is too slow."""
    running = Portal(tmp_path_factory.mktemp("patient") / "data", UNDO_SECONDS="30")
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def open_as(patient: Portal, browser: Browser, scripts: bool) -> Iterator[Callable[[str, str], Page]]:
    """Return a function that opens a page of that portal as somebody."""
    contexts, watch = [], Watch(patient.base)

    def opened(email: str, path: str) -> Page:
        context = browser.new_context(base_url=patient.base, java_script_enabled=scripts)
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        sign_in(page, patient.base, email)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    watch.check()


def test_a_reply_is_undone_and_sent_again(open_as: Callable[[str, str], Page], patient: Portal, scripts: bool) -> None:
    customer = open_as(CUSTOMER, "/help")
    key = file_request(customer, f"To be undone ({scripts})")
    agent = open_as(AGENT, f"/desk/{key}")
    agent.locator("#body").fill("A reply with a mistake.")
    agent.get_by_role("button", name="Send reply to customer").click()
    agent.wait_for_url("**#message-*")
    expect(agent.locator("#flash")).to_contain_text("until then you can undo it")
    expect(agent.locator("#thread")).to_contain_text("Being sent")
    if scripts:
        found = problems(agent, "a reply on its way")
        assert not found, "\n".join(found)
    customer.goto(f"/requests/{key}")
    expect(customer.locator("#thread")).not_to_contain_text("mistake")
    agent.get_by_role("button", name="Undo").click()
    agent.wait_for_url("**draft=*")
    expect(agent.locator("#flash")).to_contain_text("nobody has seen it")
    expect(agent.locator("#body")).to_have_value("A reply with a mistake.")
    expect(agent.locator("#thread article")).to_have_count(1)
    agent.locator("#body").fill("A reply.")
    agent.get_by_role("button", name="Send reply to customer").click()
    agent.wait_for_url("**#message-*")
    # As if the time were over: the worker looks every second.
    patient.change("UPDATE held_replies SET until = sent_at")
    for _ in range(40):
        customer.goto(f"/requests/{key}")
        if "A reply." in customer.locator("#thread").inner_text():
            break
        customer.wait_for_timeout(250)
    expect(customer.locator("#status")).to_contain_text("Waiting for you")
    expect(customer.locator("#clock")).to_contain_text("Met")
    assert "mistake" not in customer.content()


def test_a_macro_is_inserted_and_nothing_typed_is_lost(visit: Visit, scripts: bool) -> None:
    key = file_request(visit(CUSTOMER, java_script_enabled=scripts), f"For a macro ({scripts})")
    agent = visit(AGENT, f"/desk/{key}", java_script_enabled=scripts)
    agent.locator("#body").fill("Typed before.")
    agent.get_by_label("Macro").select_option(label="Ask for the slow query log")
    agent.get_by_role("button", name="Insert").click()
    expect(agent.locator("#body")).to_have_value(re.compile(r"^Typed before\.\n\nHello \w+,"))
    expect(agent.get_by_label("Assign to me")).to_be_checked()
    if scripts:
        expect(agent.locator("#body")).to_be_focused()
    agent.get_by_role("button", name="Send reply to customer").click()
    agent.wait_for_url("**#message-*")
    expect(agent.locator("#status")).to_contain_text("Waiting for customer")


def test_keys_go_to_the_reply_the_note_and_the_macro(visit: Visit) -> None:
    key = file_request(visit(CUSTOMER), "For three keys")
    page = visit(AGENT, f"/desk/{key}")
    page.keyboard.press("m")
    expect(page.locator("#macro")).to_be_focused()
    page.locator("h1").click()
    page.keyboard.press("n")
    expect(page.get_by_role("radio", name="Internal note")).to_be_checked()
    page.locator("h1").click()
    page.keyboard.press("r")
    expect(page.locator("#body")).to_be_focused()
    page.keyboard.type("mnr are letters here")
    expect(page.locator("#body")).to_have_value("mnr are letters here")


def test_a_colleague_who_starts_to_write_appears_by_itself(visit: Visit) -> None:
    key = file_request(visit(CUSTOMER), "For two who write")
    first, second = visit(AGENT, f"/desk/{key}"), visit(OTHER, f"/desk/{key}")
    # Its page asks every twenty seconds: the clock of the browser is turned, nobody waits for it.
    first.clock.install()
    first.reload()
    expect(first.locator("#presence")).to_have_text("")
    second.locator("#body").press_sequentially("I am on it")
    expect(second.locator("#draft-state")).to_contain_text("Draft saved")
    first.locator("#body").fill("Half a sentence")
    with first.expect_response(f"**/desk/{key}/presence"):
        first.clock.run_for(30_000)
    expect(first.locator("#presence")).to_contain_text("is replying")
    expect(first.locator("#body")).to_have_value("Half a sentence")


def test_two_reports_of_one_thing_become_one_and_one_part_goes_its_own_way(visit: Visit, scripts: bool) -> None:
    customer = visit(CUSTOMER, java_script_enabled=scripts)
    first, second = (file_request(customer, f"Report {number} ({scripts})") for number in (1, 2))
    customer.goto(f"/requests/{first}")
    customer.locator("#body").fill("And, by the way, how do we add a region?")
    customer.get_by_role("button", name="Reply", exact=True).click()
    customer.wait_for_url("**#message-*")

    agent = visit(AGENT, f"/desk/{second}", java_script_enabled=scripts)
    agent.get_by_role("link", name="Merge", exact=True).click()
    agent.get_by_label("Merge into").fill(first)
    agent.get_by_role("button", name="Show what happens").click()
    expect(agent.get_by_text("This cannot be undone.")).to_be_visible()
    if scripts:
        found = problems(agent, "a merge, before it is done")
        assert not found, "\n".join(found)
    agent.get_by_role("button", name=f"Merge into {first}").click()
    expect(agent.locator("#thread")).to_contain_text(f"merged another request into this one: {second}")

    agent.get_by_role("link", name="Split", exact=True).click()
    agent.get_by_role("checkbox").last.check()
    agent.get_by_label("Summary of the new request").fill(f"Add a region ({scripts})")
    agent.get_by_role("button", name="Move the messages").click()
    expect(agent.get_by_role("heading", level=1)).to_have_text(f"Add a region ({scripts})")
    expect(agent.locator("#thread")).to_contain_text("how do we add a region?")

    customer.goto(f"/requests/{second}")
    expect(customer.locator("#status")).to_contain_text("Closed")
    customer.locator("#composer").get_by_role("link", name=first).click()
    expect(customer.locator("#thread")).not_to_contain_text("how do we add a region?")
    customer.locator("#thread").get_by_role("link", name=re.compile("^TECH-")).last.click()
    expect(customer.get_by_role("heading", level=1)).to_have_text(f"Add a region ({scripts})")
