"""Both portal forms while somebody fills them in: what hangs together, and that no word is ever lost."""

import re
from pathlib import Path

import pytest
from journeys.conftest import Visit
from journeys.portal import Portal, Watch, file_request, sign_in
from playwright.sync_api import Page, Response, Route, expect

NEW = "/help/technical/new"
TEXT = "Since 13:40 UTC inserts fail.\n\n    ERROR 9005\n\nZażółć 🦀 <b>&amp;"


def describe(page: Page, summary: str) -> None:
    page.get_by_label("Summary").fill(summary)
    page.get_by_label("Description").fill(TEXT)


def saved(answer: Response, word: str) -> bool:
    """Tell whether this is the page to which the saving of a draft with that word leads."""
    before = answer.request.redirected_from
    return answer.url.endswith("/help/drafts") and before is not None and word in str(before.post_data)


def test_choices_fill_what_hangs_on_them_and_send_no_text(visit: Visit, watch: Watch) -> None:
    page = visit("partner@consult.example", "/help/billing/new")
    describe(page, "Two organizations")
    cluster = page.get_by_label("TiDB Cloud Cluster")
    page.get_by_label("TiDB Cloud Org").select_option("aurora-games")
    expect(cluster.locator("option")).to_contain_text(["Not about one cluster", "arena-dev", "arena-prod"])
    page.get_by_label("TiDB Cloud Org").select_option("northwind-bank")
    expect(cluster.locator("option", has_text="ledger-prod")).to_have_count(1)
    expect(cluster.locator("option", has_text="arena")).to_have_count(0)
    expect(page.get_by_label("Description")).to_have_value(TEXT)

    page.goto(f"{NEW}?organization=northwind-bank")
    describe(page, "One cluster")
    page.get_by_label("TiDB Cloud Cluster").select_option(label="core-staging – Dedicated – v8.5.1")
    expect(page.get_by_role("radio", name="Staging", exact=True)).to_be_checked()
    expect(page.get_by_label("Affects versions")).to_have_value("v8.5.1")
    page.get_by_role("radio", name=re.compile("^Severity S2")).check()
    expect(page.locator("#promise .by")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(page.locator("#promise")).to_contain_text("2 hours")
    page.get_by_role("radio", name=re.compile("^Severity S4")).check()
    expect(page.locator("#promise")).to_contain_text("24 business hours")
    expect(page.get_by_role("status").filter(has=page.locator("#promise"))).to_be_visible()

    # Basic opens no door: the page says so before anybody writes on, and keeps the severity for a plan that does.
    page.get_by_label("TiDB Cloud Org").select_option("aurora-games")
    expect(page.locator("#severity-field")).to_contain_text("is on the Basic plan")
    expect(page.locator("#severity-field")).not_to_contain_text("not offered here")
    expect(page.get_by_role("radio", name=re.compile("^Severity S4"))).to_be_checked()
    expect(page.locator("#send")).to_have_text("Keep it until a plan opens it")
    expect(page.locator("#promise")).to_contain_text("Closed for Aurora Games")
    # What a cluster of the other organization filled in goes with it.
    expect(page.get_by_role("radio", name="Staging", exact=True)).not_to_be_checked()
    expect(page.get_by_label("Affects versions")).to_have_value("")
    expect(page.get_by_label("Description")).to_have_value(TEXT)
    expect(page.get_by_label("Summary")).to_have_value("One cluster")

    asked = [address for address in watch.sent("GET", "/help/") if "?" in address]
    assert len(asked) >= 6
    assert not any(re.search(r"[?&](description|summary|csrf_token|key)=", address) for address in asked)


def test_without_javascript_a_button_fills_the_lists_and_keeps_the_text(visit: Visit) -> None:
    page = visit("partner@consult.example", NEW, java_script_enabled=False)
    describe(page, "Plain lists")
    page.get_by_role("radio", name=re.compile("^Severity S3")).check()
    use = page.get_by_role("button", name="Use this organization and cluster")
    page.get_by_label("TiDB Cloud Cluster").select_option(label="reporting – Dedicated – v7.5.6")
    use.click()
    expect(page.get_by_role("radio", name="Production", exact=True)).to_be_checked()
    expect(page.get_by_label("Affects versions")).to_have_value("v7.5.6")
    expect(page.locator("#promise .by")).to_be_visible()
    page.get_by_label("TiDB Cloud Org").select_option("aurora-games")
    use.click()
    expect(page.get_by_label("TiDB Cloud Org")).to_have_value("aurora-games")
    expect(page.get_by_label("TiDB Cloud Cluster").locator("option", has_text="arena-prod")).to_have_count(1)
    expect(page.get_by_label("Description")).to_have_value(TEXT)
    expect(page.get_by_label("Summary")).to_have_value("Plain lists")
    page.get_by_role("button", name="Discard draft").click()
    expect(page.locator("#flash")).to_contain_text("thrown away")


def test_a_refused_form_keeps_every_word_and_file(visit: Visit, scripts: bool, tmp_path: Path) -> None:
    notes = tmp_path / "plan.txt"
    notes.write_text("IndexScan")
    page = visit("owner@harbor.example", NEW, java_script_enabled=scripts)
    page.get_by_label("Description").fill(TEXT)
    page.get_by_role("checkbox", name="PD", exact=True).check()
    page.get_by_label("Attachments").set_input_files(notes)
    if scripts:
        expect(page.get_by_role("button", name="Remove plan.txt")).to_be_visible()
    page.get_by_role("button", name="Create ticket", exact=True).click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    assert page.title().startswith("Error: ")
    if scripts:
        expect(page.locator("#errors")).to_be_focused()
    for words in ("Enter a summary", "Choose an environment.", "Choose a severity by business impact."):
        expect(page.locator("#errors").get_by_text(words)).to_be_visible()
    page.locator("#errors").get_by_role("link", name=re.compile("^Enter a summary")).click()
    assert page.url.endswith("#summary")
    expect(page.get_by_label("Summary")).to_be_focused()
    expect(page.get_by_label("Description")).to_have_value(TEXT)
    expect(page.get_by_role("checkbox", name="PD", exact=True)).to_be_checked()
    expect(page.get_by_role("button", name="Remove plan.txt")).to_be_visible()
    page.get_by_label("Summary").fill("At last")
    page.get_by_role("radio", name="Production", exact=True).check()
    page.get_by_role("radio", name=re.compile("^Severity S4")).check()
    page.get_by_role("button", name="Create ticket", exact=True).click()
    page.wait_for_url("**/requests/TECH-*")
    expect(page.get_by_role("list", name="Attachments").get_by_role("link")).to_have_text(["plan.txt"])


def test_a_file_can_be_taken_off_again(visit: Visit, scripts: bool, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    page = visit("owner@aurora.example", "/help/billing/new", java_script_enabled=scripts)
    describe(page, "Two files")
    page.get_by_label("Attachments").set_input_files([tmp_path / "one.txt", tmp_path / "two.txt"])
    if not scripts:
        page.get_by_role("button", name="Attach now").click()
    page.get_by_role("button", name="Remove one.txt").click()
    expect(page.get_by_role("button", name="Remove one.txt")).to_have_count(0)
    expect(page.get_by_role("button", name="Remove two.txt")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value(TEXT)
    page.get_by_role("button", name="Discard draft").click()
    page.wait_for_url("**/help/drafts")


def test_a_draft_saves_itself_and_survives_a_reload(visit: Visit, watch: Watch) -> None:
    page = visit("member@northwind.example", NEW)
    with page.expect_response(lambda answer: saved(answer, "TiFlash")):
        describe(page, "Saved by itself")
        page.get_by_role("checkbox", name="TiFlash").check()
    expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    page.reload()
    expect(page.get_by_label("Summary")).to_have_value("Saved by itself")
    expect(page.get_by_label("Description")).to_have_value(TEXT)
    expect(page.get_by_role("checkbox", name="TiFlash")).to_be_checked()

    # Who writes without a pause is saved as well.
    before = len(watch.sent("POST", "/help/technical/draft"))
    page.get_by_label("Description").focus()
    for _ in range(24):
        page.keyboard.type("x")
        page.wait_for_timeout(450)
        if len(watch.sent("POST", "/help/technical/draft")) > before:
            break
    else:
        raise AssertionError("nothing was saved in ten seconds of writing")
    page.get_by_role("button", name="Discard draft").click()
    page.wait_for_url("**/help/drafts")
    page.goto(NEW)
    expect(page.get_by_label("Summary")).to_have_value("")


@pytest.mark.parametrize("way", ["create", "choose", "write"])
def test_a_sign_in_that_ends_while_writing_loses_nothing(visit: Visit, portal: Portal, scripts: bool, way: str) -> None:
    if way != "create" and not scripts:
        pytest.skip("only scripts ask the server before the form is sent")
    who = "owner@lumen.example"
    page = visit(java_script_enabled=scripts)
    sign_in(page, portal.base, who, NEW)
    mine = portal.ask("SELECT max(id) FROM sign_ins")[0][0]
    describe(page, f"Ended: {way}")
    page.get_by_role("radio", name="Staging", exact=True).check()
    page.get_by_role("checkbox", name="TiCDC").check()
    page.get_by_label("Affects versions").select_option("v8.5.1")
    if scripts:
        # The draft is saved once more, and only then the sign-in ends: nothing but what follows may find out.
        with page.expect_response(lambda answer: saved(answer, "severity")):
            page.locator("#severity input[value=S3]").check()
    else:
        page.locator("#severity input[value=S3]").check()
    portal.change("UPDATE sign_ins SET ended_at = created_at WHERE id = ?", mine)
    text = TEXT
    if way == "create":
        page.get_by_role("button", name="Create ticket", exact=True).click()
    elif way == "choose":
        page.get_by_label("TiDB Cloud Cluster").select_option(label="dev-sandbox – Starter – v7.1.6")
    else:
        text += " And this is the last word."
        page.get_by_label("Description").fill(text)
    page.wait_for_url(re.compile(r"/sign-in\?next=/help/technical/new$"))
    expect(page.get_by_text("Your text is kept")).to_be_visible()
    page.get_by_role("button", name=f"Use the account {who}").click()
    page.wait_for_url(f"**{NEW}")
    expect(page.get_by_label("Summary")).to_have_value(f"Ended: {way}")
    expect(page.get_by_label("Description")).to_have_value(text)
    expect(page.get_by_role("radio", name="Staging", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="TiCDC")).to_be_checked()
    expect(page.get_by_label("Affects versions")).to_have_value("v8.5.1")
    expect(page.locator("#severity input[value=S3]")).to_be_checked()
    page.get_by_role("button", name="Create ticket", exact=True).click()
    page.wait_for_url("**/requests/TECH-*")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Ended: {way}")


def test_a_reply_written_over_an_ended_sign_in_is_back(visit: Visit, portal: Portal) -> None:
    page = visit()
    sign_in(page, portal.base, "owner@harbor.example")
    key = file_request(page, "Ended at the reply")
    page.goto(f"/requests/{key}")
    mine = portal.ask("SELECT max(id) FROM sign_ins")[0][0]
    portal.change("UPDATE sign_ins SET ended_at = created_at WHERE id = ?", mine)
    page.locator("#body").press_sequentially("One more thing", delay=20)
    page.wait_for_url(re.compile(rf"/sign-in\?next=/requests/{key}$"))
    page.get_by_role("button", name="Use the account owner@harbor.example").click()
    page.wait_for_url(f"**/requests/{key}")
    written = page.locator("#body").input_value()
    assert written
    assert "One more thing".startswith(written)


def test_a_double_click_makes_one_request(visit: Visit, portal: Portal, scripts: bool) -> None:
    summary = f"Clicked twice {'with' if scripts else 'without'} scripts"
    page = visit("owner@harbor.example", "/help/billing/new", java_script_enabled=scripts)
    describe(page, summary)
    page.locator("#severity input[value=S4]").check()
    page.get_by_role("button", name="Create ticket", exact=True).dblclick()
    page.wait_for_url("**/requests/BILL-*")
    assert portal.ask("SELECT count(*) FROM tickets WHERE summary = ?", summary) == [(1,)]
    page.go_back()
    if page.url.endswith("/new"):
        page.get_by_role("button", name="Create ticket", exact=True).click()
        page.wait_for_load_state()
    assert portal.ask("SELECT count(*) FROM tickets WHERE summary = ?", summary) == [(1,)]


def test_a_server_that_cannot_answer_is_said_and_the_text_stays(visit: Visit, watch: Watch) -> None:
    page = visit("member@lumen.example", NEW)
    describe(page, "Not reached")
    expect(page.locator("#draft-state")).to_contain_text("Draft saved", timeout=10_000)
    watch.expected += ["ERR_FAILED", "status of 500", "Error Code 500", "htmx:"]

    def fail(route: Route) -> None:
        route.fulfill(status=500, body="<h1>no</h1>", content_type="text/html")

    flash = page.locator("#flash")
    page.context.route("**/help/technical/new?*", lambda route: route.abort())
    page.locator("#severity input[value=S3]").check()
    expect(flash).to_contain_text("We could not reach the server. Your text is still here. Try again.")
    expect(flash).to_have_role("alert")
    page.context.unroute("**/help/technical/new?*")
    page.locator("#severity input[value=S4]").check()
    expect(page.locator("#promise .by")).to_be_visible()
    expect(flash).to_be_empty()
    page.context.route("**/help/technical/preview", fail)
    page.get_by_role("button", name="Preview").click()
    expect(flash).to_contain_text("Something went wrong on our side. Your text is still here. Try again.")
    expect(page.get_by_label("Description")).to_have_value(TEXT)
    expect(page.get_by_label("Summary")).to_have_value("Not reached")
    page.context.unroute("**/help/technical/preview")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("group", name="Preview")).to_contain_text("ERROR 9005")
    expect(flash).to_be_empty()
    page.goto(NEW)
    page.get_by_role("button", name="Discard draft").click()
    page.wait_for_url("**/help/drafts")
