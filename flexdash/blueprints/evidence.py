"""Sending an evidence pack; which one, and who may have it, says the page it is asked for on."""

from flask import Response

from flexdash.blueprints.guard import current_actor
from flexdash.models import Listing, Order, StockLevel
from flexdash.services import access_log
from flexdash.services.evidence import Pack


def send(
    pack: Pack, *, order: Order | None = None, listing: Listing | None = None, level: StockLevel | None = None
) -> Response:
    """Return the pack as a file to keep; the access log keeps who took it, and leads to what it is of."""
    access_log.exported(current_actor(), pack.what, order=order, listing=listing, level=level)
    return Response(
        pack.content,
        mimetype="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{pack.file_name}"', "Cache-Control": "no-store"},
    )
