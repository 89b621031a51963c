"""Forms of the wizard and of the login-first page."""

from collections.abc import Iterable

from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from flexdash.blueprints.fields import choices, values_of
from flexdash.models import Seller
from flexdash.services import countries, stores


class CountryForm(FlaskForm):
    """The country a store sells in. Offers all countries, whatever the search shows."""

    country = RadioField("Country", validators=[InputRequired("Choose the country your Amazon account sells in.")])

    def __init__(self, found: list, **values: object) -> None:
        super().__init__(**values)
        self.country.choices = choices(*((country.code, country.name) for country in found))


class NameForm(FlaskForm):
    """The name of a store."""

    name = StringField(
        "Store name",
        validators=[
            InputRequired("Give the store a name, for example the city of its warehouse."),
            Length(max=stores.MAX_NAME_LENGTH, message="Use %(max)d characters at most."),
        ],
    )


class PlainForm(FlaskForm):
    """Nothing to fill in: a button, and the token that shows it was ours."""


NEW_STORE = "new"


class LoginFirstForm(FlaskForm):
    """Which store a person whom Amazon sent here means; the last three fields count for a new one."""

    store = RadioField("Which store is this for?", validators=[InputRequired("Choose a store, or a new one.")])
    seller = SelectField("Seller", validate_choice=False)
    country = SelectField("Country", validate_choice=False)
    name = StringField("Store name")

    def __init__(self, known: Iterable[tuple[str, str]], sellers: list[Seller], **values: object) -> None:
        super().__init__(**values)
        self.store.choices = choices(*known, (NEW_STORE, "A new store"))
        self.seller.choices = choices(("", "Choose a seller"), *((str(seller.id), seller.name) for seller in sellers))
        self.country.choices = choices(
            ("", "Choose a country"), *((country.code, country.name) for country in countries.search())
        )

    def validate(self, extra_validators: object = None) -> bool:
        """Check the fields; those of the new store only when a new one was chosen."""
        is_good = super().validate(extra_validators)
        if self.store.data != NEW_STORE:
            return is_good
        for field, sentence in (
            (self.seller, "Choose the seller that the new store belongs to."),
            (self.country, "Choose the country your Amazon account sells in."),
            (self.name, "Give the store a name, for example the city of its warehouse."),
        ):
            known = values_of(field) if isinstance(field, SelectField) else None
            value = (field.data or "").strip()
            if not value or (known is not None and value not in known):
                field.errors = [*field.errors, sentence]
                is_good = False
        return is_good
