"""The Settings tab of a store: three toggles, each a form of its own."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.models import Store
from flexdash.services import access, store_settings, sync_status
from flexdash.services.actors import Permission
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.errors import FieldRefused
from flexdash.services.store_settings import Toggle

MEANWHILE = 409
ON_WORDS = {
    Toggle.ORDER_SYNC: "New orders arrive by themselves from now on.",
    Toggle.INVENTORY_SYNC: "There is nothing to send until this store has a catalog.",
    Toggle.AUTOMATED_CANCELLATION: "There is nothing to tell Amazon until orders can be cancelled in FlexDash.",
}
OFF_WORDS = {Toggle.ORDER_SYNC: "No new order arrives until it is on again."}


class ToggleForm(FlaskForm):
    """Turns one toggle on or off. `version` is that of the settings when the page was made."""

    version = HiddenField()
    turn_on = HiddenField()  # "1" or ""
    is_confirmed = HiddenField()
    reason = StringField("Reason", render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"})


@blueprint.get("/<int:store_id>/settings")
@requires(Permission.VIEW)
def settings(store_id: int) -> Response | str:
    """Show the toggles: what each does, when it last ran, who set it last."""
    store = access.get(current_actor(), Store, store_id)
    return redirect_draft(store) or _page(store, {})


@blueprint.post("/<int:store_id>/settings")
@requires(Permission.CONFIGURE_STORES)
def change_settings(store_id: int) -> Response | str | tuple[str, int]:
    """Turn one toggle on or off; what stops something is asked first."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    toggle = _submitted()
    form = ToggleForm(prefix=toggle.value)
    turn_on = form.turn_on.data == "1"
    version = whole(form.version.data) or 0
    needs_asking = toggle is Toggle.ORDER_SYNC and not turn_on
    if needs_asking and not form.is_confirmed.data and version == store.settings_version and store.is_order_sync_on:
        return _page(store, {toggle: form}, asking=toggle)
    try:
        store_settings.set_toggle(
            current_actor(), store_id, toggle, turn_on=turn_on, version=version, reason=form.reason.data or ""
        )
    except FieldRefused as refusal:
        form.reason.errors = [refusal.sentence]
        asking = toggle if needs_asking else None
        return _page(access.get(current_actor(), Store, store_id), {toggle: form}, asking=asking), 422
    except ChangedByOther as refusal:
        return _page(access.get(current_actor(), Store, store_id), {toggle: form}, refusal=refusal), MEANWHILE
    words = (ON_WORDS if turn_on else OFF_WORDS).get(toggle, "")
    flash(f"{toggle.label} is {'on' if turn_on else 'off'} for {store.name}. {words}".strip(), "success")
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
) -> str:
    views = store_settings.views(store)
    forms = {}
    for view in views:
        form = typed.get(view.toggle) or ToggleForm(formdata=None, prefix=view.toggle.value)
        # What was typed stays; what the form is about is always the present state.
        form.version.data = str(store.settings_version)
        form.turn_on.data = "" if view.is_on else "1"
        form.is_confirmed.data = "1" if view.toggle is asking else ""
        forms[view.toggle] = form
    return render_template(
        "stores/settings.html",
        store=store,
        tab="settings",
        views=views,
        forms=forms,
        form=next(iter(typed.values()), None),
        syncs={sync.label: sync for sync in sync_status.of(store)},
        asking=next((view for view in views if view.toggle is asking), None),
        refusal=refusal,
    )
