"""Checks of what FlexDash sends: Amazon's model rules, held before anything leaves the house.

Each function returns the value in the form Amazon takes, or raises InvalidArgument naming the argument.
"""

import math
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from flexdash.amazon.errors import InvalidArgument

_MAX_PATH_SEGMENT = 255
_MAX_INT64 = 2**63 - 1


def refuse(name: str, problem: str) -> InvalidArgument:
    """Return the error for the argument `name`."""
    return InvalidArgument(f"nothing was sent to Amazon: {name} {problem}", code="InvalidArgument")


def text(name: str, value: object, max_length: int = 255) -> str:
    """A text with something in it, printable, of at most `max_length` characters."""
    if not isinstance(value, str) or not value.strip():
        raise refuse(name, "must be a text with something in it")
    if len(value) > max_length:
        raise refuse(name, f"must not be longer than {max_length} characters, and has {len(value)}")
    if not value.isprintable():
        raise refuse(name, "must not hold line breaks or other invisible characters")
    return value


def segment(name: str, value: object) -> str:
    """An id that becomes a part of the path. "." and ".." would name another path."""
    found = text(name, value, _MAX_PATH_SEGMENT)
    if found in (".", ".."):
        raise refuse(name, "must be an id")
    return found


def choice(name: str, value: object, allowed: Collection[str]) -> str:
    """One of the words Amazon's model lists."""
    if not isinstance(value, str) or value not in allowed:
        raise refuse(name, f"must be one of {', '.join(allowed)}")
    return value


def whole(name: str, value: object, least: int, most: int = _MAX_INT64) -> int:
    """A whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise refuse(name, f"must be a whole number from {least} to {most}")
    return value


def decimal(name: str, value: object) -> str:
    """A number above zero, as the text Amazon's Decimal is."""
    try:
        found = Decimal(str(value)) if isinstance(value, int | float | str | Decimal) else None
    except InvalidOperation:
        found = None
    if found is None or isinstance(value, bool) or not found.is_finite() or found <= 0:
        raise refuse(name, "must be a number above zero")
    return f"{found:f}"


def amount(name: str, value: object) -> float:
    """An amount of money above zero as the JSON number Amazon takes here: exactly `value`, not the nearest one."""
    found = Decimal(decimal(name, value))
    number = int(found) if found == found.to_integral_value() else float(found)
    if found >= 10**12 or Decimal(repr(number)) != found:
        raise refuse(name, "must be an amount below a million millions with a few decimals")
    return number


def moment(name: str, value: object, *, rounds_up: bool = False) -> str:
    """An aware time as ISO 8601 in UTC with a Z, whole seconds.

    A fraction is rounded down, or up with `rounds_up`, so that a window never loses a moment at its edge.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise refuse(name, "must be a time with a time zone")
    found = value.astimezone(UTC)
    if rounds_up and found.microsecond:
        found += timedelta(seconds=1)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(name: str, value: object) -> float:
    """A number of seconds or requests per second above zero."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value <= 0:
        raise refuse(name, "must be a number above zero")
    return float(value)
