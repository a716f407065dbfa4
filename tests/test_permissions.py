"""Who may do what: every route for everybody, computed from the routes' marks and the one table of grants."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Call, calls, snapshot
from conftest import SignIn
from factories import LUMEN, NOBODY, Town
from flask import Flask
from page import Browser
from sqlalchemy import func, select

from blueprints.access import check_marks
from models.attachments import Attachment
from models.drafts import Draft
from models.leads import Lead, LeadNote
from models.organizations import Membership
from models.permissions import GRANTS, Permission, Role
from models.tickets import Comment, Participant, Ticket

# Who asks, and as what; the ticket, its file and the organization in the addresses are Lumen's.
PEOPLE: dict[str, Role | None] = {
    "": None,
    NOBODY: Role.NOBODY,
    "owner@lumen.example": Role.OWNER,
    "billing@lumen.example": Role.BILLING_ADMIN,
    "member@lumen.example": Role.MEMBER,
    "owner@northwind.example": Role.OWNER,
    "owner@aurora.example": Role.OWNER,
    "agent@support.example": Role.AGENT,
    "sales@support.example": Role.SALES,
    "admin@support.example": Role.ADMINISTRATOR,
}
# A reply to undo, a link to take off: their forms name what is not there.
NAMED_IN_FORM = {"composing.undo", "arranging.unlink"}
LAPSED = "owner@lumen.example lapsed"


def expected(call: Call, email: str) -> str:
    """Return what the answer must be: "sign-in", "refused", "hidden" or "let in"."""
    role = PEOPLE[email]
    if call.permission is None:
        return "any"
    if role is None:
        return "sign-in"
    ours = email.endswith("@lumen.example")
    if "org" in call.arguments and not ours:
        return "hidden"
    if call.permission not in GRANTS[role]:
        return "refused"
    ours = ours or (role is Role.AGENT and call.endpoint.startswith(("desk.", "composing.", "arranging.", "tagging.")))
    ours = ours or (call.permission is Permission.ANSWER and call.endpoint.startswith("escalating."))
    ours = ours or (role is Role.SALES and call.endpoint.startswith("sales."))
    if role is Role.AGENT and call.endpoint in {"attachments.show", "tickets.show", "live.desk_changes"}:
        ours = True
    return "let in" if ours or not call.insiders() else "hidden"


def kind(status: int, location: str) -> str:
    if status in {302, 303} and location.startswith("/sign-in?next="):
        return "sign-in"
    return {403: "refused", 404: "hidden"}.get(status, "let in" if status < 500 else "broken")


@pytest.mark.parametrize("who", [*PEOPLE, LAPSED], ids=lambda who: who or "anonymous")
def test_every_route_for_everybody(who: str, app: Flask, town: Town, sign_in: SignIn, tmp_path: Path) -> None:
    check_marks(app)
    key, lead = town.file(files=(("plan.txt", b"marker"),)), town.enquire()
    if who == LAPSED:
        town.set_house(LUMEN, plan="basic")
    email = who.removesuffix(" lapsed")
    browser = sign_in(email) if email else Browser(app)
    browser.get("/shortcuts" if email else "/sign-in")
    replay = snapshot(town, browser, tmp_path)
    wrong, met = [], set()
    before, changed = traces(town), False
    for call in calls(app, key, town.file_of(key, "plan.txt"), lead):
        # Reading changes nothing, and what is refused has changed nothing, or is found out below.
        if changed:
            replay()
        if call.method == "GET":
            answer = browser.get(call.path, status=None, follow=False, check=False)
        else:
            answer = browser.post(call.path, {"body": "x", "state": "resolved", "organization": LUMEN}, check=False)
        wanted, got = expected(call, email), kind(answer.status, answer.headers.get("Location", ""))
        changed = call.method != "GET" and got == "let in"
        met.add(wanted)
        # What is named by a bare number is there for nobody in this test: hidden is fine for those who may look.
        bare = set(call.arguments) & {"id", "person", "holiday", "number", "name"} or call.endpoint in NAMED_IN_FORM
        fine = {wanted, "hidden"} if wanted == "let in" and bare else {wanted}
        if (wanted == "any" and got in {"refused", "broken"}) or (wanted != "any" and got not in fine):
            wrong.append(f"{call.method} {call.path}: {got} ({answer.status}), not {wanted}")
        if wanted in {"sign-in", "refused", "hidden"} and traces(town) != before:
            wrong.append(f"{call.method} {call.path}: {wanted}, and yet something changed")
    assert not wrong, f"{who or 'anonymous'}:\n" + "\n".join(wrong)
    assert {"sign-in"} <= met if not email else {"let in"} <= met


def traces(town: Town) -> tuple[int, ...]:
    """Return figures that change when anything of a request or a lead does."""
    with town.open() as session:
        counted = [session.scalar(select(func.count(table.id))) or 0 for table in (Comment, Draft, Participant)]
        attached = session.scalar(select(func.count(Attachment.id)).where(Attachment.ticket_id.is_not(None))) or 0
        counted.append(session.scalar(select(func.count(LeadNote.id))) or 0)
        revisions = [*session.scalars(select(Ticket.revision).order_by(Ticket.id))]
        return (*counted, attached, *revisions, *session.scalars(select(Lead.revision).order_by(Lead.id)))


def test_the_table_names_every_role_and_every_permission_is_somebodys() -> None:
    assert set(GRANTS) == set(Role)
    assert set().union(*GRANTS.values()) == set(Permission)


def test_customers_get_nothing_of_the_desk_and_only_agents_answer() -> None:
    ours = {Permission.DESK, Permission.ANSWER}
    assert {role for role in Role if GRANTS[role] & ours} == {Role.AGENT}
    assert {role for role in Role if Permission.ADMINISTRATION in GRANTS[role]} == {Role.ADMINISTRATOR}
    assert {role for role in Role if Permission.SALES in GRANTS[role]} == {Role.SALES}


def test_who_leaves_an_organization_loses_its_requests_at_once(town: Town, sign_in: SignIn) -> None:
    key = town.file("partner@consult.example", "northwind-bank", summary="zebra-marker", files=(("z.txt", b"z"),))
    file = town.file_of(key, "z.txt")
    partner = sign_in("partner@consult.example")
    assert "zebra-marker" in partner.get(f"/requests/{key}").main
    town.leave("partner@consult.example", "northwind-bank")
    for path in (
        f"/requests/{key}",
        f"/requests/{key}/print",
        f"/attachments/{file}",
        "/console/northwind-bank/support",
    ):
        assert partner.get(path, status=404)
    assert "zebra" not in partner.get("/requests?status=all").html
    assert "zebra" not in partner.get("/help").html
    assert partner.post(f"/requests/{key}/comments", {"body": "Still here?"}).status == 404
    filed = {"organization": "northwind-bank", "severity": "S3", "summary": "s", "description": "d"}
    assert partner.post("/help/technical/new", filed | {"environment": "Production"}).status == 422
    assert town.count(Ticket) == 1


def test_who_is_deactivated_is_signed_out_at_once(town: Town, sign_in: SignIn) -> None:
    member = sign_in("member@lumen.example")
    member.get("/requests")
    with town.open() as session:
        session.merge(town.person("member@lumen.example")).active = False
    assert member.get("/requests", follow=False, status=303).headers["Location"].startswith("/sign-in")


def test_who_gets_another_role_has_it_at_once(town: Town, sign_in: SignIn) -> None:
    agent = sign_in("agent@support.example")
    agent.get("/desk")
    with town.open() as session:
        session.merge(town.person("agent@support.example")).staff_role = None
    assert agent.get("/desk", status=403)
    with town.open() as session:
        session.add(Membership(person_id=town.person(NOBODY).id, organization_id=1, role=Role.MEMBER))
    assert sign_in(NOBODY).get("/console/aurora-games/support")
