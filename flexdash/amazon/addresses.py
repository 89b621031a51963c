"""Which addresses FlexDash goes to that an answer of Amazon's names: for a label, a document, a report.

Such an address does not come from our country table, so it is looked at first: https and a real host name, or the very
loopback host that FlexDash was configured with (the sandbox).
"""

import ipaddress

import httpx

from flexdash.amazon.errors import UntrustedAddress

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_MAX_HOST, _MAX_LABEL = 253, 63  # RFC 1035: a longer name has no address


def trusted(address: str, api_url: str, operation: str = "") -> httpx.URL:
    """Return `address` when FlexDash may go there; raise UntrustedAddress, which never holds the address, when not."""
    try:
        url, own = httpx.URL(address), httpx.URL(api_url)
        is_https = url.scheme == "https" and url.port in (None, 443) and _is_host_name(url.host)
        is_sandbox = url.host in _LOOPBACK and own.host in _LOOPBACK and _place(url) == _place(own)
        if (is_https or is_sandbox) and not url.userinfo:
            return url
    except (httpx.InvalidURL, TypeError, ValueError):  # not to be read as an address, or its host as a name
        pass
    raise UntrustedAddress(
        "Amazon's answer names an address for a document that is no https address of a host on the internet, so "
        "FlexDash did not go there",
        operation=operation,
    )


def _place(url: httpx.URL) -> tuple[str, int | None]:
    return url.scheme, url.port


def _is_host_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    if len(labels) < 2 or len(host) > _MAX_HOST or not all(0 < len(label) <= _MAX_LABEL for label in labels):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host.endswith((".local", ".internal", ".localhost"))
    return False
