"""A request on paper."""

from journeys.conftest import Visit
from journeys.portal import file_request, write
from playwright.sync_api import Page, expect


def on_paper(page: Page, key: str) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    for gone in (".bar", "#composer", ".btn", "#flash"):
        for one in page.locator(gone).all():
            expect(one).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("It fails since this morning.")).to_be_visible()
    expect(page.get_by_text("An answer on paper.")).to_be_visible()
    expect(page.get_by_text(key).first).to_be_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}, "paper is white, whatever the screen's theme"
    ends = page.evaluate(
        "[...document.querySelectorAll('.thread pre')].every(one => one.scrollWidth <= one.clientWidth)"
    )
    assert ends, "long lines wrap, since paper does not scroll"
    assert "Not for paper" not in page.content()
    assert page.pdf().startswith(b"%PDF-")


def test_a_request_prints_without_the_screen_and_never_with_notes(visit: Visit) -> None:
    customer = visit("owner@harbor.example")
    key = file_request(customer, "For the file")
    agent = visit("agent@support.example", f"/desk/{key}", java_script_enabled=False)
    answer = f"An answer on paper.\n\n```\n{'long ' * 60}\n```"
    for mode, text in (("Internal note", "Not for paper."), ("Reply to the customer", answer)):
        write(agent, mode, text)
    for page, path in (
        (customer, f"/requests/{key}"),
        (customer, f"/requests/{key}/print"),
        (agent, f"/desk/{key}/print"),
    ):
        page.goto(path)
        on_paper(page, key)
