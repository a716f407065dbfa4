"""Every page as assistive technology meets it, in light and dark, on a desktop and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from journeys.conftest import Visit
from journeys.portal import Portal, Watch, file_request, write
from playwright.sync_api import Page
from werkzeug.exceptions import HTTPException

TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
SCRIPT = Axe().axe_script
# What a theme can change; everything else is the same in both.
COLOURS = ["color-contrast", "link-in-text-block"]
# What a width can change: whether what is there has a name, and can be reached, where words and columns are hidden.
OF_A_WIDTH = ["scrollable-region-focusable", "aria-hidden-focus", "button-name", "link-name"]
WIDE, PHONE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}, {"width": 320, "height": 700}

# {} stands for a request that somebody of Northwind Bank has filed, {name} for a file name.
PAGES = {
    None: [
        "/plans",
        "/invitations",
        "/sign-in",
        "/reset-password",
        "/reset-password/sent",
        "/reset-password/new",
        "/nowhere",
    ],
    "owner@northwind.example": [
        *(
            "/console/northwind-bank/members",
            "/console/northwind-bank/members/7",
            "/console/northwind-bank/members/7/remove",
        ),
        *("/console/northwind-bank/leave", "/console/northwind-bank/support?tab=premium"),
        *("/console/northwind-bank/upgrade/enterprise", "/console/northwind-bank/downgrade/standard"),
        *(
            "/console/northwind-bank/cards",
            "/console/northwind-bank/cards/new",
            "/console/northwind-bank/billing-details",
            "/console/northwind-bank/cards/2/remove",
        ),
        *("/console/northwind-bank/invoices", "/console/northwind-bank/invoices/INV-2042"),
        *("/console/northwind-bank/history",),
        *("/console/northwind-bank/support", "/console/northwind-bank/clusters", "/help", "/announcements", "/plans"),
        *("/help/technical/new?severity=S2", "/help/billing/new", "/help/drafts", "/requests", "/requests?status=all"),
        *(
            "/requests?q=nothing-like-this",
            "/requests/{}",
            "/requests/{}/severity",
            "/requests/{}/participants",
            "/requests/{}/escalate",
        ),
        *(
            "/requests/{}/print",
            "/requests/{}/rating",
            "/console/northwind-bank/scorecard",
            "/console/northwind-bank/scorecard/requests",
            "/requests/{}/clock",
            "/profile",
            "/profile/sessions",
            "/shortcuts",
            "/requests/TECH-999999",
            "/desk",
        ),
    ],
    "owner@aurora.example": [
        *(
            "/console/aurora-games/support",
            "/console/aurora-games/contact-sales",
            "/console/aurora-games/upgrade/standard",
            "/console/aurora-games/upgrade/standard/card",
            "/help/technical/new",
            "/help/technical/new?organization=aurora-games",
        ),
        *("/help", "/requests?status=resolved"),
    ],
    "agent@support.example": [
        *("/desk", "/desk?queue=waiting", "/desk?queue=all&q=nothing-like-this", "/desk/{}", "/desk/{}/severity"),
        *("/desk/{}/print", "/demo/mail", "/help", "/reports", "/reports/requests?count=filed"),
        *(
            "/desk/{}/clock",
            "/desk/{}/links",
            "/desk/{}/split",
            "/desk/{}/merge",
            "/desk/{}/hold",
            "/desk/{}/escalate",
            "/desk/duty",
        ),
        *("/desk/views", "/desk/views/new?plan=premium", "/desk/views/1/edit"),
        *("/desk/macros", "/desk/macros/new", "/desk/macros/1", "/desk/macros/1/delete"),
    ],
    # The duty manager.
    "agent2@support.example": ["/desk/duty", "/reports/agents"],
    "sales@support.example": [
        *("/sales", "/sales?stage=won", "/sales?q=nothing-like-this", "/sales/LEAD-34", "/sales/LEAD-34/won"),
        *("/sales/LEAD-31", "/sales/LEAD-31/won", "/sales/board", "/sales/LEAD-31/renew"),
    ],
    "admin@support.example": [
        *("/admin", "/delivery", "/desk", "/admin/people", "/admin/people?kind=deactivated&q=nothing-like-this"),
        *("/admin/people/new", "/admin/people/9", "/admin/people/12", "/admin/people/9/deactivate"),
        *(
            "/admin/organizations",
            "/admin/organizations/lumen-retail",
            "/admin/announcements",
            "/admin/announcements/new",
            "/admin/announcements/1",
            "/admin/announcements/1/end",
            "/admin/catalogue",
            "/admin/catalogue/2026-01",
            "/admin/catalogue/2026-01/back-test",
            "/admin/catalogue/2026-12/edit",
            "/admin/catalogue/2026-12/differences",
            "/admin/catalogue/2026-12/publish",
            "/admin/calendars",
            "/admin/calendars/new",
            "/admin/calendars/1",
            "/admin/calendars/1/delete",
            "/admin/calendars/1/holidays/1/remove",
            "/admin/calendars/1/progress",
            "/admin/lists",
            "/admin/lists/entries/1",
            "/admin/audit",
            "/admin/tax",
            "/admin/webhooks",
            "/business",
            "/admin/webhooks/1",
            "/admin/organizations/aurora-games/payment",
            "/admin/audit?person=x@y.example",
        ),
    ],
}
# Answers that are no pages of their own: redirects, machines' lines, files, and links that work once.
NO_PAGES = {
    *("console.start", "help_center.old_landing", "help_center.old_door", "help_center.old_requests"),
    *("auth.open_reset", "auth.open_set_up", "auth.set_up", "ops.alive", "ops.ready", "assets.show"),
    *("attachments.show", "demo.show", "invited.open_link", "reports.export", "reports.export_scorecard"),
    *("reports.export_agents", "papers.invoice", "sales.export", "figures.export"),
    *("composing.presence", "queues.changed", "live.request_changes", "live.desk_changes", "views.show"),
    # The journeys of buying look at these: a payment must be under way.
    *("payments.show", "payments.ask", "cardholder.card", "cardholder.confirm"),
}
RUN = """async options => (await axe.run(document, options)).violations.map(
  ({ id, nodes }) => ({ id, nodes: nodes.map(node => node.html.slice(0, 150)) }))"""
SIDEWAYS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# Links may be lower where nothing else is near, which axe measures; what is pressed or filled in may not.
SMALL = """() => [...document.querySelectorAll('button, input, select, textarea, summary, .btn, .item')].filter(one => {
  if (!one.checkVisibility({ visibilityProperty: true }) || one.closest('.vh')) return false;
  const boxes = [one, ...(one.labels ?? [])].map(part => part.getBoundingClientRect());
  const width = Math.max(...boxes.map(box => box.right)) - Math.min(...boxes.map(box => box.left));
  const height = Math.max(...boxes.map(box => box.bottom)) - Math.min(...boxes.map(box => box.top));
  return width < 24 || height < 24;
}).map(one => one.outerHTML.slice(0, 120))"""


def problems(page: Page, label: str) -> list[str]:
    """Everything that is wrong with the page as it stands, in both themes and at all widths."""
    found: list[str] = []
    page.evaluate(SCRIPT)
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        # The colours of a theme are the same at every width.
        for theme in ("light", "dark") if size is WIDE else ("light",):
            page.emulate_media(color_scheme=theme)
            # Measuring colours takes longest, and what the light theme shows on a phone it shows on a desktop as well.
            only: dict[str, Any] = {"type": "tag", "values": TAGS}
            if theme == "dark":
                only = {"type": "rule", "values": COLOURS}
            elif size is PHONE:
                only = {"type": "rule", "values": OF_A_WIDTH}
            options: dict[str, Any] = {"resultTypes": ["violations"], "runOnly": only}
            for one in page.evaluate(RUN, options):
                found += [f"{label} {theme} {size['width']}: {one['id']}: {html}" for html in one["nodes"]]
        found += [f"{label} {size['width']}: under 24 px: {html}" for html in page.evaluate(SMALL)]
        found += sideways(page, label, size)
    page.set_viewport_size(NARROW)
    found += sideways(page, label, NARROW)
    page.set_viewport_size(WIDE)
    return found


def sideways(page: Page, label: str, size: dict[str, int]) -> list[str]:
    there, fits = page.evaluate(SIDEWAYS)
    return [f"{label} {size['width']}: scrolls sideways, {there} px"] if there > fits else []


@pytest.fixture
def northwind(visit: Visit) -> str:
    """A request of Northwind Bank that an agent has taken, answered and noted something on."""
    key = file_request(visit("owner@northwind.example"), "Looked at from all sides", "S2")
    agent = visit("agent@support.example", f"/desk/{key}", java_script_enabled=False)
    agent.get_by_role("button", name="Take", exact=True).click()
    agent.get_by_text(f"{key} is yours").wait_for()
    for mode, text in (("Internal note", "A note."), ("Reply to the customer", "An answer:\n\n```\nSELECT 1;\n```")):
        write(agent, mode, text)
    return key


@pytest.mark.parametrize("who", PAGES, ids=lambda who: who or "nobody")
def test_pages(request: pytest.FixtureRequest, visit: Visit, who: str | None) -> None:
    key = request.getfixturevalue("northwind") if any("{}" in path for path in PAGES[who]) else ""
    page, found = visit(who), []
    for path in PAGES[who]:
        page.goto(path.format(key))
        found += problems(page, path)
    if who and "owner" in who:
        page.goto("/help")
        for opener in page.locator("[popovertarget]").all():
            opener.click()
            found += problems(page, "an open menu")
            page.keyboard.press("Escape")
    assert not found, "\n".join(found)


def test_refused_forms_and_a_conflict(visit: Visit, northwind: str, watch: Watch) -> None:
    found = []
    page = visit("owner@northwind.example")
    for path in ("/help/technical/new", "/help/billing/new"):
        page.goto(path)
        page.get_by_role("button", name="Create ticket", exact=True).click()
        page.locator("#errors").wait_for()
        found += problems(page, f"{path} refused")
    page.goto(f"/requests/{northwind}")
    page.get_by_role("button", name="Reply", exact=True).click()
    page.locator("#errors").wait_for()
    found += problems(page, "a reply refused")
    page.goto("/help/technical/new")
    page.get_by_label("Description").fill(
        "# Big\n\n* one\n* two\n\n[link](https://example.com)\n\n```sql\nSELECT 1;\n```"
    )
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("group", name="Preview").wait_for()
    found += problems(page, "a preview")
    page.goto("/profile")
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_role("button", name="Save").first.click()
    page.locator("#errors").wait_for()
    found += problems(page, "/profile refused")

    first, second = (visit(who, f"/desk/{northwind}") for who in ("agent@support.example", "agent2@support.example"))
    second.locator("#body").fill("Quicker.")
    second.locator("#composer .btn.primary").click()
    second.wait_for_url("**#message-*")
    first.locator("#body").fill("Slower.")
    first.locator("#composer .btn.primary").click()
    first.locator("#conflict").wait_for()
    found += problems(first, "a conflict")

    page = visit(None, "/sign-in")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("#errors").wait_for()
    found += problems(page, "/sign-in refused")
    assert not found, "\n".join(found)


def test_a_letter_in_the_demo_mailbox(visit: Visit, portal: Portal, northwind: str) -> None:
    page = visit(None, "/demo/mail")
    page.locator("main td a").first.click()
    page.wait_for_url("**/demo/mail/*")
    found = problems(page, "a letter")
    assert not found, "\n".join(found)


def test_what_could_not_be_charged_or_given_back(visit: Visit, portal: Portal) -> None:
    lumen = "organization_id = (SELECT id FROM organizations WHERE slug = 'lumen-retail')"
    owe = "UPDATE subscriptions SET standing = 'past-due', last_day_at = period_end WHERE "
    portal.change(owe + lumen)
    portal.change("UPDATE payments SET state = 'declined' WHERE kind = 'refund'")
    try:
        page, found = visit("owner@lumen.example"), []
        for path in ("support", "cards", "upgrade/enterprise"):
            page.goto(f"/console/lumen-retail/{path}")
            page.get_by_text("not paid" if "upgrade" in path else "could not be charged").first.wait_for()
            found += problems(page, f"{path}, unpaid")
        page = visit("member@lumen.example", "/console/lumen-retail/cards")
        page.get_by_text("Ask ").wait_for()
        found += problems(page, "for Owners and Billing Admins alone")
        page = visit("admin@support.example", "/admin")
        page.get_by_role("heading", name="Needs attention").wait_for()
        found += problems(page, "a declined refund")
    finally:
        portal.change(f"UPDATE subscriptions SET standing = 'active', last_day_at = NULL WHERE {lumen}")
        portal.change("UPDATE payments SET state = 'paid' WHERE kind = 'refund'")
    assert not found, "\n".join(found)


def test_every_page_is_among_them(app: Flask) -> None:
    adapter, seen = app.url_map.bind(""), set()
    for path in (path.format("TECH-1").partition("?")[0] for paths in PAGES.values() for path in paths):
        try:
            seen.add(adapter.match(path, method="GET")[0])
        except HTTPException:
            assert path == "/nowhere"
    asked = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert asked - seen - NO_PAGES == set(), "add the page to PAGES, so that it is looked at"
