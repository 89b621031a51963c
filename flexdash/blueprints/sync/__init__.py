"""Sync runs: the list, one run, and starting one again."""

from flask import Blueprint

blueprint = Blueprint("sync", __name__, url_prefix="/sync-runs")

from flexdash.blueprints.sync import routes  # noqa: E402, F401 - the routes hang on the blueprint
