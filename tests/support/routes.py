"""Every route of the app, as something a test can open."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from flask import Flask
from werkzeug.exceptions import NotFound
from werkzeug.routing import Rule

# A GET that answers with a file, a part of a page, words for a machine, or the way to a page.
_NO_PAGE = re.compile(
    r".*(\.csv|\.zip|/live)|/healthz|/readyz|/metrics|/amazon/callback"
    r"|/orders/<int:order_id>/documents/<int:document_id>"
)


@dataclass(frozen=True)
class Route:
    """One method of one rule."""

    endpoint: str
    method: str
    rule: str
    arguments: frozenset[str]

    def path(self, values: Mapping[str, int] | None = None) -> str:
        """Return the path with each argument filled in: from `values`, else 1."""
        path = self.rule
        for name in self.arguments:
            for shape in (f"<int:{name}>", f"<{name}>"):
                path = path.replace(shape, str((values or {}).get(name, 1)))
        return path


def all_routes(app: Flask) -> Iterator[Route]:
    """Yield GET and POST of every rule, static files left out."""
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.endswith("static"):
            yield from _methods(rule)


def _methods(rule: Rule) -> Iterator[Route]:
    for method in sorted((rule.methods or set()) & {"GET", "POST"}):
        yield Route(rule.endpoint, method, rule.rule, frozenset(rule.arguments))


def pages_left_out(app: Flask, addresses: Iterable[str]) -> set[str]:
    """Return the rules of all pages that none of `addresses` leads to."""
    adapter = app.url_map.bind("localhost")
    found = {route.rule for route in all_routes(app) if route.method == "GET" and not _NO_PAGE.fullmatch(route.rule)}
    for address in addresses:
        with suppress(NotFound):
            found.discard(adapter.match(address.partition("?")[0], method="GET", return_rule=True)[0].rule)
    return found
