"""What a visit costs on the wire, where htmx comes from, and that a changed copy of it never runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from journeys.conftest import Visit
from journeys.portal import HTMX, Portal, Watch, sign_in
from playwright.sync_api import Browser, Page, expect

KILOBYTE = 1000


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal for a network without the internet: it serves htmx itself."""
    running = Portal(tmp_path_factory.mktemp("lonely") / "data", HTMX_SOURCE="self")
    try:
        running.wait()
        yield running
    finally:
        running.stop()


class Scales:
    """Weighs what the page receives, headers and all; what the browser's cache has weighs nothing."""

    def __init__(self, page: Page) -> None:
        self.received: dict[str, float] = {}
        self.asked: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", lambda e: self.asked.update({e["requestId"]: e["request"]["url"]}))
        session.on("Network.loadingFinished", self._weigh)

    def _weigh(self, event: dict[str, object]) -> None:
        if str(event["requestId"]) in self.asked:
            self.received[str(event["requestId"])] = float(str(event["encodedDataLength"]))

    def weigh(self, page: Page, path: str) -> float:
        """Open the page and return the bytes that came for it."""
        self.received.clear()
        page.goto(path, wait_until="networkidle")
        return sum(self.received.values())


def test_the_first_visit_and_every_further_page_are_light(lonely: Portal, browser: Browser) -> None:
    # Answering for other hosts would switch the browser's cache off, so this context is not watched but read off.
    context = browser.new_context(base_url=lonely.base)
    page = context.new_page()
    scales = Scales(page)
    first = scales.weigh(page, "/sign-in")
    assert 40 * KILOBYTE < first < 64 * KILOBYTE, first
    sign_in(page, lonely.base, "owner@lumen.example")
    for path in ("/help", "/requests", "/help/technical/new", "/profile/sessions", "/help"):
        assert 500 < scales.weigh(page, path) < 6 * KILOBYTE, path
    assert {url for url in scales.asked.values() if not url.startswith(lonely.base)} == set()
    for url in {url for url in scales.asked.values() if "/static/" in url}:
        headers = page.request.get(url).headers
        assert headers["cache-control"] == "public, max-age=31536000, immutable", url
        assert "content-encoding" in headers or url.endswith(".woff2"), url

    # And htmx works from there.
    page.goto("/requests")
    page.get_by_role("searchbox").press_sequentially("Hot region")
    expect(page.locator("#list td.what > a")).to_have_count(0)
    page.wait_for_url("**q=Hot*")
    context.close()


def test_htmx_runs_with_the_published_hash(visit: Visit, watch: Watch) -> None:
    page = visit("owner@harbor.example", "/requests")
    assert page.evaluate("typeof htmx") == "object"
    assert HTMX.name.split("-")[1].startswith(page.evaluate("htmx.version"))


def test_htmx_with_other_bytes_never_runs_and_pages_do_without(
    portal: Portal, browser: Browser, states: object
) -> None:
    watch = Watch(portal.base, HTMX.read_bytes().replace(b"htmx", b"hTmx", 1))
    assert watch.htmx != HTMX.read_bytes()
    context = browser.new_context(base_url=portal.base, storage_state=states("owner@harbor.example"))
    watch.over(context)
    page = context.new_page()
    page.goto("/requests")
    assert page.evaluate("typeof htmx") == "undefined"
    assert any("integrity" in one for one in watch.trouble)
    page.get_by_role("searchbox").fill("Yokohama")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=Yokohama*")
    context.close()
    watch.expected.append("integrity")
    watch.check()
