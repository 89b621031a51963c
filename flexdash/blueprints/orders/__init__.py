"""Orders: the list, one order, and what waits in quarantine."""

from flask import Blueprint

blueprint = Blueprint("orders", __name__, url_prefix="/orders")

from flexdash.blueprints.orders import routes  # noqa: E402, F401 - the routes hang on the blueprint
