"""Both portal forms: what they ask, keep, refuse and promise."""

from __future__ import annotations

import pytest
from conftest import SignIn
from factories import AURORA, LUMEN, NORTHWIND, Town
from page import Browser, Page
from sqlalchemy import select

from models.catalogue import Severity
from models.drafts import SENT, Draft
from models.outbox import Letter, Message
from models.tickets import Ticket

FILLED = {"summary": "Checkout is slow", "description": "Since 13:40 UTC.\nError 9005", "severity": "S2"}
TECHNICAL = FILLED | {"environment": "Production"}


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@lumen.example")


def test_a_technical_request_is_filed_with_all_that_the_form_asks(lumen: Browser, town: Town) -> None:
    page = lumen.get("/help/technical/new")
    form = page.find("/help/technical/new")[0]
    labels = [page.words(e) for e in page.all("label", "legend")]
    for label in ("Summary", "TiDB Cloud Org", "Environment", "Description", "Severity"):
        assert label in labels, label
    for label in ("TiDB Cloud Cluster", "Components", "Affects versions"):
        assert any(words.startswith(label) for words in labels), label
    assert form.choices_of("severity") == ["S1", "S2", "S3", "S4"]
    assert form.choices_of("organization") == [LUMEN]
    assert "8 business hours" in page.main
    cluster = town.clusters(LUMEN)[0]
    page = lumen.submit(
        "/help/technical/new", **TECHNICAL, cluster=str(cluster.id), components=["TiDB", "TiKV"], version="v8.5.1"
    )
    assert page.h1 == "Checkout is slow"
    assert "TECH-1 created. We will reply by" in page.at("flash")
    assert "Error 9005" in page.main
    (ticket,) = town.scalars(select(Ticket))
    assert (ticket.cluster_name, ticket.components, ticket.severity) == (cluster.name, ["TiDB", "TiKV"], Severity.S2)
    assert town.ticket("TECH-1").targets[0].minutes == 480
    assert [m.kind for m in town.scalars(select(Message))] == [Letter.TICKET_FILED]
    assert town.count(Draft) == 0


def test_the_billing_form_asks_less_and_promises_nothing(lumen: Browser, town: Town) -> None:
    page = lumen.get("/help/billing/new")
    form = page.find("/help/billing/new")[0]
    assert form.choices_of("severity") == ["S2", "S3", "S4"]
    assert not form.has("environment")
    assert not form.has("components")
    assert "carry no target" in page.at("promise")
    page = lumen.submit("/help/billing/new", **FILLED)
    assert "BILL-1 created" in page.at("flash")
    assert "carry no" in page.main
    assert town.ticket("BILL-1").targets == []


def test_every_missing_answer_is_named_at_once_and_every_word_kept(lumen: Browser, town: Town) -> None:
    lumen.get("/help/technical/new")
    page = lumen.submit("/help/technical/new", summary="", description="Kept <b>words</b>", status=422)
    assert page.title.startswith("Error: Create a technical support ticket")
    links = [a.get("href") for a in page.all(id="errors")[0].iter("a")]
    assert links == ["#summary", "#environment", "#severity"]
    assert page.find("/help/technical/new")[0].value_of("description") == "Kept <b>words</b>"
    page = lumen.submit("/help/technical/new", summary="s" * 201, severity="S3", environment="Staging", status=422)
    assert page.errors == ["Shorten the summary to 200 characters."]
    form = page.find("/help/technical/new")[0]
    assert (form.value_of("summary"), form.value_of("severity")) == ("s" * 201, "S3")
    assert (form.value_of("environment"), form.value_of("description")) == ("Staging", "Kept <b>words</b>")
    page = lumen.submit("/help/technical/new", summary="   ", description="\n \n", status=422)
    assert page.errors, "white space is no text"
    assert town.count(Ticket) == 0


def test_s1_asks_for_a_confirmed_production_impact(lumen: Browser, town: Town) -> None:
    lumen.get("/help/technical/new")
    page = lumen.submit("/help/technical/new", **(TECHNICAL | {"severity": "S1"}), status=422)
    assert page.errors == ["Confirm that production is down or cannot be used, or choose another severity."]
    assert [a.get("href") for a in page.all(id="errors")[0].iter("a")] == ["#impact"]
    form = page.find("/help/technical/new")[0]
    assert (form.value_of("severity"), form.value_of("description")) == ("S1", "Since 13:40 UTC.\r\nError 9005")
    assert town.count(Ticket) == 0
    page = lumen.submit("/help/technical/draft", impact="y")
    assert lumen.get("/help/technical/new").find("/help/technical/new")[0].value_of("impact") == "y"
    lumen.submit("/help/technical/new")
    assert town.ticket("TECH-1").severity is Severity.S1
    assert not lumen.get("/help/billing/new").find("/help/billing/new")[0].has("impact")


@pytest.mark.parametrize("severity", ["S2", "S3", "S4"])
def test_no_other_severity_asks_for_it(lumen: Browser, town: Town, severity: str) -> None:
    lumen.get("/help/technical/new")
    lumen.submit("/help/technical/new", **(TECHNICAL | {"severity": severity}))
    assert town.count(Ticket) == 1


@pytest.mark.parametrize(("length", "status"), [(65_536, 200), (65_537, 422)])
def test_a_description_has_room_for_64_kilobytes(lumen: Browser, town: Town, length: int, status: int) -> None:
    lumen.get("/help/billing/new")
    page = lumen.submit("/help/billing/new", **(FILLED | {"description": "漢" * length}), status=status)
    assert town.count(Ticket) == (status == 200)
    if status == 422:
        assert page.errors == ["Shorten the text: 65,536 characters fit. Attach long output as a file."]
        assert len(page.find("/help/billing/new")[0].value_of("description")) == length


def test_get_support_opens_the_form_with_the_cluster_filled_in(lumen: Browser, town: Town) -> None:
    page = lumen.get(f"/console/{LUMEN}/clusters")
    link = next(a for a in page.links() if "cluster=" in a)
    form = lumen.get(link).find("/help/technical/new")[0]
    cluster = next(c for c in town.clusters(LUMEN) if str(c.id) == link.rpartition("=")[2])
    assert form.value_of("cluster") == str(cluster.id)
    assert form.value_of("environment") == cluster.environment
    assert form.value_of("version") == cluster.version
    assert lumen.get(f"/servicedesk/customer/portal/6?{link.partition('?')[2]}").path == link


def test_switching_the_organization_without_javascript_fills_its_lists(sign_in: SignIn, town: Town) -> None:
    partner = sign_in("partner@consult.example")
    page = partner.get("/help/technical/new")
    assert page.find("/help/technical/new")[0].value_of("organization") == NORTHWIND
    assert f"{NORTHWIND}-prod" in page.main
    page = partner.submit("/help/technical/organization", **TECHNICAL, organization=AURORA)
    assert "needs the Standard plan or a higher one" in page.main
    assert f"{AURORA}-prod" in page.main
    assert page.find("/help/technical/new")[0].value_of("summary") == "Checkout is slow"
    page = partner.submit("/help/technical/new", status=422)
    assert "Basic plan" in page.at("organization-hint")
    assert page.find("/help/technical/new")[0].value_of("description") == "Since 13:40 UTC.\r\nError 9005"
    page = partner.submit("/help/technical/organization", organization=NORTHWIND)
    partner.submit("/help/technical/new", severity="S1", impact="y", environment="Production")
    assert town.count(Ticket) == 1


def chosen(page: Page) -> tuple[str, str]:
    form = page.find("/help/technical/new")[0]
    return form.value_of("environment"), form.value_of("version")


def test_what_a_cluster_filled_in_goes_with_it_and_what_was_chosen_stays(sign_in: SignIn, town: Town) -> None:
    partner, use = sign_in("partner@consult.example"), "/help/technical/organization"
    cluster = town.clusters(NORTHWIND)[0]
    known = (cluster.environment, cluster.version)
    other = next(e for e in ("Development", "Staging") if e != cluster.environment)
    partner.get("/help/technical/new")
    byhand = {"environment": other, "version": "v6.5.12"}
    assert chosen(partner.submit(use, **byhand)) == (other, "v6.5.12"), "no cluster, nothing to fill in"
    assert chosen(partner.submit(use, cluster=str(cluster.id))) == known
    assert chosen(partner.submit(use, environment=other)) == (other, cluster.version), "changed since"
    assert chosen(partner.submit(use, organization=AURORA)) == (other, "")
    assert chosen(partner.submit(use, organization=NORTHWIND, cluster="")) == (other, "")
    assert chosen(partner.submit(use, cluster=str(cluster.id))) == known
    partner.submit("/help/technical/new", organization=AURORA, cluster="", status=422)
    assert chosen(partner.page) == known, "nothing changes by itself"
    assert chosen(partner.submit(use)) == ("", "")


def test_the_page_asks_for_the_same_when_another_organization_is_chosen(sign_in: SignIn, town: Town) -> None:
    partner = sign_in("partner@consult.example")
    cluster = town.clusters(NORTHWIND)[0]
    page = partner.get(f"/help/technical/new?organization={NORTHWIND}&cluster={cluster.id}&filled=&version=")
    assert chosen(page) == (cluster.environment, cluster.version)
    filled = page.find("/help/technical/new")[0].value_of("filled")
    form = f"/help/technical/new?organization={AURORA}&filled={filled}"
    for ticked in ("", "y"):
        page = partner.get(f"{form}&severity=S1" + (f"&impact={ticked}" if ticked else ""))
        assert page.find("/help/technical/new")[0].value_of("impact") == ticked, "what is ticked stays"
    assert chosen(partner.get(f"{form}&environment={cluster.environment}&version={cluster.version}")) == ("", "")
    assert chosen(partner.get(f"{form}&environment=Development&version=v6.5.12")) == ("Development", "v6.5.12")


def test_a_severity_stays_where_a_plan_that_opens_the_door_offers_it(sign_in: SignIn, town: Town) -> None:
    partner = sign_in("partner@consult.example")
    page = partner.get(f"/help/technical/new?organization={AURORA}&severity=S1&filled=")
    assert page.find("/help/technical/new")[0].value_of("severity") == "S1"
    assert "not offered here" not in page.main
    assert page.at("send") == "Keep it until a plan opens it"
    page = partner.get("/help/billing/new?severity=S1")
    assert page.find("/help/billing/new")[0].value_of("severity") == ""
    assert "S1 is not offered here, so the choice is cleared." in page.at("severity-field")
    assert page.at("send") == "Create ticket"


def test_to_keep_a_text_for_a_plan_is_no_mistake(sign_in: SignIn, town: Town) -> None:
    owner = sign_in("owner@aurora.example")
    owner.get(f"/help/technical/new?organization={AURORA}")
    page = owner.submit("/help/technical/new", **TECHNICAL, status=422)
    assert page.title.startswith("Create a technical support ticket")
    assert not page.all(id="errors")
    assert "Nothing is filed yet" in page.at("kept")
    assert {f"/console/{AURORA}/support", "/help/drafts"} <= set(page.links())
    page = owner.submit("/help/technical/new", summary="", status=422)
    assert page.errors == ["Enter a summary, for example “Checkout queries time out since 13:40 UTC”."]
    assert "Nothing is filed yet" in page.at("kept")
    assert town.count(Ticket) == 0


def test_a_closed_door_is_explained_and_keeps_what_was_written(sign_in: SignIn, town: Town) -> None:
    owner = sign_in("owner@aurora.example")
    page = owner.get("/help/technical/new")
    assert page.h1 == "TiDB Cloud Technical Support"
    assert "needs the Standard plan or a higher one" in page.main
    assert not [form for form in page.forms if form.has("summary")]
    assert {"/help/billing/new", f"/console/{AURORA}/support"} <= set(page.links())
    assert owner.get("/servicedesk/customer/portal/6").path == "/help/technical/new"
    answer = owner.post("/help/technical/new", TECHNICAL | {"organization": AURORA})
    assert answer.status == 422
    assert "Basic plan" in answer.at("organization-hint")
    assert answer.find("/help/technical/new")[0].value_of("summary") == "Checkout is slow"
    page = owner.get("/help/technical/new")
    assert "Waiting for a plan" in page.main
    assert "Checkout is slow" in page.main
    owner.submit(next(f.action for f in owner.page.forms if f.action.endswith("/discard")))
    assert town.count(Draft) == 0


def test_a_draft_survives_until_it_is_sent(lumen: Browser, sign_in: SignIn, town: Town) -> None:
    lumen.get("/help/technical/new")
    page = lumen.submit("/help/technical/draft", **TECHNICAL)
    assert page.path == "/help/drafts"
    assert "Checkout is slow" in page.main
    assert "Checkout is slow" in lumen.get("/help").main
    other = sign_in("owner@lumen.example")
    form = other.get("/help/technical/new").find("/help/technical/new")[0]
    assert form.value_of("description") == "Since 13:40 UTC.\r\nError 9005"
    assert form.value_of("severity") == "S2"
    assert "Checkout" not in sign_in("billing@lumen.example").get("/help/technical/new").html
    other.submit("/help/technical/new")
    assert town.count(Draft, ~SENT) == 0
    assert "Checkout is slow" not in lumen.get("/help/drafts").main
    assert lumen.get("/help/technical/new").find("/help/technical/new")[0].value_of("summary") == ""


def test_a_late_autosave_does_not_bring_a_sent_draft_back(lumen: Browser, town: Town) -> None:
    form, button = lumen.get("/help/technical/new").find("/help/technical/new")
    entries = form.entries(button, TECHNICAL)
    assert lumen.post("/help/technical/new", entries, token="").status == 303
    assert lumen.post("/help/technical/draft", entries, token="").status == 303
    assert town.count(Draft) == 0


def test_the_preview_shows_markdown_and_keeps_the_form(lumen: Browser) -> None:
    lumen.get("/help/technical/new")
    page = lumen.submit("/help/technical/preview", **(TECHNICAL | {"description": "**bold** <script>x</script>"}))
    assert [page.words(e) for e in page.all("strong")] == ["bold"]
    assert "<script>x" not in page.html
    assert page.find("/help/technical/new")[0].value_of("summary") == "Checkout is slow"
