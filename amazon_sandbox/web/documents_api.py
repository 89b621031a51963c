"""The label files that presigned-like addresses open."""

from flask import Blueprint, Response, request

from amazon_sandbox.web.gate import world
from amazon_sandbox.world import documents

blueprint = Blueprint("documents_api", __name__)
DENIED = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>{}</Message></Error>'


@blueprint.get("/labels/<shipment_id>/<package_id>")
def label(shipment_id: str, package_id: str) -> Response:
    """A label file, when the address is signed and not too old; 403 in the store's own XML else."""
    here = world()
    given = (request.args.get("expires", ""), request.args.get("signature", ""))
    record = here.shelf.find(shipment_id)
    if record is None or not here.label_links.is_good(shipment_id, package_id, *given):
        return Response(DENIED.format("Request has expired or is not signed"), 403, mimetype="application/xml")
    kind = here.options.label_format
    content = documents.label(record.shipment(), package_id, kind)
    return Response(content, mimetype=documents.CONTENT_TYPES[kind])
