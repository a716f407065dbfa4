"""Leads: one open at a time, alerted once, and what sales may do with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import databases
import pytest
from factories import AURORA, HARBOR, LUMEN, NORTHWIND, SELLER, Town, contract, now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from models import selling
from models.base import NotFound, Refused
from models.catalogue import Severity
from models.events import Event, EventKind
from models.leads import CLOSED, OPEN, Lead, LeadNote, Stage, latest_lead_of, next_working_day, open_lead_of
from models.letters import facts_of
from models.organizations import Organization
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.permissions import Role
from models.pipeline import customer_of
from models.selling import Contract
from models.subscriptions import Standing, Subscription
from models.tickets import TicketState

OTHER = "sales2@support.example"
TODAY = now().date()
CONTRACT = replace(contract(note="$4,200 a month"), start=TODAY - timedelta(days=1))


def letters(town: Town, kind: Letter) -> list[str]:
    return [m.recipient for m in town.scalars(select(Message).where(Message.kind == kind).order_by(Message.id))]


def house(town: Town, slug: str = LUMEN) -> Organization:
    return town.scalars(select(Organization).where(Organization.slug == slug))[0]


def events(town: Town, key: str) -> list[EventKind]:
    return [e.kind for e in town.scalars(select(Event).where(Event.lead_id == town.lead(key).id).order_by(Event.id))]


def refusal(town: Town, key: str, verb: Any, *given: Any, by: str = SELLER) -> Refused:
    with pytest.raises(Refused) as caught:
        town.sell(key, verb, *given, by=by)
    return caught.value


def test_a_submission_is_a_lead_with_a_receipt_and_one_alert_for_each_of_sales(town: Town) -> None:
    town.hire(OTHER, Role.SALES)
    with town.open() as session:
        gone = session.merge(town.hire("gone@support.example", Role.SALES))
        gone.active = False
    key = town.enquire("member@lumen.example", need="Answers at night", phone="+1 555 0100")
    lead = town.lead(key)
    assert key == "LEAD-1"
    assert (lead.stage, lead.organization.slug, lead.sender.email) == (Stage.NEW, LUMEN, "member@lumen.example")
    assert (lead.need, lead.phone, lead.owner) == ("Answers at night", "+1 555 0100", None)
    assert lead.next_on is not None
    assert lead.next_on > TODAY, "what the sender is told is the first next step"
    assert letters(town, Letter.LEAD_RECEIVED) == ["member@lumen.example"]
    assert letters(town, Letter.LEAD_ALERT) == [SELLER, OTHER]
    assert events(town, key) == [EventKind.LEAD_SUBMITTED]


def test_a_second_submission_of_the_organization_updates_the_open_lead(town: Town) -> None:
    first = town.enquire("member@lumen.example", need="The old words")
    again = town.enquire("owner@lumen.example", need="The new words", company="Lumen Holding")
    assert again == first
    lead = town.lead(first)
    assert (lead.need, lead.company, lead.sender.email) == ("The new words", "Lumen Holding", "owner@lumen.example")
    assert town.count(Lead) == 1
    assert [n.source for n in town.scalars(select(LeadNote))] == ["The old words"]
    assert letters(town, Letter.LEAD_ALERT) == [SELLER], "one alert a lead"
    assert letters(town, Letter.LEAD_RECEIVED) == ["member@lumen.example", "owner@lumen.example"]
    assert lead.wrote_again
    town.sell(first, selling.note, "Read it", at=now() + timedelta(seconds=1))
    assert not town.lead(first).wrote_again


def test_the_same_form_again_changes_nothing_and_sends_nothing(town: Town) -> None:
    key = town.enquire()
    before, mails = events(town, key), town.count(Message)
    assert town.enquire() == key
    assert events(town, key) == before
    assert town.count(Message) == mails
    assert not town.lead(key).wrote_again


def test_many_submissions_with_many_addresses_send_nobody_else_mail_nor_any_typed_word(town: Town) -> None:
    for number in range(100):
        town.enquire(
            write_to=f"zebra{number}@victim.example", need=f"zebra {number}", name=f"zebra {number}", phone="zebra"
        )
    messages = town.scalars(select(Message))
    assert len(messages) == 2
    assert {m.recipient for m in messages} == {"owner@lumen.example", SELLER}
    with town.open() as session:
        for message in session.scalars(select(Message)):
            assert "zebra" not in str(facts_of(message, session, "https://help.example")).casefold()


def test_one_lead_is_open_for_an_organization_in_the_database_too(town: Town) -> None:
    key = town.enquire()
    town.sell(key, selling.set_stage, Stage.LOST)
    second = town.enquire()
    assert second != key
    with pytest.raises(IntegrityError), town.open() as session:
        session.merge(town.lead(key)).open_for = town.lead(second).organization_id
    assert "LEAD-2" in refusal(town, key, selling.reopen).reason
    assert town.enquire("owner@northwind.example", NORTHWIND) == "LEAD-3", "each organization has its own"


def test_nobody_asks_for_what_a_contract_gives_or_for_somebody_elses_organization(town: Town) -> None:
    with pytest.raises(Refused, match="by contract already"):
        town.enquire("owner@harbor.example", HARBOR)
    with pytest.raises(NotFound):
        town.enquire("owner@northwind.example", LUMEN)
    assert town.count(Lead) == town.count(Message) == 0


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 25, 9, 30, tzinfo=UTC), date(2026, 11, 26)),
        (datetime(2026, 11, 27, 17, 0, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 11, 28, 3, 0, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 11, 29, 23, 59, tzinfo=UTC), date(2026, 11, 30)),
    ],
)
def test_we_write_by_the_next_working_day(town: Town, at: datetime, day: date) -> None:
    with town.open() as session:
        assert next_working_day(session.merge(house(town)), now=at) == day


def test_stages_move_freely_while_the_lead_is_open_and_two_close_it(town: Town) -> None:
    key = town.enquire()
    for stage in (Stage.QUALIFIED, Stage.NEW, Stage.CONTACTED):
        town.sell(key, selling.set_stage, stage)
        assert town.lead(key).stage is stage
        assert town.lead(key).closed_at is None
    town.sell(key, selling.set_stage, Stage.CONTACTED)
    assert events(town, key).count(EventKind.LEAD_STAGE) == 3, "the same stage again is nothing"
    assert refusal(town, key, selling.set_stage, Stage.WON).field == "stage"
    assert house(town).plan == "standard"
    for stage, back in ((Stage.LOST, Stage.CONTACTED), (Stage.SPAM, Stage.NEW)):
        town.sell(key, selling.set_stage, stage)
        lead = town.lead(key)
        assert (lead.stage, lead.open_for, lead.next_on, lead.next_step) == (stage, None, None, "")
        assert lead.closed_at is not None
        for verb, facts in (
            (selling.set_stage, (Stage.NEW,)),
            (selling.assign, (None,)),
            (selling.plan_next, ("Call", TODAY + timedelta(days=1))),
            (selling.win, (CONTRACT,)),
        ):
            assert "closed" in refusal(town, key, verb, *facts).reason
        town.sell(key, selling.note, "Also on a closed lead")
        town.sell(key, selling.reopen)
        lead = town.lead(key)
        assert (lead.stage, lead.closed_at, lead.open_for) == (back, None, lead.organization_id)
        assert refusal(town, key, selling.reopen).reason == "This lead is open."


def test_who_was_quicker_has_the_lead_and_only_sales_can_have_it(town: Town) -> None:
    town.hire(OTHER, Role.SALES)
    key = town.enquire()
    town.sell(key, selling.take)
    town.sell(key, selling.take)
    assert town.lead(key).owner.email == SELLER
    assert events(town, key).count(EventKind.LEAD_OWNER) == 1
    assert "was quicker" in refusal(town, key, selling.take, by=OTHER).reason
    town.sell(key, selling.assign, town.person(OTHER))
    assert town.lead(key).owner.email == OTHER
    for email in ("agent@support.example", "admin@support.example", "owner@lumen.example"):
        assert refusal(town, key, selling.assign, town.person(email)).field == "owner"
    with town.open() as session:
        session.merge(town.person(OTHER)).active = False
    town.sell(key, selling.assign, None)
    assert town.lead(key).owner is None
    assert refusal(town, key, selling.assign, town.person(OTHER)).field == "owner"


def test_a_next_step_has_words_and_a_day_that_is_not_over(town: Town) -> None:
    key = town.enquire()
    # The day is that of the one who plans.
    with town.open() as session:
        session.merge(town.person(SELLER)).time_zone = "Pacific/Kiritimati"
    ahead = (now() + timedelta(hours=14)).date()
    assert refusal(town, key, selling.plan_next, "Call", ahead - timedelta(days=1)).field == "on"
    assert refusal(town, key, selling.plan_next, "Call", None).field == "on"
    assert refusal(town, key, selling.plan_next, " ", ahead).field == "step"
    town.sell(key, selling.plan_next, "Call", ahead)
    assert (town.lead(key).next_step, town.lead(key).next_on) == ("Call", ahead)
    # A day that has passed meanwhile stays where only the words change.
    town.sell(key, selling.plan_next, "Call again", ahead, at=now() + timedelta(days=9))
    town.sell(key, selling.plan_next, "", None)
    assert (town.lead(key).next_step, town.lead(key).next_on) == ("", None)
    assert events(town, key).count(EventKind.LEAD_STEP) == 3


def test_a_note_has_words_and_is_safe_to_show(town: Town) -> None:
    key = town.enquire()
    assert refusal(town, key, selling.note, " \n").field == "body"
    town.sell(key, selling.note, "**Budget** <script>alert(1)</script>")
    html = town.scalars(select(LeadNote))[0].html
    assert "<strong>Budget</strong>" in html
    assert "<script" not in html


def test_a_won_lead_makes_its_organization_premium_with_what_was_agreed(town: Town) -> None:
    key = town.enquire()
    town.sell(key, selling.win, CONTRACT)
    lead, lumen = town.lead(key), house(town)
    assert (lead.stage, lead.open_for) == (Stage.WON, None)
    assert lead.closed_at is not None
    assert lumen.plan == "premium"
    ended = town.scalars(select(Subscription).where(Subscription.organization_id == lumen.id))
    assert [(s.standing, s.pending_plan) for s in ended] == [(Standing.ENDED, None)]
    assert now() - lumen.plan_since < timedelta(minutes=1)
    agreed = (lumen.contract_start, lumen.contract_end, lumen.contract_note, lumen.account_manager)
    assert agreed == (CONTRACT.start, CONTRACT.end, CONTRACT.note, CONTRACT.manager)
    started = town.scalars(select(Event).where(Event.kind == EventKind.CONTRACT_STARTED))
    assert [(e.data["before"], e.data["after"]) for e in started] == [("standard", "premium")]
    assert "won" in refusal(town, key, selling.reopen).reason
    with pytest.raises(Refused):
        town.enquire()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"start": TODAY + timedelta(days=3)}, "start"),
        ({"end": CONTRACT.start}, "end"),
        ({"start": TODAY - timedelta(days=90), "end": TODAY - timedelta(days=3)}, "end"),
        ({"note": "  "}, "note"),
        ({"manager": "\t"}, "manager"),
    ],
)
def test_a_contract_without_one_of_its_parts_wins_nothing(town: Town, changed: dict[str, Any], field: str) -> None:
    key = town.enquire()
    contract = Contract(**{**vars(CONTRACT), **changed})
    assert refusal(town, key, selling.win, contract).field == field
    assert town.lead(key).stage is Stage.NEW
    assert (house(town).plan, house(town).account_manager) == ("standard", None)


def test_the_latest_lead_is_the_open_one_else_the_last(town: Town) -> None:
    def latest() -> str | None:
        with town.open() as session:
            found = latest_lead_of(session.merge(house(town)))
            return found.key if found else None

    assert latest() is None
    first = town.enquire()
    town.sell(first, selling.set_stage, Stage.LOST)
    second = town.enquire()
    town.sell(second, selling.set_stage, Stage.SPAM)
    assert latest() == second
    town.sell(first, selling.reopen)
    assert latest() == first


def test_sales_learns_how_many_grave_requests_are_open(town: Town) -> None:
    for severity in (Severity.S1, Severity.S2, Severity.S3):
        town.file(severity=severity)
    town.move(town.file(severity=Severity.S1), TicketState.RESOLVED)
    town.file("owner@northwind.example", NORTHWIND, severity=Severity.S1)
    lumen, aurora = house(town), house(town, AURORA)
    with town.open() as session:
        assert customer_of(session.merge(lumen), now=now()).grave == 2
        assert customer_of(session.merge(aurora), now=now()).grave == 0


def test_mail_goes_to_nobody_who_left(town: Town) -> None:
    town.enquire("member@lumen.example")
    with town.open() as session:
        session.merge(town.person(SELLER)).staff_role = Role.AGENT
    town.leave("member@lumen.example", LUMEN)
    with town.open() as session:
        for message in session.scalars(select(Message)):
            with pytest.raises(Undeliverable):
                facts_of(message, session, "https://help.example")


MOVES = st.lists(
    st.one_of(st.sampled_from([*Stage, "reopen", "send", "take", "step"]), st.just(CONTRACT)), min_size=1, max_size=9
)


@settings(
    max_examples=databases.examples(40), derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(moves=MOVES)
def test_whatever_is_done_one_lead_is_open_at_most_and_premium_comes_from_a_contract(
    town: Town, moves: list[Any]
) -> None:
    verbs = {"reopen": selling.reopen, "take": selling.take}
    with town.open() as session:
        lumen = session.merge(house(town))
        for lead in session.scalars(select(Lead)):
            lead.stage, lead.open_for, lead.closed_at = Stage.LOST, None, lead.created_at
            lead.next_on = None
        lumen.plan, lumen.account_manager = "standard", None
    key = town.enquire()
    for move in moves:
        try:
            match move:
                case Contract():
                    town.sell(key, selling.win, move)
                case Stage():
                    town.sell(key, selling.set_stage, move)
                case "send":
                    key = town.enquire()
                case "step":
                    town.sell(key, selling.plan_next, "Call", TODAY + timedelta(days=2))
                case _:
                    town.sell(key, verbs[move])
        except Refused:
            pass
        with town.open() as session:
            lumen = session.merge(house(town))
            mine = session.scalars(select(Lead).where(Lead.organization_id == lumen.id)).all()
            assert [lead.open_for for lead in mine if lead.is_open] in ([], [lumen.id])
            for lead in mine:
                assert (lead.stage in OPEN) == (lead.closed_at is None) == (lead.open_for is not None)
                assert lead.stage not in CLOSED or lead.next_on is None
            assert (open_lead_of(lumen) is None) == (not any(lead.is_open for lead in mine))
            assert (lumen.plan == "premium") == (lumen.account_manager is not None)
