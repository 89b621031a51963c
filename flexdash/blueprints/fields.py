"""Form fields: the choices they offer, and reading what came back without trusting it."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from wtforms import DateField, Field, Form, SelectField
from wtforms.fields import SelectChoice
from wtforms.validators import Optional, ValidationError

from flexdash.models import Store
from flexdash.services.catalog_values import BadValue
from flexdash.services.errors import FieldRefused
from flexdash.services.words import quoted

OLDEST_FIRST, NEWEST_FIRST = "oldest", "newest"
BACKWARDS = "z"  # a list by name or SKU, from its end
_YEARS = range(2000, 2200)


def choices(*pairs: tuple[Any, str]) -> list[SelectChoice]:
    """Return (value, label) pairs as the choices of a select or of radio buttons."""
    return [SelectChoice(value, label) for value, label in pairs]


def chosen(field: SelectField) -> str:
    """Return the value chosen in a filter, "" when nothing was or when it is none of the choices.

    The field then says so: every list is drawn after its filters were asked for what was chosen.
    """
    if field.data in values_of(field):
        return field.data
    if field.data:
        field.errors = [f"{quoted(field.data, 40)} is none of the choices, so it is ignored. Pick one of them."]
    return ""


def values_of(field: SelectField) -> set[Any]:
    """Return the values that `field` offers."""
    offered: Iterable[SelectChoice] = field.choices
    return {choice.value for choice in offered}


def whole(text: str | None) -> int | None:
    """Return a whole number that an id or a version can be; None for anything else."""
    is_number = bool(text) and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_number else None


def midnight(day: date | None, zone: ZoneInfo, plus_days: int = 0) -> datetime | None:
    """Return the moment at which `day`, or the one so many days later, begins in `zone`; None for no day of ours."""
    if day is None or day.year not in _YEARS:
        return None
    return datetime.combine(day + timedelta(days=plus_days), time.min, zone)


def checked_by(check: Callable[[str], object]) -> Callable[[Form, Field], None]:
    """Return a validator that asks a service's `check` of one field, so that a form says all that is wrong at once."""

    def validate(form: Form, field: Field) -> None:
        try:
            check(field.data or "")
        except (BadValue, FieldRefused) as refusal:
            raise ValidationError(refusal.sentence) from None

    return validate


class DayField(DateField):
    """A day; what is none is refused in plain words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the day, as year-month-day."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("This is no date. Give it as year-month-day, such as 2026-11-23.") from None


class DaysMixin:
    """The days, first and last included, that a list is narrowed to: for a form of filters."""

    first_day = DayField("From", name="from", validators=[Optional()])
    last_day = DayField("To", name="to", validators=[Optional()])

    def validate_last_day(self, field: DateField) -> None:
        """Refuse days between which nothing can lie."""
        if field.data and self.first_day.data and field.data < self.first_day.data:
            raise ValidationError("The last day is before the first, so nothing can lie between.")


class SortMixin:
    """The order of a list that is read by time: newest first unless the other was chosen."""

    sort = SelectField(
        "Order of the list", default="", choices=choices(("", "Newest first"), (OLDEST_FIRST, "Oldest first"))
    )

    @property
    def is_oldest_first(self) -> bool:
        """Say whether the oldest row is to come first."""
        return chosen(self.sort) == OLDEST_FIRST


class ToDoSortMixin:
    """The order of a list of what is to be done: oldest first unless the other was chosen."""

    sort = SelectField(
        "Order of the list", default="", choices=choices(("", "Oldest first"), (NEWEST_FIRST, "Newest first"))
    )

    @property
    def is_newest_first(self) -> bool:
        """Say whether the newest row is to come first."""
        return chosen(self.sort) == NEWEST_FIRST


class SkuSortMixin:
    """The order of a list that is read by SKU: A to Z unless the other was chosen."""

    sort = SelectField(
        "Order of the list", default="", choices=choices(("", "SKU, A to Z"), (BACKWARDS, "SKU, Z to A"))
    )

    @property
    def is_backwards(self) -> bool:
        """Say whether the end of the alphabet is to come first."""
        return chosen(self.sort) == BACKWARDS


class StoreMixin:
    """The store that a list is narrowed to, once `offer_stores` has said which ones there are."""

    store = SelectField("Store", default="")

    def offer_stores(self, stores: Iterable[Store]) -> None:
        """Let the person choose among `stores`."""
        named = ((str(store.id), store.name or "Unnamed") for store in stores)
        self.store.choices = choices(("", "All stores"), *named)

    @property
    def store_id(self) -> int | None:
        """Return the store chosen, None for all."""
        return int(store) if (store := chosen(self.store)) else None
