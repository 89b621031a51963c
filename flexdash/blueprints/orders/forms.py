"""Forms of the order pages."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField
from wtforms.validators import DataRequired

from flexdash.blueprints.fields import SortMixin, choices, chosen, whole
from flexdash.models import HoldReason, Hub, OrderState, Store
from flexdash.services.orders import DEADLINES, OrderFilters

HOLD_WORDS = {HoldReason.NO_HUB_MAPPED: "No hub mapped", HoldReason.HUB_INACTIVE: "Hub inactive"}
SORT_WORDS = {"newest": "Newest first", "deadline": "Most urgent first"}


class FilterForm(FlaskForm):
    """What the list of orders is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("Order, Amazon id or SKU")
    state = SelectField(
        "State", choices=choices(("", "All states"), *((state.value, state.value) for state in OrderState))
    )
    hold = SelectField(
        "Hold reason", choices=choices(("", "Any"), *((r.value, words) for r, words in HOLD_WORDS.items()))
    )
    store = SelectField("Store")
    hub = SelectField("Hub")
    deadline = SelectField("Ship by", choices=choices(("", "Any time"), *DEADLINES.items()))
    sort = SelectField("Order of the list", choices=choices(*SORT_WORDS.items()))

    def __init__(self, args: Any, stores: Iterable[Store], hubs: Iterable[Hub]) -> None:
        super().__init__(args)
        self.store.choices = choices(
            ("", "All stores"), *((str(store.id), store.name or "Unnamed") for store in stores)
        )
        self.hub.choices = choices(("", "All hubs"), *((str(hub.id), hub.name) for hub in hubs))

    def filters(self) -> OrderFilters:
        """Return what was chosen; a value that is none of the choices narrows nothing."""
        return OrderFilters(
            state=OrderState(state) if (state := chosen(self.state)) else None,
            store_id=int(store) if (store := chosen(self.store)) else None,
            hub_id=int(hub) if (hub := chosen(self.hub)) else None,
            hold_reason=HoldReason(reason) if (reason := chosen(self.hold)) else None,
            deadline=chosen(self.deadline),
            text=(self.q.data or "")[:100],
        )

    def sorting(self) -> str:
        """Return the chosen order of the list, a key of SORT_WORDS."""
        return chosen(self.sort) or "newest"


class QuarantineForm(SortMixin, FlaskForm):
    """The order of the list of quarantined shipments; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing


class ReleaseForm(FlaskForm):
    """Which hub a held order goes to."""

    hub_id = SelectField(
        "Hub that works this order",
        coerce=lambda value: whole(str(value)),
        validators=[DataRequired("Pick the hub that will work this order.")],
    )
