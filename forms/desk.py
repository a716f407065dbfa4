"""What agents send."""

from __future__ import annotations

from wtforms import HiddenField, MultipleFileField, RadioField, SelectField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from forms.base import Form, choices, tidied
from models.prose import BODY_MOST
from models.tickets import TicketState

_STATES = [(s.value, s.desk_label) for s in TicketState if s is not TicketState.CLOSED]


class AnswerForm(Form):
    """A public reply or an internal note; the two never share a button."""

    key = HiddenField(validators=[Length(max=40)])
    # The last event on the page when it was read: a later one by somebody else means that something happened since.
    seen = HiddenField(validators=[Length(max=20)])
    mode = RadioField(
        "Kind of message",
        choices=choices([("reply", "Reply"), ("note", "Internal note")]),
        default="reply",
        validators=[InputRequired("Choose a reply or an internal note.")],
    )
    body = TextAreaField(
        "Message",
        filters=[tidied],
        validators=[DataRequired("Write your message first."), Length(max=BODY_MOST, message="Shorten the text.")],
    )
    then = SelectField("Then", choices=choices([("", "Leave the status"), *_STATES]), default="waiting")
    files = MultipleFileField("Attach files")


class StateForm(Form):
    """The state, without a message."""

    seen = HiddenField(validators=[Length(max=20)])
    state = SelectField("Status", choices=choices(_STATES), validators=[InputRequired("Choose a status.")])


class AssigneeForm(Form):
    """Who has the ticket."""

    seen = HiddenField(validators=[Length(max=20)])
    assignee = SelectField("Assignee", validate_choice=False, coerce=str)
