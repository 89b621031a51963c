"""Uploads: handing a file in, looking at what it would do, applying it, and the history of all."""

from flask import Blueprint

blueprint = Blueprint("uploads", __name__, url_prefix="/uploads")

from flexdash.blueprints.uploads import downloads, receiving, routes  # noqa: E402, F401 - they hang on the blueprint
