"""Addresses on Amazon's side of the authorization: the consent page, and the way back to it in the login-first flow.

https://developer-docs.amazon.com/sp-api/docs/website-authorization-workflow and
https://developer-docs.amazon.com/sp-api/docs/selling-partner-appstore-authorization-workflow
"""

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from flexdash.amazon.countries import COUNTRIES, Country
from flexdash.amazon.errors import UntrustedCallback

_MAX_ADDRESS_LENGTH = 2048

# "com", "com.mx", "in" …: what follows "amazon." in the hosts of the country table, so that nothing else can match;
# and the marketplaces that share sellercentral-europe but whose own Seller Central hosts still answer.
_SUFFIXES = sorted(
    {entry.seller_central_host.split(".amazon.", 1)[1] for entry in COUNTRIES} | {"co.uk", "de", "es", "fr", "it"}
)
_AMAZON_HOST = re.compile(
    r"(?:(?:www|sellercentral(?:-[a-z]{2,20})?)\.)?amazon\.(?:" + "|".join(map(re.escape, _SUFFIXES)) + ")"
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\U0010ffff\\@<>\"^`{|}]")


def consent_url(
    country: Country,
    *,
    application_id: str,
    state: str,
    redirect_uri: str,
    is_draft: bool,
    seller_central_url: str = "",
) -> str:
    """Return the address of Amazon's consent page for sellers of `country`.

    `seller_central_url`, when given, is an origin that stands in for the country's Seller Central (the sandbox).
    """
    origin = (seller_central_url or f"https://{country.seller_central_host}").rstrip("/")
    query = {"application_id": application_id, "state": state, "redirect_uri": redirect_uri}
    return f"{origin}/apps/authorize/consent?{_encoded(query, is_draft)}"


def login_first_target(
    amazon_callback_uri: str,
    amazon_state: str,
    state: str,
    redirect_uri: str,
    is_draft: bool,
    extra_hosts: Iterable[str] = (),
) -> str:
    """Return where to send the browser once a person whom Amazon sent here has signed in.

    `amazon_callback_uri` came with the request, so it is trusted only when it is https, on Amazon's own host, with no
    port and no user name. `extra_hosts` ("host", "host:port" or an origin) are allowed as they are, over http too:
    the sandbox. Raises UntrustedCallback for anything else.
    """
    parts = _trusted(amazon_callback_uri, tuple(extra_hosts))
    ours = {"redirect_uri": redirect_uri, "amazon_state": amazon_state, "state": state}
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in (*ours, "version")
    ]
    query = _encoded([*kept, *ours.items()], is_draft)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _encoded(query: dict[str, str] | list[tuple[str, str]], is_draft: bool) -> str:
    pairs = list(query.items()) if isinstance(query, dict) else query
    if is_draft:
        pairs = [*pairs, ("version", "beta")]
    return urlencode(pairs, quote_via=quote)


def _trusted(address: str, extra_hosts: tuple[str, ...]) -> SplitResult:
    # Backslashes, spaces and control characters are read differently by browsers and by urlsplit; an "@" could hide the
    # true host. None of them occurs in Amazon's addresses, so they are refused before anything is parsed.
    if not address or len(address) > _MAX_ADDRESS_LENGTH or _FORBIDDEN.search(address):
        raise UntrustedCallback("the address Amazon is said to wait at is missing or has characters it must not have")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UntrustedCallback("the address Amazon is said to wait at cannot be read") from error
    if parts.scheme == "https" and _AMAZON_HOST.fullmatch(parts.netloc):
        return parts
    allowed = {_netloc(host) for host in extra_hosts} - {""}
    if parts.scheme in ("http", "https") and parts.netloc in allowed:
        return parts
    raise UntrustedCallback("the address Amazon is said to wait at is not on one of Amazon's hosts")


def _netloc(host: str) -> str:
    return urlsplit(host).netloc if "://" in host else host
