"""What people print: labels of many orders, and the pick list of a hub."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.batches import ticked
from flexdash.blueprints.orders.page import hubs_of
from flexdash.blueprints.orders.saved import list_url
from flexdash.models import Hub
from flexdash.services import access
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import pick_list as pick_lists
from flexdash.services.order_work import printing


@blueprint.post("/labels")
@requires(Permission.WORK_ORDERS)
def labels() -> Response | str:
    """Say for each order that was ticked which labels there are to print."""
    try:
        printables = printing.labels_of(current_actor(), ticked())
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return redirect(list_url(), 303)
    return render_template("orders/labels.html", printables=printables, number_of=number_of)


@blueprint.post("/labels/file")
@requires(Permission.WORK_ORDERS)
def labels_file() -> Response:
    """Give the labels of the orders named, in one file."""
    actor = current_actor()
    try:
        document = printing.one_file(actor, printing.labels_of(actor, ticked()))
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return redirect(url_for(".index"), 303)
    return Response(
        document.content,
        mimetype=document.content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{document.file_name}"',
            "Cache-Control": "no-store",
        },
    )


@blueprint.get("/pick-list")
@requires(Permission.VIEW)
def pick_list() -> str:
    """Show what a hub has to take from its shelves for its new orders, made to be printed."""
    actor = current_actor()
    hub_id = whole(request.args.get("hub"))
    hub = access.get(actor, Hub, hub_id) if hub_id is not None else None
    return render_template(
        "orders/pick_list.html",
        hub=hub,
        hubs=hubs_of(actor),
        found=pick_lists.of_hub(actor, hub.id) if hub else None,
        number_of=number_of,
    )
