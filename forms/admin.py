"""What an administrator sends about people and organizations."""

from __future__ import annotations

from wtforms import HiddenField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from forms.base import Form, choices, stripped
from models.permissions import STAFF_ROLES

_EMAIL = "Enter the email address, for example maya@example.com."
_ROLES = [(role.value, role.label) for role in STAFF_ROLES]


class AddStaffForm(Form):
    """Somebody new on the staff."""

    key = HiddenField(validators=[Length(max=40)])
    name = StringField(
        "Name",
        filters=[stripped],
        validators=[DataRequired("Enter the name."), Length(max=100, message="Shorten the name to 100 characters.")],
    )
    email = StringField("Email", filters=[stripped], validators=[DataRequired(_EMAIL), Length(max=254, message=_EMAIL)])
    role = SelectField("Staff role", choices=choices(_ROLES), validators=[InputRequired("Choose a role.")])


class RoleForm(Form):
    """A staff role, or none. `was` is the role that the page showed."""

    was = HiddenField(validators=[Length(max=40)])
    role = SelectField("Staff role", choices=choices([("", "None"), *_ROLES]))


class OrganizationForm(Form):
    """What an administrator sets about an organization. `was` is the mark of what the page showed."""

    was = HiddenField(validators=[Length(max=40)])
    name = StringField(
        "Name",
        filters=[stripped],
        validators=[
            DataRequired("Enter the name of the organization."),
            Length(max=100, message="Shorten the name to 100 characters."),
        ],
    )
    calendar = SelectField("Business hours", validate_choice=False, coerce=str)
