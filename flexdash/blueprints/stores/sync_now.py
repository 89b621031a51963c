"""Sync now: a person does not want to wait for the store's next turn."""

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import present_query
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.sync.starting import start
from flexdash.models import Sync
from flexdash.services import sync_runs
from flexdash.services.actors import Permission

_BACK_TO_INVENTORY = {Sync.INVENTORY_PUSH, Sync.INVENTORY_FETCH}


@blueprint.post("/<int:store_id>/sync-now")
@requires(Permission.START_SYNCS)
def sync_now(store_id: int) -> Response:
    """Start a run of the sync that the form names (Order Sync unless it names one) and go to its page.

    With `full` in the form, an inventory push sends everything.
    """
    name = request.form.get("sync", Sync.ORDER_PULL.value)
    if name not in set(Sync):
        abort(400)
    sync = Sync(name)
    is_full = sync is Sync.INVENTORY_PUSH and bool(request.form.get("full"))
    back_to = ".inventory" if sync in _BACK_TO_INVENTORY else ".overview"
    return start(
        lambda: sync_runs.request_now(current_actor(), store_id, sync, is_full=is_full),
        f"{url_for(back_to, store_id=store_id)}{present_query()}",
    )
