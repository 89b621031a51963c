"""Saved lists of orders: a person's own filters under a name."""

from urllib.parse import parse_qsl

from flask import flash, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from flexdash.blueprints.asking import Question, ask
from flexdash.blueprints.guard import current_actor, signed_in
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.forms import SaveListForm
from flexdash.blueprints.orders.listing import list_page, query_of
from flexdash.services.errors import FieldRefused
from flexdash.services.order_work import saved_filters


def list_url() -> str:
    """Return the address of the list that a form about many of its orders was sent from, with its filters."""
    query = query_of(MultiDict(parse_qsl(request.form.get("list", "")[: saved_filters.MAX_QUERY])))
    return url_for("orders.index") + (f"?{query}" if query else "")


@blueprint.post("/saved")
@signed_in
def save_filter() -> Response | tuple[str, int]:
    """Keep the present filters under a name."""
    form, query = SaveListForm(), query_of(request.form)
    try:
        saved = saved_filters.save(current_actor(), form.name.data or "", query)
    except FieldRefused as refusal:
        form.name.errors = [refusal.sentence]
        return list_page(request.form, save_form=form), 422
    flash(f"The list “{saved.name}” is saved. You find it above the orders.", "success")
    return redirect(url_for(".index") + (f"?{query}" if query else ""), 303)


@blueprint.route("/saved/<int:filter_id>/remove", methods=["GET", "POST"])
@signed_in
def remove_filter(filter_id: int) -> Response | str:
    """Ask, then forget one of the person's own saved lists."""
    if request.method != "POST":
        saved = saved_filters.get(current_actor(), filter_id)
        return ask(
            Question(
                title=f"Remove the saved list “{saved.name}”?",
                effects=(
                    "Its name and filters are forgotten; it stands above the orders no more.",
                    "The orders in it stay as they are.",
                ),
                do_label="Remove the saved list",
                keep_label="Keep it",
                keep_url=f"{url_for('.index')}?{saved.filters}",
                crumbs=[("Home", url_for("home.index")), ("Orders", url_for(".index"))],
            )
        )
    saved_filters.remove(current_actor(), filter_id)
    flash("The saved list is removed. The orders stay.", "success")
    return redirect(url_for(".index"), 303)
