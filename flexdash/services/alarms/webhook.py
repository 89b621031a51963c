"""Sending one message to a webhook: signed, to the very address that was checked, and never for long.

The signature is `v1=` and the hexadecimal HMAC-SHA256, under the webhook's secret, of the timestamp, a dot, and the
body as sent. A receiver compares it, refuses an old timestamp, and takes each X-FlexDash-Delivery once.
"""

import hashlib
import hmac
import http.client
import json
import secrets
import socket
import ssl
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from flexdash.services.alarms.addresses import Address, places_of
from flexdash.services.alarms.in_time import in_time
from flexdash.services.alarms.refusals import NotDelivered

ANSWER_SECONDS = 10.0
WHOLE_SECONDS = 20.0
_SECRET_PREFIX = "fdwh_"  # noqa: S105 - so that people and scanners recognise one


def new_secret() -> str:
    """Return a new random secret for signatures."""
    return _SECRET_PREFIX + secrets.token_urlsafe(32)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header X-FlexDash-Signature."""
    signed = str(timestamp).encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def post(url: str, secret: str, values: dict[str, Any], private_hosts: Collection[str]) -> None:
    """Send `values` as JSON and be content with any answer of the 200s; raises NotDelivered with what went wrong.

    A redirect is not followed, and nothing of the answer but its number is kept or shown.
    """
    parts = urlsplit(url)
    host, is_https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    places = places_of(host, port, private_hosts)
    body, timestamp = json.dumps(values, separators=(",", ":")).encode(), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "FlexDash-Alarms/1",
        "X-FlexDash-Delivery": values["id"],
        "X-FlexDash-Event": values["event"],
        "X-FlexDash-Timestamp": str(timestamp),
        "X-FlexDash-Signature": signature(secret, timestamp, body),
        "Connection": "close",
    }
    connection = _Pinned(host, port, places[0], is_https)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with in_time(WHOLE_SECONDS, lambda: connection.sock):
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
    except (http.client.HTTPException, OSError) as error:
        raise _refusal(host, error) from error
    finally:
        with suppress(OSError):
            connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(_words_of(host, status))


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, made and verified as the host's own."""

    def __init__(self, host: str, port: int, place: Address, is_https: bool) -> None:
        super().__init__(host, port, timeout=ANSWER_SECONDS)
        self.default_port = 443 if is_https else 80  # so that the Host header names only an unusual port
        self._place, self._is_https = place, is_https

    def connect(self) -> None:
        """Connect to the address that was checked, not to whatever the name leads to now."""
        self.sock = socket.create_connection((str(self._place), self.port), self.timeout)
        if self._is_https:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _words_of(host: str, status: int) -> str:
    if 300 <= status < 400:
        return f"{host} answered {status}, a redirect, which FlexDash does not follow. Give the address it leads to."
    return f"{host} answered {status} instead of a number from 200 to 299."


def _refusal(host: str, error: Exception) -> NotDelivered:
    match error:
        case ssl.SSLError():
            return NotDelivered(f"The certificate of {host} could not be verified, so nothing was sent.")
        case TimeoutError():
            return NotDelivered(f"{host} did not answer in time.")
        case http.client.HTTPException():
            return NotDelivered(f"{host} did not answer as a web server does.")
        case _:
            return NotDelivered(f"{host} could not be reached.")
