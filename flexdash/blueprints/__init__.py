"""The pages, one package per area. Each package exposes its `blueprint`."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flask import Flask, abort, request
from werkzeug.routing import IntegerConverter, Map

from flexdash.blueprints.paging import LARGEST_INTEGER


class IdConverter(IntegerConverter):
    """What `<int:…>` in an address takes; a number that can be nobody's id matches no page."""

    def __init__(self, map: Map, *args: Any, **options: Any) -> None:
        super().__init__(map, *args, **{"max": LARGEST_INTEGER, **options})


def register(app: Flask) -> None:
    """Register the blueprint of every package in this folder."""
    app.url_map.converters["int"] = IdConverter
    app.before_request(_refuse_unstorable)
    for module in iter_modules(__path__):
        if module.ispkg:
            app.register_blueprint(import_module(f"{__name__}.{module.name}").blueprint)


def _refuse_unstorable() -> None:
    """Answer 400 to a NUL in a query or a form: no page sends one, and PostgreSQL takes none in a text."""
    if any("\0" in value for values in (request.args, request.form) for _, value in values.items(multi=True)):
        abort(400)
