"""An upgrade in the middle of an incident, by card and by contract: it brings the first reply forward and says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import SignIn
from factories import LUMEN, Town, contract, now
from sqlalchemy import select

from models import selling
from models.catalogue import Severity
from models.outbox import Letter, Message

OWNER, MEMBER = "owner@lumen.example", "member@lumen.example"
CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "04/31", "card_code": "913", "holder": "Maya Okafor"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def incident(town: Town) -> str:
    """An S2 that the Standard plan promises within eight business hours, in which somebody else takes part."""
    key = town.file(severity=Severity.S2, at=now() - 5 * MINUTE)
    town.take_part(key, MEMBER)
    return key


def told(town: Town) -> list[str]:
    return sorted(m.recipient for m in town.scalars(select(Message).where(Message.kind == Letter.PROMISE_RAISED)))


def test_by_card(town: Town, sign_in: SignIn, incident: str) -> None:
    before, owner = town.ticket(incident).due_at, sign_in(OWNER)
    assert before is not None
    typing = f"/console/{LUMEN}/upgrade/enterprise/card"
    owner.get(typing)
    page = owner.submit(typing, **CARD)
    assert "has the Enterprise plan now" in page.text
    after = town.ticket(incident).due_at
    assert after is not None
    # Two hours from the payment, around the clock; or what was promised, where that is earlier.
    assert after == min(before, after)
    assert after <= now() + timedelta(hours=2)
    if after < before:
        page = owner.get(f"/requests/{incident}")
        assert "First reply due earlier: the plan is Enterprise now" in page.main
        assert told(town) == [MEMBER, OWNER]
    # Paying causes no miss, and what was answered keeps its result.
    assert town.ticket(incident).targets[-1].plan.value == "standard"


def test_by_contract(town: Town, sign_in: SignIn, incident: str) -> None:
    before = town.ticket(incident).due_at
    assert before is not None
    town.sell(town.enquire(OWNER, LUMEN), selling.win, contract())
    after = town.ticket(incident).due_at
    assert after is not None
    assert after <= min(before, now() + timedelta(hours=1))
    if after < before:
        assert "the plan is Premium now" in sign_in(OWNER).get(f"/requests/{incident}").main
        assert told(town) == [MEMBER, OWNER]


def test_an_answered_request_gains_nothing_and_nobody_is_written_to(town: Town, incident: str) -> None:
    town.answer(incident, at=now() - MINUTE)
    before = town.ticket(incident).targets[-1].due_at
    town.sell(town.enquire(OWNER, LUMEN), selling.win, contract())
    assert town.ticket(incident).targets[-1].due_at == before
    assert told(town) == []
