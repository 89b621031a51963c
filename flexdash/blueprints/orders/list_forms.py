"""What the lists beside the list of orders are narrowed to, and their order; it lives in the URL."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectField

from flexdash.blueprints.fields import SortMixin, StoreMixin, ToDoSortMixin, choices, chosen
from flexdash.models import BatchAction, BatchState, StepKind, Store

ACTION_WORDS = {
    BatchAction.PICK: "Pick",
    BatchAction.PACK: "Pack",
    BatchAction.MAKE_READY: "Ready to ship",
    BatchAction.SHIP: "Ship",
}
STATE_WORDS = {BatchState.WAITING: "Waiting", BatchState.RUNNING: "At work", BatchState.DONE: "Done"}


class ConflictFilterForm(SortMixin, FlaskForm):
    """Which conflicts the list shows."""

    class Meta:
        csrf = False  # a GET that changes nothing

    show = SelectField("Show", default="", choices=choices(("", "Open ones"), ("closed", "Closed ones")))

    @property
    def is_about_closed(self) -> bool:
        """Say whether the closed ones are asked for."""
        return chosen(self.show) == "closed"


class InvoiceFilterForm(StoreMixin, ToDoSortMixin, FlaskForm):
    """Which orders the list of invoices shows."""

    class Meta:
        csrf = False

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.offer_stores(stores)


class ToFixFilterForm(InvoiceFilterForm):
    """Which steps the list of shipments to fix shows."""

    kind = SelectField(
        "What stopped",
        default="",
        choices=choices(("", "Anything"), *((kind.value, kind.words) for kind in StepKind)),
    )

    @property
    def kind_chosen(self) -> StepKind | None:
        """Return the kind of step chosen, None for all."""
        return StepKind(kind) if (kind := chosen(self.kind)) else None


class BatchFilterForm(SortMixin, FlaskForm):
    """Which actions on many orders the list shows."""

    class Meta:
        csrf = False

    action = SelectField(
        "Action",
        default="",
        choices=choices(("", "All actions"), *((action.value, words) for action, words in ACTION_WORDS.items())),
    )
    state = SelectField(
        "State",
        default="",
        choices=choices(("", "All states"), *((state.value, words) for state, words in STATE_WORDS.items())),
    )

    @property
    def action_chosen(self) -> BatchAction | None:
        """Return the action chosen, None for all."""
        return BatchAction(action) if (action := chosen(self.action)) else None

    @property
    def state_chosen(self) -> BatchState | None:
        """Return the state chosen, None for all."""
        return BatchState(state) if (state := chosen(self.state)) else None
