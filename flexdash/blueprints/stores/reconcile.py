"""Reconcile: what a store and Amazon have otherwise, and what a person can do about it."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField

from flexdash.blueprints.fields import SortMixin, choices, chosen, whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.blueprints.stores.recover import lead_to
from flexdash.blueprints.sync.starting import start
from flexdash.extensions import settings
from flexdash.models import Difference, DifferenceKind, Store, Sync
from flexdash.services import access, reconciliation, recovery, sync_runs
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.inventory import left_behind
from flexdash.services.order_numbers import number_of

# Kind: words for one and for many, and what it means.
KIND_WORDS = {
    DifferenceKind.MISSING_HERE: (
        "order missing here",
        "orders missing here",
        "Amazon has it to be worked or just shipped, and no order of it is here.",
    ),
    DifferenceKind.MISSING_THERE: (
        "order missing on Amazon",
        "orders missing on Amazon",
        "An open order here that Amazon does not know.",
    ),
    DifferenceKind.STATE_DIFFERS: (
        "state that differs",
        "states that differ",
        "The order and its shipment on Amazon contradict each other.",
    ),
    DifferenceKind.STOCK_DIFFERS: (
        "stock that differs",
        "stocks that differ",
        "Amazon sells another quantity than it accepted last.",
    ),
}
OPEN, CLOSED = "", "closed"


class FilterForm(SortMixin, FlaskForm):
    """What the list of differences is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    kind = SelectField(
        "Kind",
        choices=choices(
            ("", "All kinds"),
            *((kind.value, many[:1].upper() + many[1:]) for kind, (_, many, _) in KIND_WORDS.items()),
        ),
    )
    show = SelectField("Show", choices=choices((OPEN, "Open ones"), (CLOSED, "Closed ones")))

    def narrowed(self) -> DifferenceKind | None:
        """Return the kind chosen, None for all."""
        return DifferenceKind(kind) if (kind := chosen(self.kind)) else None


@blueprint.get("/<int:store_id>/reconcile")
@requires(Permission.VIEW)
def reconcile(store_id: int) -> Response | str:
    """Show what differs, newest first, narrowed by the filters in the URL, and when it was compared."""
    actor = current_actor()
    store = access.get(actor, Store, store_id)
    if away := redirect_draft(store):
        return away
    form = FilterForm(request.args)
    kind, is_closed = form.narrowed(), chosen(form.show) == CLOSED
    query = reconciliation.listing(actor, store_id, kind, is_closed=is_closed)
    return render_template(
        "stores/reconcile.html",
        store=store,
        tab="reconcile",
        form=form,
        kind=kind,
        is_closed=is_closed,
        page=keyset_page(query, turned([(Difference.id, "desc")], form.is_oldest_first), request.args),
        counts=reconciliation.counts(store_id),
        standing=reconciliation.standing(store),
        left_behind=left_behind.of_store(store_id),
        kinds=DifferenceKind,
        kind_words=KIND_WORDS,
        recoverable=reconciliation.RECOVERABLE,
        number_of=number_of,
        interval_hours=settings.reconcile_interval_hours,
    )


@blueprint.post("/<int:store_id>/reconcile")
@requires(Permission.START_SYNCS)
def start_reconciliation(store_id: int) -> Response:
    """Compare the store with Amazon now, and lead to the run's page."""
    return start(
        lambda: sync_runs.request_now(current_actor(), store_id, Sync.RECONCILE),
        url_for(".reconcile", store_id=store_id),
    )


@blueprint.post("/<int:store_id>/reconcile/recover")
@requires(Permission.START_SYNCS)
def recover_differences(store_id: int) -> Response:
    """Recover one difference, or all open ones of a kind, and lead to the recovery's page."""
    actor = current_actor()
    access.get(actor, Store, store_id)
    difference_id, kind = whole(request.form.get("difference")), request.form.get("kind", "")
    if difference_id is None and kind not in reconciliation.RECOVERABLE:
        abort(400)
    try:
        asked = reconciliation.recover(
            actor,
            store_id,
            difference_id=difference_id,
            kind=None if difference_id is not None else DifferenceKind(kind),
        )
    except sync_runs.RunInProgress as refusal:
        flash(refusal.sentence, "warning")
        if under_way := recovery.with_run(actor, refusal.run_id):
            address = url_for(".recover_result", store_id=store_id, recovery_id=under_way.id)
            return redirect(address, 303)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        return lead_to(asked)
    return redirect(url_for(".reconcile", store_id=store_id, kind=kind or None), 303)


@blueprint.post("/<int:store_id>/reconcile/<int:difference_id>/close")
@requires(Permission.WORK_ORDERS)
def close_difference(store_id: int, difference_id: int) -> Response:
    """Close one difference; it stays closed while it stays as it is."""
    try:
        closed = reconciliation.close(current_actor(), store_id, difference_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash(f"{closed.subject} is closed. It comes back if it changes and differs still.", "success")
    kind = request.form.get("kind") or None
    return redirect(url_for(".reconcile", store_id=store_id, kind=kind), 303)
