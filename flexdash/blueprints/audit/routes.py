"""The pages of the workspace's Configuration Log."""

from flask import Response, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirection

from flexdash.blueprints.audit import blueprint
from flexdash.blueprints.audit.listing import csv_of_log, page_of_log
from flexdash.blueprints.guard import current_actor, requires
from flexdash.services import config_log_verify
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


@blueprint.get("/configuration-log/verify")
@requires(Permission.AUDIT)
def verify() -> str:
    """Show how the latest verification of the chain ended, and what it means."""
    verification = config_log_verify.latest(current_actor().workspace_id)
    return render_template("audit/verify.html", verification=verification)


@blueprint.post("/configuration-log/verify")
@requires(Permission.AUDIT)
def verify_now() -> Redirection:
    """Read the whole chain and keep how that ended."""
    config_log_verify.verify_and_keep(current_actor().workspace_id)
    return redirect(url_for(".verify"), 303)
