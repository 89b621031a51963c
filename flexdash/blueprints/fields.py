"""Form fields: the choices they offer, and reading what came back without trusting it."""

from collections.abc import Iterable
from typing import Any

from wtforms import SelectField
from wtforms.fields import SelectChoice


def choices(*pairs: tuple[Any, str]) -> list[SelectChoice]:
    """Return (value, label) pairs as the choices of a select or of radio buttons."""
    return [SelectChoice(value, label) for value, label in pairs]


def chosen(field: SelectField) -> str:
    """Return the value chosen in a filter, "" when nothing was or when it is none of the choices."""
    return field.data if field.data in values_of(field) else ""


def values_of(field: SelectField) -> set[Any]:
    """Return the values that `field` offers."""
    offered: Iterable[SelectChoice] = field.choices
    return {choice.value for choice in offered}


def whole(text: str | None) -> int | None:
    """Return a whole number that an id or a version can be; None for anything else."""
    is_number = bool(text) and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_number else None
