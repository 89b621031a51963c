"""The dashboard: what the role of the person needs to see first, then the rest."""

from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import joinedload

from flexdash.blueprints import charts
from flexdash.blueprints.guard import current_actor, signed_in
from flexdash.blueprints.orders.forms import HOLD_WORDS
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import db
from flexdash.models import Role, Seller, Store
from flexdash.services import access, config_log_queries, store_needs, store_summaries, waiting_uploads
from flexdash.services.actors import Actor
from flexdash.services.dashboard import allowance, figures, freshness, people, push_lag, store_list, work
from flexdash.services.dashboard.scope import Scope
from flexdash.templating import viewer_zone, work_counts

blueprint = Blueprint("home", __name__)

STORES_PER_PAGE = 12
STORES_IN_SHORT = 5
CHANGES_SHOWN = 6


@blueprint.get("/")
@signed_in
def index() -> str:
    """Show the dashboard of the person's role; while there is no store yet, how to begin.

    Merchants see orders and what is to be done with them, then their stores. Support sees how fresh every store is,
    worst first. Admins see all of that in short, then what was changed lately and who works here.
    """
    actor = current_actor()
    first = list(db.session.scalars(access.visible(actor, Store).limit(1)))
    if not first:
        sellers = access.visible(actor, Seller).where(Seller.is_active).limit(2)
        return render_template(
            "home/index.html",
            has_stores=False,
            uploads=waiting_uploads.of(actor),
            sellers=list(db.session.scalars(sellers)),
            most_counted=store_needs.MOST_COUNTED,
        )
    parts: dict[str, Any] = {"uploads": waiting_uploads.of(actor)}
    if actor.role is not Role.SUPPORT:
        parts["work"] = work.of(actor, work_counts())
    parts |= _stores_by_name(actor) if actor.role is Role.MERCHANT else _stores_worst_first(actor)
    if actor.role is Role.ADMIN:
        parts |= {"changes": _recent_changes(actor), "people": people.of(actor)}
    return render_template(
        "home/index.html",
        has_stores=True,
        hold_words=HOLD_WORDS,
        most_counted=store_needs.MOST_COUNTED,
        **parts,
        **_charts(actor),
    )


def _stores_by_name(actor: Actor) -> dict[str, Any]:
    stores = access.visible(actor, Store).options(joinedload(Store.seller))
    page = keyset_page(stores, [(Store.name, "asc"), (Store.id, "asc")], request.args, STORES_PER_PAGE)
    summaries = store_summaries.of(page.items)
    return {
        "page": page,
        "summaries": summaries,
        "n_in_need": sum(bool(summary.needs) for summary in summaries),
        "n_stores": store_list.n_stores(actor),
    }


def _stores_worst_first(actor: Actor) -> dict[str, Any]:
    size = STORES_IN_SHORT if actor.role is Role.ADMIN else STORES_PER_PAGE
    page = keyset_page(freshness.expected(actor), freshness.WORST_FIRST, request.args, size)
    refused, unscheduled, at_rest = freshness.refused(actor), freshness.unscheduled(actor), freshness.at_rest(actor)
    first_refused, first_unscheduled = refused[: freshness.SHOWN_APART], unscheduled[: freshness.SHOWN_APART]
    resting = at_rest[: freshness.SHOWN_APART]  # what they need a person for does not go away with their syncs
    stores = [one.store for one in (*first_refused, *page.items, *resting)]
    summaries = {summary.store.id: summary for summary in store_summaries.of([*stores, *first_unscheduled])}
    syncs = {store_id: summary.syncs for store_id, summary in summaries.items()}
    shown = [
        *first_refused,
        *freshness.of_unscheduled(first_unscheduled, syncs),
        *freshness.of_each(page.items, syncs),
    ]
    left_out = [len(found) > freshness.SHOWN_APART for found in (refused, unscheduled)]
    return {
        "page": page,
        "fresh": shown,
        "summaries": summaries,
        "n_in_need": sum(bool(summary.needs) for summary in summaries.values()),
        "n_left_out": sum(left_out),
        "at_rest": resting,
        "is_more_at_rest": len(at_rest) > len(resting),
        "shown_apart": freshness.SHOWN_APART,
        "n_stores": store_list.n_stores(actor),
    }


def _recent_changes(actor: Actor) -> list[Any]:
    events = config_log_queries.events(actor, config_log_queries.Filters(), viewer_zone())
    newest = [column.desc() for column, _ in config_log_queries.NEWEST_FIRST]
    return list(db.session.scalars(events.order_by(*newest).limit(CHANGES_SHOWN)))


def _charts(actor: Actor) -> dict[str, Any]:
    scope, zone = Scope.of_actor(actor), viewer_zone()
    hours = figures.last_hours(scope, zone)
    uses, is_more = allowance.last_hour(scope)
    return {
        "orders_chart": charts.orders_per_hour(hours),
        "calls_chart": charts.calls_per_hour(hours),
        "runs_chart": charts.runs_per_day(figures.last_days(scope, zone)),
        "lag_chart": charts.push_lag_by_store(push_lag.by_age(scope)),
        "uses": uses,
        "is_more_used": is_more,
    }
