"""What the workspace's log page and a store's log tab share: the page of rows and the file for download."""

from collections.abc import Iterable
from typing import Any

from flask import Response, request, stream_with_context

from flexdash import clock
from flexdash.blueprints.audit.forms import FilterForm
from flexdash.blueprints.guard import current_actor
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.models import Store
from flexdash.services import access_log, config_log_queries, config_log_verify, csv_export
from flexdash.templating import viewer_zone


def page_of_log(store_id: int | None = None) -> dict[str, Any]:
    """Return what the template `audit/_log.html` shows: the filters of the URL, and the page they let through."""
    actor = current_actor()
    form = FilterForm(request.args, actor, store_id)
    filters = form.filters()
    query = config_log_queries.events(actor, filters, viewer_zone())
    return {
        "form": form,
        "page": keyset_page(query, turned(config_log_queries.NEWEST_FIRST, form.is_oldest_first), request.args),
        "changes_of": lambda event: config_log_queries.changes(event, viewer_zone()),
        "at_most": csv_export.AT_MOST,
        "verification": config_log_verify.latest(actor.workspace_id),
        "csv_arguments": {name: value for name, value in request.args.items() if name != "page" and value},
    }


def csv_of_log(name: str, store: Store | None = None) -> Response:
    """Return the rows that the URL's filters let through as a CSV file, sent while they are read."""
    actor = current_actor()
    form = FilterForm(request.args, actor, store.id if store else None)
    access_log.exported(actor, "the Configuration Log", store=store)
    rows = config_log_queries.export_rows(actor, form.filters(), viewer_zone(), is_oldest_first=form.is_oldest_first)
    return csv_with_end(name, config_log_queries.EXPORT_HEADINGS, rows)


def csv_with_end(name: str, headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> Response:
    """Return the rows as a CSV file whose last line says whether it is whole; the day stands in its name."""
    day = clock.now().astimezone(viewer_zone()).date()
    return Response(
        stream_with_context(csv_export.lines_with_end(headings, rows)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}-{day}.csv"'},
    )
