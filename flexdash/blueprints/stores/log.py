"""The Configuration Log of one store."""

from flask import Response, render_template

from flexdash.blueprints.audit.listing import csv_of_log, page_of_log
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.stores import blueprint
from flexdash.models import Store
from flexdash.services import access
from flexdash.services.actors import Permission


@blueprint.get("/<int:store_id>/configuration-log")
@requires(Permission.VIEW)
def configuration_log(store_id: int) -> str:
    """List what was changed in the store, newest first, narrowed by the filters in the URL."""
    store = access.get(current_actor(), Store, store_id)
    return render_template(
        "stores/configuration_log.html", store=store, tab="configuration-log", **page_of_log(store.id)
    )


@blueprint.get("/<int:store_id>/configuration-log.csv")
@requires(Permission.VIEW)
def export_log(store_id: int) -> Response:
    """Send the filtered rows of the store as CSV."""
    store = access.get(current_actor(), Store, store_id)
    return csv_of_log(f"configuration-log-store-{store.id}", store)
