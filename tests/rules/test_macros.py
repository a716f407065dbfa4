"""Macros: placeholders are data that is put in once, and each agent has their own and the shared ones."""

from __future__ import annotations

import pytest
from factories import Town, now
from hypothesis import given
from hypothesis import strategies as st

from models import macros
from models.base import NotFound, Refused, Stale
from models.catalogue import Severity
from models.events import Event, EventKind
from models.macros import PLACEHOLDERS, Macro, MacroText, choices_of, filled, macro_of
from models.tickets import TicketState

AGENT, OTHER = "agent@support.example", "agent2@support.example"


def text(
    name: str = "Hello",
    body: str = "Hello {{customer.first_name}}",
    *,
    then: TicketState | None = None,
    take: bool = False,
    shared: bool = False,
) -> MacroText:
    return MacroText(name, body, then, take, shared)


def write(town: Town, what: MacroText, email: str = AGENT) -> int:
    with town.open() as session:
        return macros.create(town._person(session, email), what, now=now()).id


def test_every_placeholder_is_filled(town: Town) -> None:
    key = town.file(severity=Severity.S2, summary="Slow & <b>odd</b>")
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        values = {name: filled(f"{{{{ {name} }}}}", ticket, agent, now=now()) for name in PLACEHOLDERS}
    assert values["customer.first_name"] == "Owner"
    assert (values["ticket.key"], values["severity"], values["plan"]) == (key, "S2", "Standard")
    assert (values["organization"], values["cluster"]) == ("Lumen Retail", "your cluster")
    assert values["ticket.summary"] == "Slow & <b>odd</b>", "it is text here, and escaped where it is shown"
    assert "(UTC)" in values["due"]
    assert all(value and "{{" not in value for value in values.values())
    town.answer(key)
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        assert filled("{{due}}", ticket, agent, now=now()) == "no first-reply target runs"


def test_a_value_is_not_looked_through_again(town: Town) -> None:
    key = town.file(summary="{{agent.name}} {{7*7}}")
    with town.open() as session:
        ticket, agent = town._ticket(session, key), town._person(session, AGENT)
        assert filled("{{ticket.summary}}", ticket, agent, now=now()) == "{{agent.name}} {{7*7}}"


@pytest.mark.parametrize(
    ("body", "unknown"),
    [("{{customer.password_hash}}", "customer.password_hash"), ("{{7*7}}", "7*7"), ("{{ }}", ""),
     ("{{a}} {{plan}}", "a"), ("{{Plan}}", "Plan"), ("{{ticket.__class__}}", "ticket.__class__")],
)  # fmt: skip
def test_an_unknown_placeholder_is_refused_with_the_known_ones(town: Town, body: str, unknown: str) -> None:
    with pytest.raises(Refused) as refused:
        write(town, text(body=body))
    assert refused.value.field == "body"
    assert refused.value.reason.startswith(f"{{{{{unknown}}}}} is no placeholder")
    assert all(f"{{{{{name}}}}}" in refused.value.reason for name in PLACEHOLDERS)
    assert town.count(Macro) == 0


@given(st.text(alphabet="{} ab.plancustomer_first", max_size=60))
def test_what_is_saved_has_no_placeholder_but_known_ones(body: str) -> None:
    try:
        kept = str(macros._checked(text(body=body))["body"])
    except Refused:
        return
    assert all(found[1] in PLACEHOLDERS for found in macros._PLACEHOLDER.finditer(kept))


@pytest.mark.parametrize(
    ("what", "field"),
    [(text(" "), "name"), (text("x" * 81), "name"), (text(body=" \n"), "body"), (text(body="x" * 10_001), "body"),
     (text(then=TicketState.CLOSED), "then")],
)  # fmt: skip
def test_what_cannot_be_a_macro_is_refused(town: Town, what: MacroText, field: str) -> None:
    with pytest.raises(Refused) as refused:
        write(town, what)
    assert refused.value.field == field


def test_ones_own_are_ones_own_and_shared_ones_everybodys(town: Town) -> None:
    own, shared = write(town, text("Mine")), write(town, text("Ours", shared=True))
    with town.open() as session:
        agent, other = town._person(session, AGENT), town._person(session, OTHER)
        assert [(m.name, m.shared) for m in choices_of(agent)] == [("Mine", False), ("Ours", True)]
        assert [m.name for m in choices_of(other)] == ["Ours"]
        assert macro_of(other, shared).id == shared
        with pytest.raises(NotFound):
            macro_of(other, own)
    assert town.count(Event, Event.kind == EventKind.MACRO_CREATED) == 1, "what is shared is in the audit log"


def test_nobody_makes_their_own_what_all_agents_have(town: Town) -> None:
    with town.open() as session:
        first, second = town._person(session, AGENT), town._person(session, OTHER)
        text = MacroText("Log", "Send the log.", None, take=False, shared=True)
        macro = macros.create(first, text, now=now())
        with pytest.raises(Refused, match="All agents use") as refused:
            macros.change(macro, second, text._replace(shared=False), seen=macro.revision, now=now())
        assert refused.value.field == "whose"
        session.refresh(macro)
        assert macro.shared
        own = macros.create(first, text._replace(shared=False), now=now())
        macros.change(own, first, text, seen=own.revision, now=now())
        assert own.shared, "the other way is free"


def test_who_changes_an_older_reading_is_told(town: Town) -> None:
    shared = write(town, text(shared=True))
    with town.open() as session:
        other = town._person(session, OTHER)
        macros.change(macro_of(other, shared), other, text(shared=True, body="B"), seen=1, now=now())
    with town.open() as session:
        macro, agent = macro_of(town._person(session, AGENT), shared), town._person(session, AGENT)
        with pytest.raises(Stale):
            macros.change(macro, agent, text(shared=True, body="C"), seen=1, now=now())
        assert macro.body == "B"
        macros.remove(macro, agent, now=now())
    assert town.count(Macro) == 0
