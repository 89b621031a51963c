"""The shipment of an order: its steps at Amazon, ways of shipping, and documents."""

from io import BytesIO

from flask import flash, redirect, request, send_file, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.steps_start import start_steps
from flexdash.models import DocumentKind
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import documents, packing_edit, steps


@blueprint.post("/<int:order_id>/steps")
@requires(Permission.WORK_ORDERS)
def begin_steps(order_id: int) -> Response:
    """Fetch the shipment details of an order that is worked in Amazon's own tool."""
    try:
        steps.begin(current_actor(), order_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("The shipment details are fetched from Amazon.", "success")
        start_steps(order_id)
    return _back(order_id)


@blueprint.post("/<int:order_id>/steps/<int:step_id>/retry")
@requires(Permission.WORK_ORDERS)
def retry_step(order_id: int, step_id: int) -> Response:
    """Try a step again that failed, or that waits for its next try."""
    steps.retry(current_actor(), order_id, step_id)
    flash(f"{number_of(order_id)} is tried again now.", "success")
    start_steps(order_id)
    if request.form.get("back") == "list":
        return redirect(url_for(".to_fix"), 303)
    return _back(order_id)


@blueprint.post("/<int:order_id>/shipping-option")
@requires(Permission.WORK_ORDERS)
def choose_option(order_id: int) -> Response:
    """Choose how Amazon collects a package, before its label is made."""
    package_id = whole(request.form.get("package")) or 0
    try:
        packing_edit.choose_option(current_actor(), order_id, package_id, request.form.get("option", "")[:200])
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("The shipping option is chosen.", "success")
    return _back(order_id)


@blueprint.get("/<int:order_id>/documents/<int:document_id>")
@requires(Permission.WORK_ORDERS)
def document(order_id: int, document_id: int) -> Response:
    """Hand out an invoice or a label; nobody on the way may keep it."""
    try:
        opened = documents.open_document(current_actor(), order_id, document_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return _back(order_id)
    response = send_file(
        BytesIO(opened.content),
        mimetype=opened.content_type,
        as_attachment=True,
        download_name=opened.file_name,
        etag=False,
        conditional=False,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/<int:order_id>/reprint")
@requires(Permission.WORK_ORDERS)
def reprint(order_id: int) -> Response:
    """Have Amazon make the labels, or the invoice, again."""
    kind = DocumentKind.INVOICE if request.form.get("kind") == DocumentKind.INVOICE else DocumentKind.LABEL
    try:
        documents.ask_again(current_actor(), order_id, kind)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash(f"Amazon is asked for the {kind} again. The new one takes the place of the present one.", "success")
        start_steps(order_id)
    return _back(order_id)


def _back(order_id: int) -> Response:
    return redirect(url_for(".detail", order_id=order_id), 303)
