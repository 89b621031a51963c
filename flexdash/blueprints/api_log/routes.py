"""The pages of the API log."""

from flask import render_template, request
from sqlalchemy import func
from sqlalchemy.orm import joinedload

from flexdash.blueprints.api_log import blueprint
from flexdash.blueprints.api_log.forms import FilterForm
from flexdash.blueprints.api_log.words import OUTCOME_MEANINGS, OUTCOME_WORDS
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import Page, keyset_page, sifted_page, turned
from flexdash.extensions import db
from flexdash.models import ApiCall, Store
from flexdash.services import access, api_log
from flexdash.services.actors import Permission
from flexdash.services.order_numbers import number_of
from flexdash.templating import viewer_zone

NEWEST_FIRST = [(ApiCall.started_at, "desc"), (ApiCall.id, "desc")]
# The same order in words that no index has: SQLite would rather walk the index of all calls than sort a few.
SORTED = [func.coalesce(ApiCall.started_at, ApiCall.started_at), ApiCall.id]
LOOKED_AT = (1_000, 9_000)  # calls per page that are asked how they ended: the first, then more


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the calls to Amazon, newest or oldest first, narrowed by the filters in the URL."""
    actor = current_actor()
    form = FilterForm(request.args, list(db.session.scalars(access.visible(actor, Store).order_by(Store.name))))
    filters = form.filters(viewer_zone())
    page, is_looking = _page(api_log.listing(actor, filters), is_oldest_first=form.is_oldest_first)
    return render_template(
        "api_log/index.html",
        page=page,
        is_looking=is_looking,
        n_looked_at=sum(LOOKED_AT),
        form=form,
        is_filtered=filters != api_log.CallFilters(),
        outcome_words=OUTCOME_WORDS,
        n_days=api_log.kept_for().days,
    )


@blueprint.get("/<int:call_id>")
@requires(Permission.VIEW)
def detail(call_id: int) -> str:
    """Show one call: what was asked, how it ended, and of a failed one what Amazon answered, redacted."""
    found = api_log.load(current_actor(), call_id)
    return render_template(
        "api_log/detail.html",
        found=found,
        call=found.call,
        store=found.call.store,
        outcome_words=OUTCOME_WORDS,
        meaning=OUTCOME_MEANINGS.get(found.call.outcome, ""),
        number_of=number_of,
    )


def _page(listing: api_log.CallListing, *, is_oldest_first: bool) -> tuple[Page, bool]:
    """Return the page of calls, and whether there is more to look through beyond it."""
    order, with_store = turned(NEWEST_FIRST, is_oldest_first), joinedload(ApiCall.store)
    if listing.sift is None:
        index = SORTED if listing.is_by_name else None
        return keyset_page(listing.found.options(with_store), order, request.args, index=index), False
    return sifted_page(listing.found, listing.sift, order, request.args, windows=LOOKED_AT, load=[with_store])
