"""Who sees whose requests: the organization's rule, and what is confidential, on every surface that shows one."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import LUMEN, Town, join, make_person
from page import Browser, Page
from sqlalchemy import select

from models.organizations import Organization, Visibility
from models.permissions import Role
from models.tickets import Comment

MARK, FILE = "zebra-marker", "zebra.txt"
OPENER, PART, COLLEAGUE = "member@lumen.example", "part@lumen.example", "colleague@lumen.example"
MANAGERS = ("owner@lumen.example", "billing@lumen.example")
STRANGERS = ("owner@northwind.example", "partner@consult.example", "sales@support.example", "admin@support.example")
EVERYBODY = (OPENER, PART, COLLEAGUE, *MANAGERS, *STRANGERS, "agent@support.example")


@pytest.fixture
def lumen(town: Town) -> Town:
    """Lumen with two more members."""
    with town.open() as session:
        house = session.scalars(select(Organization).where(Organization.slug == LUMEN)).one()
        for email in (PART, COLLEAGUE):
            join(session, make_person(session, email), house, Role.MEMBER)
    return town


def sees(email: str, visibility: Visibility, confidential: bool) -> bool:
    """Product rules 7.2 and 7.7, written a second time."""
    if email in {OPENER, PART}:
        return True
    if confidential or email in STRANGERS or email.startswith("agent"):
        return False
    return visibility is Visibility.EVERYONE or (visibility is Visibility.MANAGERS and email in MANAGERS)


@pytest.mark.parametrize("confidential", [False, True], ids=["plain", "confidential"])
@pytest.mark.parametrize("visibility", Visibility)
def test_a_request_shows_on_every_surface_or_on_none(
    visibility: Visibility, confidential: bool, lumen: Town, sign_in: SignIn
) -> None:
    key = lumen.file(
        OPENER, summary=MARK, body="A horse with stripes", confidential=confidential, files=((FILE, b"striped"),)
    )
    lumen.take_part(key, PART, by=OPENER)
    lumen.set_house(LUMEN, visibility=visibility)
    file = lumen.file_of(key, FILE)
    for email in EVERYBODY:
        browser, seen = sign_in(email), sees(email, visibility, confidential)
        lists = ["/requests", "/requests?status=all", "/requests?q=stripes", f"/requests?q={key}", "/help"]
        lists += ["/requests?by=organization", f"/requests?organization={LUMEN}&by=me&by=part"]
        for path in lists[:-2] if seen else lists:
            assert (MARK in browser.get(path).html) is seen, f"{email} on {path}"
        agent = email.startswith("agent")
        for path in (f"/requests/{key}/print", f"/requests/{key}/severity", f"/requests/{key}/participants"):
            assert browser.get(path, status=None).status == (200 if seen else 404), f"{email} on {path}"
        assert browser.get(f"/requests/{key}", status=None).status == (200 if seen or agent else 404), email
        assert browser.get(f"/attachments/{file}", status=None).status == (200 if seen or agent else 404), email
        for verb in ("comments", "draft", "preview", "files", "files/remove", "severity", "participants"):
            status = browser.post(f"/requests/{key}/{verb}", {"key": "k" * 20}).status
            assert (status != 404) is seen, f"{email} on {verb}: {status}"
        if email.endswith("@lumen.example"):
            figure = _figure(browser.get(f"/console/{LUMEN}/support"))
            assert figure == ("1" if seen else "0"), email


def test_taking_part_opens_one_request_and_no_other(lumen: Town, sign_in: SignIn) -> None:
    lumen.set_house(LUMEN, visibility=Visibility.OWN)
    first, second = lumen.file(OPENER, summary="first"), lumen.file(OPENER, summary="second")
    lumen.take_part(first, PART, by=OPENER)
    browser = sign_in(PART)
    assert browser.get(f"/requests/{first}")
    assert browser.get(f"/requests/{second}", status=404)
    browser.get(f"/requests/{first}")
    assert "Thank you" in browser.submit(f"/requests/{first}/comments", body="Thank you").main
    assert lumen.count(Comment) == 3


def test_who_is_taken_off_a_confidential_request_loses_it(lumen: Town, sign_in: SignIn) -> None:
    key = lumen.file(OPENER, confidential=True)
    lumen.take_part(key, PART, by=OPENER)
    part = sign_in(PART)
    part.get(f"/requests/{key}")
    opener = sign_in(OPENER)
    opener.get(f"/requests/{key}")
    opener.submit(f"/requests/{key}/participants/{lumen.person(PART).id}/remove")
    assert part.get(f"/requests/{key}", status=404)
    opener.get(f"/requests/{key}")
    assert "Only the participants" not in opener.submit(f"/requests/{key}/visible").main
    assert part.get(f"/requests/{key}")


def test_only_those_who_take_part_make_a_request_confidential_or_take_others_off(lumen: Town, sign_in: SignIn) -> None:
    key = lumen.file(OPENER)
    lumen.take_part(key, PART, by=OPENER)
    owner = sign_in("owner@lumen.example")
    page = owner.get(f"/requests/{key}")
    assert not [form for form in page.forms if form.action.endswith(("/confidential", "/remove"))]
    assert owner.post(f"/requests/{key}/confidential").status == 422
    assert owner.post(f"/requests/{key}/participants/{lumen.person(PART).id}/remove").status == 422
    assert not lumen.ticket(key).confidential
    assert sign_in(OPENER).post(f"/requests/{key}/participants/{lumen.person(OPENER).id}/remove").status == 422


def test_only_members_of_the_organization_take_part(lumen: Town, sign_in: SignIn) -> None:
    key = lumen.file(OPENER)
    opener: Browser = sign_in(OPENER)
    page = opener.get(f"/requests/{key}/participants")
    offered = page.find(f"/requests/{key}/participants")[0].choices_of("person")
    inside = {str(lumen.person(email).id) for email in (PART, COLLEAGUE, *MANAGERS)}
    assert set(offered) == {"", *inside}
    for email in STRANGERS:
        answer = opener.post(f"/requests/{key}/participants", {"person": str(lumen.person(email).id)})
        assert answer.status == 422, email
        assert lumen.person(email).name not in answer.html
    opener.get(f"/requests/{key}/participants")
    opener.submit(f"/requests/{key}/participants", person=str(lumen.person(PART).id))
    assert sign_in(PART).get(f"/requests/{key}")


def _figure(page: Page) -> str:
    """The number of open requests on the Support page."""
    return page.words(next(a for a in page.all("a") if a.get("href") == f"/requests?organization={LUMEN}"))
