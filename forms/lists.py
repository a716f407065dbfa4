"""What an administrator writes into the lists."""

from __future__ import annotations

from wtforms import HiddenField, StringField
from wtforms.validators import DataRequired, Length

from forms.base import Form, stripped


class EntryForm(Form):
    """The words of an entry. `was` is what the page showed of one that is renamed."""

    was = HiddenField(validators=[Length(max=60)])
    label = StringField(
        "Entry",
        filters=[stripped],
        validators=[
            DataRequired("Enter the words of the entry."),
            Length(max=60, message="Shorten the entry to 60 characters."),
        ],
    )
