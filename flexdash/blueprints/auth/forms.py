"""The forms of sign-in and account."""

from flask_wtf import FlaskForm
from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo, Length

from flexdash.blueprints.fields import choices
from flexdash.services.passwords import MAX_LENGTH
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
    new = PasswordField(
        "New password",
        validators=[
            DataRequired("Give a new password."),
            Length(max=MAX_LENGTH, message=f"Use at most {MAX_LENGTH} characters."),
        ],
    )
    repeated = PasswordField(
        "New password, once more",
        validators=[EqualTo("new", message="The two new passwords differ. Type the new one again in both fields.")],
    )


class TimeZoneForm(FlaskForm):
    time_zone = SelectField("Your time zone")

    def __init__(self, workspace_zone: str, **values: object) -> None:
        super().__init__(**values)
        own = ("", f"That of the workspace ({workspace_zone})")
        self.time_zone.choices = choices(own, *((zone, zone) for zone in time_zones()))
