"""The pages of those who run the portal, the console, and the demo's mailbox."""

from __future__ import annotations

from datetime import timedelta
from threading import Event as Gate

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, NORTHWIND, Town, contract, now
from page import Browser
from sqlalchemy import select

import worker
from extensions import outside
from models import selling
from models.announcements import Announcement, Tone
from models.events import Event, EventKind
from models.invoices import Invoice, InvoiceKind
from models.money import dollars
from models.outbox import Letter, Message, MessageState
from models.outside import Undeliverable
from models.payments import Payment, PaymentKind, PaymentState
from models.tickets import TicketState


def test_mail_that_was_refused_is_shown_to_staff_and_sent_again(town: Town, sign_in: SignIn) -> None:
    town.file()
    with town.open() as session:
        message = session.scalars(select(Message)).one()
        message.state, message.attempts, message.last_error = MessageState.UNDELIVERABLE, 1, "550 <b>no such user</b>"
        number = message.id
    agent = sign_in("agent@support.example")
    page = agent.get("/delivery")
    assert "550 <b>no such user</b>" in page.main
    page = agent.submit(f"/delivery/{number}/retry")
    assert "owner@lumen.example goes out again" in page.at("flash")
    assert [m.state for m in town.scalars(select(Message))] == [MessageState.WAITING]
    for missing in (number, 999):
        assert agent.post(f"/delivery/{missing}/retry").status in {404, 422}
    assert sign_in("owner@lumen.example").post(f"/delivery/{number}/retry").status == 403


def test_a_letter_with_a_spent_link_is_not_sent_again(town: Town, sign_in: SignIn) -> None:
    client = sign_in("admin@support.example")
    client.get("/delivery")
    anonymous = Browser(client.app)
    anonymous.get("/reset-password")
    anonymous.submit("/reset-password", email="owner@lumen.example")
    with town.open() as session:
        message = session.scalars(select(Message).where(Message.kind == Letter.SIGN_IN_RESET)).one()
        message.state, number = MessageState.UNDELIVERABLE, message.id
    page = client.get("/delivery")
    assert not [form for form in page.forms if form.action.endswith("/retry")]
    assert client.post(f"/delivery/{number}/retry").status == 422


def test_what_was_sent_is_in_the_demo_mailbox(town: Town, client: Browser) -> None:
    town.file(summary="Märchen <b>")
    with client.app.app_context():
        assert worker.deliver_one() == 1
    page = client.get("/demo/mail")
    assert "Märchen <b>" in page.main
    (link,) = [link for link in page.links() if link.startswith("/demo/mail/")]
    letter = client.get(link)
    assert "owner@lumen.example" in letter.main
    assert "/requests/TECH-1" in letter.main
    for path in ("/demo/mail/..%2fsecret", "/demo/mail/../../secret", "/demo/mail/no-such-letter", "/demo/mail/%00"):
        assert client.get(path, status=404)


def test_the_administrators_page_counts(town: Town, sign_in: SignIn) -> None:
    town.file()
    page = sign_in("admin@support.example").get("/")
    assert page.h1 == "Administration"
    assert [page.words(b) for dl in page.all("dl", class_="card stats below") for b in dl.iter("b")] == ["1", "4", "13"]


def test_the_machines_pages(town: Town, client: Browser) -> None:
    assert client.get("/healthz").body == b"alive\n"
    assert client.get("/readyz").body == b"ready\n"


def test_the_support_page_says_plan_figures_and_who_may_change_it(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    town.answer(key, then=TicketState.WAITING)
    town.file()
    page = sign_in("member@lumen.example").get("/")
    assert page.path == f"/console/{LUMEN}/support"
    assert "Create a Support Ticket" in page.main
    assert "Current PlanStandard" in page.main
    for email in ("owner@lumen.example", "billing@lumen.example"):
        assert town.person(email).name in page.main
    figures = [
        page.words(e) for section in page.all("section", aria_labelledby="current-plan") for e in section.iter("b")
    ]
    assert figures == ["Standard", "2", "1"]
    basic = sign_in("owner@aurora.example").get(f"/console/{AURORA}/support")
    assert "needs the Standard plan or a higher one" in basic.main


def test_choosing_an_organization_is_remembered(town: Town, sign_in: SignIn) -> None:
    partner = sign_in("partner@consult.example")
    partner.get("/")
    forms = [f for f in partner.page.forms if f.action == "/organizations/choose"]  # type: ignore[union-attr]
    assert len(forms) == 2
    for form in forms:
        slug = form.value_of("organization")
        assert (
            partner.post(form.action, form.entries(None, {}), token="", follow=True).path == f"/console/{slug}/support"
        )
        assert partner.get("/").path == f"/console/{slug}/support"


def test_announcements_hold_for_their_time(town: Town, sign_in: SignIn) -> None:
    with town.open() as session:
        for title, start, end in (("Past", -3, -1), ("Present <b>", -1, 1), ("Future", 1, 3)):
            session.add(
                Announcement(
                    title=title,
                    body="Body",
                    tone=Tone.WARN,
                    starts_at=now() + timedelta(days=start),
                    ends_at=now() + timedelta(days=end),
                )
            )
    browser = sign_in("nobody@nowhere.example")
    for path in ("/help", "/announcements"):
        page = browser.get(path)
        assert "Present <b>" in page.main
        assert "Past" not in page.main
        assert "Future" not in page.main


def test_a_refund_that_is_declined_waits_for_an_administrator(town: Town, sign_in: SignIn) -> None:
    gateway = outside().sandbox
    assert gateway is not None
    admin = sign_in("admin@support.example")
    assert "Needs attention" not in admin.get("/admin").main
    # What was charged went back by another way, so that the gateway declines to give it back once more.
    (paid,) = town.scalars(select(Payment).where(Payment.cents > 0))
    gateway.refund(NORTHWIND, f"{paid.public_id}:charge", paid.cents, key="elsewhere")
    key = town.enquire("owner@northwind.example", NORTHWIND)
    town.sell(key, selling.win, contract())
    with admin.app.app_context():
        worker.collect(Gate())
    (refund,) = town.scalars(select(Payment).where(Payment.kind == PaymentKind.REFUND))
    assert refund.state is PaymentState.DECLINED
    (letter,) = town.scalars(select(Message).where(Message.kind == Letter.REFUND_FAILED))
    assert letter.recipient == "admin@support.example"
    with town.open() as session:
        written = worker.write_letter(session.merge(letter), session)
    amount = dollars(refund.cents)
    assert written["Subject"] == f"A refund of {amount} to Northwind Bank was declined"
    page, done = admin.get("/admin"), f"/admin/refunds/{refund.id}/paid-back"
    assert f"declined to give {amount} back to Northwind Bank on Mastercard ending 4444" in page.main
    assert f"/admin/organizations/{NORTHWIND}" in page.links()
    assert town.count(Invoice, Invoice.kind == InvoiceKind.CREDIT_NOTE) == 0
    page = admin.submit(done)
    assert "CN-1 is the credit note" in page.at("flash")
    assert "Needs attention" not in page.main
    assert "marked as paid back" in admin.get(admin.post(done).headers["Location"]).at("flash")
    for wrong in (f"/admin/refunds/{paid.id}/paid-back", "/admin/refunds/999/paid-back"):
        assert admin.post(wrong).status == 404
    (note,) = town.scalars(select(Invoice).where(Invoice.kind == InvoiceKind.CREDIT_NOTE))
    assert (note.total, note.card) == (-refund.cents, "")
    (event,) = town.scalars(select(Event).where(Event.kind == EventKind.REFUNDED_BY_HAND))
    assert (event.actor_id, event.data["invoice"]) == (town.person("admin@support.example").id, "CN-1")
    owner = sign_in("owner@northwind.example")
    assert "None: paid back by hand" in owner.get(f"/console/{NORTHWIND}/invoices/CN-1").main
    (receipt,) = town.scalars(select(Message).where(Message.kind == Letter.PAYMENT_RECEIPT))
    with town.open() as session:
        text = worker.write_letter(session.merge(receipt), session).get_body(("plain",)).get_content()
        assert f"{amount} are paid back by hand" in " ".join(text.split())
        with pytest.raises(Undeliverable, match="paid back already"):
            worker.write_letter(session.merge(letter), session)
