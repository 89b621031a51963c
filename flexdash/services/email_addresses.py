"""Telling an e-mail address from what is none."""

import re

LONGEST = 254  # what a mail server has to take
_SHAPE = re.compile(r"[^@\s\x00-\x1f<>\"(),:;\\]+@[^@\s\x00-\x1f<>\"(),:;\\]+\.[^@\s\x00-\x1f<>\"(),:;\\.]+")


def is_address(text: str) -> bool:
    """Say whether `text` has the form of one e-mail address, without a name before it."""
    return len(text) <= LONGEST and _SHAPE.fullmatch(text) is not None
