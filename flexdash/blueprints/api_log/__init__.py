"""The API log: every call to Amazon, and one call whole."""

from flask import Blueprint

blueprint = Blueprint("api_log", __name__, url_prefix="/api-log")

from flexdash.blueprints.api_log import routes  # noqa: E402, F401 - the routes hang on the blueprint
