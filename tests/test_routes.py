"""Routes: every one is marked, every page that can be reached is a good page, and reading never writes."""

from __future__ import annotations

import re
from collections import deque

import pytest
from conftest import SignIn
from factories import NOBODY, Town
from flask import Flask
from page import Browser
from werkzeug.exceptions import HTTPException

from blueprints import access
from models.demo import ACCOUNTS

EVERYBODY = ["", NOBODY, *(account.email for account in ACCOUNTS)]
# So many pages of one route, for one person: lists link to many requests of one kind.
OF_ONE_ROUTE = 2
# What nobody reaches by links alone.
ALSO = ("/servicedesk/customer/portals", "/servicedesk/customer/portal/6", "/servicedesk/customer/portal/16",
        "/servicedesk/customer/user/requests", "/healthz", "/readyz", "/setup", "/no-such-page",
        "/reset-password/sent", "/reset-password/new", "/desk", "/sales", "/admin", "/delivery",
        "/shortcuts")  # fmt: skip


@pytest.mark.parametrize("email", EVERYBODY, ids=lambda email: email or "anonymous")
def test_every_page_that_somebody_reaches_is_a_good_page(
    email: str, app: Flask, sign_in: SignIn, client: Browser, request: pytest.FixtureRequest
) -> None:
    town: Town = request.getfixturevalue("town" if email == NOBODY else "world")
    browser = sign_in(email) if email else client
    seen = crawl(app, browser)
    assert town.engine
    wanted = {"auth.sign_in", "auth.ask_reset"} if not email else {"help_center.show", "tickets.index", "profile.show"}
    assert wanted <= set(seen), f"reached {sorted(seen)}"
    if email.startswith("agent"):
        assert {"queues.index", "desk.show", "desk.edit_severity", "desk.print_view"} <= set(seen)
        assert {"arranging.links", "arranging.ask_merge", "arranging.ask_split", "macros.index", "macros.edit"} <= set(
            seen
        )
    elif email.startswith("admin"):
        assert {"admin.people_index", "admin.show_person", "admin.ask_deactivate", "admin.show_organization"} <= set(
            seen
        )
        assert {"admin.new_person", "admin.organizations_index", "audit.index"} <= set(seen)
    elif email.startswith("sales"):
        assert {"sales.index", "sales.show", "sales.ask_won"} <= set(seen)
    elif "@lumen" in email:
        assert {"contact.new", "tickets.show", "tickets.print_view", "tickets.edit_severity", "filing.new"} <= set(seen)


def crawl(app: Flask, browser: Browser) -> dict[str, int]:
    """Follow every link from the start, at most a few of each route, and return how often each route was opened.

    The browser checks every page, what it costs and that nothing is written.
    """
    routes, seen, asked = app.url_map.bind("localhost"), dict[str, int](), set[str]()
    waiting = deque(["/", *ALSO])
    while waiting:
        path = waiting.popleft()
        shape = re.sub(r"=[^&]*", "=", path.partition("?")[2])
        try:
            route = f"{routes.match(path.partition('?')[0], method='GET')[0]}"
        except HTTPException:
            route = "none"
        kind = f"{route}?{shape}"
        seen.setdefault(route, 0)
        if path in asked or seen.get(kind, 0) >= OF_ONE_ROUTE or seen[route] >= 4 * OF_ONE_ROUTE:
            continue
        asked.add(path)
        seen[kind] = seen.get(kind, 0) + 1
        seen[route] += 1
        answer = browser.get(path, status=None)
        expected = {200, 404} if path in ALSO else {200}
        if path == "/reset-password/new":
            expected = {422}
        if path in ALSO and answer.status == 403:
            continue
        assert answer.status in expected, f"{path} answers {answer.status}"
        if answer.is_html:
            waiting += [link for link in answer.links() if not link.startswith("/attachments/")]
    return {route: times for route, times in seen.items() if "?" not in route}


def test_a_route_without_a_mark_stops_the_start() -> None:
    bare = Flask("bare", static_folder=None)
    bare.add_url_rule("/forgotten", "forgotten", lambda: "")
    with pytest.raises(RuntimeError, match="forgotten"):
        access.check_marks(bare)


def test_every_route_is_marked(app: Flask) -> None:
    access.check_marks(app)
    assert len(app.view_functions) > 50
