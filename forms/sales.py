"""What sales sends about a lead."""

from __future__ import annotations

from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from forms.base import DayField, Form, choices, stripped, tidied
from models.leads import TEXT_MOST, Stage
from models.selling import STEP_MOST

_MOVES = (Stage.NEW, Stage.CONTACTED, Stage.QUALIFIED, Stage.LOST, Stage.SPAM)


class StageForm(Form):
    """Another stage; Won has a form of its own."""

    seen = HiddenField(validators=[Length(max=20)])
    stage = SelectField("Stage", choices=choices((s.value, s.label) for s in _MOVES), validate_choice=False)


class OwnerForm(Form):
    """Who has the lead."""

    seen = HiddenField(validators=[Length(max=20)])
    owner = SelectField("Owner", validate_choice=False, coerce=str)


class NoteForm(Form):
    """A note that only sales reads."""

    # Carried by the form so that sending it twice adds one note.
    key = HiddenField(validators=[Length(max=40)])
    body = TextAreaField(
        "Note",
        filters=[tidied],
        validators=[
            DataRequired("Write the note first."),
            Length(max=TEXT_MOST, message=f"Shorten the note to {TEXT_MOST:,} characters."),
        ],
    )


class StepForm(Form):
    """What is to be done next, and when."""

    seen = HiddenField(validators=[Length(max=20)])
    step = StringField(
        "Next step",
        filters=[stripped],
        validators=[Optional(), Length(max=STEP_MOST, message=f"Shorten it to {STEP_MOST} characters.")],
    )
    on = DayField("Day of the next step", validators=[Optional()])


class WonForm(Form):
    """The contract that makes an organization Premium."""

    seen = HiddenField(validators=[Length(max=20)])
    start = DayField("Start", validators=[InputRequired("Choose the first day of the contract.")])
    end = DayField("End", validators=[InputRequired("Choose the last day of the contract.")])
    note = TextAreaField(
        "Price note",
        filters=[tidied],
        validators=[
            DataRequired("Say what was agreed about the price, for example “$4,200 a month, yearly in advance”."),
            Length(max=2000, message="Shorten the note to 2,000 characters."),
        ],
    )
    manager = StringField(
        "Technical Account Manager",
        filters=[stripped],
        validators=[
            DataRequired("Name the Technical Account Manager."),
            Length(max=120, message="Shorten the name to 120 characters."),
        ],
    )
