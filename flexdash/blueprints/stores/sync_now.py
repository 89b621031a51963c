"""Sync now: a person does not want to wait for the store's next turn."""

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.sync.starting import start
from flexdash.models import Sync
from flexdash.services import sync_runs
from flexdash.services.actors import Permission


@blueprint.post("/<int:store_id>/sync-now")
@requires(Permission.START_SYNCS)
def sync_now(store_id: int) -> Response:
    """Start a run of the sync that the form names (Order Sync unless it names one) and go to its page."""
    name = request.form.get("sync", Sync.ORDER_PULL.value)
    if name not in set(Sync):
        abort(400)
    return start(
        lambda: sync_runs.request_now(current_actor(), store_id, Sync(name)),
        url_for("stores.overview", store_id=store_id),
    )
