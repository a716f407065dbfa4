"""Contact Us: what a customer who wants Premium sends to sales."""

from __future__ import annotations

from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

from forms.base import Form, stripped, tidied
from models.entrance import is_address
from models.leads import TEXT_MOST

_EMAIL = "Enter your work email, for example maya@example.com."


class ContactForm(Form):
    """Who asks, what for, and when we may write or call."""

    # Carried by the form so that sending it twice is one enquiry.
    key = HiddenField(validators=[Length(max=40)])
    name = StringField(
        "Name",
        filters=[stripped],
        validators=[DataRequired("Enter your name."), Length(max=200, message="Shorten the name to 200 characters.")],
    )
    email = StringField(
        "Work email",
        filters=[stripped],
        validators=[DataRequired(_EMAIL)],
    )
    company = StringField(
        "Company",
        filters=[stripped],
        validators=[
            DataRequired("Enter your company."),
            Length(max=200, message="Shorten the company to 200 characters."),
        ],
    )
    phone = StringField(
        "Phone", filters=[stripped], validators=[Length(max=40, message="Shorten the phone number to 40 characters.")]
    )
    need = TextAreaField(
        "What do you need?",
        filters=[tidied],
        validators=[
            DataRequired("Say what you need, for example which clusters, from when, and how fast we shall answer."),
            Length(max=TEXT_MOST, message=f"Shorten the text to {TEXT_MOST:,} characters."),
        ],
    )
    contact_time = StringField(
        "Preferred contact time",
        filters=[stripped],
        validators=[Length(max=200, message="Shorten the preferred contact time to 200 characters.")],
    )
    # Nobody sees it or tabs to it: what fills it is a program.
    website = StringField("Leave this empty")

    def validate_email(self, field: StringField) -> None:
        """Raise ValidationError for what is no address that mail can be sent to."""
        if not is_address(field.data or "") or len(field.data or "") > 254:
            raise ValidationError(_EMAIL)
