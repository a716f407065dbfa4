"""The comparison of the plans says what the catalogue says."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import Town
from page import Browser

from models.catalogue import DoorName, PlanName, Severity, catalogue


def rows(browser: Browser) -> dict[str, list[str]]:
    table = browser.get("/plans").all("tr")
    found = {}
    for row in table:
        cells = [" ".join("".join(cell.itertext()).split()) for cell in row]
        found[cells[0]] = cells[1:]
    return found


def test_every_target_and_every_service_is_the_catalogues(client: Browser, empty: Town) -> None:
    terms, shown = catalogue(), rows(client)
    for severity in Severity:
        targets = [terms.target(plan, DoorName.TECHNICAL, severity) for plan in PlanName]
        assert shown[f"First reply, Severity {severity.value}"] == [t.words if t else "No target" for t in targets]
    for service in terms.services:
        assert shown[service.name] == ["Included" if p in service.plans else "Not included" for p in PlanName]
    assert shown["Price a month"] == [terms.plan(plan).price for plan in PlanName]


@pytest.mark.parametrize(("email", "plan"), [("owner@aurora.example", "Basic"), ("owner@harbor.example", "Premium")])
def test_ones_own_plan_is_marked(town: Town, sign_in: SignIn, email: str, plan: str) -> None:
    heads = rows(sign_in(email))["Service"]
    assert [head for head in heads if "Current plan" in head] == [f"{plan} Current plan"]


def test_the_support_page_leads_there(town: Town, sign_in: SignIn) -> None:
    assert "/plans" in sign_in("owner@lumen.example").get("/console/lumen-retail/support").links()
