"""What is asked about; it lives in the URL, so that an answer can be sent on."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, StringField

from flexdash.blueprints.fields import choices, chosen, whole
from flexdash.models import Store

STOCK, PRICE = "stock", "price"


class OrderForm(FlaskForm):
    """Which order a question is about."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("Amazon's order or shipment id, or FlexDash's number")


class MissingForm(OrderForm):
    """An order that is not here, and the store it should have come from."""

    store = SelectField("Store")

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.store.choices = _stores(stores)

    def store_id(self) -> int | None:
        """Return the store that was chosen, None for all."""
        return whole(chosen(self.store))


class SkuForm(FlaskForm):
    """Which SKU a question is about, and what of it."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("SKU")
    about = RadioField(
        "What is not updated?", default=STOCK, choices=choices((STOCK, "Its stock"), (PRICE, "Its price"))
    )
    store = SelectField("Store")

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.store.choices = _stores(stores)
        if self.about.data not in (STOCK, PRICE):
            self.about.data = STOCK

    def store_id(self) -> int | None:
        """Return the store that was chosen, None for all."""
        return whole(chosen(self.store))


def _stores(stores: Iterable[Store]) -> list[Any]:
    named = ((str(store.id), f"{store.name or 'Unnamed'} ({store.country_code})") for store in stores)
    return choices(("", "All stores"), *named)
