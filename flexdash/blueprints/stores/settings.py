"""The Settings tab of a store: three toggles, each a form of its own, and the two numbers of the stock rules."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField

from flexdash.blueprints.fields import checked_by, whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.parts import why_none_starts
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.models import Store
from flexdash.services import access, store_settings, sync_status
from flexdash.services.actors import Permission
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.config_log import MAX_REASON_LENGTH, clean_reason
from flexdash.services.errors import FieldRefused
from flexdash.services.inventory import rules
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import cancelling
from flexdash.services.store_settings import NotPreviewed, Toggle

MEANWHILE = 409
REASON_FIELD = {"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"}
NUMBER_FIELD = {"inputmode": "numeric", "autocomplete": "off", "size": "8"}
ON_WORDS = {
    Toggle.ORDER_SYNC: "New orders arrive by themselves from now on.",
    Toggle.INVENTORY_SYNC: "Amazon is told the stock by itself from now on.",
    Toggle.AUTOMATED_CANCELLATION: "Orders that are cancelled in FlexDash from now on are cancelled on Amazon too.",
}
OFF_WORDS = {
    Toggle.ORDER_SYNC: "No new order arrives until it is on again.",
    Toggle.INVENTORY_SYNC: "Amazon keeps showing what it was told last until it is on again.",
    Toggle.AUTOMATED_CANCELLATION: "Orders that are cancelled from now on are cancelled in FlexDash only.",
}


class ToggleForm(FlaskForm):
    """Turns one toggle on or off. `version` is that of the settings when the page was made."""

    version = HiddenField()
    turn_on = HiddenField()  # "1" or ""
    is_confirmed = HiddenField()
    zeros_seen = HiddenField()  # of the preview: how many quantities it said would go to zero
    is_approval = HiddenField()  # "1" where the preview's button says that it lets them
    reason = StringField("Reason", render_kw=REASON_FIELD)


class RulesForm(FlaskForm):
    """The two numbers of the stock rules. `version` is that of the settings when the page was made."""

    version = HiddenField()
    stock_buffer = StringField("Stock buffer", validators=[checked_by(rules.clean_buffer)], render_kw=NUMBER_FIELD)
    zero_brake_percent = StringField(
        "Share that may go to zero without asking, in %",
        validators=[checked_by(rules.clean_percent)],
        render_kw=NUMBER_FIELD,
    )
    reason = StringField("Reason", validators=[checked_by(clean_reason)], render_kw=REASON_FIELD)


@blueprint.get("/<int:store_id>/settings")
@requires(Permission.VIEW)
def settings(store_id: int) -> Response | str:
    """Show the toggles: what each does, when it last ran, who set it last."""
    store = access.get(current_actor(), Store, store_id)
    return redirect_draft(store) or _page(store, {})


@blueprint.post("/<int:store_id>/settings")
@requires(Permission.CONFIGURE_STORES)
def change_settings(store_id: int) -> Response | str | tuple[str, int]:
    """Turn one toggle on or off; off is asked first, for it stops something."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    toggle = _submitted()
    form = ToggleForm(prefix=toggle.value)
    turn_on = form.turn_on.data == "1"
    version = whole(form.version.data) or 0
    needs_asking = not turn_on
    zeros_seen = whole(form.zeros_seen.data)
    if not form.is_confirmed.data and version == store.settings_version and needs_asking and getattr(store, toggle):
        return _page(store, {toggle: form}, asking=toggle)
    try:
        store_settings.set_toggle(
            current_actor(),
            store_id,
            toggle,
            turn_on=turn_on,
            version=version,
            reason=form.reason.data or "",
            zeros_seen=zeros_seen,
            is_approval=form.is_approval.data == "1",
        )
    except NotPreviewed as refusal:
        # What it would change on Amazon is looked at first; it is turned on from there.
        if zeros_seen is not None:
            flash(refusal.sentence, "warning")
        reason = (form.reason.data or "")[:MAX_REASON_LENGTH]
        return redirect(url_for(".inventory_preview", store_id=store_id, reason=reason or None), 303)
    except FieldRefused as refusal:
        form.reason.errors = [refusal.sentence]
        asking = toggle if needs_asking else None
        return _page(access.get(current_actor(), Store, store_id), {toggle: form}, asking=asking), 422
    except ChangedByOther as refusal:
        return _page(access.get(current_actor(), Store, store_id), {toggle: form}, refusal=refusal), MEANWHILE
    words = (ON_WORDS if turn_on else OFF_WORDS).get(toggle, "")
    flash(f"{toggle.label} is {'on' if turn_on else 'off'} for {store.name}. {words}".strip(), "success")
    return redirect(url_for(".settings", store_id=store_id), 303)


@blueprint.post("/<int:store_id>/settings/stock-rules")
@requires(Permission.CONFIGURE_STORES)
def change_stock_rules(store_id: int) -> Response | tuple[str, int]:
    """Set the stock buffer and the share of zeros that a push may send without asking."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    form = RulesForm(prefix="rules")
    if not form.validate():
        return _page(store, {}, rules_form=form), 422
    try:
        rules.set_rules(
            current_actor(),
            store_id,
            stock_buffer=form.stock_buffer.data or "",
            zero_brake_percent=form.zero_brake_percent.data or "",
            version=whole(form.version.data) or 0,
            reason=form.reason.data or "",
        )
    except ChangedByOther as refusal:
        return _page(access.get(current_actor(), Store, store_id), {}, rules_form=form, refusal=refusal), MEANWHILE
    flash("The stock rules are saved. They apply from the next push on.", "success")
    return redirect(url_for(".settings", store_id=store_id), 303)


def _submitted() -> Toggle:
    try:
        return Toggle(request.form.get("toggle", ""))
    except ValueError:
        abort(400)


def _page(
    store: Store,
    typed: dict[Toggle, ToggleForm],
    *,
    asking: Toggle | None = None,
    refusal: ChangedByOther | None = None,
    rules_form: RulesForm | None = None,
) -> str:
    views, syncs = store_settings.views(store), sync_status.of(store)
    forms = {}
    for view in views:
        form = typed.get(view.toggle) or ToggleForm(formdata=None, prefix=view.toggle.value)
        # What was typed stays; what the form is about is always the present state.
        form.version.data = str(store.settings_version)
        form.turn_on.data = "" if view.is_on else "1"
        form.is_confirmed.data = "1" if view.toggle is asking else ""
        forms[view.toggle] = form
    form = next(iter(typed.values()), rules_form)
    if rules_form is None:
        rules_form = RulesForm(formdata=None, prefix="rules", obj=store)
    rules_form.version.data = str(store.settings_version)
    return render_template(
        "stores/settings.html",
        store=store,
        tab="settings",
        views=views,
        forms=forms,
        form=form,
        rules_form=rules_form,
        syncs={sync.label: sync for sync in syncs},
        none_starts=why_none_starts(store, syncs),
        cancelled=cancelling.last_told(store),
        number_of=number_of,
        asking=next((view for view in views if view.toggle is asking), None),
        refusal=refusal,
    )
