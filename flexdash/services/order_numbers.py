"""FlexDash's own number of an order, as people see, say and paste it: FD-000123."""

import re

_NUMBER = re.compile(r"FD-?([0-9]+)", re.IGNORECASE)
_MAX_DIGITS = 9  # what a database keeps as a whole number


def number_of(order_id: int) -> str:
    """Return FlexDash's own number of an order."""
    return f"FD-{order_id:06d}"


def is_number(text: str) -> bool:
    """Say whether `text` is written as such a number, of an order that can be here or not."""
    return bool(_NUMBER.fullmatch(text))


def id_of(text: str) -> int | None:
    """Return the id of the order that `text` is the number of, with or without dash and zeros; None for other text."""
    found = _NUMBER.fullmatch(text)
    digits = found[1].lstrip("0") or "0" if found else ""
    return int(digits) if 0 < len(digits) <= _MAX_DIGITS else None
