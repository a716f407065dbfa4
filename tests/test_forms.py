"""What holds for every form, whoever writes the next one."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from flask import Flask
from wtforms import HiddenField, PasswordField, StringField

import forms
from forms.base import Form

for _found in pkgutil.iter_modules(forms.__path__):
    importlib.import_module(f"forms.{_found.name}")


def kinds(one: type[Form] = Form) -> list[type[Form]]:
    """Return the forms below this one, and those below them."""
    return [kind for direct in one.__subclasses__() for kind in (direct, *kinds(direct))]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_what_only_looks_like_text_is_refused_as_nothing_is(kind: type[Form], app: Flask) -> None:
    def faults(typed: str) -> dict[str, list[str]]:
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

    empty = faults("")
    for blank in ("   ", "\x00", " \x00 "):
        assert faults(blank) == empty
