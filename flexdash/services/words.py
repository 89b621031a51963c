"""Small helpers for sentences."""

import re
from datetime import datetime

MAX_SENTENCE = 500  # as long as the log's column
_REFUSALS = re.compile(r"^(?:Amazon refused\b[^:.]*: )+")


def quoted(text: str, length: int = 60) -> str:
    """Return `text` in quotation marks, shortened to `length` characters."""
    return f"“{shortened(text, length)}”"


def shortened(text: str, length: int = MAX_SENTENCE) -> str:
    """Return `text` with at most `length` characters, the cut shown by an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def listed(parts: list[str]) -> str:
    """Return the parts as a person writes them: `a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


_SMALL_INSIDE = {"A", "An", "Any", "It", "No", "Nothing", "Nobody", "The", "There", "This", "What", "While"}


def as_clause(sentence: str) -> str:
    """Return `sentence` as it goes on after "because" or a colon: small, unless it begins with a name."""
    first = sentence.split(" ", 1)[0]
    return sentence[:1].lower() + sentence[1:] if first in _SMALL_INSIDE else sentence


def as_sentence(text: str) -> str:
    """Return `text`, which may be Amazon's, with the mark at its end that a sentence has, and one only."""
    text = text.rstrip()
    return text if text.endswith(("!", "?", "…")) else f"{text.rstrip('.')}."


def after_refusals(text: str) -> str:
    """Return what stands behind "Amazon refused …: " at the beginning of `text`, for where that is said already."""
    return _REFUSALS.sub("", text, count=1)


def one_line(text: str) -> str:
    """Return `text` without control characters and with single spaces, as a name is kept."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def zone_name(moment: datetime) -> str:
    """Return what people call the zone of `moment` then: its letters, or UTC and the offset where it has none."""
    letters = moment.tzname() or ""
    if re.fullmatch(r"[A-Z]{2,5}", letters):
        return letters
    offset = moment.strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:5]}"
