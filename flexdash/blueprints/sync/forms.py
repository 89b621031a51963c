"""Forms of the pages of sync runs."""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField

from flexdash.blueprints.fields import BACKWARDS, DaysMixin, SortMixin, ToDoSortMixin, choices, chosen, midnight
from flexdash.models import RunState, Store, Sync, Trigger
from flexdash.services.sync_runs import RunFilters
from flexdash.services.syncs import FACTS

BY_SKU = "sku"
STATE_WORDS = {
    RunState.SUCCEEDED: "Healthy",
    RunState.RUNNING: "Running",
    RunState.QUEUED: "Queued or retrying",
    RunState.PARTIAL: "Partial",
    RunState.FAILED: "Failed",
    RunState.SKIPPED: "Skipped",
}
TRIGGER_WORDS = {Trigger.SCHEDULE: "Schedule", Trigger.CATCH_UP: "Catch-up", Trigger.MANUAL: "By hand"}


class ItemsForm(FlaskForm):
    """What the items of a run are narrowed to, and their order; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("SKU begins with")
    sort = SelectField(
        "Order of the list",
        default="",
        choices=choices(("", "By outcome"), (BY_SKU, "SKU, A to Z"), (BACKWARDS, "SKU, Z to A")),
    )


class OutcomesForm(ToDoSortMixin, FlaskForm):
    """The order of a run's outcomes; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing


class FilterForm(DaysMixin, SortMixin, FlaskForm):
    """What the list of runs is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    store = SelectField("Store", default="")
    sync = SelectField(
        "Sync",
        default="",
        choices=choices(("", "All syncs"), *((facts.sync.value, facts.label) for facts in FACTS.values())),
    )
    state = SelectField(
        "Outcome",
        default="",
        choices=choices(("", "All outcomes"), *((s.value, words) for s, words in STATE_WORDS.items())),
    )
    trigger = SelectField(
        "Started",
        default="",
        choices=choices(("", "Any way"), *((t.value, words) for t, words in TRIGGER_WORDS.items())),
    )

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.store.choices = choices(
            ("", "All stores"), *((str(store.id), store.name or "Unnamed") for store in stores)
        )
        self.validate()

    def filters(self, zone: ZoneInfo) -> RunFilters:
        """Return what was chosen, days as the viewer's `zone` has them; what is none of the choices narrows nothing."""
        return RunFilters(
            store_id=int(store) if (store := chosen(self.store)) else None,
            sync=Sync(sync) if (sync := chosen(self.sync)) else None,
            state=RunState(state) if (state := chosen(self.state)) else None,
            trigger=Trigger(trigger) if (trigger := chosen(self.trigger)) else None,
            since=midnight(self.first_day.data, zone),
            until=midnight(self.last_day.data, zone, plus_days=1),
        )
