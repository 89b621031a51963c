"""The pages of the workspace's Configuration Log."""

from flask import Response, render_template

from flexdash.blueprints.audit import blueprint
from flexdash.blueprints.audit.listing import csv_of_log, page_of_log
from flexdash.blueprints.guard import requires
from flexdash.services.actors import Permission


@blueprint.get("/configuration-log")
@requires(Permission.AUDIT)
def configuration_log() -> str:
    """List what was changed in the workspace, newest first, narrowed by the filters in the URL."""
    return render_template("audit/configuration_log.html", **page_of_log())


@blueprint.get("/configuration-log.csv")
@requires(Permission.AUDIT)
def export() -> Response:
    """Send the filtered rows as CSV."""
    return csv_of_log("configuration-log")
