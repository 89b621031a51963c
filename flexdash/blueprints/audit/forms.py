"""The filters of the Configuration Log and of the access log; they live in the URL."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectField

from flexdash.blueprints.fields import DaysMixin, SortMixin, choices, chosen
from flexdash.models import AccessKind, Section
from flexdash.services import access_log_queries, config_log_queries
from flexdash.services.actors import Actor
from flexdash.services.config_log_queries import Filters


class FilterForm(DaysMixin, SortMixin, FlaskForm):
    """What the log is narrowed to. With `store_id` the store is fixed, as on the store's own page."""

    class Meta:
        csrf = False  # a GET that changes nothing

    person = SelectField("Person", default="")
    section = SelectField(
        "Section", default="", choices=choices(("", "All sections"), *((part.value, part.value) for part in Section))
    )
    store = SelectField("Store", default="")

    def __init__(self, args: Any, actor: Actor, store_id: int | None = None) -> None:
        super().__init__(args)
        self.person.choices = choices(("", "Everybody"), *config_log_queries.people(actor))
        self.store_names: dict[int, str] = {}
        self._store_id = store_id
        if store_id is None:
            self.store_names = dict(config_log_queries.stores(actor))
            self.store.choices = choices(
                ("", "All stores"), *((str(key), name) for key, name in self.store_names.items())
            )
        else:
            del self.store
        self.validate()

    def filters(self) -> Filters:
        """Return what was chosen; a value that cannot be read narrows nothing and is named on the page."""
        section = chosen(self.section)
        store = chosen(self.store) if self.store else ""
        return Filters(
            first_day=self.first_day.data,
            last_day=self.last_day.data,
            person=chosen(self.person),
            section=Section(section) if section else None,
            store_id=self._store_id if self._store_id is not None else int(store) if store else None,
        )

    @property
    def is_filtered(self) -> bool:
        """Say whether anything was chosen."""
        return self.filters() != Filters(store_id=self._store_id)


class AccessFilterForm(DaysMixin, SortMixin, FlaskForm):
    """What the access log is narrowed to."""

    class Meta:
        csrf = False  # a GET that changes nothing

    person = SelectField("Person", default="")
    kind = SelectField(
        "Kind", default="", choices=choices(("", "All kinds"), *((kind.value, kind.value) for kind in AccessKind))
    )

    def __init__(self, args: Any, actor: Actor) -> None:
        super().__init__(args)
        self.person.choices = choices(("", "Everybody"), *config_log_queries.people(actor))
        self.validate()

    def filters(self) -> access_log_queries.Filters:
        """Return what was chosen; a value that cannot be read narrows nothing and is named on the page."""
        kind = chosen(self.kind)
        return access_log_queries.Filters(
            first_day=self.first_day.data,
            last_day=self.last_day.data,
            person=chosen(self.person),
            kind=AccessKind(kind) if kind else None,
        )

    @property
    def is_filtered(self) -> bool:
        """Say whether anything was chosen."""
        return self.filters() != access_log_queries.Filters()
