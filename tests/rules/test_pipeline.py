"""First touch, stalled leads, spam that stays quiet, contracts that go on, and what sellers are reminded of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from factories import AURORA, LUMEN, NORTHWIND, SELLER, Town, contract
from sqlalchemy import select

from extensions import outside
from models import selling
from models.base import Refused
from models.events import Event, EventKind
from models.histories import had
from models.leads import STALLED_AFTER, Enquiry, Lead, Stage, submit
from models.letters import facts_of
from models.organizations import Organization
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.people import Person
from models.permissions import Role
from models.pipeline import LeadWish, Tab, inbox, touch_of
from models.reminding import SellerReminded, remind_sellers
from models.renewals import end_contracts

DAY = timedelta(days=1)
# A Monday, 8:30 where the seller is.
MORNING = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
Sell = Callable[..., None]


def enquire(town: Town, email: str = "owner@lumen.example", slug: str = LUMEN, *, at: datetime, need: str = "x") -> str:
    with town.open() as session:
        person = session.scalars(select(Person).where(Person.email == email)).one()
        house = session.scalars(select(Organization).where(Organization.slug == slug)).one()
        return submit(house, person, Enquiry(person.name, email, house.name, "", need, ""), now=at).lead.key


def sell(town: Town, key: str, verb: Sell, *given: object, at: datetime) -> None:
    with town.open() as session:
        lead = session.scalars(select(Lead).where(Lead.key == key)).one()
        verb(lead, session.scalars(select(Person).where(Person.email == SELLER)).one(), *given, now=at)


def remind(town: Town, at: datetime) -> int:
    with town.open() as session:
        return remind_sellers(session, at)


def reminders(town: Town) -> list[Message]:
    return town.scalars(select(Message).where(Message.kind == Letter.LEAD_REMINDER).order_by(Message.id))


def test_the_first_touch_clock_ends_with_the_next_working_day(town: Town) -> None:
    friday = datetime(2026, 11, 20, 15, tzinfo=UTC)
    key = enquire(town, at=friday)
    lead = town.lead(key)
    assert lead.touch_by is not None
    assert lead.touch_by.date() == date(2026, 11, 23)
    assert (lead.first_touch_at, lead.touched_at) == (None, friday)
    face = touch_of(lead, now=friday)
    assert face is not None
    assert face.words == "First touch by"
    late = touch_of(lead, now=lead.touch_by + timedelta(seconds=1))
    assert late is not None
    assert (late.mark, late.words) == ("over", "First touch is late")


@pytest.mark.parametrize(
    ("verb", "given", "touches"),
    [
        (selling.take, (), False),
        (selling.plan_next, ("Call", date(2026, 12, 1)), False),
        (selling.note, ("I look at it tomorrow.",), False),
        (partial(selling.note, spoke=True), ("Called them.",), True),
        (selling.set_stage, (Stage.CONTACTED,), True),
        (selling.set_stage, (Stage.LOST,), False),
        (selling.set_stage, (Stage.SPAM,), False),
    ],
)
def test_only_what_says_that_somebody_was_in_touch_stops_it(
    town: Town, verb: Sell, given: tuple[object, ...], touches: bool
) -> None:
    key = enquire(town, at=MORNING)
    sell(town, key, verb, *given, at=MORNING + DAY)
    lead = town.lead(key)
    assert lead.first_touch_at == (MORNING + DAY if touches else None)
    assert lead.touched_at == MORNING + DAY


def test_a_lead_that_nobody_touches_is_stalled_until_somebody_does(town: Town) -> None:
    key, other = enquire(town, at=MORNING), enquire(town, "owner@aurora.example", AURORA, at=MORNING)
    later = MORNING + STALLED_AFTER + timedelta(minutes=1)
    sell(town, other, selling.take, at=MORNING + DAY)

    def stalled(at: datetime) -> list[str]:
        with town.open() as session:
            from models.leads import inbox_of

            seller = session.scalars(select(Person).where(Person.email == SELLER)).one()
            listing = inbox(inbox_of(seller, [Role.SALES]), LeadWish(Tab.STALLED), size=25, now=at)
            assert listing.counts[Tab.STALLED] == len(listing.rows)
            return [lead.key for lead in listing.rows]

    assert stalled(MORNING + STALLED_AFTER) == []
    assert stalled(later) == [key]
    enquire(town, at=later, need="Are you there?")
    assert stalled(later) == []
    sell(town, key, selling.set_stage, Stage.LOST, at=later)
    assert stalled(later + STALLED_AFTER * 2) == [other]


def test_spam_stays_quiet_and_another_member_is_heard(town: Town) -> None:
    key = enquire(town, at=MORNING, need="asdf")
    sell(town, key, selling.set_stage, Stage.SPAM, at=MORNING)
    before = town.count(Message)
    assert enquire(town, at=MORNING + DAY, need="asdf again") == key
    assert town.count(Message) == before
    lead = town.lead(key)
    assert (lead.stage, lead.need) == (Stage.SPAM, "asdf again")
    other = enquire(town, "member@lumen.example", at=MORNING + DAY)
    assert other != key
    # Somebody else's enquiry in between makes nobody loud again.
    sell(town, other, selling.set_stage, Stage.LOST, at=MORNING + DAY)
    before = town.count(Message)
    assert enquire(town, at=MORNING + 2 * DAY, need="asdf once more") == key
    assert town.count(Message) == before


def test_spam_is_forgotten_after_ninety_days(town: Town) -> None:
    key = enquire(town, at=MORNING)
    sell(town, key, selling.set_stage, Stage.SPAM, at=MORNING)
    assert enquire(town, at=MORNING + 91 * DAY) != key


def test_a_morning_brings_one_mail_with_what_is_to_be_done(town: Town) -> None:
    due = enquire(town, at=MORNING - 10 * DAY)
    sell(town, due, selling.note, "Called.", at=MORNING - 9 * DAY)
    fine = enquire(town, "owner@aurora.example", AURORA, at=MORNING - DAY)
    assert remind(town, MORNING - timedelta(minutes=40)) == 0
    assert remind(town, MORNING) == 1
    assert remind(town, MORNING + timedelta(hours=3)) == 0
    (message,) = reminders(town)
    assert message.recipient == SELLER
    assert set(message.data["due"]) == {due, fine}
    assert message.data["stalled"] == [due]
    with town.open() as session:
        letter = outside().letters.write(Letter.LEAD_REMINDER, facts_of(message, session, "https://help.example"))
    body = letter.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert f"https://help.example/sales/{due}" in text
    assert "Stalled" in text


def test_nothing_to_do_is_no_mail_and_neither_is_a_weekend(town: Town) -> None:
    assert remind(town, MORNING) == 1
    assert reminders(town) == []
    enquire(town, at=MORNING)
    assert remind(town, MORNING + 5 * DAY) == 0
    assert remind(town, MORNING + 6 * DAY) == 0
    assert remind(town, MORNING + 7 * DAY) == 1
    assert len(reminders(town)) == 1
    assert town.count(SellerReminded) == 2


def test_a_contract_that_ends_is_told_sales_in_time_also_over_a_weekend(town: Town) -> None:
    key = enquire(town, at=MORNING)
    sell(town, key, selling.take, at=MORNING)
    # Sixty days before its end is a Saturday.
    end = date(2026, 11, 28) + timedelta(days=60)
    sell(town, key, selling.win, replace(contract(), start=MORNING.date(), end=end), at=MORNING)
    days = [MORNING + number * DAY for number in range(66)]
    for at in days:
        remind(town, at)
    told = [message.created_at.date() for message in reminders(town) if message.data["contracts"]]
    assert told == [date(2026, 11, 30), date(2026, 12, 28), date(2027, 1, 13), date(2027, 1, 20), date(2027, 1, 26)]
    assert reminders(town)[-1].data["contracts"] == [[LUMEN, end.isoformat()]]


def test_a_contract_whose_seller_has_left_is_told_the_others(town: Town) -> None:
    key = enquire(town, at=MORNING)
    sell(town, key, selling.take, at=MORNING)
    ends = MORNING.date() + timedelta(days=14)
    sell(town, key, selling.win, replace(contract(), start=MORNING.date(), end=ends), at=MORNING)
    town.hire("sales2@support.example", Role.SALES)
    with town.open() as session:
        session.scalars(select(Person).where(Person.email == SELLER)).one().active = False
    remind(town, MORNING + DAY)
    remind(town, MORNING + 7 * DAY)
    assert [(m.recipient, m.data["contracts"]) for m in reminders(town)][-1:] == [
        ("sales2@support.example", [[LUMEN, ends.isoformat()]])
    ]


def test_a_contract_is_renewed_and_stands_in_the_history(town: Town) -> None:
    key = enquire(town, at=MORNING)
    first = replace(contract(), start=MORNING.date(), end=date(2027, 11, 22))
    sell(town, key, selling.win, first, at=MORNING)
    longer = replace(first, end=date(2028, 11, 22), cents=500_000, reference="PREM-2")
    sell(town, key, selling.renew, longer, at=MORNING + 300 * DAY)
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
        assert (house.contract_end, house.contract_cents, house.contract_reference) == (
            date(2028, 11, 22),
            500_000,
            "PREM-2",
        )
        assert had(house, MORNING + 200 * DAY).contract == (MORNING.date(), date(2027, 11, 22))
        then = had(house, MORNING + 200 * DAY)
        assert (then.reference, then.contract_cents, then.manager) == ("PREM-1", 420_000, "Emeka Obi")
        assert had(house, MORNING + 301 * DAY).contract_cents == 500_000
        assert had(house, MORNING + 301 * DAY).contract == (MORNING.date(), date(2028, 11, 22))
        assert end_contracts(session, datetime(2027, 12, 1, tzinfo=UTC)) == 0
        assert end_contracts(session, datetime(2028, 12, 1, tzinfo=UTC)) == 1
        assert (house.plan, house.contract_reference, house.contract_cents) == ("basic", None, None)
    events = town.scalars(
        select(Event.kind).where(Event.kind.in_([EventKind.CONTRACT_RENEWED, EventKind.LEAD_RENEWED]))
    )
    assert sorted(events) == sorted([EventKind.CONTRACT_RENEWED, EventKind.LEAD_RENEWED])
    with pytest.raises(Refused, match="No contract of this lead runs"):
        sell(town, key, selling.renew, longer, at=datetime(2028, 12, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"end": date(2027, 11, 22)}, "end"),
        ({"end": date(2026, 1, 1)}, "end"),
        ({"start": date(2027, 11, 23)}, "start"),
        ({"reference": " "}, "reference"),
        ({"cents": 0}, "price"),
        ({"cents": -1}, "price"),
        ({"note": " "}, "note"),
        ({"manager": " "}, "manager"),
    ],
)
def test_a_renewal_is_checked_like_a_contract(town: Town, changed: dict[str, Any], field: str) -> None:
    key = enquire(town, at=MORNING)
    first = replace(contract(), start=MORNING.date(), end=date(2027, 11, 22))
    sell(town, key, selling.win, first, at=MORNING)
    wanted = replace(replace(first, end=date(2028, 11, 22)), **changed)
    with pytest.raises(Refused) as refused:
        sell(town, key, selling.renew, wanted, at=MORNING + DAY)
    assert refused.value.field == field


def test_an_open_lead_has_nothing_to_renew(town: Town) -> None:
    key = enquire(town, "owner@northwind.example", NORTHWIND, at=MORNING)
    with pytest.raises(Refused):
        sell(town, key, selling.renew, contract(), at=MORNING)


def test_who_no_longer_sells_reads_no_reminder(town: Town) -> None:
    enquire(town, at=MORNING - 10 * DAY)
    remind(town, MORNING)
    (message,) = reminders(town)
    with town.open() as session:
        session.scalars(select(Person).where(Person.email == SELLER)).one().staff_role = None
        with pytest.raises(Undeliverable):
            facts_of(message, session, "https://help.example")
