"""What an Owner sends about the people of an organization, and what somebody sends who joins."""

from __future__ import annotations

from wtforms import HiddenField, PasswordField, RadioField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from forms.base import Form, choices, stripped
from models.organizations import Visibility
from models.permissions import ORGANIZATION_ROLES, Role

_EMAIL = "Enter the email address, for example maya@example.com."
# The least first: whoever clicks without looking gives little away.
_ROLES = [(role.value, role.label) for role in reversed(ORGANIZATION_ROLES)]


class InviteForm(Form):
    """Whom to invite, and as what."""

    # Carried by the form so that sending it twice sends one mail.
    key = HiddenField(validators=[Length(max=40)])
    email = StringField("Email", filters=[stripped], validators=[DataRequired(_EMAIL), Length(max=254, message=_EMAIL)])
    role = SelectField("Role", choices=choices(_ROLES), default=Role.MEMBER.value)


class RoleForm(Form):
    """Another role of a member; `was` is the one that the page showed."""

    was = HiddenField(validators=[Length(max=40)])
    role = SelectField("Role", choices=choices(_ROLES))


class VisibilityForm(Form):
    """Who sees requests that others filed."""

    visibility = RadioField("Who sees requests", choices=choices((v.value, v.label) for v in Visibility))


class JoinForm(Form):
    """A new account, reached by an invitation."""

    name = StringField(
        "Your name",
        filters=[stripped],
        validators=[DataRequired("Enter your name."), Length(max=100, message="Shorten the name to 100 characters.")],
    )
    password = PasswordField("Password", validators=[InputRequired("Enter a password.")])
