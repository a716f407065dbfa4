"""Makes the pictures of docs/screenshots/ anew: `make screenshots`. Each is a window's content, or a short page."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from journeys.portal import PATIENCE, Portal, Watch, chromium, sign_in  # noqa: E402 (found by the line above)
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

FOLDER = HERE.parent / "docs" / "screenshots"
DESKTOP, TALL, PHONE = (1280, 860), (1280, 1360), (390, 844)
MOST = 200_000
# Pages that are hardly longer than a window, whose end belongs into the picture.
WHOLE = {"support", "members", "downgrade", "sales-lead", "help-center"}
REQUEST = "Checkout cannot reach the database since the certificate changed"
TICKET = "ETA calculation takes 40 s instead of 3 s since this morning’s deployment"
LEADER = "payments-prod lost its leader for four minutes"
CUSTOMER, AGENT = "owner@lumen.example", "agent@support.example"

# Name, who looks, where to, window, theme.
PICTURES = [
    ("support", CUSTOMER, "/console/lumen-retail/support", DESKTOP, "light"),
    ("upgrade", CUSTOMER, "/console/lumen-retail/upgrade/enterprise", DESKTOP, "light"),
    ("credit-card", CUSTOMER, "/console/lumen-retail/upgrade/enterprise/card", DESKTOP, "light"),
    ("downgrade", CUSTOMER, "/console/lumen-retail/downgrade/basic", DESKTOP, "dark"),
    ("invoice", "owner@northwind.example", "/console/northwind-bank/invoices", DESKTOP, "light"),
    ("members", CUSTOMER, "/console/lumen-retail/members", DESKTOP, "light"),
    ("support-phone", CUSTOMER, "/console/lumen-retail/support", PHONE, "light"),
    ("sales-lead", "sales@support.example", "/sales/LEAD-34", DESKTOP, "light"),
    ("sales-board", "sales@support.example", "/sales/board", DESKTOP, "light"),
    ("business", "admin@support.example", "/business", TALL, "light"),
    ("audit-log", "admin@support.example", "/admin/audit?organization=lumen-retail", DESKTOP, "light"),
    ("business-hours", "admin@support.example", "/admin/calendars/1", (1280, 1070), "light"),
    ("back-test", "admin@support.example", "/admin/catalogue/2026-12/back-test", DESKTOP, "light"),
    ("on-call", "agent2@support.example", "/desk/duty", DESKTOP, "light"),
    ("agents", "agent2@support.example", "/reports/agents", DESKTOP, "light"),
    ("escalation", "owner@northwind.example", "/requests?status=all&q=leader", DESKTOP, "light"),
    ("help-center", CUSTOMER, "/help", DESKTOP, "light"),
    ("technical-form", CUSTOMER, "/help/technical/new", TALL, "light"),
    ("request", CUSTOMER, "/requests?status=all&q=certificate", DESKTOP, "light"),
    ("requests", CUSTOMER, "/requests", DESKTOP, "light"),
    ("desk", AGENT, "/desk", DESKTOP, "light"),
    ("desk-ticket", AGENT, "/desk?queue=all&q=deployment", DESKTOP, "light"),
    ("desk-tags", "agent2@support.example", "/desk?queue=all&tag=memory", DESKTOP, "light"),
    ("reports", AGENT, "/reports", TALL, "light"),
    ("scorecard", "owner@northwind.example", "/console/northwind-bank/scorecard", DESKTOP, "light"),
    ("requests-dark", CUSTOMER, "/requests", DESKTOP, "dark"),
    ("desk-dark", AGENT, "/desk", DESKTOP, "dark"),
    ("help-center-phone", CUSTOMER, "/help", PHONE, "light"),
    ("request-phone", CUSTOMER, "/requests?status=all&q=certificate", PHONE, "light"),
]


def main() -> None:
    """Start a demo of its own, take every picture, and end it again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play, chromium(play) as browser:
        portal = Portal(Path(folder) / "data")
        try:
            portal.wait()
            for name, who, path, size, theme in PICTURES:
                take(browser, portal, name, who, path, size, theme)
        finally:
            portal.stop()


def take(browser: Browser, portal: Portal, name: str, who: str, path: str, size: tuple[int, int], theme: str) -> None:
    """Take one picture as somebody who has just signed in."""
    context = browser.new_context(
        base_url=portal.base,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE)
    watch = Watch(portal.base)
    watch.over(context)
    page = context.new_page()
    sign_in(page, portal.base, who)
    page.goto(path)
    prepare(page, name)
    page.evaluate("document.fonts.ready")
    page.wait_for_load_state("networkidle")
    file = FOLDER / f"{name}.png"
    page.screenshot(path=file, animations="disabled", caret="hide", full_page=name in WHOLE)
    context.close()
    watch.check()
    if file.stat().st_size >= MOST:
        raise SystemExit(f"{file.name} weighs {file.stat().st_size} bytes; the limit is {MOST}.")
    print(f"{file.relative_to(HERE.parent)}  {file.stat().st_size // 1000} kB")  # noqa: T201 (a command prints)


def prepare(page: Page, name: str) -> None:
    """Open the ticket that the picture shows, or fill in its form."""
    wanted = {"request": REQUEST, "request-phone": REQUEST, "desk-ticket": TICKET, "escalation": LEADER}.get(name)
    if wanted:
        page.get_by_role("link", name=wanted).click()
        page.get_by_role("heading", level=1, name=wanted).wait_for()
    if name == "invoice":
        page.locator("td a").first.click()
        page.get_by_role("heading", level=1, name="Invoice INV-").wait_for()
    if name == "technical-form":
        page.get_by_label("Summary").fill("Checkout queries time out since 13:40 UTC")
        page.get_by_label("TiDB Cloud Cluster").select_option(label="checkout-prod – Dedicated – v8.1.2")
        page.locator("#environment input:checked").wait_for()
        page.get_by_label("Description").fill(
            "One query in five runs into ERROR 9005 since the deployment of 13:38 UTC."
        )
        page.locator("#severity input[value=S2]").check()
        page.locator("#promise .by").wait_for()
        page.evaluate("window.scrollTo(0, 0)")


if __name__ == "__main__":
    main()
