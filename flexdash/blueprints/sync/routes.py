"""The pages of sync runs."""

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.sync import blueprint
from flexdash.blueprints.sync.forms import TRIGGER_WORDS, FilterForm
from flexdash.blueprints.sync.starting import start
from flexdash.blueprints.sync.words import ATTEMPT_WORDS, duration_words
from flexdash.extensions import db
from flexdash.models import ApiCall, RunState, Store, SyncRun
from flexdash.services import access, orders, sync_runs
from flexdash.services.actors import Permission
from flexdash.services.syncs import FACTS
from flexdash.templating import viewer_zone

LIVE = (RunState.QUEUED, RunState.RUNNING)
CALLS_PER_PAGE = 25


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the runs, newest or oldest first, narrowed by the filters in the URL."""
    actor = current_actor()
    stores = list(db.session.scalars(access.visible(actor, Store).order_by(Store.name)))
    form = FilterForm(request.args, stores)
    filters = form.filters(viewer_zone())
    columns = [(SyncRun.queued_at, "desc"), (SyncRun.id, "desc")] if filters.has_dates else [(SyncRun.id, "desc")]
    return render_template(
        "sync/index.html",
        page=keyset_page(sync_runs.listing(actor, filters), turned(columns, form.is_oldest_first), request.args),
        form=form,
        is_filtered=filters != sync_runs.RunFilters(),
        facts_of=FACTS,
        trigger_words=TRIGGER_WORDS,
        duration=lambda run: duration_words(sync_runs.duration_of(run)),
    )


@blueprint.get("/<int:run_id>")
@requires(Permission.VIEW)
def detail(run_id: int) -> str:
    """Show one run: how it stands, its counts, attempts, calls to Amazon, and what it brought in."""
    return render_template("sync/detail.html", **_facts(run_id))


@blueprint.get("/<int:run_id>/live")
@requires(Permission.VIEW)
def live(run_id: int) -> str:
    """Give the part of the page that changes while the run is at work; it asks for itself again until the end."""
    return render_template("partials/sync_run.html", **_facts(run_id))


@blueprint.post("/<int:run_id>/again")
@requires(Permission.START_SYNCS)
def again(run_id: int) -> Response:
    """Start a run like this one."""
    return start(
        lambda: sync_runs.request_again(current_actor(), run_id),
        url_for(".detail", run_id=run_id),
    )


def _facts(run_id: int) -> dict[str, object]:
    actor = current_actor()
    loaded = sync_runs.load(actor, run_id)
    run = loaded.run
    text = request.args.get("q", "")[:100]
    calls = keyset_page(sync_runs.calls_of(run, text), [(ApiCall.id, "asc")], request.args, CALLS_PER_PAGE)
    return {
        "run": run,
        "detail": loaded,
        "store": run.store,
        "label": FACTS[run.sync].label,
        "is_live": run.state in LIVE,
        "calls": calls,
        "call_text": text,
        "live_url": url_for("sync.live", run_id=run.id, q=text or None, page=request.args.get("page") or None),
        "duration": duration_words(loaded.duration),
        "duration_of": duration_words,
        "trigger_words": TRIGGER_WORDS,
        "attempt_words": ATTEMPT_WORDS,
        "number_of": orders.number_of,
    }
