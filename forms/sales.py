"""What sales sends about a lead."""

from __future__ import annotations

import re

from wtforms import BooleanField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, Optional, ValidationError

from forms.base import DayField, Form, choices, stripped, tidied
from models.leads import TEXT_MOST, Stage
from models.selling import STEP_MOST, Contract

_PRICE = "Enter the price of a month, for example 4200 or 4,200.00."
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
    spoke = BooleanField("I was in touch with the customer")


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

    # Carried by the form so that sending it twice changes the contract once.
    key = HiddenField(validators=[Length(max=40)])
    seen = HiddenField(validators=[Length(max=20)])
    start = DayField("Start", validators=[InputRequired("Choose the first day of the contract.")])
    end = DayField("End", validators=[InputRequired("Choose the last day of the contract.")])
    reference = StringField(
        "Contract reference",
        filters=[stripped],
        validators=[
            DataRequired("Enter the reference of the contract, for example “PREM-2026-014”."),
            Length(max=60, message="Shorten the reference to 60 characters."),
        ],
    )
    price = StringField(
        "Price of a month, US dollars",
        filters=[stripped],
        validators=[DataRequired(_PRICE), Length(max=20, message=_PRICE)],
    )
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

    def validate_price(self, field: StringField) -> None:
        """Raise ValidationError for what is no amount."""
        if self._cents(field.data or "") is None:
            raise ValidationError(_PRICE)

    def contract(self) -> Contract:
        """Return what the valid form says."""
        # Both days were checked.
        assert self.start.data is not None
        assert self.end.data is not None
        return Contract(
            start=self.start.data,
            end=self.end.data,
            note=self.note.data or "",
            manager=self.manager.data or "",
            reference=self.reference.data or "",
            cents=self._cents(self.price.data or "") or 0,
        )

    def _cents(self, written: str) -> int | None:
        plain = re.fullmatch(r"\$? ?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9})(?:\.([0-9]{2}))?", written, re.ASCII)
        return int(plain[1].replace(",", "")) * 100 + int(plain[2] or 0) if plain else None


class MessageForm(Form):
    """A mail to the customer."""

    # Carried by the form so that sending it twice sends one mail.
    key = HiddenField(validators=[Length(max=40)])
    message = TextAreaField(
        "Write to the customer",
        filters=[tidied],
        validators=[
            DataRequired("Write your message first."),
            Length(max=TEXT_MOST, message=f"Shorten the message to {TEXT_MOST:,} characters."),
        ],
    )
