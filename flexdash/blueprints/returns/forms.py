"""Forms of the pages of returns."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField

from flexdash.blueprints.fields import SortMixin, choices, chosen
from flexdash.models import Store
from flexdash.services.returns import STATUS_WORDS, ReturnFilters


class FilterForm(SortMixin, FlaskForm):
    """What the list of returns is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("Id, tracking id or SKU")
    status = SelectField("Status", choices=choices(("", "All statuses"), *STATUS_WORDS.items()))
    store = SelectField("Store")

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.store.choices = choices(
            ("", "All stores"), *((str(store.id), store.name or "Unnamed") for store in stores)
        )

    def filters(self) -> ReturnFilters:
        """Return what was chosen; a value that is none of the choices narrows nothing."""
        return ReturnFilters(
            store_id=int(store) if (store := chosen(self.store)) else None,
            status=chosen(self.status),
            text=(self.q.data or "")[:100],
        )
