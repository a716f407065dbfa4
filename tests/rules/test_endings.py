"""A free month, a card and a contract that end soon are told once, ahead, to those who may change the plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger import Ledger

from models.cards import Card
from models.catalogue import PlanName
from models.endings import Told, tell_endings
from models.letters import facts_of
from models.outbox import Letter, Message

DAY = timedelta(days=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path)
    yield made
    made.engine.dispose()


def told(ledger: Ledger, at: datetime | None = None) -> list[tuple[str, str]]:
    """Do the worker's chore at the moment, and return what was told so far."""
    ledger.at = at or ledger.at
    ledger.do(lambda session, _, __: tell_endings(session, ledger.at))
    return [(m.data["what"], m.data["on"]) for m in ledger.rows(Message, Message.kind == Letter.ENDS_SOON)]


def test_a_free_month(ledger: Ledger) -> None:
    ledger.buy(PlanName.STANDARD)
    end = ledger.subscription().period_end
    assert told(ledger, end - 8 * DAY) == []
    expected = [("free-month", end.date().isoformat())]
    assert told(ledger, end - 7 * DAY) == expected
    assert told(ledger, end - DAY) == expected
    (letter,) = ledger.rows(Message, Message.kind == Letter.ENDS_SOON)
    assert (letter.recipient, letter.data["card"]) == ("owner@lumen.example", "Visa ending 4242")
    ledger.at = end
    ledger.work()
    assert told(ledger, ledger.subscription().period_end - DAY) == expected


def test_a_free_month_without_a_card_is_told_as_well(ledger: Ledger) -> None:
    ledger.buy(PlanName.STANDARD)
    ledger.do(lambda session, _, __: [setattr(card, "default_for", None) for card in session.query(Card)])
    end = ledger.subscription().period_end
    assert told(ledger, end - 7 * DAY) == [("free-month", end.date().isoformat())]
    (letter,) = ledger.rows(Message, Message.kind == Letter.ENDS_SOON)
    assert letter.data["card"] == ""
    known = ledger.do(lambda session, _, __: facts_of(session.merge(letter), session, "https://help.example"))
    assert known["price"] == "$29.00 a month, or 10 % of the month’s cloud charges if that is more"


def test_a_paid_month_and_one_that_is_given_up_are_no_free_ones(ledger: Ledger) -> None:
    ledger.buy(PlanName.ENTERPRISE)
    assert told(ledger, ledger.subscription().period_end - DAY) == []


def test_a_free_month_that_will_not_be_renewed(ledger: Ledger) -> None:
    ledger.buy(PlanName.STANDARD)
    ledger.downgrade(PlanName.BASIC)
    assert told(ledger, ledger.subscription().period_end - DAY) == []


def test_a_card(ledger: Ledger) -> None:
    ledger.buy(PlanName.ENTERPRISE)

    def expires(session: Any, *_: object) -> None:
        card = session.query(Card).one()
        card.month, card.year = 2, 2026

    ledger.do(expires)
    assert told(ledger, datetime(2026, 2, 13, tzinfo=UTC)) == []
    assert told(ledger, datetime(2026, 2, 14, tzinfo=UTC)) == [("card", "2026-02-28")]
    assert told(ledger, datetime(2026, 2, 28, tzinfo=UTC)) == [("card", "2026-02-28")]
    assert told(ledger, datetime(2026, 3, 1, tzinfo=UTC)) == [("card", "2026-02-28")]


def test_a_contract_and_its_successor(ledger: Ledger) -> None:
    ledger.contract()

    def ends(day: date) -> None:
        ledger.do(lambda _, house, __: setattr(house, "contract_end", day))

    ends(date(2026, 6, 30))
    assert told(ledger, datetime(2026, 5, 30, tzinfo=UTC)) == []
    first = [("contract", "2026-06-30")]
    assert told(ledger, datetime(2026, 5, 31, tzinfo=UTC)) == first
    assert told(ledger, datetime(2026, 6, 30, tzinfo=UTC)) == first
    ends(date(2027, 6, 30))
    assert told(ledger, datetime(2026, 7, 1, tzinfo=UTC)) == first
    assert told(ledger, datetime(2027, 6, 29, tzinfo=UTC)) == [*first, ("contract", "2027-06-30")]
    assert len(ledger.rows(Told)) == 2
