"""The demo world's leads, one in each stage, made by the real verbs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.drafts import keep_draft
from models.leads import Enquiry, Lead, Stage, submit
from models.organizations import Organization
from models.people import Person
from models.permissions import Role
from models.selling import Contract, note, plan_next, set_stage, take, win
from models.waiting import wait_for_plan

DAY = timedelta(days=1)


def enquire(session: Session, *, now: datetime) -> None:
    """Tell of every lead of the demo world, the oldest first; `now` (aware) is the moment of the telling."""
    world = _World(session)
    for story in (_harbor, _spam, _lost, _northwind, _lumen, _aurora):
        story(world, now)
    session.flush()


class _World:
    """The people and organizations of the demo."""

    def __init__(self, session: Session) -> None:
        self.people = {one.email: one for one in session.scalars(select(Person))}
        self.houses = {one.slug: one for one in session.scalars(select(Organization))}
        self.seller = next(one for one in self.people.values() if one.staff_role is Role.SALES)

    def send(self, email: str, house: str, need: str, *, at: datetime, phone: str = "", best: str = "") -> Lead:
        """Send the form Contact Us as that person."""
        person, organization = self.people[email], self.houses[house]
        enquiry = Enquiry(person.name, person.email, organization.name, phone, need, best)
        return submit(organization, person, enquiry, now=at).lead

    def work(self, lead: Lead, *steps: tuple[datetime, Callable[..., None], tuple[object, ...]]) -> None:
        """Take the lead at the first moment, then do the steps: moment, verb, what it needs."""
        take(lead, self.seller, now=steps[0][0])
        for at, verb, given in steps:
            verb(lead, self.seller, *given, now=at)


def _harbor(world: _World, now: datetime) -> None:
    need = (
        "Our fleet tracking runs on three clusters around the clock. We need an answer to S1 within half an hour, at "
        "night as well, and somebody who knows our setup."
    )
    lead = world.send(
        "owner@harbor.example", "harbor-logistics", need, at=now - 118 * DAY, phone="+81 3 5550 0142", best="9:00 JST"
    )
    at, signed = now - 117 * DAY, now - 90 * DAY
    agreed = "$4,200 a month, invoiced yearly in advance; 5 % less from the second year."
    contract = Contract(signed.date() - DAY, now.date() + 275 * DAY, agreed, "Emeka Obi", "PREM-2026-014", 420_000)
    world.work(
        lead,
        (at, set_stage, (Stage.CONTACTED,)),
        (at + 3 * DAY, note, ("Call with **Yuki Tanaka**: two nights without anybody to ask were two too many.",)),
        (at + 9 * DAY, set_stage, (Stage.QUALIFIED,)),
        (signed, win, (contract,)),
    )


def _spam(world: _World, now: datetime) -> None:
    at = now - 75 * DAY
    lead = world.send("partner@consult.example", "aurora-games", "asdf asdf 1234 test", at=at)
    world.work(lead, (at + DAY / 4, set_stage, (Stage.SPAM,)))


def _lost(world: _World, now: datetime) -> None:
    at = now - 52 * DAY
    need = "We run a sale in autumn and would like faster answers for those six weeks only. Is there a short contract?"
    lead = world.send("billing@lumen.example", "lumen-retail", need, at=at, best="Weekdays after 14:00, Chicago time")
    world.work(
        lead,
        (at + DAY, set_stage, (Stage.CONTACTED,)),
        (at + 2 * DAY, note, ("Contracts run a year. Told Aisha that Enterprise can be chosen for a month.",)),
        (at + 8 * DAY, set_stage, (Stage.LOST,)),
    )


def _northwind(world: _World, now: datetime) -> None:
    at = now - 16 * DAY
    need = (
        "The regulator asks for a named contact and a reply within 30 minutes for the ledger. Four clusters. "
        "Please send the terms and the list of services."
    )
    lead = world.send("owner@northwind.example", "northwind-bank", need, at=at, phone="+49 30 5550 0119")
    on = (now + DAY).date()
    world.work(
        lead,
        (at + DAY / 4, set_stage, (Stage.CONTACTED,)),
        (at + 6 * DAY, set_stage, (Stage.QUALIFIED,)),
        (at + 6 * DAY, note, ("Their legal department reads the draft. Budget is there from the new quarter.",)),
        (at + 15 * DAY, plan_next, ("Answer the questions on the draft contract", on)),
    )


def _lumen(world: _World, now: datetime) -> None:
    at = now - 5 * DAY
    need = "Checkout is down whenever an index goes wrong, and eight business hours are long. What would Premium cost?"
    lead = world.send("owner@lumen.example", "lumen-retail", need, at=at, best="Mornings, New York time")
    # A call that nobody made: the inbox shows it first.
    world.work(
        lead,
        (at + DAY / 2, set_stage, (Stage.CONTACTED,)),
        (at + DAY, plan_next, ("Call Daniel about the number of clusters", (now - 2 * DAY).date())),
    )


def _aurora(world: _World, now: datetime) -> None:
    need = "We launch in March with a million players expected on the first evening. How do we get help then?"
    typed = {
        "summary": ["Login queries take 4 s in the evening"],
        "organization": ["aurora-games"],
        "severity": ["S2"],
        "environment": ["Production"],
        "description": ["Since the update of Monday the login takes 4 s from 18:00 to 22:00 CET. Can you look at it?"],
    }
    owner, aurora = world.people["owner@aurora.example"], world.houses["aurora-games"]
    for days in (9, 2):
        wait_for_plan(
            keep_draft(owner, "technical", typed, now=now - days * DAY, key="demo-waiting-text"),
            aurora,
            now=now - days * DAY,
        )
    world.send("owner@aurora.example", "aurora-games", need, at=now - DAY / 8)
