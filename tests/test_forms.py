"""What holds for every form, whoever writes the next one."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from conftest import SignIn
from factories import Town
from flask import Flask
from page import File
from wtforms import HiddenField, PasswordField, StringField

import forms
from forms.audit import AuditForm
from forms.base import DayField, Form
from forms.sales import StepForm, WonForm
from forms.schedules import HolidayForm

for _found in pkgutil.iter_modules(forms.__path__):
    importlib.import_module(f"forms.{_found.name}")


def kinds(one: type[Form] = Form) -> list[type[Form]]:
    """Return the forms below this one, and those below them."""
    return [kind for direct in one.__subclasses__() for kind in (direct, *kinds(direct))]


def faults(app: Flask, kind: type[Form], typed: str) -> dict[str, list[str]]:
    """Return what the form says of each of its texts when this is typed into all of them."""
    with app.test_request_context(method="POST"):
        form = kind()
    texts = {
        field.name: typed
        for field in form
        if isinstance(field, StringField) and not isinstance(field, HiddenField | PasswordField)
    }
    with app.test_request_context(method="POST", data=texts):
        form = kind()
        form.validate()
        return {name: list(form.errors.get(name, ())) for name in texts}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_what_only_looks_like_text_is_refused_as_nothing_is(kind: type[Form], app: Flask) -> None:
    empty = faults(app, kind, "")
    for blank in ("   ", "\x00", " \x00 "):
        assert faults(app, kind, blank) == empty


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_what_is_too_long_is_said_in_words_of_ours(kind: type[Form], app: Flask) -> None:
    for name, errors in faults(app, kind, "x" * 70_000).items():
        assert not [error for error in errors if error.startswith("Field ")], name


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_forged_hidden_part_is_refused_in_words_of_ours(kind: type[Form], app: Flask) -> None:
    with app.test_request_context(method="POST"):
        hidden = [field.name for field in kind() if isinstance(field, HiddenField) and field.validators]
    with app.test_request_context(method="POST", data=dict.fromkeys(hidden, "x" * 70_000)):
        form = kind()
        form.validate()
    for name in hidden:
        assert [error.startswith("A hidden part of this form") for error in form.errors[name]] == [True], name


@pytest.mark.parametrize("day", ["0000-00-00", "0001-01-01", "1999-12-31", "2201-01-01", "9999-12-31", "10000-01-01"])
@pytest.mark.parametrize("kind", [WonForm, StepForm, HolidayForm, AuditForm], ids=lambda kind: kind.__name__)
def test_a_day_is_one_that_somebody_may_mean(kind: type[Form], day: str, app: Flask) -> None:
    names = ("start", "end", "on", "date", "from", "until")
    with app.test_request_context(method="POST", data=dict.fromkeys(names, day)):
        form = kind()
        form.validate()
        days = [field for field in form if isinstance(field, DayField)]
    assert days
    assert all("year" in error for field in days for error in field.errors)
    assert all(field.errors for field in days)


def test_a_file_in_the_place_of_words_is_no_words(town: Town, sign_in: SignIn) -> None:
    key = town.enquire()
    page = sign_in("sales@support.example")
    page.get(f"/sales/{key}")
    answer = page.post(f"/sales/{key}/notes", {"body": File("a.txt", b"x")}, check=False)
    assert answer.status == 422
