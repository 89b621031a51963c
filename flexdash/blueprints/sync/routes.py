"""The pages of sync runs."""

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from flexdash.blueprints import left_out
from flexdash.blueprints.api_log.words import OUTCOME_WORDS as CALL_WORDS
from flexdash.blueprints.fields import BACKWARDS, chosen
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.sync import blueprint
from flexdash.blueprints.sync.forms import TRIGGER_WORDS, FilterForm, ItemsForm, OutcomesForm
from flexdash.blueprints.sync.starting import start
from flexdash.blueprints.sync.words import (
    ATTEMPT_WORDS,
    FATE_WORDS,
    OUTCOME_WORDS,
    brief_of,
    duration_words,
    figures_of,
)
from flexdash.extensions import db
from flexdash.models import ApiCall, ItemFate, RunSheet, RunState, Store, Sync, SyncRun, SyncRunItem
from flexdash.services import (
    access,
    api_log,
    prices,
    quarantine,
    recovery,
    run_retries,
    run_search,
    run_sheets,
    sync_runs,
)
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import run_retry
from flexdash.services.syncs import FACTS
from flexdash.templating import viewer_zone

LIVE = (RunState.QUEUED, RunState.RUNNING)
CALLS_PER_PAGE = 25
ITEMS_SHOWN = 10
SHEETS_PER_PAGE = 3  # of a hundred items at most
ITEM_ORDER = [(SyncRunItem.outcome, "asc"), (SyncRunItem.id, "asc")]
ITEMS_BY_SKU = [(SyncRunItem.sku_code, "asc"), (SyncRunItem.id, "asc")]


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
        brief_of=brief_of,
        is_after_its_turn=sync_runs.is_after_its_turn,
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


@blueprint.get("/<int:run_id>/items")
@requires(Permission.VIEW)
def items(run_id: int) -> str:
    """Show all that one run left out and all that Amazon refused, or what of it begins with a SKU."""
    run = sync_runs.load(current_actor(), run_id).run
    form = ItemsForm(request.args)
    text, sort = (form.q.data or "")[:100], chosen(form.sort)
    order = turned(ITEMS_BY_SKU, sort == BACKWARDS) if sort else ITEM_ORDER
    return render_template(
        "sync/items.html",
        run=run,
        store=run.store,
        label=FACTS[run.sync].label,
        form=form,
        text=text,
        page=keyset_page(sync_runs.items_of(run, text), order, request.args),
        page_of=left_out.pages_of(run.store),
        outcome_words=OUTCOME_WORDS,
    )


@blueprint.get("/<int:run_id>/outcomes")
@requires(Permission.VIEW)
def outcomes(run_id: int) -> str:
    """Show what became of each item of one run, all or those that ended in one way."""
    actor = current_actor()
    run = sync_runs.load(actor, run_id).run
    fate = request.args.get("fate", "")
    only = ItemFate(fate) if fate in list(ItemFate) else None
    form = OutcomesForm(request.args)
    order, way = turned([(RunSheet.id, "asc")], form.is_newest_first), -1 if form.is_newest_first else 1
    page = keyset_page(run_sheets.of_run(run, only), order, request.args, SHEETS_PER_PAGE)
    rows = [(item, sheet.made_at) for sheet in page.items for item in run_sheets.items_of(sheet)[::way]]
    return render_template(
        "sync/outcomes.html",
        run=run,
        store=run.store,
        label=FACTS[run.sync].label,
        page=page,
        rows=rows,
        form=form,
        chosen=only,
        n_by_fate=run_sheets.n_by_fate(run),
        places=run_search.places_of(actor, run, {item.name for item, _ in rows}),
        fate_words=FATE_WORDS,
        n_days=api_log.kept_for().days,
    )


@blueprint.get("/<int:run_id>/search")
@requires(Permission.VIEW)
def search(run_id: int) -> str:
    """Show what one run did with an order, a return or a SKU."""
    actor = current_actor()
    run = sync_runs.load(actor, run_id).run
    text = request.args.get("q", "").strip()[: run_search.MAX_TEXT]
    found = run_search.search(actor, run, text) if text else None
    kept = [kept.item.name for kept in found.kept] if found else []
    return render_template(
        "sync/search.html",
        run=run,
        store=run.store,
        label=FACTS[run.sync].label,
        text=text,
        found=found,
        places=run_search.places_of(actor, run, kept),
        fate_words=FATE_WORDS,
        outcome_words=OUTCOME_WORDS,
        call_words=CALL_WORDS,
        number_of=number_of,
    )


@blueprint.post("/<int:run_id>/again")
@requires(Permission.START_SYNCS)
def again(run_id: int) -> Response:
    """Start a run like this one."""
    return start(
        lambda: sync_runs.request_again(current_actor(), run_id),
        url_for(".detail", run_id=run_id),
    )


@blueprint.post("/<int:run_id>/retry")
@requires(Permission.START_SYNCS)
def retry(run_id: int) -> Response:
    """Take up what failed in a run, and nothing else: in a run of its own, or with the next one, as the sync has it."""
    actor = current_actor()
    run = access.get(actor, SyncRun, run_id)
    offered, back_url = run_retries.offer(run), url_for(".detail", run_id=run_id)
    if offered is not None and not actor.may(offered.permission):
        abort(403)
    try:
        if run.sync is Sync.PRICE_PUSH:
            n_prices = prices.send_some_again(actor, run.store_id, run_retries.refused_skus(actor, run_id))
            what = "1 price waits" if n_prices == 1 else f"{n_prices:,} prices wait"
            flash(f"{what} for the next price push, which starts within a minute.", "success")
            return redirect(back_url, 303)
        if run.sync is Sync.ORDER_STEPS:
            run_retry.retry_refused(actor, run_id)
            return start(lambda: sync_runs.request_now(actor, run.store_id, Sync.ORDER_STEPS), back_url)
        return start(lambda: run_retries.request_retry(actor, run_id), back_url)
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
        return redirect(back_url, 303)


def _facts(run_id: int) -> dict[str, object]:
    actor = current_actor()
    loaded = sync_runs.load(actor, run_id)
    run = loaded.run
    calls = keyset_page(sync_runs.calls_of(run), [(ApiCall.id, "asc")], request.args, CALLS_PER_PAGE)
    offered = run_retries.offer(run)
    return {
        "run": run,
        "detail": loaded,
        "gone_sentence": quarantine.GONE,
        "store": run.store,
        "label": FACTS[run.sync].label,
        "run_figures": figures_of(run),
        "is_live": run.state in LIVE,
        "is_after_its_turn": sync_runs.is_after_its_turn(run),
        "calls": calls,
        "call_words": CALL_WORDS,
        "items": keyset_page(sync_runs.items_of(run), ITEM_ORDER, MultiDict(), ITEMS_SHOWN),
        "page_of": left_out.pages_of(run.store),
        "n_left_out": sync_runs.n_left_out(run),
        "outcome_words": OUTCOME_WORDS,
        "live_url": url_for("sync.live", run_id=run.id, page=request.args.get("page") or None),
        "n_by_fate": run_sheets.n_by_fate(run),
        "fate_words": FATE_WORDS,
        "retry": offered,
        "may_retry": offered is not None and actor.may(offered.permission),
        "duration": duration_words(loaded.duration),
        "duration_of": duration_words,
        "trigger_words": TRIGGER_WORDS,
        "attempt_words": ATTEMPT_WORDS,
        "number_of": number_of,
        "may_run_again": not FACTS[run.sync].asked_on,
        "result": _result_of(run),
    }


def _result_of(run: SyncRun) -> tuple[str, str] | None:
    """Return words and address of the page that shows what a run found, where it has one of its own."""
    if run.sync is Sync.RECONCILE:
        return "See what differs", url_for("stores.reconcile", store_id=run.store_id)
    if run.sync is Sync.ORDER_RECOVERY and (asked := recovery.with_run(current_actor(), run.id)):
        address = url_for("stores.recover_result", store_id=run.store_id, recovery_id=asked.id)
        return "See what became of each id", address
    return None
