"""One running portal and one browser for each test process; a watched context for each visitor of each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from journeys.portal import PATIENCE, Portal, Watch, chromium, sign_in
from playwright.sync_api import Browser, Page, StorageState, expect, sync_playwright

expect.set_options(timeout=PATIENCE)


class Visit(Protocol):
    """Opens a page as somebody, or as nobody."""

    def __call__(self, email: str | None = None, path: str = "", **options: Any) -> Page: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """The portal with its demo world. Tests share it: each works on requests of its own."""
    running = Portal(tmp_path_factory.mktemp("portal") / "data")
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium."""
    with sync_playwright() as play, chromium(play) as running:
        yield running


@pytest.fixture(scope="session")
def states(portal: Portal, browser: Browser) -> Callable[[str], StorageState]:
    """Return a function that gives the cookies of a signed-in person; everybody signs in once."""
    kept: dict[str, StorageState] = {}

    def state(email: str) -> StorageState:
        if email not in kept:
            context = browser.new_context(java_script_enabled=False)
            Watch(portal.base).over(context)
            sign_in(context.new_page(), portal.base, email)
            kept[email] = context.storage_state()
            context.close()
        return kept[email]

    return state


@pytest.fixture
def watch(portal: Portal) -> Watch:
    """What the browsers of this test did; a test that provokes trouble names it in `watch.expected`."""
    return Watch(portal.base)


@pytest.fixture
def visit(portal: Portal, browser: Browser, states: Callable[[str], StorageState], watch: Watch) -> Iterator[Visit]:
    """Open pages as signed-in people: visit("owner@lumen.example", "/requests", java_script_enabled=False)."""
    contexts = []

    def open_page(email: str | None = None, path: str = "", **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        options.setdefault("storage_state", states(email) if email else None)
        context = browser.new_context(base_url=portal.base, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        if path:
            page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    watch.check()


@pytest.fixture(params=[True, False], ids=["scripted", "plain"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the journey's browser runs JavaScript: each journey is made both ways."""
    return bool(request.param)
