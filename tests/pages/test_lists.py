"""The lists that an administrator edits, and what the forms then offer."""

from __future__ import annotations

from conftest import SignIn
from factories import Town
from page import Browser
from sqlalchemy import select

from models.choices import ListEntry, ListName, choices
from models.events import Event, EventKind

ADMIN = "admin@support.example"


def entry(town: Town, label: str) -> ListEntry:
    (found,) = town.scalars(select(ListEntry).where(ListEntry.label == label))
    return found


def offered(town: Town, name: ListName = ListName.ENVIRONMENT) -> list[str]:
    with town.open() as session:
        return choices(session)[name]


def press(admin: Browser, town: Town, label: str, verb: str, status: int = 200) -> str:
    admin.get("/admin/lists")
    return admin.submit(f"/admin/lists/entries/{entry(town, label).id}/{verb}", status=status).main


def test_an_entry_is_added_moved_renamed_retired_and_brought_back(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    admin.get("/admin/lists")
    admin.submit("/admin/lists/environment/add", label="Disaster recovery")
    assert offered(town)[-1] == "Disaster recovery"
    press(admin, town, "Disaster recovery", "up")
    press(admin, town, "Development", "down")
    assert offered(town) == ["Staging", "Development", "Disaster recovery", "Production"]
    form = sign_in("owner@lumen.example").get("/help/technical/new").find("/help/technical/new")[0]
    assert "Disaster recovery" in form.choices_of("environment")
    key = town.file()
    press(admin, town, "Production", "retire")
    assert "Production" not in offered(town)
    assert town.ticket(key).environment == "Production"
    press(admin, town, "Production", "restore")
    admin.get(f"/admin/lists/entries/{entry(town, 'Production').id}")
    admin.submit(f"/admin/lists/entries/{entry(town, 'Production').id}", label="Live")
    assert offered(town)[-1] == "Live"
    assert town.ticket(key).environment == "Production"
    kinds = {event.kind for event in town.scalars(select(Event))}
    assert {kind for kind in EventKind if kind.value.startswith("list.")} <= kinds


def test_the_same_words_are_refused_whatever_their_case(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    press(admin, town, "TiKV", "retire")
    for label, words in (("tikv", "is retired: bring it back"), ("tidb", "“TiDB” is in the list."), ("", "Enter the")):
        page = admin.submit("/admin/lists/component/add", label=label, status=422)
        assert words in page.main
        assert page.find("/admin/lists/component/add")[0].value_of("label") == label
    admin.get(f"/admin/lists/entries/{entry(town, 'TiDB').id}")
    assert (
        "“PD” is in the list."
        in admin.submit(f"/admin/lists/entries/{entry(town, 'TiDB').id}", label="pd", status=422).main
    )


def test_one_environment_stays_on_offer(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    press(admin, town, "Staging", "retire")
    press(admin, town, "Production", "retire")
    assert "one stays on offer" in press(admin, town, "Development", "retire", status=422)
    assert offered(town) == ["Development"]


def test_a_name_that_somebody_else_changed_is_a_conflict(town: Town, sign_in: SignIn) -> None:
    admin, one = sign_in(ADMIN), entry(town, "Staging")
    admin.get(f"/admin/lists/entries/{one.id}")
    with town.open() as session:
        session.merge(one).label = "Rehearsal"
    page = admin.submit(f"/admin/lists/entries/{one.id}", label="Test", status=409)
    assert "renamed it to “Rehearsal”" in page.main
    admin.submit(f"/admin/lists/entries/{one.id}")
    assert "Test" in offered(town)


def test_there_are_three_lists_only(town: Town, sign_in: SignIn) -> None:
    admin = sign_in(ADMIN)
    assert town
    assert admin.post("/admin/lists/planets/add", {"label": "Mars"}).status == 404
    assert admin.get("/admin/lists/entries/999999", status=404)
