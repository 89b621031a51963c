"""Pagination tokens: opaque and signed; they carry where the next page starts and which arguments it belongs to."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from amazon_sandbox.world.errors import invalid_input
from amazon_sandbox.world.shelf import Key


@dataclass(frozen=True)
class Place:
    """Where a page starts: after the key `beyond`, having passed `n_passed` shipments on `page` pages."""

    beyond: Key | None = None
    n_passed: int = 0
    page: int = 0


class PageTokens:
    """Makes and reads tokens with a key of its own."""

    def __init__(self, key: bytes):
        self._key = key

    def make(self, place: Place, arguments: tuple) -> str:
        """A token for the page that starts at `place`, good only with the same arguments."""
        told = [place.beyond, place.n_passed, place.page, _digest(arguments)]
        body = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
        return f"{body}.{self._sign(body)}"

    def read(self, token: str, arguments: tuple, name: str = "paginationToken") -> Place:
        """The place a token stands for; `name` is the parameter's. ApiError 400 for a foreign token, or other arguments
        than before."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            raise invalid_input(f"{name} is not valid.")
        beyond, n_passed, page, digest = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if digest != _digest(arguments):
            raise invalid_input(f"{name} must come with the same arguments as the call that produced it.")
        return Place(tuple(beyond) if beyond else None, n_passed, page)

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()[:24]


def _digest(arguments: tuple) -> str:
    return hashlib.sha256(repr(arguments).encode()).hexdigest()[:16]
