"""What an administrator sends about receivers of webhooks."""

from __future__ import annotations

from wtforms import HiddenField, SelectMultipleField, StringField
from wtforms.validators import DataRequired, Length

from forms.base import Form, choices, stripped
from models.hooks import Topic


class ReceiverForm(Form):
    """A new receiver."""

    # Carried by the form so that sending it twice names one receiver.
    key = HiddenField(validators=[Length(max=40)])
    url = StringField(
        "Address",
        filters=[stripped],
        validators=[
            DataRequired("Enter the https address that receives webhooks."),
            Length(max=500, message="Shorten the address to 500 characters."),
        ],
    )
    topics = SelectMultipleField(
        "Told of",
        choices=choices((topic.value, topic.label) for topic in Topic),
        validate_choice=False,
        validators=[DataRequired("Choose what it is told of.")],
    )
