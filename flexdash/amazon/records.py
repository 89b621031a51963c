"""What is kept of each call to Amazon, with nothing in it that must not be kept."""

import re
from dataclasses import dataclass
from datetime import datetime

_MAX_TEXT = 300
_MASK = "[hidden]"
_SECRETS = (
    re.compile(r"\bAt(?:za|zr|c)\|[^\s\"'<>&,;]*"),  # Amazon's access, refresh and other tokens
    re.compile(r"\bamzn1\.oa2-cs\.[\w.-]+"),  # client secrets
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),  # e-mail addresses
    re.compile(r"\+?\d[\d ()-]{8,}\d"),  # telephone numbers, and any other run of ten digits or more
)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One attempt at one call: as much as support needs, and no token, buyer data or query string.

    `status` is None when no answer came. `duration_ms` is the attempt's own time, `waited_ms` the time it first waited
    for its turn under the usage plan. `path` is without query. `response_excerpt` is set for refusals only; `sent` is
    the query, and the body where little is sent or Amazon refused it. Both are as `excerpts` makes them.
    """

    operation: str
    method: str
    path: str
    status: int | None
    duration_ms: int
    amazon_request_id: str
    is_throttled: bool
    error_code: str
    error_message: str
    started_at: datetime
    attempt: int
    waited_ms: int
    shipment_id: str
    response_excerpt: str
    sent: str = ""
    sku_code: str = ""  # which one SKU it was about, if any
    is_refused_within: bool = False  # answered as a success, in which Amazon says that it did not do it


def redacted(text: str, max_length: int = _MAX_TEXT) -> str:
    """Return `text` on one line, cut, without what looks like a token, a secret, an e-mail or a telephone number."""
    return _masked(text, _SECRETS, max_length)


def without_secrets(text: str, max_length: int = _MAX_TEXT) -> str:
    """Return `text` as `redacted` does, but for tokens only: ids and times look like telephone numbers."""
    return _masked(text, _SECRETS[:2], max_length)


def _masked(text: str, patterns: tuple[re.Pattern[str], ...], max_length: int) -> str:
    text = text[: 8 * max_length]
    for pattern in patterns:
        text = pattern.sub(_MASK, text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= max_length else text[: max_length - 1] + "…"
