"""The pages of one store. Every module of routes in this package hangs its views on `blueprint`."""

from importlib import import_module
from pkgutil import iter_modules

from flask import Blueprint

blueprint = Blueprint("stores", __name__, url_prefix="/stores")

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
