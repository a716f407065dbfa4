"""The pipeline as a board and as a file, and contracts that go on."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from conftest import SignIn
from factories import LUMEN, NORTHWIND, SELLER, Town, contract, now
from page import Browser
from sqlalchemy import select

from models import lead_mail, selling
from models.leads import Lead, Stage
from models.outside import Arrived
from models.permissions import Role


@pytest.fixture
def seller(town: Town, sign_in: SignIn) -> Browser:
    town.hire("sales2@support.example", Role.SALES)
    return sign_in(SELLER)


def test_the_board_shows_each_stage_and_moves_a_lead(seller: Browser, town: Town) -> None:
    first, second = town.enquire(), town.enquire("owner@northwind.example", NORTHWIND)
    town.sell(second, selling.set_stage, Stage.QUALIFIED)
    page = seller.get("/sales/board")
    heads = [page.words(e) for e in page.all("h2") if page.words(e).split()[0] in {"New", "Contacted", "Qualified"}]
    assert heads == ["New 1", "Contacted 0", "Qualified 1"]
    assert "First touch by" in page.main
    page = seller.submit(f"/sales/{first}/stage", stage="contacted")
    assert page.path == "/sales/board"
    assert town.lead(first).stage is Stage.CONTACTED
    assert "First touch by" not in page.main


def test_a_card_that_somebody_has_moved_meanwhile_is_held_back(seller: Browser, town: Town) -> None:
    key = town.enquire()
    seller.get("/sales/board")
    town.sell(key, selling.set_stage, Stage.QUALIFIED, by="sales2@support.example")
    page = seller.submit(f"/sales/{key}/stage", stage="lost", status=409)
    assert "Somebody else was quicker" in page.main
    assert town.lead(key).stage is Stage.QUALIFIED


def test_the_list_as_csv_holds_what_it_shows_and_no_formula(seller: Browser, town: Town) -> None:
    key = town.enquire(need="=HYPERLINK(1)", company="Lumen Holding")
    lost = town.enquire("owner@northwind.example", NORTHWIND)
    town.sell(lost, selling.set_stage, Stage.LOST)
    answer = seller.get("/sales/leads.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="leads-open.csv"'
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert rows[0][:4] == ["Lead", "Organization", "Plan", "Stage"]
    assert [row[0] for row in rows[1:]] == [key]
    assert rows[1][-1] == "'=HYPERLINK(1)"
    assert [row.split(",")[0] for row in seller.get("/sales/leads.csv?stage=lost").body.decode().splitlines()[1:]] == [
        lost
    ]
    assert len(seller.get("/sales/leads.csv?q=nothing-like-it").body.decode().splitlines()) == 1


def test_a_contract_is_renewed_on_its_page(seller: Browser, town: Town, sign_in: SignIn) -> None:
    key = town.enquire()
    town.sell(key, selling.win, contract(100))
    base = f"/sales/{key}"
    assert f"{base}/renew" in seller.get(base).links()
    form = seller.get(f"{base}/renew").find(f"{base}/renew")[0]
    assert (form.value_of("reference"), form.value_of("price"), form.value_of("end")) == ("PREM-1", "4200.00", "")
    page = seller.submit(f"{base}/renew", end=now().date().isoformat(), status=422)
    assert page.errors[0].startswith("Choose an end")
    end = now().date() + timedelta(days=500)
    page = seller.submit(f"{base}/renew", end=end.isoformat(), price="$4,500.50", reference="PREM-2")
    assert f"runs until {end.isoformat()} now" in page.at("flash")
    assert "renewed the contract until" in page.main
    customer = sign_in("owner@lumen.example").get(f"/console/{LUMEN}/support?tab=premium").main
    assert "ContractPREM-2" in customer
    assert "Price$4,500.50 a month" in customer


def test_a_renewal_sent_twice_leads_to_the_lead(seller: Browser, town: Town) -> None:
    key = town.enquire()
    town.sell(key, selling.win, contract(100))
    form, button = seller.get(f"/sales/{key}/renew").find(f"/sales/{key}/renew")
    entries = form.entries(button, {"end": (now().date() + timedelta(days=500)).isoformat()})
    assert [seller.post(f"/sales/{key}/renew", entries, token="").status for _ in range(2)] == [303, 303]


@pytest.mark.parametrize("price", ["", "free", "4200.5", "4,20", "-1", "$", "99999999999", "٤٢٠٠"])
def test_what_is_no_price_is_refused_and_given_back(seller: Browser, town: Town, price: str) -> None:
    key = town.enquire()
    seller.get(f"/sales/{key}/won")
    end = (now().date() + timedelta(days=90)).isoformat()
    given = {"end": end, "note": "n", "manager": "m", "reference": "r", "price": price}
    page = seller.submit(f"/sales/{key}/won", **given, status=422)
    assert page.errors == ["Enter the price of a month, for example 4200 or 4,200.00."]
    assert page.find(f"/sales/{key}/won")[0].value_of("price") == price


def test_a_stalled_lead_says_so(seller: Browser, town: Town) -> None:
    key = town.enquire()
    with town.open() as session:
        lead = session.scalars(select(Lead).where(Lead.key == key)).one()
        lead.touched_at = now() - timedelta(days=9)
        lead.touch_by = now() - timedelta(days=8)
    page = seller.get("/sales?stage=stalled")
    assert "Stalled for 9 days" in page.main
    assert "First touch is late" in page.main
    assert "Stalled for 9 days" in seller.get(f"/sales/{key}").main


def test_sales_writes_to_the_customer_and_reads_the_answer(seller: Browser, town: Town) -> None:
    key = town.enquire()
    base = f"/sales/{key}"
    seller.get(base)
    page = seller.submit(f"{base}/messages", message="When can we *talk*?")
    assert "The mail to" in page.at("flash")
    assert "wrote to the customer" in page.main
    assert "When can we talk?" in page.main
    with town.open() as session:
        lead = session.scalars(select(Lead).where(Lead.key == key)).one()
        to = lead_mail.reply_address(lead, "replies@help.example")
        arrived = Arrived("x@else.example", (to,), "<1@x>", (), "On Monday.", "> When?", ("a.pdf",), automatic=False)
        lead_mail.take_in(session, arrived, replies_to="replies@help.example", now=now())
    page = seller.get(base)
    for words in ("x@else.example answered by mail", "On Monday.", "Nobody of the organization has this address"):
        assert words in page.main, words
    assert "Files that were not taken: a.pdf" in page.main
    # Who has read the page before is told of the answer before anything is overwritten.
    assert "Show the quoted text" in page.main


def test_a_mail_sent_twice_goes_out_once(seller: Browser, town: Town) -> None:
    key = town.enquire()
    form, button = seller.get(f"/sales/{key}").find(f"/sales/{key}/messages")
    entries = form.entries(button, {"message": "Hello"})
    assert [seller.post(f"/sales/{key}/messages", entries, token="").status for _ in range(2)] == [303, 303]
    assert town.count(lead_mail.LeadMail) == 1


@pytest.mark.parametrize(
    ("text", "error"), [("", "Write your message first."), ("x" * 5001, "Shorten the message to 5,000 characters.")]
)
def test_a_mail_that_cannot_go_keeps_its_words(seller: Browser, town: Town, text: str, error: str) -> None:
    key = town.enquire()
    seller.get(f"/sales/{key}")
    page = seller.submit(f"/sales/{key}/messages", message=text, status=422)
    assert page.errors == [error]
    assert page.find(f"/sales/{key}/messages")[0].value_of("message") == text
