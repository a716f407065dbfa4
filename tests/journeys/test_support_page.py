"""What the documentation tells customers to do, followed word for word."""

import re
from pathlib import Path

import pytest
from journeys.conftest import Visit
from journeys.portal import Portal, sign_in
from playwright.sync_api import Locator, Page, expect

TECHNICAL, BILLING = "TiDB Cloud Technical Support", "TiDB Cloud Account/Billing"
TECHNICAL_FIELDS = [
    *("Summary", "TiDB Cloud Org", "TiDB Cloud Cluster", "Environment", "Description", "Severity"),
    *("Components", "Affects versions"),
]
BILLING_FIELDS = ["Summary", "TiDB Cloud Org", "TiDB Cloud Cluster", "Description", "Severity"]
SEVERITIES = {
    "S1": "Complete loss of production environmental functions.",
    "S2": "High impact on operations in production environments.",
    "S3": "Non-critical database usage issues in production or non-production environments",
    "S4": "General question on how a particular feature or function performs or should be configured. An issue that "
    "has minimal impact on business and can be tolerated for a reasonable period.",
}


def labels(page: Page) -> list[str]:
    """The labels and legends of the form, in their order, without what stands behind them."""
    found = page.locator("#ticket-form :is(.label, legend)").all_inner_texts()
    return [re.sub(r"\s*\(optional\)$", "", words.strip()) for words in found]


def severity(page: Page, code: str) -> Locator:
    return page.locator(f"#severity input[value={code}]")


def settled(page: Page, scripts: bool, what: Locator) -> None:
    """Wait until a choice has had its effect, where something acts on choices."""
    if scripts:
        what.wait_for()


def test_from_the_support_page_to_a_request_in_the_list(visit: Visit, scripts: bool) -> None:
    page = visit("owner@lumen.example", "/", java_script_enabled=scripts)
    page.wait_for_url("**/console/lumen-retail/support")
    plan = page.get_by_role("region", name="Current Plan")
    expect(plan.get_by_text("Standard", exact=True)).to_be_visible()

    create = page.get_by_role("link", name="Create a Support Ticket", exact=True)
    box, heading = create.bounding_box(), page.get_by_role("heading", level=1).bounding_box()
    content = page.get_by_role("main").bounding_box()
    assert box
    assert heading
    assert content
    assert abs(box["x"] + box["width"] - (content["x"] + content["width"])) <= 24, "it ends at the right edge"
    assert box["y"] < heading["y"] + 60, "it stands beside the page's title"
    create.click()

    page.wait_for_url("**/help")
    doors = page.locator(".door h2").all_inner_texts()
    assert sorted(doors) == sorted([BILLING, TECHNICAL])
    page.get_by_role("link", name=TECHNICAL, exact=True).click()
    page.wait_for_url("**/help/technical/new")

    assert labels(page) == [*TECHNICAL_FIELDS, "Attachments"]
    for code, text in SEVERITIES.items():
        expect(page.get_by_role("radio", name=re.compile(rf"^Severity {code}\s+{re.escape(text)}"))).to_be_visible()
    summary = f"Orders cannot be placed ({'with' if scripts else 'without'} JavaScript)"
    page.get_by_label("Summary").fill(summary)
    page.get_by_role("radio", name="Production", exact=True).check()
    page.get_by_label("Description").fill("Since 13:40 UTC every insert fails:\n\n```\nERROR 8027\n```\n\nWhat is it?")
    severity(page, "S2").check()
    settled(page, scripts, page.locator("#promise .by"))
    page.get_by_role("checkbox", name="TiKV", exact=True).check()
    page.get_by_label("Affects versions").select_option("v8.1.2")
    page.get_by_role("button", name="Create ticket", exact=True).click()

    page.wait_for_url("**/requests/TECH-*")
    key = page.url.rpartition("/")[2]
    told = page.locator("#flash")
    expect(told).to_contain_text(re.compile(rf"{key} created\. We will reply by .*\d\d:\d\d\."))
    expect(page.get_by_role("heading", level=1)).to_have_text(summary)
    expect(page.get_by_role("navigation", name="Breadcrumb")).to_contain_text(key)
    expect(page.locator("#clock time").first).to_be_visible()
    expect(page.locator("#thread pre")).to_have_text(re.compile("ERROR 8027"))

    # The avatar stands at the top right, and its menu leads to the list.
    avatar = page.get_by_role("button", name="Account menu for Daniel Reyes")
    place = avatar.bounding_box()
    assert place
    assert place["y"] < 60
    assert place["x"] + place["width"] > 1280 - 60
    avatar.click()
    page.locator("#me").get_by_role("link", name=re.compile(r"^Requests")).click()
    page.wait_for_url("**/requests")
    expect(page.get_by_role("heading", name="Requests", exact=True)).to_be_visible()
    row = page.get_by_role("row").filter(has_text=key)
    expect(row).to_contain_text("Open")
    row.get_by_role("link", name=summary).click()
    page.wait_for_url(f"**/requests/{key}")


def test_a_billing_request_knows_no_s1(visit: Visit, scripts: bool) -> None:
    page = visit("billing@lumen.example", "/help", java_script_enabled=scripts)
    page.get_by_role("link", name=BILLING, exact=True).click()
    page.wait_for_url("**/help/billing/new")
    assert labels(page) == [*BILLING_FIELDS, "Attachments"]
    assert page.locator("#severity input").evaluate_all("all => all.map(one => one.value)") == ["S2", "S3", "S4"]
    for code in ("S2", "S3", "S4"):
        expect(page.get_by_text(SEVERITIES[code], exact=True)).to_be_visible()
    assert SEVERITIES["S1"] not in page.content()
    expect(page.locator("#promise")).to_contain_text("carry no target")
    page.get_by_label("Summary").fill("An invoice twice")
    page.get_by_label("Description").fill("The November invoice came twice.")
    severity(page, "S3").check()
    page.get_by_role("button", name="Create ticket", exact=True).click()
    page.wait_for_url("**/requests/BILL-*")
    expect(page.locator("#flash")).to_contain_text("created")
    expect(page.locator("#clock")).to_contain_text("No target")


def test_an_attachment_goes_with_the_request_and_comes_back_whole(visit: Visit, scripts: bool, tmp_path: Path) -> None:
    log = tmp_path / "tikv-übersicht.log"
    log.write_bytes(b"2026-11-23 ERROR\n" * 500)
    page = visit("member@lumen.example", "/help/technical/new?severity=S4", java_script_enabled=scripts)
    page.get_by_label("Summary").fill("A log")
    page.get_by_role("radio", name="Staging", exact=True).check()
    page.get_by_label("Description").fill("See the log.")
    page.get_by_label("Attachments").set_input_files(log)
    settled(page, scripts, page.get_by_role("button", name=f"Remove {log.name}"))
    page.get_by_role("button", name="Create ticket", exact=True).click()
    page.wait_for_url("**/requests/TECH-*")
    files = page.get_by_role("list", name="Attachments")
    expect(files.get_by_role("link")).to_have_count(1)
    with page.expect_download() as started:
        files.get_by_role("link", name=log.name).click()
    assert started.value.suggested_filename == log.name
    assert started.value.path().read_bytes() == log.read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "heading"),
    [
        ("/servicedesk/customer/portals", "/help", "How can we help?"),
        ("/servicedesk/customer/portal/6", "/help/technical/new", "Create a technical support ticket"),
        ("/servicedesk/customer/portal/16", "/help/billing/new", "Create an account or billing ticket"),
        ("/servicedesk/customer/user/requests", "/requests", "Requests"),
    ],
)
def test_addresses_printed_in_old_mails_lead_here(visit: Visit, old: str, new: str, heading: str) -> None:
    page = visit("owner@northwind.example", old)
    page.wait_for_url(f"**{new}")
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_on_basic_the_old_technical_address_explains_the_closed_door(
    visit: Visit, portal: Portal, scripts: bool
) -> None:
    page = visit(java_script_enabled=scripts)
    sign_in(page, portal.base, "owner@aurora.example", "/servicedesk/customer/portal/6")
    page.wait_for_url("**/help/technical/new")
    expect(page.get_by_role("heading", level=1)).to_have_text(TECHNICAL)
    main = page.get_by_role("main")
    expect(main).to_contain_text("Aurora Games is on the Basic plan")
    expect(main).to_contain_text(re.compile(r"Standard"))
    assert main.locator("form:has(textarea)").count() == 0
    expect(main.get_by_role("link", name="TiDB community")).to_be_visible()
    expect(main.get_by_role("link", name="Support page")).to_be_visible()
    main.get_by_role("link", name=BILLING, exact=True).click()
    page.wait_for_url("**/help/billing/new")
