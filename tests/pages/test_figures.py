"""The page of the business: for administrators and sales, with tables beside its charts and a CSV."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import Town


@pytest.mark.parametrize("email", ["admin@support.example", "sales@support.example"])
def test_it_shows_tables_beside_its_charts(world: Town, sign_in: SignIn, email: str) -> None:
    assert world
    page = sign_in(email).get("/business")
    assert page.h1 == "Business"
    assert page.html.count('class="chart"') == 5
    assert len(page.all("table")) == 3
    assert "Enterprise" in page.main
    assert "/business" in [link.partition("?")[0] for link in page.links()]


@pytest.mark.parametrize("email", ["agent@support.example", "owner@lumen.example"])
def test_others_see_none_of_it(town: Town, sign_in: SignIn, email: str) -> None:
    assert town
    for path in ("/business", "/business.csv"):
        assert sign_in(email).get(path, status=403)


def test_an_empty_installation_shows_noughts(town: Town, sign_in: SignIn) -> None:
    assert town
    assert sign_in("admin@support.example").get("/business?months=24").h1 == "Business"
    assert sign_in("admin@support.example").get("/business?months=zebra").h1 == "Business"


def test_the_csv_has_the_same_figures(world: Town, sign_in: SignIn) -> None:
    assert world
    answer = sign_in("sales@support.example").get("/business.csv?months=6")
    lines = answer.body.decode("utf-8-sig").splitlines()
    assert lines[0] == "Figure,Month,Of,Value"
    assert any(line.startswith("Recurring a month,now,Premium,4200.00") for line in lines)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="business-6.csv"'
