"""Rules that every template keeps, and what the macros write."""

import re
from pathlib import Path
from types import SimpleNamespace

import html5lib
import pytest
import wtforms
from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired

from blueprints.pages import attributes

TEMPLATES = Path(__file__).parent.parent / "templates"
PAGES = sorted(TEMPLATES.rglob("*.html"))
# What survives the move to the next version of htmx, plus the two words that tell it to leave user-made HTML alone.
ALLOWED = {
    *("hx-get", "hx-post", "hx-target", "hx-select", "hx-select-oob", "hx-swap", "hx-trigger"),
    # htmx sends files only from a form of its own, or with hx-encoding on the button; 2 and 4 read it alike.
    "hx-encoding",
    *("hx-push-url", "hx-sync", "hx-include", "hx-indicator", "hx-disable", "hx-ignore"),
}
NONSENSE = "<b>&\"'"


def name_of(path: Path) -> str:
    return path.relative_to(TEMPLATES).as_posix()


every_template = pytest.mark.parametrize("path", PAGES, ids=name_of)


def markup(path: Path) -> str:
    """The template without its comments."""
    return re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)


@every_template
def test_htmx_attributes_are_the_few_that_are_agreed_on(path: Path) -> None:
    text = markup(path)
    used = set(re.findall(r"\bhx-[a-z-]+", text)) | {
        n.replace("_", "-") for n in re.findall(r"\bhx_[a-z_]+(?==)", text)
    }
    assert used - ALLOWED == set(), "house rule: only these hx- attributes are used"
    assert not re.search(r"""hx-trigger=["'][^"']*\[""", text), "a trigger filter needs eval, which the policy refuses"
    if name_of(path) != "macros/ui.html":
        assert not used & {"hx-disable", "hx-ignore"}, "only the macro `prose` shields user-made HTML"


@every_template
def test_nothing_in_a_template_needs_an_unsafe_policy(path: Path) -> None:
    text = markup(path)
    assert not re.search(r"<[^>]*\sstyle\s*=", text), "a class in app.css, not style="
    assert not re.search(r"<style\b", text), "styles live in app.css"
    assert not re.search(r"<[a-z][^>{]*\son[a-z]+\s*=", text), "handlers live in app.js"
    assert not re.search(r"<script\b[^>]*>\s*[^<\s]", text), "scripts live in app.js"
    assert "javascript:" not in text


@every_template
def test_html_is_marked_safe_by_one_macro_alone(path: Path) -> None:
    text = markup(path)
    if name_of(path) == "macros/ui.html":
        text = re.sub(r"\{% macro prose\(html\).*?endmacro %\}", "", text, flags=re.DOTALL)
    if name_of(path) in {"mail/ticket_replied.html", "mail/lead_message.html"}:
        # A letter has no htmx to be shielded from; what it quotes is the same sanitised HTML.
        text = text.replace("{{ body_html|safe }}", "", 1)
    assert not re.search(r"\|\s*safe\b|\bMarkup\b|autoescape", text), "use ui.prose() for sanitised HTML"


@every_template
def test_addresses_are_literal(path: Path) -> None:
    assert "url_for" not in markup(path), "write the path: people read it, and a test follows it"


@every_template
def test_a_partial_imports_the_macros_that_it_uses(path: Path) -> None:
    text = markup(path)
    for module, file in (("ui", "macros/ui.html"), ("forms", "macros/form.html")):
        if re.search(rf"\{{[{{%][^}}]*\b{module}\.\w+\(", text):
            assert re.search(rf"""import\s+["']{file}["']\s+as\s+{module}\b""", text), f"{module} is used, not imported"


@every_template
def test_a_form_that_writes_carries_the_token(path: Path) -> None:
    for form in re.findall(
        r"<form\b[^>]*method=[\"']post[\"'].*?</form>", markup(path), flags=re.DOTALL | re.IGNORECASE
    ):
        assert "csrf()" in form or "csrf_token" in form


def person(name: str = f"Maya {NONSENSE}") -> SimpleNamespace:
    return SimpleNamespace(name=name, email="maya@lumen.example", initials="MO", hue=0)


def shell(**changes: object) -> SimpleNamespace:
    """What every page is given, for somebody signed in."""
    organization = SimpleNamespace(name=f"Lumen {NONSENSE}", slug="lumen", plan_label="Standard")
    values = {
        "person": person(),
        "theme": "dark",
        "keys": True,
        "organization": organization,
        "organizations": [organization],
        "waiting": 1,
        "nav": [SimpleNamespace(label="Requests", href="/requests", current=True, count=1)],
        "htmx": SimpleNamespace(src="/static/vendor/htmx-2.0.11.min.js", integrity="sha384-x"),
        "demo": True,
    }
    return SimpleNamespace(**(values | changes))


NOBODY = shell(person=None, organization=None, organizations=[], waiting=0, nav=[], theme="system", keys=False)


def render(source: str, flashes: list[tuple[str, str]] | None = None, **context: object) -> str:
    environment = Environment(
        loader=ChoiceLoader([DictLoader({"page": source}), FileSystemLoader(TEMPLATES)]),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        attributes=attributes,
        asset=lambda name: f"/static/{name}?v=1",
        icon=lambda name: Markup('<svg class="i" aria-hidden="true"><use href="/static/icons.svg#{}"/></svg>').format(
            name
        ),
    )
    environment.globals.update(
        csrf_token=lambda: "token",
        get_flashed_messages=lambda with_categories: flashes or [],
    )
    return environment.get_template("page").render(**context)


def fragment(source: str, **context: object) -> str:
    imports = '{% import "macros/ui.html" as ui %}{% import "macros/form.html" as forms %}'
    html = render(imports + source, **context)
    checked(f"<!doctype html><html lang=en><head><title>t</title></head><body>{html}</body></html>")
    return " ".join(html.split())


def checked(html: str) -> str:
    parser = html5lib.HTMLParser()
    parser.parse(html)
    assert not parser.errors, [error for _position, error, _data in parser.errors]
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert NONSENSE not in html
    return html


class Form(wtforms.Form):
    summary = wtforms.StringField("Summary", [InputRequired("Enter a summary")])
    cluster = wtforms.SelectField(
        "Cluster", choices=[SelectChoice("", "Select a cluster"), SelectChoice("p", f"prod {NONSENSE}")]
    )
    severity = wtforms.RadioField("Severity", [InputRequired("Select a severity")], choices=["S1", "S2"])
    components = wtforms.SelectMultipleField("Components", choices=["TiDB", "TiKV"])
    description = wtforms.TextAreaField("Description")
    urgent = wtforms.BooleanField("Urgent")
    secret = wtforms.PasswordField("Password")
    files = wtforms.MultipleFileField("Attachments")


def filled(**values: str) -> Form:
    form = Form(MultiDict(values))
    form.validate()
    return form


def test_a_page_for_somebody_signed_in() -> None:
    source = '{% extends "base.html" %}{% block title %}Requests{% endblock %}{% block main %}<h1>R</h1>{% endblock %}'
    html = checked(render(source, shell=shell(), flashes=[("good", f"Saved {NONSENSE}")], form_has_errors=True))
    assert "<title>Error: Requests – Help Center</title>" in html
    assert '<html lang="en" data-theme="dark" data-keys="on">' in html
    assert 'action="/organizations/choose"' in html
    assert 'action="/sign-out"' in html
    assert html.count('name="csrf_token"') == 2
    assert '<div id="flash" role="status"><div class="flash" data-s="good">' in html
    assert 'integrity="sha384-x" crossorigin="anonymous"' in html


def test_a_page_for_nobody_offers_to_sign_in_and_nothing_else() -> None:
    html = checked(render('{% extends "base.html" %}', shell=NOBODY))
    assert 'href="/sign-in"' in html
    assert "data-theme" not in html
    assert "popover" not in html
    assert '<div id="flash" role="status"></div>' in html


def test_bad_news_is_an_alert() -> None:
    html = checked(render('{% extends "base.html" %}', shell=shell(), flashes=[("bad", "Declined.")]))
    assert '<div id="flash" role="alert">' in html


def test_a_page_with_a_rail_gets_the_layout_of_the_desk() -> None:
    html = checked(render('{% extends "base.html" %}{% block rail %}<h2>Queues</h2>{% endblock %}', shell=shell()))
    assert '<div class="desk">' in html
    assert html.count("<h2>Queues</h2>") == 1
    assert 'class="page"' not in html


@pytest.mark.parametrize("code", [400, 403, 404, 405, 409, 413, 422, 429, 500, 503])
def test_every_error_has_its_words_and_a_way_on(code: int) -> None:
    html = checked(render((TEMPLATES / "errors/page.html").read_text(), shell=NOBODY, code=code, reference="a1b2"))
    (heading,) = re.findall(r"<h1>(.*?)</h1>", html)
    assert f"<title>{heading} – Help Center</title>" in html
    assert 'href="/requests"' in html
    assert 'href="/help"' in html
    assert "a1b2" in html
    assert (heading == "Something went wrong on our side") == (code == 500)


def test_an_error_comes_before_its_control_and_is_tied_to_it() -> None:
    html = fragment('{{ forms.text(f.summary, hint="One line.", maxlength=200) }}', f=filled(summary=""))
    assert html.index("Enter a summary") < html.index("<input")
    assert 'aria-invalid="true" aria-describedby="summary-hint summary-error"' in html
    assert 'id="summary-hint"' in html
    assert 'id="summary-error"' in html
    assert "required" not in html


def test_what_was_typed_comes_back_escaped() -> None:
    form = filled(summary=NONSENSE, description=f"\n{NONSENSE}", cluster="p", severity="S2")
    html = fragment(
        "{{ forms.text(f.summary) }}{{ forms.textarea(f.description) }}{{ forms.select(f.cluster) }}"
        "{{ forms.chips(f.severity) }}",
        f=form,
    )
    assert 'value="&lt;b&gt;&amp;&#34;&#39;"' in html
    assert "&lt;b&gt;&amp;" in html.split("<textarea")[1]
    assert '<option value="p" selected>' in html
    assert 'value="S2" checked' in html
    assert "aria-invalid" not in html


def test_a_text_that_begins_with_an_empty_line_keeps_it() -> None:
    source = '{% import "macros/form.html" as forms %}{{ forms.textarea(f.description) }}'
    document = html5lib.parseFragment(render(source, f=filled(description="\nsecond")))
    (area,) = document.iter("{http://www.w3.org/1999/xhtml}textarea")
    assert area.text == "\nsecond"


def test_the_summary_of_errors_leads_to_the_fields() -> None:
    form = filled(summary="")
    form.form_errors.append(f"This changed {NONSENSE}")
    html = fragment("{{ forms.error_summary(f) }}{{ forms.text(f.summary) }}{{ forms.chips(f.severity) }}", f=form)
    assert 'id="errors" tabindex="-1" autofocus' in html
    assert '<a href="#summary">Enter a summary</a>' in html
    assert '<a href="#severity">Select a severity</a>' in html
    assert '<fieldset class="field bad" id="severity" tabindex="-1"' in html
    assert fragment("{{ forms.error_summary(f) }}", f=Form()).strip() == ""


def test_a_severity_that_is_not_on_offer_is_listed_and_cannot_be_chosen() -> None:
    choices = [
        SimpleNamespace(value="S1", text="Complete loss.", promise="1 hour", by="Wed 25 Nov, 14:18", open=True),
        SimpleNamespace(value="S2", text="High impact.", promise="Not on Basic", by="", open=False),
    ]
    html = fragment('{{ forms.severity_picker(f.severity, c, hx_get="/help") }}', f=filled(severity="S1"), c=choices)
    assert html.count('type="radio"') == 1
    assert 'value="S1" checked' in html
    assert "If sent now: by Wed 25 Nov, 14:18" in html
    assert "Not on Basic" in html
    assert 'hx-get="/help"' in html


def test_the_other_controls_are_whole_html() -> None:
    form = filled(components="TiKV", urgent="y", secret="hunter2")
    file = SimpleNamespace(public_id="x7", name=NONSENSE, size="1 kB")
    html = fragment(
        "{{ forms.csrf() }}{{ forms.on_enter() }}{{ forms.chips(f.components, many=true, optional=true) }}"
        "{{ forms.checkbox(f.urgent, hint='h') }}"
        "{{ forms.password(f.secret) }}{{ forms.file(f.files, hint='h') }}{{ forms.file_list([file], '/x') }}"
        "{{ forms.submit('Send', icon='send', data_key='s', disabled=false) }}",
        f=form,
        file=file,
    )
    assert "hunter2" not in html
    assert 'data-reveal="secret" aria-pressed="false" hidden' in html
    assert 'value="TiKV" checked' in html
    assert '<button class="btn primary" type="submit" data-key="s">' in html


def test_the_parts_of_a_page_are_whole_html() -> None:
    waiting = SimpleNamespace(label="Waiting for you", desk_label="Waiting for customer", mark="you")
    face = SimpleNamespace(mark="soon", icon="clock-alert", words="Due in 14 min", detail="", at="2026-11-25T13:18Z")
    part = SimpleNamespace(label="Today", words="2 h", counted=False, weight=3)
    html = fragment(
        "{{ ui.status(s) }}{{ ui.status(s, desk=true) }}{{ ui.severity('S1') }}{{ ui.clock(c) }}"
        "{{ ui.counting([part]) }}{{ ui.when('2026-11-25T13:18Z', 'Wed', 'full') }}"
        "{{ ui.person(p) }}{{ ui.org_name(p.name) }}{{ ui.flash('bad', p.name) }}"
        "{{ ui.empty('inbox', 'None', 'Text', '/help', 'Create') }}{{ ui.crumbs([('A', '/a'), ('B', '/a/b')]) }}",
        s=waiting,
        c=face,
        part=part,
        p=person(),
    )
    assert '<a href="/a">A</a>' in html
    assert '<span aria-current="page">B</span>' in html, "a page does not link to itself"
    assert 'data-s="you"' in html
    assert 'data-s="cust"' in html
    assert '<time datetime="2026-11-25T13:18Z">Due in 14 min</time>' in html
    assert '<span class="vh">Severity </span>S1' in html


def test_pages_are_links_that_may_swap_their_list() -> None:
    numbers = [(1, "/r", True), (None, "", False), (9, "/r?page=9", False)]
    paging = SimpleNamespace(
        first=1, last=25, total_words="1–25 of 87", numbers=numbers, previous=None, next="/r?page=2"
    )
    html = fragment("{{ ui.pages(p) }}", p=paging)
    assert "hx-" not in html
    assert 'aria-label="Page 1" aria-current="page"' in html
    assert 'rel="next"' in html
    assert 'rel="prev"' not in html
    html = fragment('{{ ui.pages(p, swap="results") }}', p=paging)
    assert 'href="/r?page=9" aria-label="Page 9" hx-get="/r?page=9" hx-target="#results"' in html


def test_sanitised_html_is_shielded_from_htmx() -> None:
    html = fragment("{{ ui.prose('<p>kept</p>') }}")
    assert html == '<div class="prose" dir="auto" hx-disable hx-ignore><p>kept</p></div>'
