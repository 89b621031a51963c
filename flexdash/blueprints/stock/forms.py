"""Forms of the stock pages. What can be is decided by the services, which a form asks of each field."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, SelectField, StringField
from wtforms.validators import DataRequired

from flexdash.blueprints.fields import SkuSortMixin, checked_by, choices, chosen, whole
from flexdash.models import Hub, Seller
from flexdash.services.catalog_values import clean_quantity, clean_sku_code
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.stock import Way, clean_note
from flexdash.services.stock_ledger import MAX_NOTE
from flexdash.services.stock_queries import Filters, Only

ONLY_WORDS = {Only.NONE_LEFT: "None left to sell", Only.NOT_LISTED: "Not on Amazon: no listing"}
WAY_WORDS = {Way.SET: "Set what is on hand", Way.ADD: "Add units", Way.REMOVE: "Remove units"}
PLAIN = {"autocomplete": "off", "spellcheck": "false"}
WHOLE = {**PLAIN, "inputmode": "numeric"}
NOTE = {"autocomplete": "off", "maxlength": MAX_NOTE}


class FilterForm(SkuSortMixin, FlaskForm):
    """What the list of stock is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("SKU, or its beginning")
    seller = SelectField("Seller")
    hub = SelectField("Hub")
    only = SelectField(
        "Show", choices=choices(("", "All stock"), *((only.value, words) for only, words in ONLY_WORDS.items()))
    )

    def __init__(self, args: Any, sellers: Iterable[Seller], hubs: Iterable[Hub]) -> None:
        super().__init__(args)
        self.seller.choices = choices(("", "All sellers"), *((str(seller.id), seller.name) for seller in sellers))
        self.hub.choices = choices(("", "All hubs"), *((str(hub.id), hub.name) for hub in hubs))

    def filters(self) -> Filters:
        """Return what was chosen; a value that is none of the choices narrows nothing."""
        return Filters(
            seller_id=int(seller) if (seller := chosen(self.seller)) else None,
            hub_id=int(hub) if (hub := chosen(self.hub)) else None,
            text=(self.q.data or "").strip()[:100],
            only=Only(only) if (only := chosen(self.only)) else None,
        )


class StockForm(FlaskForm):
    """A form that takes a service's refusal as an error of the field it is about."""

    def refuse(self, refusal: ServiceError) -> None:
        """Put the refusal beside its field, or above the form when it is about none of them."""
        field = self._fields.get(refusal.field) if isinstance(refusal, FieldRefused) else None
        if field is None:
            self.form_errors.append(refusal.sentence)
        else:
            field.errors = [*field.errors, refusal.sentence]


class ChangeForm(StockForm):
    """What is on hand of one SKU in one hub. `seen` is what was on hand when the page was made."""

    seen = HiddenField()
    way = RadioField(
        "What do you want to do?",
        choices=choices(*((way.value, words) for way, words in WAY_WORDS.items())),
        default=Way.SET.value,
        validators=[DataRequired("Choose whether the units are counted, added or removed.")],
    )
    quantity = StringField("Units", validators=[checked_by(clean_quantity)], render_kw=WHOLE)
    note = StringField("Note", validators=[checked_by(clean_note)], render_kw=NOTE)


class AddForm(StockForm):
    """A SKU of a seller that comes into a hub where it never was."""

    seller = SelectField(
        "Seller", coerce=lambda value: whole(str(value)), validators=[DataRequired("Pick the seller of this SKU.")]
    )
    hub = SelectField(
        "Hub", coerce=lambda value: whole(str(value)), validators=[DataRequired("Pick the hub it lies in.")]
    )
    sku_code = StringField("SKU", validators=[checked_by(clean_sku_code)], render_kw=PLAIN)
    quantity = StringField("Units on hand", validators=[checked_by(clean_quantity)], render_kw=WHOLE)
    note = StringField("Note", validators=[checked_by(clean_note)], render_kw=NOTE)

    def __init__(self, sellers: Iterable[Seller], hubs: Iterable[Hub], **values: Any) -> None:
        super().__init__(**values)
        self.seller.choices = _picks("Pick a seller", ((seller.id, seller.name) for seller in sellers))
        self.hub.choices = _picks("Pick a hub", ((hub.id, f"{hub.name} ({hub.code})") for hub in hubs))


def _picks(nothing: str, pairs: Iterable[tuple[int, str]]) -> list[Any]:
    found = list(pairs)
    # With one there is nothing to pick; among several none is chosen beforehand, for a slip would go unnoticed.
    offered = [(str(value), label) for value, label in found]
    return choices(*offered) if len(offered) == 1 else choices(("", nothing), *offered)
