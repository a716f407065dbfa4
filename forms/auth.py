"""Signing in, passwords and the profile."""

from __future__ import annotations

from wtforms import BooleanField, PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from forms.base import Form, choices, stripped
from models.people import PASSWORD_MOST, Theme
from models.wording import zones

_EMAIL = "Enter your email address, for example maya@example.com."


class SignInForm(Form):
    """Email and password."""

    email = StringField("Email", filters=[stripped], validators=[DataRequired(_EMAIL), Length(max=254, message=_EMAIL)])
    password = PasswordField("Password", validators=[InputRequired("Enter your password.")])


class ResetForm(Form):
    """Where to send the link for a new password."""

    email = StringField("Email", filters=[stripped], validators=[DataRequired(_EMAIL), Length(max=254, message=_EMAIL)])


class NewPasswordForm(Form):
    """A new password, reached by a one-time link."""

    password = PasswordField("New password", validators=[InputRequired("Enter a new password.")])


class SetUpForm(Form):
    """The first administrator."""

    name = StringField(
        "Your name",
        filters=[stripped],
        validators=[DataRequired("Enter your name."), Length(max=100, message="Shorten the name to 100 characters.")],
    )
    email = StringField("Email", filters=[stripped], validators=[DataRequired(_EMAIL), Length(max=254, message=_EMAIL)])
    password = PasswordField("Password", validators=[InputRequired("Enter a password.")])


class ChangePasswordForm(Form):
    """A new password, with the old one asked again."""

    current_password = PasswordField("Current password", validators=[InputRequired("Enter your current password.")])
    new_password = PasswordField(
        "New password",
        validators=[
            InputRequired("Enter a new password."),
            Length(max=PASSWORD_MOST, message=f"Use at most {PASSWORD_MOST} characters."),
        ],
    )


class ProfileForm(Form):
    """How somebody is called, and how pages look to them."""

    name = StringField(
        "Name",
        filters=[stripped],
        validators=[DataRequired("Enter your name."), Length(max=100, message="Shorten the name to 100 characters.")],
    )
    time_zone = SelectField(
        "Time zone",
        choices=choices((z, z.replace("_", " ")) for z in zones()),
        validators=[InputRequired("Choose a time zone.")],
    )
    theme = SelectField("Theme", choices=choices((t.value, t.label) for t in Theme))
    page_size = SelectField("Rows on a page", choices=choices((n, str(n)) for n in (10, 25, 50, 100)), coerce=int)
    shortcuts = BooleanField("Single-key shortcuts")
