"""Orders: the list, one order, and what waits in quarantine."""

from flask import Blueprint

blueprint = Blueprint("orders", __name__, url_prefix="/orders")

from flexdash.blueprints.orders import (  # noqa: E402 - they hang on the blueprint
    batches,  # noqa: F401
    cancelling,  # noqa: F401
    conflicts,  # noqa: F401
    invoices,  # noqa: F401
    packages,  # noqa: F401
    printing,  # noqa: F401
    routes,  # noqa: F401
    saved,  # noqa: F401
    shipment,  # noqa: F401
    to_fix,  # noqa: F401
    working,  # noqa: F401
)
