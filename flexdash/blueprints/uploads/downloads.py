"""Files to take along: refused rows, and templates."""

from collections.abc import Iterator

from flask import Response, abort, request, stream_with_context

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.uploads import blueprint
from flexdash.models import Seller, Store, UploadKind
from flexdash.services import access, access_log, csv_export
from flexdash.services.actors import Permission
from flexdash.services.uploads import downloads, history


@blueprint.get("/<int:upload_id>/refused.csv")
@requires(Permission.VIEW)
def refused(upload_id: int) -> Response:
    """Send the rows that were refused, each with its number, its reason and its cells."""
    upload = history.load(current_actor(), upload_id)
    access_log.exported(current_actor(), f"the refused rows of upload {upload_id}", store=upload.store)
    headings, rows = downloads.refused(upload)
    return _csv(f"refused-rows-of-upload-{upload_id}", csv_export.lines(headings, rows))


@blueprint.get("/templates/<kind>.csv")
@requires(Permission.VIEW)
def template(kind: str) -> Response:
    """Send a file with the names of the columns, and with rows to fill in where a store or a seller is named."""
    if kind not in set(UploadKind):
        abort(404)
    actor, store, seller = current_actor(), None, None
    if (store_id := whole(request.args.get("store"))) is not None:
        store = access.get(actor, Store, store_id)
    if (seller_id := whole(request.args.get("seller"))) is not None:
        seller = access.get(actor, Seller, seller_id)
    of_kind = UploadKind(kind)
    headings, rows = downloads.template_headings(of_kind), downloads.template_rows(of_kind, store, seller)
    # Without rows no cell has an apostrophe of ours, and those that people type are theirs.
    lines = csv_export.lines_to_upload if store or seller else csv_export.lines
    return _csv(f"{kind}-template", lines(headings, rows))


def _csv(name: str, lines: Iterator[str]) -> Response:
    return Response(
        stream_with_context(lines),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )
