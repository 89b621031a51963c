"""The first page of a store: whether it works, and what waits for a person."""

from datetime import timedelta

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from flexdash import clock
from flexdash.blueprints import charts
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders.forms import HOLD_WORDS
from flexdash.blueprints.parts import why_none_starts
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.reconcile import KIND_WORDS
from flexdash.extensions import settings
from flexdash.models import HoldReason, Store, StoreStatus
from flexdash.services import access, countries, reconciliation, store_needs, store_overview, store_summaries
from flexdash.services.actors import Permission
from flexdash.services.dashboard import allowance, figures, push_lag
from flexdash.services.dashboard.scope import Scope
from flexdash.services.inventory import left_behind
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import cancelling
from flexdash.services.store_needs import Need
from flexdash.services.stores import LIVE
from flexdash.templating import viewer_zone


@blueprint.get("/<int:store_id>")
@requires(Permission.VIEW)
def overview(store_id: int) -> Response | str:
    """Show the connection, each sync, the last seven days, what needs a person, and the checklist while it is open."""
    actor = current_actor()
    store = access.get(actor, Store, store_id)
    if store.status is StoreStatus.DRAFT and actor.may(Permission.CONNECT_STORES):
        # A draft has no page yet: its wizard goes on where it was left.
        return redirect(url_for("apps.integrate", store_id=store_id), 303)
    (summary,) = store_summaries.of([store])
    scope, zone = Scope.of_store(store), viewer_zone()
    hours = figures.last_hours(scope, zone)
    uses, is_more_used = allowance.last_hour(scope)
    syncs = [*summary.syncs, *([summary.prices] if summary.prices else [])]
    return render_template(
        "stores/overview.html",
        store=store,
        tab="overview",
        country_name=countries.name_of(store.country_code),
        syncs=syncs,
        none_starts=why_none_starts(store, syncs),
        runs_chart=charts.runs_per_day(store_overview.last_days(store, zone), store.id),
        orders_chart=charts.orders_per_hour(hours),
        calls_chart=charts.calls_per_hour(hours),
        lag_chart=charts.push_lag_of_store(push_lag.of_store(store)),
        uses=uses,
        is_more_used=is_more_used,
        set_up=store_overview.set_up(store),
        left_behind=left_behind.of_store(store.id) if store.status in LIVE else [],
        cancelled=cancelling.last_told(store),
        number_of=number_of,
        summary=summary,
        most_counted=store_needs.MOST_COUNTED,
        unmapped_ids=store_overview.unmapped_ids(store)
        if HoldReason.NO_HUB_MAPPED in dict(summary.counts.held)
        else [],
        differences=reconciliation.counts(store.id) if Need.DIFFERENCES in summary.needs else {},
        hold_words=HOLD_WORDS,
        difference_words=KIND_WORDS,
        first_sync_at=clock.now() + timedelta(minutes=1),
        interval_minutes=settings.order_pull_interval_minutes,
    )
