"""Takes secrets and buyer data out of what is about to be logged."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "[hidden]"

_SECRET_NAME = re.compile(
    r"authori[sz]ation|password|passwd|secret|token|cookie|api_?key|encryption_?key|spapi_oauth_code|oauth_?code|dsn"
    r"|buyer|recipient|ship_?to|addressee|address_?line|phone|e_?mail|postal_?code|gift_?message|customer",
    re.IGNORECASE,
)

_VALUE = r"(?:(?<=\")[^\"\\]+|(?<=')[^'\\]+|[^\s\"'&,;}\\]+)"
_NAME = r"(?:token|secret|password|passwd|oauth_code|api_?key|cookie)"

# What gives a secret away inside a longer text, whatever the field is called. The order matters: a password
# in an address goes before the e-mail address that its end looks like. Quotes stay, so that JSON stays JSON.
# Strangers write much of what is logged: no pattern may begin with a repetition that can begin anywhere in it, or a
# long line takes time by the square of its length.
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"^\[parameters: .*$", "[parameters hidden]"),  # values SQLAlchemy quotes in its errors
        (r"^DETAIL:  .*$", "DETAIL: hidden"),  # and those of a whole row that PostgreSQL does
        (r"\bAt(?:za|zr|c)\|[^\s\"'&,;<>\\]+", MASK),  # Amazon's access, refresh and other tokens
        (r"\bgAAAA[\w=-]{20,}", MASK),  # what our own encryption makes
        (r"\bamzn1\.oa2-cs\.[\w.-]+", MASK),  # Amazon's client secrets
        (r"(\b(?:bearer|basic)\s+)[\w.~+/|=-]{8,}", rf"\1{MASK}"),
        (rf"(\bauthorization\\?[\"']?\s*[:=]\s*\\?[\"']?)(?!bearer|basic){_VALUE}", rf"\1{MASK}"),
        (r"(://[^\s/:@\"']*:)[^\s/@\"']+(@)", rf"\1{MASK}\2"),
        (rf"({_NAME}\s*=\s*\\?[\"']?){_VALUE}", rf"\1{MASK}"),
        # With a colon only where it cannot be prose ("refused the token: invalid_grant" must stay readable).
        (
            rf"((?:(?<=\w[_-]){_NAME}|passw(?:or)?d|{_NAME}\\?[\"'])\\?[\"']?\s*:\s*\\?[\"']?){_VALUE}",
            rf"\1{MASK}",
        ),
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+", MASK),
    )
)


def redacted_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without anything that looks like a secret, an e-mail address, or is one of `secrets`."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redacted(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return a copy of `value` fit for a log; what stands under a telling name is masked whatever it is.

    Numbers, booleans and None stay, under any name: `n_tokens=3` gives nothing away.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redacted_text(value, secrets)
    if isinstance(value, bytes):
        return MASK
    if isinstance(value, Mapping):
        return {key: _redacted_member(key, member, secrets) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(member, secrets) for member in value]
    return redacted_text(str(value), secrets)


def _redacted_member(name: Any, value: Any, secrets: Iterable[str]) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(str(name)):
        return MASK
    return redacted(value, secrets)
