"""One SKU in one hub: its numbers, its ledger, the orders that reserve it, and changing it by hand."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash import limits
from flexdash.blueprints.evidence import send as send_pack
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.blueprints.stock import blueprint
from flexdash.blueprints.stock.forms import ChangeForm
from flexdash.blueprints.stock.released import AT_MOST, released_words
from flexdash.models import StockCause, StockLevel, StockMovement
from flexdash.services import evidence, order_holds, stock, stock_queries
from flexdash.services.actors import Permission
from flexdash.services.errors import ChangedMeanwhile, ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.stock import Way

MEANWHILE = 409
CAUSE_WORDS = {
    StockCause.UPLOAD: "Upload",
    StockCause.EDIT: "Changed by hand",
    StockCause.RESERVATION: "Reserved for an order",
    StockCause.RELEASE: "Released by an order",
    StockCause.SHIPMENT: "Shipped",
    StockCause.CORRECTION: "Corrected after a count",
}


@blueprint.get("/<int:level_id>")
@requires(Permission.VIEW)
def detail(level_id: int) -> str:
    """Show one SKU in one hub, the ledger newest first."""
    level = stock_queries.get(current_actor(), level_id)
    return _level_page(level, ChangeForm(formdata=None))


@blueprint.get("/<int:level_id>/evidence.zip")
@requires(Permission.VIEW)
@limits.lookups
def stock_evidence(level_id: int) -> Response:
    """Send everything that is kept of the SKU in its seller's stores, for a case with Amazon."""
    actor = current_actor()
    return send_pack(evidence.stock_pack(actor, level_id), level=stock_queries.get(actor, level_id))


@blueprint.post("/<int:level_id>")
@requires(Permission.MANAGE_STOCK)
def change(level_id: int) -> Response | tuple[str, int]:
    """Change what is on hand; then let go the orders that waited for it."""
    actor = current_actor()
    stock_queries.get(actor, level_id)  # 404 before anything is said about the form
    form, status = ChangeForm(), 422
    if form.validate_on_submit():
        seen = whole(form.seen.data)
        try:
            changed = stock.change(
                actor,
                level_id,
                Way(form.way.data),
                form.quantity.data or "",
                seen=-1 if seen is None else seen,
                note=form.note.data or "",
            )
        except ChangedMeanwhile as refusal:
            form.refuse(refusal)
            status = MEANWHILE
        except ServiceError as refusal:
            form.refuse(refusal)
        else:
            code, on_hand = changed.sku_code, changed.on_hand
            n_released = len(order_holds.release_for_seller(changed.seller_id, sku_code=code, at_most=AT_MOST))
            flash(f"{code} has {on_hand:,} on hand now.{released_words(n_released)}", "success")
            return redirect(url_for(".detail", level_id=level_id), 303)
    return _level_page(stock_queries.get(actor, level_id), form), status


def _level_page(level: StockLevel, form: ChangeForm) -> str:
    form.seen.data = str(level.on_hand)
    return render_template(
        "stock/detail.html",
        level=level,
        known=stock_queries.known([level])[level.id],
        form=form if current_actor().may(Permission.MANAGE_STOCK) else None,
        page=keyset_page(stock_queries.ledger(level), [(StockMovement.id, "desc")], request.args),
        reserving=stock_queries.reserving(level),
        max_orders=stock_queries.MAX_ORDERS,
        number_of=number_of,
        cause_words=CAUSE_WORDS,
    )
