"""Sending an evidence pack; which one, and who may have it, says the page it is asked for on."""

from flask import Response

from flexdash.blueprints.guard import current_actor
from flexdash.services import access_log
from flexdash.services.evidence import Pack


def send(pack: Pack) -> Response:
    """Return the pack as a file to keep; the access log keeps who took it."""
    access_log.exported(current_actor(), pack.what)
    return Response(
        pack.content,
        mimetype="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{pack.file_name}"', "Cache-Control": "no-store"},
    )
