"""Where to go after the sign-in: only ever to a page of this FlexDash."""

from urllib.parse import urlsplit

from flask import request

MAX_LENGTH = 2000


def is_own_page(target: str) -> bool:
    """Say whether `target` is a path of this site and nothing a browser could take for another one.

    Browsers drop tabs and line ends from an address and read a backslash as a slash, so `/\\evil.example` and
    `/<tab>/evil.example` would leave; whatever holds one of them is refused.
    """
    if not target.startswith("/") or target.startswith("//") or len(target) > MAX_LENGTH:
        return False
    if "\\" in target or not target.isprintable():
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def page_to_return_to() -> str | None:
    """Return the path that was asked for, when it can be opened again by a link; None otherwise."""
    methods = request.url_rule.methods if request.url_rule else None
    if not methods or "GET" not in methods:
        return None
    query = request.query_string.decode("utf-8", "replace")
    target = request.path + (f"?{query}" if query and request.method in {"GET", "HEAD"} else "")
    return target if target != "/" and is_own_page(target) else None
