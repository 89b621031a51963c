"""The access log's page and its file."""

from flask import Response, render_template, request

from flexdash.blueprints.audit import blueprint
from flexdash.blueprints.audit.forms import AccessFilterForm
from flexdash.blueprints.audit.listing import csv_with_end
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.extensions import settings
from flexdash.services import access_log as log
from flexdash.services import access_log_queries, csv_export
from flexdash.services.actors import Permission
from flexdash.templating import viewer_zone


@blueprint.get("/access-log")
@requires(Permission.AUDIT_ACCESS)
def access_log() -> str:
    """List who signed in, whose role changed, who saw buyers and who took data out, newest first."""
    actor = current_actor()
    form = AccessFilterForm(request.args, actor)
    query = access_log_queries.events(actor, form.filters(), viewer_zone())
    page = keyset_page(query, turned(access_log_queries.NEWEST_FIRST, form.is_oldest_first), request.args)
    return render_template(
        "audit/access_log.html",
        form=form,
        page=page,
        listings=access_log_queries.listings_of(page.items),
        csv_arguments={name: value for name, value in request.args.items() if name != "page" and value},
        n_days=settings.access_log_days,
        at_most=csv_export.AT_MOST,
    )


@blueprint.get("/access-log.csv")
@requires(Permission.AUDIT_ACCESS)
def export_access_log() -> Response:
    """Send the filtered rows as CSV; the download is a row of the log itself."""
    actor = current_actor()
    form = AccessFilterForm(request.args, actor)
    log.exported(actor, "the access log")
    rows = access_log_queries.export_rows(actor, form.filters(), viewer_zone(), is_oldest_first=form.is_oldest_first)
    return csv_with_end("access-log", access_log_queries.EXPORT_HEADINGS, rows)
