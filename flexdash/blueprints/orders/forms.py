"""Forms of the order pages."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, RadioField, SelectField, StringField
from wtforms.validators import DataRequired

from flexdash.blueprints.fields import SortMixin, StoreMixin, choices, chosen, whole
from flexdash.models import HoldReason, Hub, OrderState, Store
from flexdash.services.order_work.cancelling import Reason
from flexdash.services.orders import DEADLINES, Need, OrderFilters

HOLD_WORDS = {
    HoldReason.NO_HUB_MAPPED: "No hub mapped",
    HoldReason.HUB_INACTIVE: "Hub inactive",
    HoldReason.SKU_UNKNOWN: "SKU unknown",
    HoldReason.NO_ASIN: "No ASIN",
    HoldReason.NOT_ENOUGH_STOCK: "Not enough stock",
}
ROWS_PER_PAGE = (50, 100, 200)  # many, for doing one thing with all of them
NEED_WORDS = {
    Need.STEP: "Somebody for a failed step",
    Need.INVOICE: "Its invoice on Amazon",
    Need.CANCELLATION: "Its cancellation on Amazon",
    Need.CONFLICT: "Somebody for a conflict",
    Need.ACKNOWLEDGEMENT: "Its acknowledgement, which Amazon refused",
}
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
    needs = SelectField(
        "Needs", choices=choices(("", "Anything"), *((need.value, w) for need, w in NEED_WORDS.items()))
    )
    deadline = SelectField("Ship by", choices=choices(("", "Any time"), *DEADLINES.items()))
    sort = SelectField("Order of the list", choices=choices(*SORT_WORDS.items()))
    rows = SelectField("Orders per page", choices=choices(*((str(n), str(n)) for n in ROWS_PER_PAGE)))

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
            needs=Need(need) if (need := chosen(self.needs)) else None,
            text=(self.q.data or "")[:100],
        )

    def n_rows(self) -> int:
        """Return how many orders a page shows."""
        return int(chosen(self.rows) or ROWS_PER_PAGE[0])

    def sorting(self) -> str:
        """Return the chosen order of the list, a key of SORT_WORDS."""
        return chosen(self.sort) or "newest"


class SaveListForm(FlaskForm):
    """The name under which the present filters are kept."""

    name = StringField("Save this list as", id="save-name")


class QuarantineForm(StoreMixin, SortMixin, FlaskForm):
    """The store and the order of the list of quarantined shipments; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.offer_stores(stores)


class ReleaseForm(FlaskForm):
    """Which hub a held order goes to."""

    hub_id = SelectField(
        "Hub that works this order",
        coerce=lambda value: whole(str(value)),
        validators=[DataRequired("Pick the hub that will work this order.")],
    )


class PickForm(FlaskForm):
    """Picking an order; the box stands on the page only after Amazon could not be asked."""

    without_asking = BooleanField("Pick it without asking Amazon")


class CloseConflictForm(FlaskForm):
    """How a conflict was settled."""

    note = StringField("How it was settled")


class CancelForm(FlaskForm):
    """Why an order is cancelled, in the words that Amazon takes."""

    reason = RadioField(
        "Why is it cancelled?",
        choices=choices(*((reason.value, reason.words) for reason in Reason)),
        validators=[DataRequired("Pick why the order is cancelled.")],
    )
