"""The pages, one package per area. Each package exposes its `blueprint`."""

from importlib import import_module
from pkgutil import iter_modules

from flask import Flask


def register(app: Flask) -> None:
    """Register the blueprint of every package in this folder."""
    for module in iter_modules(__path__):
        if module.ispkg:
            app.register_blueprint(import_module(f"{__name__}.{module.name}").blueprint)
