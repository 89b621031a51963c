"""The pages of returns."""

from flask import render_template, request

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.returns import blueprint
from flexdash.blueprints.returns.forms import FilterForm
from flexdash.extensions import db, settings
from flexdash.models import AmazonReturn, Store, Sync
from flexdash.services import access, returns
from flexdash.services.actors import Permission
from flexdash.services.order_numbers import number_of


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the returns, newest or oldest first, narrowed by the filters in the URL."""
    actor = current_actor()
    form = FilterForm(request.args, db.session.scalars(access.visible(actor, Store).order_by(Store.name)).all())
    filters = form.filters()
    order = turned([(AmazonReturn.id, "desc")], form.is_oldest_first)
    page = keyset_page(returns.listing(actor, filters), order, request.args)
    return render_template(
        "returns/index.html",
        page=page,
        form=form,
        store_id=filters.store_id,
        is_filtered=filters != returns.ReturnFilters(),
        unreadable=returns.unreadable(actor),
        hub_names=returns.hub_names(page.items),
        status_of=returns.status_of,
        number_of=number_of,
        sync=Sync.RETURN_PULL.value,
        interval_minutes=settings.return_pull_interval_minutes,
    )


@blueprint.get("/<int:return_id>")
@requires(Permission.VIEW)
def detail(return_id: int) -> str:
    """Show one return with all that Amazon tells of it, but for the one-time password, which is not kept."""
    item = returns.load(current_actor(), return_id)
    return render_template(
        "returns/detail.html",
        item=item,
        status=returns.status_of(item.amazon_status),
        type_words=returns.type_words(item),
        delivery_words=returns.delivery_words(item),
        sku_name=returns.sku_name(item),
        hub_names=returns.hub_names([item]),
        number_of=number_of,
    )
