"""The forms of sign-in and account."""

from collections.abc import Callable

from flask_wtf import FlaskForm
from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo, Length

from flexdash.blueprints.fields import checked_by, choices
from flexdash.services.places import time_zones


class SignInForm(FlaskForm):
    email = StringField(
        "E-mail",
        validators=[
            DataRequired("Give the e-mail you sign in with."),
            Length(max=254, message="An e-mail has at most 254 characters."),
        ],
    )
    password = PasswordField("Password", validators=[DataRequired("Give your password.")])


class PasswordForm(FlaskForm):
    current = PasswordField("Present password", validators=[DataRequired("Give the password you signed in with.")])
    new = PasswordField("New password", validators=[DataRequired("Give a new password.")])
    repeated = PasswordField(
        "New password, once more",
        validators=[EqualTo("new", message="The two new passwords differ. Type the new one again in both fields.")],
    )

    def __init__(self, refuse_weak: Callable[[str], None]) -> None:
        super().__init__()
        self._refuse_weak = refuse_weak

    def validate_new(self, field: PasswordField) -> None:
        """Refuse one that the person cannot have."""
        checked_by(self._refuse_weak)(self, field)


class TimeZoneForm(FlaskForm):
    time_zone = SelectField("Your time zone")

    def __init__(self, workspace_zone: str, **values: object) -> None:
        super().__init__(**values)
        own = ("", f"That of the workspace ({workspace_zone})")
        self.time_zone.choices = choices(own, *((zone, zone) for zone in time_zones()))
