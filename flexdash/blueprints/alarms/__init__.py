"""Alarms: what is wrong now and was, who takes care of it, and who is told of it."""

from flask import Blueprint

blueprint = Blueprint("alarms", __name__, url_prefix="/alarms")

from flexdash.blueprints.alarms import routes, settings  # noqa: E402, F401 - the routes hang on the blueprint
