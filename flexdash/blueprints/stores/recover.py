"""Recover: a person asks for orders by days or by Amazon's ids, and sees what became of each."""

from flask import Response as FileResponse
from flask import flash, redirect, render_template, request, stream_with_context, url_for
from flask_wtf import FlaskForm
from markupsafe import Markup
from werkzeug.wrappers import Response
from wtforms import SelectField, TextAreaField
from wtforms.validators import Optional

from flexdash import clock
from flexdash.blueprints.fields import DayField, SortMixin, choices, chosen
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.jobs import queues
from flexdash.models import Recovery, RecoveryItem, RecoveryOutcome, Store
from flexdash.services import access, access_log, csv_export, recovery, recovery_outcomes
from flexdash.services.actors import Permission
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.sync_runs import RunInProgress, StoreCannotSync
from flexdash.templating import viewer_zone

RECOVERIES_PER_PAGE = 20
# Outcome: words, the badge's kind and icon.
OUTCOME_WORDS = {
    RecoveryOutcome.IMPORTED: ("Imported", "good", "check"),
    RecoveryOutcome.HERE_ALREADY: ("Here already", "info", "hand"),
    RecoveryOutcome.NOT_IMPORTED: ("Not imported", "warn", "skip"),
    RecoveryOutcome.MISSING: ("Missing", "bad", "danger"),
    RecoveryOutcome.NO_ANSWER: ("No answer", "warn", "warning"),
    None: ("Not looked at yet", "quiet", "clock"),
}
CSV_HEADINGS = ("amazon_id", "outcome", "order", "order_state", "note")


class DaysForm(FlaskForm):
    """Which days to recover, first and last included."""

    first_day = DayField("First day", validators=[Optional()])
    last_day = DayField("Last day", validators=[Optional()])


class IdsForm(FlaskForm):
    """Which of Amazon's ids to recover."""

    ids = TextAreaField("Amazon's shipment or order ids")


class OutcomeForm(FlaskForm):
    """What the list of ids is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    outcome = SelectField(
        "Outcome",
        choices=choices(
            ("", "All ids"), *((outcome.value, words) for outcome, (words, *_) in OUTCOME_WORDS.items() if outcome)
        ),
    )

    def narrowed(self) -> RecoveryOutcome | None:
        """Return the outcome chosen, None for all."""
        return RecoveryOutcome(outcome) if (outcome := chosen(self.outcome)) else None


class HistoryForm(SortMixin, FlaskForm):
    """What the list of recoveries is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    way = SelectField("Asked for", default="", choices=choices(("", "Days or ids"), ("days", "Days"), ("ids", "Ids")))

    def is_by_days(self) -> bool | None:
        """Return whether those by days were chosen, or those by ids; None for both."""
        return {"days": True, "ids": False}.get(chosen(self.way))


@blueprint.get("/<int:store_id>/recover")
@requires(Permission.VIEW)
def recover(store_id: int) -> Response | str:
    """Show the two ways to ask, and what was asked before; `ids` in the URL is put into the field."""
    store = access.get(current_actor(), Store, store_id)
    ids = IdsForm(formdata=None, data={"ids": request.args.get("ids", "")[:100]})
    return redirect_draft(store) or _page(store, DaysForm(formdata=None), ids)


@blueprint.post("/<int:store_id>/recover")
@requires(Permission.START_SYNCS)
def start_recovery(store_id: int) -> Response | tuple[str, int]:
    """Start a recovery by what was given, and lead to its page; what was typed stays when it is refused."""
    actor = current_actor()
    store = access.get(actor, Store, store_id)
    if away := redirect_draft(store):
        return away
    is_by_days = request.form.get("by") == "days"
    days = DaysForm() if is_by_days else DaysForm(formdata=None)
    ids = IdsForm(formdata=None) if is_by_days else IdsForm()
    form = days if is_by_days else ids
    if form.validate():
        try:
            if is_by_days:
                asked = recovery.request_days(actor, store_id, days.first_day.data, days.last_day.data, viewer_zone())
            else:
                asked = recovery.request_ids(actor, store_id, ids.ids.data or "")
        except FieldRefused as refusal:
            form[refusal.field].errors = [refusal.sentence]
        except RunInProgress as refusal:
            form.form_errors.append(_in_progress(store, refusal))
        except StoreCannotSync as refusal:
            form.form_errors.append(refusal.sentence)
        else:
            return lead_to(asked)
    return _page(access.get(actor, Store, store_id), days, ids), 422


@blueprint.get("/<int:store_id>/recover/<int:recovery_id>")
@requires(Permission.VIEW)
def recover_result(store_id: int, recovery_id: int) -> str:
    """Show one recovery: how far it is, its counts, and what became of each id."""
    return render_template("stores/recover_result.html", **_result(store_id, recovery_id))


@blueprint.get("/<int:store_id>/recover/<int:recovery_id>/live")
@requires(Permission.VIEW)
def live_recovery(store_id: int, recovery_id: int) -> str:
    """Give the part of the page that changes while the run is at work; it asks for itself again until the end."""
    return render_template("partials/recovery.html", **_result(store_id, recovery_id))


@blueprint.get("/<int:store_id>/recover/<int:recovery_id>/ids.csv")
@requires(Permission.VIEW)
def export_recovery(store_id: int, recovery_id: int) -> FileResponse:
    """Send every id with what became of it as CSV, while they are read."""
    actor = current_actor()
    recovery.load(actor, store_id, recovery_id)  # 404 before anything is noted
    access_log.exported(actor, f"the ids of recovery {recovery_id}", store=access.get(actor, Store, store_id))
    asked = recovery.load(actor, store_id, recovery_id).recovery
    day = clock.now().astimezone(viewer_zone()).date()
    rows = (
        (
            "" if recovery_outcomes.is_nameless(item.amazon_id) else item.amazon_id,
            OUTCOME_WORDS[item.outcome][0],
            number_of(order.id) if order else "",
            order.state.value if order else "",
            item.sentence,
        )
        for item, order in recovery.rows(asked)
    )
    return FileResponse(
        stream_with_context(csv_export.lines(CSV_HEADINGS, rows)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="recovery-{recovery_id}-{day}.csv"'},
    )


@blueprint.post("/<int:store_id>/recover/<int:recovery_id>/go-on")
@requires(Permission.START_SYNCS)
def go_on_recovering(store_id: int, recovery_id: int) -> Response:
    """Look at what is left of a recovery that ended early, or that Amazon did not answer for."""
    actor = current_actor()
    recovery.load(actor, store_id, recovery_id)
    back = redirect(url_for(".recover_result", store_id=store_id, recovery_id=recovery_id), 303)
    try:
        asked = recovery.go_on(actor, recovery_id)
    except RunInProgress as refusal:
        flash(_in_progress(access.get(actor, Store, store_id), refusal), "warning")
        return back
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return back
    return lead_to(asked)


def lead_to(asked: Recovery) -> Response:
    """Enqueue the run of a recovery that was just made, and lead to its page."""
    address = url_for("stores.recover_result", store_id=asked.store_id, recovery_id=asked.id)
    if asked.run_id is not None and queues.enqueue_run(asked.run_id):
        flash("The search has started. This page shows what becomes of each id.", "success")
    else:
        flash(
            "The search is noted, but the queue is away at the moment. It begins by itself within a minute of the "
            "queue's return; there is nothing you need to do.",
            "warning",
        )
    return redirect(address, 303)


def _in_progress(store: Store, refusal: RunInProgress) -> Markup | str:
    """Return the refusal with a link to the recovery that is under way."""
    under_way = recovery.with_run(current_actor(), refusal.run_id)
    if under_way is None:
        return refusal.sentence
    address = url_for("stores.recover_result", store_id=store.id, recovery_id=under_way.id)
    return Markup(
        'Another recovery of {} is under way, and two never run at once. <a href="{}">See how far it is</a>, and start '
        "this one when it has ended."
    ).format(store.name, address)


def _page(store: Store, days: DaysForm, ids: IdsForm) -> str:
    history = HistoryForm(request.args)
    query = recovery.listing(current_actor(), store.id, is_by_days=history.is_by_days())
    order = turned([(Recovery.id, "desc")], history.is_oldest_first)
    page = keyset_page(query, order, request.args, RECOVERIES_PER_PAGE)
    today = clock.now().astimezone(viewer_zone()).date()
    return render_template(
        "stores/recover.html",
        store=store,
        tab="recover",
        days=days,
        ids=ids,
        form=days if days.errors else ids,
        page=page,
        history=history,
        is_filtered=history.is_by_days() is not None,
        max_ids=recovery.MAX_IDS,
        max_days=recovery.MAX_DAYS,
        today=today,
        zone=viewer_zone().key,
    )


def _result(store_id: int, recovery_id: int) -> dict[str, object]:
    actor = current_actor()
    view = recovery.load(actor, store_id, recovery_id)
    store = access.get(actor, Store, store_id)
    form = OutcomeForm(request.args)
    outcome = form.narrowed()
    return {
        "store": store,
        "tab": "recover",
        "view": view,
        "recovery": view.recovery,
        "run": view.run,
        "form": form,
        "is_filtered": outcome is not None,
        "page": keyset_page(recovery.items(view.recovery, outcome), [(RecoveryItem.id, "asc")], request.args),
        "outcome_words": OUTCOME_WORDS,
        "outcomes": RecoveryOutcome,
        "number_of": number_of,
        "is_nameless": recovery_outcomes.is_nameless,
        "live_url": url_for(
            "stores.live_recovery",
            store_id=store_id,
            recovery_id=recovery_id,
            outcome=outcome.value if outcome else None,
            page=request.args.get("page") or None,
        ),
    }
