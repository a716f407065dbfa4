"""What agents send."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from wtforms import (
    BooleanField,
    HiddenField,
    MultipleFileField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from forms.base import MOMENT, DayField, Form, MomentField, choices, instant, stripped, tidied
from models import macros, views
from models.prose import BODY_MOST, SUMMARY_MOST
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
    take = BooleanField("Assign to me")
    macro = SelectField("Macro", validate_choice=False, validators=[Optional()])
    files = MultipleFileField("Attach files")


class StateForm(Form):
    """The state, without a message."""

    seen = HiddenField(validators=[Length(max=20)])
    state = SelectField("Status", choices=choices(_STATES), validators=[InputRequired("Choose a status.")])


class AssigneeForm(Form):
    """Who has the ticket."""

    seen = HiddenField(validators=[Length(max=20)])
    assignee = SelectField("Assignee", validate_choice=False, coerce=str)


class HoldForm(Form):
    """Until when a silent customer is not reminded."""

    seen = HiddenField(validators=[Length(max=20)])
    day = DayField("On hold until", validators=[InputRequired("Choose a day, tomorrow at the earliest.")])


class ViewForm(Form):
    """The name of a queue as it is narrowed, and who sees it beside theirs."""

    # What narrows the queue, as its address has it.
    query = HiddenField(validators=[Length(max=1000)])
    name = StringField(
        "Name",
        filters=[stripped],
        validators=[
            DataRequired("Name the view, for example “S1 of Enterprise”."),
            Length(max=views.NAME_MOST, message=f"Shorten the name to {views.NAME_MOST} characters."),
        ],
    )
    shared = BooleanField("All agents see it beside their queues")


class MacroForm(Form):
    """A text that agents insert, and what the reply does besides."""

    key = HiddenField(validators=[Length(max=40)])
    # The revision that was read: an older one means that somebody else has changed it.
    was = HiddenField(validators=[Length(max=20)])
    name = StringField(
        "Name",
        filters=[stripped],
        validators=[
            DataRequired("Name the macro, for example “Ask for the slow query log”."),
            Length(max=macros.NAME_MOST, message=f"Shorten the name to {macros.NAME_MOST} characters."),
        ],
    )
    body = TextAreaField(
        "Text",
        filters=[tidied],
        validators=[
            DataRequired("Write the text that the macro inserts."),
            Length(max=macros.BODY_MOST, message=f"Shorten the text to {macros.BODY_MOST:,} characters."),
        ],
    )
    whose = RadioField(
        "Who can insert it",
        choices=choices([("own", "Only me"), ("shared", "All agents")]),
        default="own",
        validators=[InputRequired("Choose who can insert it.")],
    )
    then = SelectField("Then", choices=choices([("", "Leave the choice as it is"), *_STATES]), default="")
    take = BooleanField("Assign the ticket to whoever inserts it")


class DutyForm(Form):
    """Who is on call, from when until when, in the zone of whoever says so."""

    person = SelectField("Agent", choices=[], validate_choice=False)
    begins = MomentField("From", format=MOMENT, validators=[InputRequired("Enter the day and the time it begins.")])
    ends = MomentField("Until", format=MOMENT, validators=[InputRequired("Enter the day and the time it ends.")])

    def validate(self, *given: object, **more: object) -> bool:
        """Validate as every form; a year that no calendar of ours holds is refused."""
        fine = super().validate(*given, **more)
        for field in (self.begins, self.ends):
            if field.data is not None and not 2000 <= field.data.year <= 2200:
                field.errors, fine = ["Choose a year between 2000 and 2200."], False
        return fine

    def period(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the valid period as instants."""
        assert self.begins.data is not None
        assert self.ends.data is not None
        return instant(self.begins.data, zone), instant(self.ends.data, zone)


class LinkForm(Form):
    """The other ticket of a link."""

    other = StringField(
        "Number of the other ticket", filters=[stripped], validators=[DataRequired("Write it as TECH-1284.")]
    )


class MergeForm(Form):
    """The ticket that goes on, and that the agent agrees to who reads it then."""

    into = StringField("Merge into", filters=[stripped], validators=[DataRequired("Write it as TECH-1284.")])
    carry = BooleanField("They may read all of it")


class SplitForm(Form):
    """The new ticket of a split; the messages are chosen by check boxes beside them."""

    key = HiddenField(validators=[Length(max=40)])
    messages = SelectMultipleField("Messages to move", validate_choice=False, choices=[])
    summary = StringField(
        "Summary of the new request",
        filters=[stripped],
        validators=[
            DataRequired("Write a summary for the new request."),
            Length(max=SUMMARY_MOST, message=f"Shorten the summary to {SUMMARY_MOST} characters."),
        ],
    )
