"""Reading single values that Amazon may send in another form than its model says, or not at all.

Each function returns the value or the stated substitute; none raises, whatever it is given.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_MILLISECONDS_FROM = 100_000_000_000  # larger numbers are epoch milliseconds: as seconds they lie after the year 5138
_SECONDS_FROM = 10**8  # smaller numbers are no time of an order (before 1973), rather a date without dashes
_MAX_EPOCH_DIGITS = 16
_MAX_AMOUNT = Decimal(10) ** 15
_MAX_AMOUNT_TEXT = 40
_MAX_DECIMALS = 10
_MAX_COUNT = 2**31 - 1


def text(value: Any, max_length: int = 255) -> str:
    """Return `value` as text without surrounding blanks, cut at `max_length`; "" for what is neither text nor number.

    NUL and lone surrogates, which no database can hold, become a replacement character.
    """
    if value.__class__ is not str:
        if value.__class__ is not int:
            return ""
        try:
            value = str(value)
        except ValueError:  # Python refuses to print whole numbers of many thousand digits
            return ""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode("utf-8")
    if "\x00" in value:
        value = value.replace("\x00", "\ufffd")
    return value.strip()[:max_length]


def members(value: Any) -> dict[str, Any]:
    """Return `value` when it is a JSON object, else an empty one."""
    return value if value.__class__ is dict else {}


def items(value: Any) -> list[Any]:
    """Return `value` when it is a JSON array, else an empty one."""
    return value if value.__class__ is list else []


def count(value: Any) -> int | None:
    """Return a whole number of at least 0 from a number or digits, else None."""
    if value.__class__ is str:
        value = value.strip()
        if not (value.isascii() and value.isdigit() and len(value) <= 10):
            return None
        value = int(value)
    elif value.__class__ is float and value.is_integer():
        value = int(value)
    if value.__class__ is not int or not 0 <= value <= _MAX_COUNT:
        return None
    return value


def moment(value: Any) -> datetime | None:
    """Return an aware UTC time from ISO 8601 (a blank for the T is fine, no zone means UTC) or from epoch seconds or
    milliseconds, as number or digits; None for anything else."""
    kind = value.__class__
    if kind is str:
        if value.isdecimal() and value.isascii():
            return _moment_from_epoch(int(value)) if len(value) <= _MAX_EPOCH_DIGITS else None
        try:
            found = datetime.fromisoformat(value)
            if found.tzinfo is not UTC:
                found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            return _moment_with_zone_word(value.strip())
        return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None
    if kind is int or kind is float:
        return _moment_from_epoch(value)
    return None


def _moment_with_zone_word(value: str) -> datetime | None:
    if value.endswith((" Z", " UTC", " GMT")):
        return moment(value.rsplit(" ", 1)[0].rstrip())
    return None


def _moment_from_epoch(value: float) -> datetime | None:
    if not _SECONDS_FROM <= value < 10**_MAX_EPOCH_DIGITS:
        return None
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None


def amount(value: Any) -> Decimal | None:
    """Return a decimal amount from text or a number exactly as written; None for what is no amount of money."""
    kind = value.__class__
    if kind is not str:
        if kind is float:
            value = repr(value)
        elif kind is int and -_MAX_COUNT * 10**6 < value < _MAX_COUNT * 10**6:
            return Decimal(value)
        else:
            return None
    if len(value) > _MAX_AMOUNT_TEXT:
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    if not found.is_finite() or not -_MAX_AMOUNT < found < _MAX_AMOUNT:
        return None
    exponent = found.as_tuple().exponent
    return found if isinstance(exponent, int) and -_MAX_DECIMALS <= exponent <= 15 else None


def as_text(value: Any) -> str:
    """Return what Amazon sent as JSON, always the same for the same; a word for what is nested too deeply to write."""
    try:
        return json.dumps(value, sort_keys=True, default=str)
    except RecursionError:
        return '"It is nested too deeply to be kept."'
