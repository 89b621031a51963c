"""Where a webhook may be sent: public addresses only, so that FlexDash asks no machine inside its own network."""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from flexdash.services.alarms.refusals import NotDelivered
from flexdash.services.words import shortened

LONGEST_URL = 500
_NEVER_PUBLIC = ("localhost", "local", "internal")  # names that end in one of these lead nowhere on the internet
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadAddress(Exception):
    """The address is none a webhook can have; `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def checked_url(url: str, *, is_https_needed: bool, private_hosts: Collection[str]) -> str:
    """Return `url` as it is kept; raises BadAddress. Where its host leads is looked up each time it is used."""
    try:
        parts = urlsplit(url)
        has_good_port = parts.port is None or parts.port > 0
    except ValueError:
        raise BadAddress("This is no web address. Write it like https://hooks.company.example/flexdash.") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_good_port or not is_plain:
        raise BadAddress("This is no web address. Write it like https://hooks.company.example/flexdash.")
    if len(url) > LONGEST_URL:
        raise BadAddress(f"The address has {len(url)} characters; there is room for {LONGEST_URL}.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("Leave user name and password out of the address. FlexDash signs each message instead.")
    if parts.fragment:
        raise BadAddress("Leave out what stands behind the #: a server never sees it.")
    if is_https_needed and parts.scheme != "https":
        raise BadAddress("The address has to begin with https://, so that nobody reads along.")
    if parts.hostname not in private_hosts and not _can_be_public(parts.hostname):
        raise BadAddress(
            f"{shortened(parts.hostname, 60)} lies inside a private network, where FlexDash sends nothing. Give an "
            "address that the internet can reach, or have whoever runs FlexDash name the host in "
            "WEBHOOK_PRIVATE_HOSTS."
        )
    return url


def places_of(host: str, port: int, private_hosts: Collection[str]) -> list[Address]:
    """Return the addresses that `host` has now; raises NotDelivered when it has none, or any that is not public.

    The caller connects to these very addresses: asked a second time, a name could lead elsewhere.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        raise NotDelivered(f"The name {host} cannot be found.") from None
    places = list(dict.fromkeys(ipaddress.ip_address(str(where[4][0]).partition("%")[0]) for where in found))
    if host not in private_hosts and not all(is_public(place) for place in places):
        raise NotDelivered(
            f"{host} leads into a private network, where FlexDash sends nothing. Give an address that the internet can "
            "reach, or have whoever runs FlexDash name the host in WEBHOOK_PRIVATE_HOSTS.",
        )
    return places


def is_public(place: Address) -> bool:
    """Say whether `place` is one that the whole internet shares, whatever it is wrapped in."""
    if isinstance(place, ipaddress.IPv6Address):
        inner = place.ipv4_mapped or place.sixtofour or (place.teredo[1] if place.teredo else None)
        if place in _NAT64:
            inner = ipaddress.IPv4Address(int(place) & 0xFFFF_FFFF)
        if place.is_site_local or (inner is not None and not is_public(inner)):
            return False
    return place.is_global and not place.is_multicast and not place.is_reserved


def _can_be_public(host: str) -> bool:
    """Say whether `host` can lead to the internet, as far as an address or a name says so without being looked up."""
    host = host.removesuffix(".")
    literal = _literal(host)
    if literal is not None:
        return is_public(literal)
    labels = host.split(".")
    return len(labels) > 1 and labels[-1] not in _NEVER_PUBLIC


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1 and 0x7f000001 are addresses to a system, too
    except OSError:
        return None
