"""The list of requests: searched, filtered, sorted and paged without leaving the page, and the same by plain links."""

import re
from urllib.parse import parse_qs, urlsplit

from journeys.conftest import Visit
from journeys.portal import Portal, Watch, sign_in
from playwright.sync_api import Locator, Page, expect

WHO = "owner@northwind.example"


def titles(page: Page) -> list[str]:
    return page.locator("#list td.what > a").all_inner_texts()


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def documents(watch: Watch, page: Page) -> list[str]:
    """Note the pages that the browser itself loads from now on."""
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url) if request.is_navigation_request() else None)
    return loaded


def follow(page: Page, control: Locator, part: str) -> None:
    """Press a link or a button and wait for the page whose address has that part."""
    control.click()
    page.wait_for_url(re.compile(rf"[?&]{part}"))


def test_searching_filtering_sorting_and_paging_stay_on_the_page(visit: Visit, watch: Watch, portal: Portal) -> None:
    portal.change("UPDATE people SET page_size = 10 WHERE email = ?", WHO)
    page = visit(WHO, "/requests")
    loaded = documents(watch, page)
    count, box = page.locator("#count"), page.get_by_role("searchbox")
    expect(page.get_by_role("status").filter(has=count)).to_be_visible()

    box.press_sequentially("TiFlash", delay=15)
    expect(page.locator("#list td.what > a")).to_have_count(1)
    expect(count).to_contain_text("1")
    expect(box).to_be_focused()
    expect(box).to_have_value("TiFlash")
    assert query(page)["q"] == ["TiFlash"]
    assert len(watch.sent("GET", "/requests?")) < len("TiFlash"), "one request for a pause, not for a key"
    box.fill("")
    expect(page.locator("#list td.what > a").nth(2)).to_be_visible()

    page.get_by_label("Severity").focus()
    page.get_by_label("Severity").select_option("S2")
    expect(page.locator("#list .sev", has_text="S3")).to_have_count(0)
    assert query(page)["severity"] == ["S2"]
    expect(page.get_by_label("Severity")).to_be_focused()
    page.get_by_label("Severity").select_option("")
    expect(page.locator("#list .sev", has_text="S3").first).to_be_visible()
    assert loaded == []

    # The tabs are plain links; from there the list goes on without reloading.
    page.get_by_role("navigation", name="Filter by status").get_by_role("link", name="All").click()
    page.wait_for_url("**status=all*")
    loaded.clear()
    first = titles(page)
    assert len(first) == 10
    page.get_by_role("link", name="Page 2").click()
    page.wait_for_url("**page=2*")
    expect(page.locator("#list h2[data-focus]")).to_be_focused()
    second = titles(page)
    assert second
    assert not set(first) & set(second)

    page.get_by_role("columnheader", name="Severity").get_by_role("link").click()
    page.wait_for_url("**sort=severity*")
    expect(page.get_by_role("columnheader", name="Severity")).to_have_attribute("aria-sort", "descending")
    graves = [words[-2:] for words in page.locator("#list .sev").all_inner_texts()]
    assert graves == sorted(graves)
    assert graves[0] == "S1"
    assert loaded == []

    page.go_back()
    page.wait_for_url("**page=2*")
    expect(page.locator("#list td.what > a").first).to_have_text(second[0])
    page.go_back()
    expect(page.locator("#list td.what > a").first).to_have_text(first[0])

    # Opening a request and coming back keeps what was chosen.
    page.locator("#list td.what > a").first.click()
    page.wait_for_url("**/requests/*-*")
    page.go_back()
    expect(page.locator("#list td.what > a").first).to_have_text(first[0])
    assert query(page)["status"] == ["all"]


def test_the_same_by_plain_links_and_a_button(visit: Visit, portal: Portal) -> None:
    portal.change("UPDATE people SET page_size = 10 WHERE email = ?", WHO)
    page = visit(WHO, "/requests", java_script_enabled=False)
    page.get_by_role("searchbox").fill("TiFlash")
    follow(page, page.get_by_role("button", name="Search"), "q=TiFlash")
    assert len(titles(page)) == 1
    assert "TiFlash" in titles(page)[0]
    expect(page.locator("#count")).to_contain_text("1")
    expect(page.get_by_role("searchbox")).to_have_value("TiFlash")
    page.get_by_role("searchbox").fill("no such words anywhere")
    follow(page, page.get_by_role("button", name="Search"), "q=no")
    expect(page.get_by_role("heading", name="No request matches")).to_be_visible()
    follow(page, page.get_by_role("link", name="Clear the filters"), "status=all")
    first = titles(page)
    assert len(first) == 10
    follow(page, page.get_by_role("link", name="Next page"), "page=2")
    assert titles(page)
    assert not set(first) & set(titles(page))
    follow(page, page.get_by_role("columnheader", name="Severity").get_by_role("link"), "sort=severity")
    page.get_by_label("Severity").select_option("S1")
    follow(page, page.get_by_role("button", name="Search"), "severity=S1")
    assert {words[-2:] for words in page.locator("#list .sev").all_inner_texts()} == {"S1"}
    assert query(page)["sort"] == ["severity"]
    page.get_by_label("Created by").select_option(label="Created by me")
    follow(page, page.get_by_role("button", name="Search"), "by=me")
    assert set(page.locator("#list .nm").all_inner_texts()) == {"Klara Brandt"}


def test_a_list_that_is_asked_for_after_the_sign_in_ended_leads_to_it(visit: Visit, portal: Portal) -> None:
    page = visit()
    sign_in(page, portal.base, "billing@lumen.example", "/requests")
    mine = portal.ask("SELECT max(id) FROM sign_ins")[0][0]
    portal.change("UPDATE sign_ins SET ended_at = created_at WHERE id = ?", mine)
    page.get_by_role("searchbox").press_sequentially("card")
    page.wait_for_url(re.compile(r"/sign-in\?next=/requests"))
    page.get_by_role("button", name="Use the account billing@lumen.example").click()
    page.wait_for_url(re.compile(r"/requests\?.*q=card"))


def test_an_agent_steps_through_the_queue_by_mouse(visit: Visit) -> None:
    page = visit("agent@support.example", "/desk?queue=all")
    rows = page.locator("[data-row]")
    many, second = rows.count(), rows.nth(1).get_attribute("href")
    rows.first.click()
    place = page.get_by_role("navigation", name="Queue", exact=True)
    expect(place).to_contain_text(f"1 of {many}")
    expect(place.get_by_role("link")).to_have_count(1)
    place.get_by_role("link", name="Next ticket of the queue").click()
    page.wait_for_url(f"**{second}")
    expect(place).to_contain_text(f"2 of {many}")
    # A ticket that is not of that list stands nowhere in it.
    page.evaluate("sessionStorage.clear()")
    page.reload()
    expect(place).to_be_hidden()
