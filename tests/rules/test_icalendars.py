"""Holidays out of iCalendar files, as calendars of the world write them, and as nobody should."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import Refused
from models.icalendars import BYTES_MOST, holidays_in, written_days

pytestmark = pytest.mark.plain

TODAY = date(2027, 3, 1)


def file_of(*events: str) -> bytes:
    whole = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{whole}END:VCALENDAR\r\n".encode()


def days(*events: str) -> list[tuple[str, str]]:
    found = holidays_in(file_of(*events), TODAY)
    assert found.faults == ()
    return [(day.isoformat(), name) for day, name in found.days]


def test_a_day_and_several_days() -> None:
    assert days("DTSTART;VALUE=DATE:20270101\r\nSUMMARY:New Year") == [("2027-01-01", "New Year")]
    two = "DTSTART;VALUE=DATE:20271225\r\nDTEND;VALUE=DATE:20271227\r\nSUMMARY;LANGUAGE=en:Christmas"
    assert days(two, two) == [("2027-12-25", "Christmas"), ("2027-12-26", "Christmas")]


def test_folded_lines_and_escapes() -> None:
    event = "DTSTART;VALUE=DATE:20270501\r\nSUMMARY:Labour Day\\, May\r\n  Day\\; all\\nof us"
    assert days(event) == [("2027-05-01", "Labour Day, May Day; all of us")]


def test_yearly_days_are_written_for_some_years() -> None:
    rule = "DTSTART;VALUE=DATE:20201003\r\nRRULE:FREQ=YEARLY{}\r\nSUMMARY:Unity"
    assert [day for day, _ in days(rule.format(""))] == [f"{year}-10-03" for year in range(2027, 2031)]
    assert [day for day, _ in days(rule.format(";UNTIL=20281231T000000Z"))] == ["2027-10-03", "2028-10-03"]
    assert [day for day, _ in days(rule.format(";COUNT=8"))] == ["2027-10-03"]
    leap = "DTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Leap"
    assert days(leap) == [("2028-02-29", "Leap")]


def test_what_is_cancelled_or_left_out_is_no_holiday() -> None:
    rule = "DTSTART;VALUE=DATE:20201003\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Unity{}"
    assert days("DTSTART;VALUE=DATE:20270101\r\nSTATUS:CONFIRMED\r\nSUMMARY:New Year") == [("2027-01-01", "New Year")]
    off = "\r\nEXDATE;VALUE=DATE:20271003,20281003\r\nEXDATE;VALUE=DATE:20301003"
    assert days(rule.format(off)) == [("2029-10-03", "Unity")]
    for gone in (rule.format("\r\nSTATUS:cancelled"), rule.replace("20201003", "99991231").format("")):
        with pytest.raises(Refused, match="no whole day"):
            days(gone)


def test_yearly_events_of_long_ago_take_no_time() -> None:
    event = "DTSTART;VALUE=DATE:00010101\r\nDTEND;VALUE=DATE:00010131\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:x"
    events = [event] * 1800
    begun = time.process_time()
    assert len(holidays_in(file_of(*events), TODAY).days) == 4 * 30
    assert time.process_time() - begun < 4
    later = "DTSTART;VALUE=DATE:20201220\r\nDTEND;VALUE=DATE:20210103\r\nRRULE:FREQ=YEARLY;INTERVAL=2\r\nSUMMARY:x"
    assert [day for day, _ in days(later)][:3] == ["2027-01-01", "2027-01-02", "2028-12-20"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("SUMMARY:No day", "no day"),
        ("DTSTART;VALUE=DATE:20270231\r\nSUMMARY:x", "“20270231” is no day"),
        ("DTSTART:20270101T090000Z\r\nSUMMARY:x", "time of day"),
        ("DTSTART;VALUE=DATE:20270101", "no name"),
        ("DTSTART;VALUE=DATE:20270101\r\nDTEND;VALUE=DATE:20270101\r\nSUMMARY:x", "ends before"),
        ("DTSTART;VALUE=DATE:20270101\r\nDTEND;VALUE=DATE:20280101\r\nSUMMARY:x", "longer than 31"),
        ("DTSTART;VALUE=DATE:20270101\r\nRRULE:FREQ=WEEKLY\r\nSUMMARY:x", "plainly yearly"),
        ("DTSTART;VALUE=DATE:20270101\r\nRRULE:FREQ=YEARLY;BYDAY=1MO\r\nSUMMARY:x", "plainly yearly"),
        ("DTSTART;VALUE=DATE:20270101\r\nRRULE:FREQ=YEARLY;INTERVAL=0\r\nSUMMARY:x", "plainly yearly"),
        ("DTSTART;VALUE=DATE:20270101\r\nRRULE:FREQ=YEARLY;COUNT=x\r\nSUMMARY:x", "plainly yearly"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_the_rest_is_taken(event: str, reason: str) -> None:
    found = holidays_in(file_of("DTSTART;VALUE=DATE:20270102\r\nSUMMARY:Good", event), TODAY)
    assert [name for _, name in found.days] == ["Good"]
    ((line, words),) = found.faults
    assert line == 7
    assert reason in words


def test_what_is_no_calendar_is_refused() -> None:
    large = file_of("DTSTART;VALUE=DATE:20270102\r\nSUMMARY:Good") + b" " * BYTES_MOST
    many = file_of(
        *(
            f"DTSTART;VALUE=DATE:{2027 + n // 300}{n % 12 + 1:02}{n % 25 + 1:02}\r\nDTEND;VALUE=DATE:"
            f"{2027 + n // 300}{n % 12 + 1:02}{n % 25 + 2:02}\r\nSUMMARY:x"
            for n in range(600)
        )
    )
    for content, reason in (
        (b"", "Choose"),
        (b"\xff\xfe", "UTF-8"),
        (b"hello", "begin with BEGIN:VCALENDAR"),
        (file_of(), "no whole day"),
        (large, "larger than 256 KB"),
        (many, "400 fit"),
    ):
        with pytest.raises(Refused, match=reason) as refused:
            holidays_in(content, TODAY)
        assert refused.value.field == "file"
    assert holidays_in(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nnonsense\n", TODAY).faults == (
        (3, "This line is no property and its value."),
        (2, "This event does not end."),
    )


@given(st.text(alphabet='BEGIN:VTDAUYRLSM;=\r\n 0123456789T\\,"', max_size=300))
def test_nothing_breaks_the_reader(text: str) -> None:
    found = holidays_in(b"BEGIN:VCALENDAR\nX\nBEGIN:VEVENT\n" + text.encode(), TODAY)
    assert found.faults


def test_days_are_typed_one_a_line() -> None:
    assert written_days("2027-01-02  Later \n\n2027-01-01 New Year\n2027-01-01 Again") == [
        (date(2027, 1, 1), "New Year"),
        (date(2027, 1, 2), "Later"),
    ]
    for text, reason in (("", "no day"), ("2027-01-01 a\n2027-13-01 b", "Line 2"), ("2027-01-01", "Line 1")):
        with pytest.raises(Refused, match=reason):
            written_days(text)
