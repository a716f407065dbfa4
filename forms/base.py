"""The one typed door to Flask-WTF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf import FlaskForm
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from wtforms import DateField, DateTimeLocalField, Field, FileField, HiddenField, MultipleFileField, SelectMultipleField
from wtforms.fields import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.form import BaseForm

from models.base import Refused
from models.prose import cleaned

_BREAKS = re.compile(r"[\n\t\u0085\u2028\u2029]+")
_TWICE = "This came twice, with different values. Check it and send it again."
_UNLISTED = "Choose one from the list."
_ALTERED = "A hidden part of this form is not as we wrote it. Reload the page, and fill it in again."
_MANY = (SelectMultipleField, MultipleFileField)


def stripped(value: object) -> object:
    """Return text of one line: no outer white space, no line breaks, no characters that no text has."""
    return _BREAKS.sub(" ", cleaned(value)).strip() if isinstance(value, str) else value


def tidied(value: object) -> object:
    """Return text as it is stored, its white space kept."""
    return cleaned(value) if isinstance(value, str) else value


def choices(pairs: Iterable[tuple[object, str]]) -> list[SelectChoice]:
    """Return (value, label) pairs as what a list of WTForms takes."""
    return [SelectChoice(value, label) for value, label in pairs]


class Form(FlaskForm):  # type: ignore[misc]
    """The base of every form. The guard has checked the CSRF token before any form is made."""

    class Meta:
        """CSRF is the guard's: it holds for every POST, also for those without a form class."""

        csrf = False

        def wrap_formdata(self, form: BaseForm, formdata: Any) -> Any:  # noqa: ANN401 (WTForms' own signature)
            """Return what was posted; a file reaches only fields that are for files, whatever its part is called."""
            wrapped = super().wrap_formdata(form, formdata)  # type: ignore[misc]
            if not isinstance(wrapped, CombinedMultiDict):
                return wrapped
            for_files = {field.name for field in form if isinstance(field, FileField)}
            files, posted = wrapped.dicts
            some = [(name, file) for name, file in files.items(multi=True) if name in for_files]
            return MultiDict([*posted.items(multi=True), *some])

    def __init__(self, given: Mapping[str, Any] | None = None, **values: Any) -> None:  # noqa: ANN401
        """Take `given` (a text that was kept) instead of what the request posts; `values` fill what neither has."""
        if given is not None:
            super().__init__(MultiDict(given), **values)
        else:
            super().__init__(**values)

    def validate(self, *given: Any, **more: Any) -> bool:  # noqa: ANN401 (WTForms' own signature)
        """Validate every field in our words; one that came twice with different values is refused, not guessed."""
        fine = bool(super().validate(*given, **more))
        for field in self:
            if any("choice" in str(error).lower() and "valid" in str(error).lower() for error in field.errors):
                field.errors = [_UNLISTED]
            if isinstance(field, HiddenField) and field.errors:
                field.errors = [_ALTERED]
            if not isinstance(field, _MANY) and len(set(map(str, field.raw_data or ()))) > 1:
                field.errors, fine = [_TWICE], False
        return fine

    def refuse(self, refusal: Refused) -> None:
        """Show the reason of a broken rule beside the field that it names, else above the form."""
        field: Field | None = self._fields.get(refusal.field)
        if field is None:
            self.form_errors: list[str] = [*self.form_errors, refusal.reason]
        else:
            field.errors = [*field.errors, refusal.reason]


class DayField(DateField):
    """A day, with words of ours for what is none, or is in a year that nobody means."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the day; raises ValueError with what to do."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("Write the day as year, month and day, for example 2026-11-25.") from None
        if self.data is not None and not 2000 <= self.data.year <= 2200:
            raise ValueError("Choose a year between 2000 and 2200.")


# What browsers write for a day with a time.
MOMENT = "%Y-%m-%dT%H:%M"


class MomentField(DateTimeLocalField):
    """A day and a time of the reader's zone, with words of ours for what is none."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the moment; raises ValueError with what to do."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("Write day and time, for example 2026-11-25T14:00.") from None


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which clocks of the zone show that day and time."""
    return local.replace(tzinfo=zone).astimezone(UTC)
