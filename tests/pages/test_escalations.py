"""Escalation and on-call as pages: the customer's way, the desk's buttons, the list of those on call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import SignIn
from factories import Town, now
from sqlalchemy import select, update

from models.catalogue import DoorName, Severity
from models.escalations import Escalation
from models.oncall import Duty
from models.outbox import Letter, Message
from models.people import Person
from models.permissions import Role
from models.tickets import Ticket

OWNER, AGENT, ADMIN = "owner@lumen.example", "agent@support.example", "admin@support.example"
LONG_AGO = timedelta(days=30)


def manage(town: Town, email: str = AGENT) -> None:
    with town.open() as session:
        session.execute(update(Person).where(Person.email == email).values(duty_manager=True))


def test_a_customer_escalates_and_an_agent_takes_it_up(town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S1, at=now() - LONG_AGO)
    customer, agent = sign_in(OWNER), sign_in(AGENT)
    page = customer.get(f"/requests/{key}")
    assert page.all("a", href=f"/requests/{key}/escalate")
    page = customer.get(f"/requests/{key}/escalate")
    assert "Our first reply to this request is late" in page.main
    page = customer.submit(f"/requests/{key}/escalate", status=422, reason="  ")
    assert "Say why, for example" in page.main
    page = customer.submit(f"/requests/{key}/escalate", reason="Our shop is <b>closed</b>.")
    assert "Escalated. Our duty managers are told now" in page.text
    assert "escalated this request: “Our shop is <b>closed</b>.”" in page.main
    assert "Escalated" in page.main
    # It cannot be done twice, and the page says since when it stands.
    page = customer.get(f"/requests/{key}/escalate")
    assert "is escalated since" in page.main
    desk = agent.get("/desk?queue=all&when=escalated")
    assert key in desk.main
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/take-up", button="Take up the escalation")
    assert "looks after this escalation" in page.main
    assert not page.all("form", action=f"/desk/{key}/take-up")
    assert "looks after this escalation" in customer.get(f"/requests/{key}").main
    assert agent.post(f"/desk/{key}/take-up", follow=True).text.count("This escalation is over already") == 1
    assert key not in agent.get("/desk?queue=all&when=escalated").main


def test_it_can_be_withdrawn(town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S1, at=now() - LONG_AGO)
    customer = sign_in(OWNER)
    customer.get(f"/requests/{key}/escalate")
    customer.submit(f"/requests/{key}/escalate", reason="It is urgent.")
    customer.get(f"/requests/{key}/escalate")
    page = customer.submit(f"/requests/{key}/escalate/withdraw", button="Withdraw the escalation")
    assert "withdrew the escalation" in page.main
    (row,) = town.scalars(select(Escalation))
    assert row.ended_at is not None


@pytest.mark.parametrize(
    ("severity", "door", "words"),
    [
        (Severity.S1, DoorName.TECHNICAL, "can be escalated after half of the promised time: from"),
        (Severity.S3, DoorName.TECHNICAL, "can be escalated when our first reply is late: from"),
        (Severity.S2, DoorName.BILLING, "Account and billing requests carry no first-reply target"),
    ],
)
def test_too_early_says_from_when_and_what_to_do(
    town: Town, sign_in: SignIn, severity: Severity, door: DoorName, words: str
) -> None:
    key = town.file(severity=severity, door=door)
    customer = sign_in(OWNER)
    page = customer.get(f"/requests/{key}/escalate")
    assert words in page.main
    assert not page.all("textarea", name="reason")
    page = customer.post(f"/requests/{key}/escalate", {"reason": "Now!"})
    assert page.status == 422
    assert "cannot be escalated now" in page.main
    assert town.count(Escalation) == 0


def test_an_agent_escalates_at_any_time(town: Town, sign_in: SignIn) -> None:
    key = town.file()
    agent = sign_in(AGENT)
    agent.get(f"/desk/{key}/escalate")
    page = agent.submit(f"/desk/{key}/escalate", reason="The region is down for more of them.")
    assert "escalated this request: “The region is down for more of them.”" in page.main
    assert town.count(Message, Message.kind == Letter.TICKET_ESCALATED) == len(
        town.scalars(select(Person).where(Person.staff_role == Role.AGENT, Person.active, Person.email != AGENT))
    )
    # Nobody else's request.
    assert sign_in("owner@northwind.example").get(f"/requests/{key}/escalate", status=None).status == 404


def test_a_call_is_acknowledged_from_the_page(town: Town, sign_in: SignIn) -> None:
    key = town.file(severity=Severity.S1)
    agent = sign_in(AGENT)
    agent.get(f"/desk/{key}")
    page = agent.submit(f"/desk/{key}/acknowledge")
    assert "is on call and has seen this request" in page.main
    assert "The first reply is still to come" in page.text
    assert not page.all("form", action=f"/desk/{key}/acknowledge")
    assert "is on call and has seen this request" in sign_in(OWNER).get(f"/requests/{key}").main
    assert "any more" in agent.post(f"/desk/{key}/acknowledge", follow=True).text
    assert town.scalars(select(Ticket.call_at).where(Ticket.key == key)) == [None]


def test_duty_managers_keep_the_list_and_every_agent_sees_it(town: Town, sign_in: SignIn) -> None:
    agent = sign_in(AGENT)
    page = agent.get("/desk/duty")
    assert "Nobody is on call" in page.main
    assert "Nobody is a duty manager" in page.main
    assert not page.all("form", action="/desk/duty")
    assert agent.post("/desk/duty", {"person": "1"}).status == 403
    manage(town)
    agent.get("/desk/duty")
    page = agent.submit("/desk/duty", status=422)
    assert "Enter the day and the time it begins." in page.main
    page = agent.submit("/desk/duty", status=422, begins="2026-13-45T99:00", ends="x")
    assert "Write day and time" in page.main
    person = str(town.person(AGENT).id)
    later = (now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    page = agent.submit("/desk/duty", person=person, begins="2026-11-01T18:00", ends=later)
    assert "is on call in that time" in page.text
    assert "Now" in page.main
    (duty,) = town.scalars(select(Duty))
    page = agent.submit(f"/desk/duty/{duty.id}/remove")
    assert "is not on call in that time any more" in page.text
    assert town.count(Duty) == 0
    assert agent.post(f"/desk/duty/{duty.id}/remove").status == 404


def test_an_administrator_marks_duty_managers(town: Town, sign_in: SignIn) -> None:
    admin, number = sign_in(ADMIN), town.person(AGENT).id
    admin.get(f"/admin/people/{number}")
    page = admin.submit(f"/admin/people/{number}/duty-manager", button="Make a duty manager")
    assert "is a duty manager now" in page.text
    assert town.person(AGENT).duty_manager
    assert "changed who is a duty manager" in admin.get("/admin/audit").main
    admin.get(f"/admin/people/{number}")
    page = admin.submit(f"/admin/people/{number}/duty-manager", button="No longer a duty manager")
    assert not town.person(AGENT).duty_manager
    owner = town.person(OWNER).id
    assert admin.post(f"/admin/people/{owner}/duty-manager", {"on": "y"}).status == 422
