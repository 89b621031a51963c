"""Stock: hubs and SKUs, each with its ledger, and changing it by hand."""

from flask import Blueprint

blueprint = Blueprint("stock", __name__, url_prefix="/stock")

from flexdash.blueprints.stock import level, routes  # noqa: E402, F401 - the routes hang on the blueprint
