"""The filters of the API log; they live in the URL."""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField

from flexdash.blueprints.api_log.words import OUTCOME_WORDS
from flexdash.blueprints.fields import DaysMixin, SortMixin, choices, chosen, midnight
from flexdash.models import CallOutcome, Store
from flexdash.services.api_log import MAX_TEXT, OPERATIONS, CallFilters


class FilterForm(DaysMixin, SortMixin, FlaskForm):
    """What the log is narrowed to."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("Request id, order, shipment or SKU")
    store = SelectField("Store", default="")
    operation = SelectField(
        "Operation", default="", choices=choices(("", "All operations"), *((name, name) for name in OPERATIONS))
    )
    outcome = SelectField(
        "Outcome",
        default="",
        choices=choices(("", "All outcomes"), *((one.value, words) for one, (words, *_) in OUTCOME_WORDS.items())),
    )

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.store.choices = choices(
            ("", "All stores"), *((str(store.id), store.name or "Unnamed") for store in stores)
        )
        self.validate()

    def filters(self, zone: ZoneInfo) -> CallFilters:
        """Return what was chosen, days as the viewer's `zone` has them; what is none of the choices narrows nothing."""
        return CallFilters(
            store_id=int(store) if (store := chosen(self.store)) else None,
            operation=chosen(self.operation),
            outcome=CallOutcome(outcome) if (outcome := chosen(self.outcome)) else None,
            since=midnight(self.first_day.data, zone),
            until=midnight(self.last_day.data, zone, plus_days=1),
            text=(self.q.data or "").strip()[:MAX_TEXT],
        )
