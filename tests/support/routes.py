"""Every route of the app, as something a test can open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule


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
