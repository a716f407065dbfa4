"""An administrator changes business hours and sees first what it does; holidays come from a file."""

from __future__ import annotations

from datetime import UTC, datetime

from journeys.conftest import Visit
from journeys.portal import Portal
from playwright.sync_api import expect


def test_hours_with_a_break_and_holidays_from_a_file(visit: Visit, portal: Portal, scripts: bool) -> None:
    assert portal.base
    page = visit("admin@support.example", "/admin/calendars", java_script_enabled=scripts)
    page.get_by_role("link", name="Lumen Retail: ").click()
    page.get_by_label("Monday until", exact=True).fill("12:00")
    page.get_by_label("Monday again from").fill("12:30" if scripts else "13:00")
    page.get_by_label("Monday again until").fill("18:00")
    page.get_by_role("button", name="Continue to the effect").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Effect of the change")
    expect(page.get_by_label("Monday until", exact=True)).to_have_value("12:00")
    page.get_by_role("button", name="Save calendar").click()
    expect(page.locator("#flash")).to_contain_text("The calendar is saved")

    year = datetime.now(UTC).year + (5 if scripts else 6)
    event = f"BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{year}0704\r\nSUMMARY:Quokka Day\r\nEND:VEVENT\r\n"
    content = f"BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n".encode()
    page.get_by_label("iCalendar file").set_input_files(
        {"name": "days.ics", "mimeType": "text/calendar", "buffer": content}
    )
    page.get_by_role("button", name="Read the file").click()
    expect(page.get_by_label("Holidays to add")).to_have_value(f"{year}-07-04 Quokka Day")
    page.get_by_role("button", name="Continue to the effect").click()
    expect(page.get_by_role("region", name="Running targets")).to_be_visible()
    page.get_by_role("button", name="Add these holidays").click()
    expect(page.locator("#flash")).to_contain_text("1 holiday added")
    expect(page.get_by_role("row").filter(has_text="Quokka Day").first).to_be_visible()


def test_a_customer_reads_every_step_of_the_clock(visit: Visit, portal: Portal, scripts: bool) -> None:
    assert portal.base
    page = visit("owner@lumen.example", "/requests", java_script_enabled=scripts)
    page.locator("#list a[href^='/requests/TECH']").first.click()
    page.get_by_text("How this is counted").click()
    page.get_by_role("link", name="Every step of it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("is counted")
    expect(page.get_by_role("complementary", name="What is promised")).to_contain_text("Terms")
