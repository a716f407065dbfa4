"""Letters: what people read, and what no name or summary can do to a header."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from gateways.letters import Letters, one_line
from gateways.mail_folder import FolderMailer, read_all, read_one
from models.outbox import Letter
from models.outside import TryLater, Undeliverable

pytestmark = pytest.mark.plain

TEMPLATES = Path(__file__).parents[2] / "templates"
AT = datetime(2026, 11, 25, 13, 18, tzinfo=UTC)
ROOT = "<ticket.TECH-1284.Zb0q@help.example>"


def moment(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %d %b, %H:%M}"


def letters(base_url: str = "https://help.example", sender: str = "support@help.example") -> Letters:
    return Letters(TEMPLATES, base_url, sender, "Aurora Help Center", {"moment": moment})


def facts(**changed: object) -> dict[str, object]:
    return {
        "message_id": "0123456789abcdef0123456789abcdef",
        "to_name": "Ann Ode",
        "to_email": "ann@aurora.example",
        "zone": "Europe/Berlin",
        "now": AT,
        "key": "TECH-1284",
        "summary": "TiKV restarts",
        "url": "https://help.example/requests/TECH-1284",
        "thread": "Zb0q",
        "organization": "Aurora Games",
        "door": "TiDB Cloud Technical Support",
        "severity": "S2",
        "actor_name": "Ben Lee",
        "body": "Look at `tikv.log`.\n\n    a line of a log " + "x" * 90,
        "body_html": "<p>Look at <code>tikv.log</code>.</p>",
        "state_label": "Waiting for you",
        "rating_url": "",
        "promise": "We will reply by Wed 25 Nov, 16:18 (Europe/Berlin).",
        "changes": ["Ben Lee changed the severity from S3 to S2."],
        "expires_at": AT,
        "plan": "Standard",
        "answer_by": "Thu 26 Nov",
        "by": "Daniel Reyes",
        "role": "Organization Billing Admin",
        "number": "INV-2041",
        "credit": False,
        "lines": [("Standard plan", "$29.00"), ("Standard usage: 10 % of the $412.50 of October 2026", "$12.25")],
        "tax": "19 %: $7.84",
        "total": "$49.09",
        "card": "Visa ending 4242",
        "amount": "$29.00",
        "reason": "The bank declined this card. Nothing was charged. Try another card, or ask your bank.",
        "last_day": "Wed 2 Dec, 09:30 (Europe/Berlin)",
        "before": "Enterprise",
        "after": "Standard",
        "on": "Wed 2 Dec, 09:30 (Europe/Berlin)",
        "why": "The contract has ended.",
        "nth": 2,
        "lost": False,
        "split_from": "",
        "holder": "",
        "what": "free-month",
        "price": "$29.00 a month, or 10 % of the month’s cloud charges if that is more",
        "retry": "Thu 26 Nov, 09:30 (Europe/Berlin)",
        "words": "1 hour, day and night",
        "ends": "Wed 9 Dec, 09:30 (Europe/Berlin)",
        "waited": "Mon 23 Nov, 09:30",
        "office": False,
        "reply_to": "",
        "parts": [
            (
                "Next steps that are due",
                [{"words": "LEAD-1 Aurora Games", "step": "Call", "url": "https://help.example/sales/LEAD-1"}],
            )
        ],
        "contracts": ["Harbor Logistics: Wed 2 Dec"],
        "offline": False,
        "pay_to": "",
        "since": "Mon 23 Nov, 09:30",
    } | changed


def arrive(letter: EmailMessage) -> EmailMessage:
    return message_from_bytes(letter.as_bytes(), policy=default)


def parts(letter: EmailMessage) -> tuple[str, str]:
    text, html = (letter.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html"))
    return text, html


@pytest.mark.parametrize("kind", list(Letter))
def test_every_kind_has_a_letter_with_both_parts_and_its_link(kind: str) -> None:
    letter = arrive(letters().write(kind, facts()))
    for part in parts(letter):
        assert "https://help.example/requests/TECH-1284" in part
        assert "Ann Ode" in part
        assert not re.search(r"\bNone\b|\{\{|\{%", part)
    text, html = parts(letter)
    own = [line for line in text.splitlines() if "xxx" not in line and "http" not in line]
    assert max(map(len, own)) <= 76
    assert "\n\n\n" not in text
    assert not re.search(r"<img|<script|<style|style=", html)


def test_the_headers_of_a_letter_about_a_ticket() -> None:
    letter = arrive(letters().write(Letter.TICKET_REPLIED, facts(reply_to="r+abc@help.example")))
    assert letter["Subject"] == "[TECH-1284] TiKV restarts"
    assert letter["From"] == "Aurora Help Center <support@help.example>"
    assert letter["Reply-To"].addresses[0].addr_spec == "r+abc@help.example"
    assert letter["Message-ID"] == "<0123456789abcdef0123456789abcdef@help.example>"
    assert letter["In-Reply-To"] == letter["References"] == ROOT
    assert letter["Date"].datetime == AT
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["X-Auto-Response-Suppress"] == "All"


def test_a_letter_about_a_password_belongs_to_no_thread_and_tells_the_time_where_the_reader_is() -> None:
    letter = arrive(letters().write(Letter.SIGN_IN_RESET, facts()))
    assert "Wed 25 Nov, 14:18 (Europe/Berlin)" in parts(letter)[0]
    own = {name: fact for name, fact in facts().items() if name not in {"thread", "key"}}
    bare = arrive(letters().write(Letter.PASSWORD_CHANGED, own))
    assert bare["References"] is None
    assert bare["Reply-To"] is None


def test_the_same_facts_make_the_same_headers_so_that_a_repeated_letter_is_known() -> None:
    first, second = (letters().write(Letter.TICKET_STATE, facts()) for _ in range(2))
    assert [item for item in first.items() if item[0] != "Content-Type"] == [
        item for item in second.items() if item[0] != "Content-Type"
    ]


def test_a_long_host_does_not_break_the_thread() -> None:
    letter = letters("https://" + "support.portal." * 8 + "example").write(Letter.TICKET_STATE, facts())
    lines = letter.as_bytes().split(b"\r\n")
    assert b"References: <ticket.TECH-1284.Zb0q@" + b"support.portal." * 8 + b"example>" in lines


def test_what_people_write_is_text_in_the_html_part() -> None:
    evil = "<script>alert(1)</script><img src=x>"
    letter = letters().write(Letter.TICKET_REPLIED, facts(summary=evil, actor_name=evil, to_name=evil, changes=[evil]))
    text, html = parts(arrive(letter))
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "<p>Look at <code>tikv.log</code>.</p>" in html
    assert evil in text


def test_the_lines_of_a_reply_stay_as_they_were_written_and_half_characters_do_no_harm() -> None:
    letter = letters().write(Letter.TICKET_REPLIED, facts(body="a\r\n" + "b c " * 400 + "\n\x00\ud83dd"))
    text, _html = parts(arrive(letter))
    assert "\n" + "b c " * 400 + "\nd\n" in text
    assert max(map(len, letter.as_bytes().split(b"\r\n"))) < 998


def test_a_missing_fact_is_an_error_and_no_letter() -> None:
    with pytest.raises(UndefinedError):
        letters().write(Letter.TICKET_STATE, {name: fact for name, fact in facts().items() if name != "summary"})


@pytest.mark.parametrize("kind", ["../base", "_layout.txt/..", "", "a.b"])
def test_a_kind_is_no_path(kind: str) -> None:
    with pytest.raises(ValueError, match="no kind of letter"):
        letters().write(kind, facts())


@pytest.mark.parametrize(
    "address",
    ["", "ann", "@aurora.example", "ann@", "ann@a\r\nBcc: x@y.example", "a, b@c.example", "<ann@aurora.example>",
     "ann@aurora.example>, <x@y.example", "ann\u2028@aurora.example", "a@b..c"],
)  # fmt: skip
def test_an_address_that_could_be_two_or_none_gets_no_letter(address: str) -> None:
    with pytest.raises(Undeliverable):
        letters().write(Letter.TICKET_STATE, facts(to_email=address))


def test_a_domain_in_another_alphabet_is_written_so_that_every_server_knows_it() -> None:
    letter = arrive(letters().write(Letter.TICKET_STATE, facts(to_email="ann@bücher.example")))
    assert letter["To"].addresses[0].addr_spec == "ann@xn--bcher-kva.example"


NASTY = st.text(st.one_of(st.characters(), st.sampled_from('\r\n\u202e\u2028\u200d ,;:<>@"\\()=?🚀é')), max_size=200)


@settings(max_examples=150, deadline=None)
@given(name=NASTY, summary=NASTY)
@example(name="Ann\r\nBcc: x@y.example", summary="Hello\r\nX-Evil: yes\r\n\r\nbody")
@example(name="\u202egnp.exe", summary="\u202eevil")
@example(name="Jürgen, Dr. <evil@x.example>" * 4, summary="x" * 60 + " é é  é " + "🚀" * 100)
@example(name="=?utf-8?q?a=2C_x=40y.example?=", summary="=?utf-8?q?evil?= ok")
@example(name="👩\u200d🚀 Zoë", summary="👩\u200d🚀 docked")
def test_no_name_or_summary_does_anything_to_the_headers(name: str, summary: str) -> None:
    letter = letters().write(Letter.TICKET_FILED, facts(to_name=name, summary=summary))
    head = letter.as_bytes().split(b"\r\n\r\n")[0]
    arrived = arrive(letter)
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) < 998
    assert set(arrived.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
        "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert [address.addr_spec for address in arrived["To"].addresses] == ["ann@aurora.example"]
    assert arrived["Subject"] == one_line(f"[TECH-1284] {one_line(summary)}")
    assert not re.search("[\r\n\u202e\u2028]", arrived["Subject"] + str(arrived["To"]))


def test_a_subject_with_emoji_arrives_as_it_was_written(tmp_path: Path) -> None:
    summary = "👩\u200d🚀 TiKV “restarts” – schon  wieder, " + "ä ö ü " * 20
    FolderMailer(tmp_path).send(letters().write(Letter.TICKET_FILED, facts(summary=summary, to_name="Zoë 🚀")))
    [kept] = read_all(tmp_path)
    assert kept.subject == f"[TECH-1284] {summary.strip()}"
    assert kept.to == "Zoë 🚀 <ann@aurora.example>"


def test_the_folder_keeps_one_file_for_each_message_id_newest_first(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    assert read_all(folder) == []
    mailer = FolderMailer(folder)
    mailer.send(letters().write(Letter.TICKET_FILED, facts(summary="first", message_id="a" * 32)))
    mailer.send(letters().write(Letter.TICKET_FILED, facts(summary="second", message_id="b" * 32)))
    mailer.send(letters().write(Letter.TICKET_FILED, facts(summary="first again", message_id="a" * 32)))
    assert [kept.name[0] for kept in read_all(folder)] == ["a", "b"]
    assert len(read_all(folder, limit=1)) == 1
    assert sorted(file.name for file in folder.iterdir()) == [f"{'a' * 32}.eml", f"{'b' * 32}.eml"]
    kept = read_one(folder, "a" * 32)
    assert kept.subject == "[TECH-1284] first again"
    assert kept.at == AT
    assert kept.text.startswith("Hello Ann Ode,\n")
    assert ("References", ROOT) in kept.headers


@pytest.mark.parametrize("name", ["../secret00", "secret00/../secret00", "/etc/passwd", "a" * 80, "", "secret00\n"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "secret00.eml").write_bytes(letters().write(Letter.TICKET_FILED, facts()).as_bytes())
    assert read_one(tmp_path / "mail", name) is None
    assert read_one(tmp_path, "secret00") is not None


def test_a_letter_whose_name_would_be_a_path_is_not_written(tmp_path: Path) -> None:
    letter = letters().write(Letter.TICKET_FILED, facts(message_id="../../evil0000"))
    with pytest.raises(Undeliverable):
        FolderMailer(tmp_path / "mail").send(letter)
    assert list(tmp_path.rglob("*")) == []


def test_a_folder_that_cannot_be_written_means_later(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    with pytest.raises(TryLater):
        FolderMailer(tmp_path / "mail").send(letters().write(Letter.TICKET_FILED, facts()))


def test_a_free_month_that_ends_is_told_with_what_it_costs_then() -> None:
    with_card, without = (letters().write(Letter.ENDS_SOON, facts(card=card)) for card in ("Visa ending 4242", ""))
    for words in (" ".join(part.split()) for part in parts(arrive(with_card))):
        assert "costs $29.00 a month, or 10 % of the month’s cloud charges if that is more" in words
        assert "charged to Visa ending 4242 month by month" in words
    for words in (" ".join(part.split()) for part in parts(arrive(without))):
        assert "there is no card that it could be charged to: add one, or the plan ends" in words


def test_who_pays_by_transfer_is_told_the_price_and_where_to() -> None:
    to = "Cloud Support Ltd., IBAN DE00 1234"
    soon = arrive(letters().write(Letter.ENDS_SOON, facts(what="offline", card="$699.00", pay_to=to)))
    due = arrive(letters().write(Letter.PAYMENT_FAILED, facts(offline=True, pay_to=to, retry="")))
    for letter in (soon, due):
        for part in parts(letter):
            assert to in " ".join(part.split())
    assert "costs $699.00 a month" in " ".join(parts(soon)[0].split())
    assert due["Subject"].endswith("is due")
    assert "not tried again" not in parts(due)[0]
