"""The home page."""

from flask import Blueprint, render_template, request
from sqlalchemy.orm import joinedload

from flexdash.blueprints.guard import current_actor, signed_in
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import db
from flexdash.models import Seller, Store
from flexdash.services import access, store_summaries

blueprint = Blueprint("home", __name__)

STORES_PER_PAGE = 12


@blueprint.get("/")
@signed_in
def index() -> str:
    """Show each store the person may see: how it is, its syncs, and what needs a person; without one, how to begin."""
    actor = current_actor()
    stores = access.visible(actor, Store).options(joinedload(Store.seller))
    page = keyset_page(stores, [(Store.name, "asc"), (Store.id, "asc")], request.args, STORES_PER_PAGE)
    summaries = store_summaries.of(page.items)
    sellers = access.visible(actor, Seller).where(Seller.is_active).limit(2)
    return render_template(
        "home/index.html",
        page=page,
        summaries=summaries,
        n_in_need=sum(bool(summary.needs) for summary in summaries),
        sellers=[] if summaries else list(db.session.scalars(sellers)),
        most_counted=store_summaries.MOST_COUNTED,
    )
