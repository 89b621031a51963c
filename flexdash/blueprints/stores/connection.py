"""Renewing and ending a store's connection to Amazon, and its name."""

from flask import flash, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from flexdash.blueprints.apps.wizard import session_id
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.stores import blueprint
from flexdash.models import Store, StoreStatus
from flexdash.security_headers import allow_form_target
from flexdash.services import access, connecting, countries, disconnecting, store_health, stores
from flexdash.services.actors import Permission
from flexdash.services.errors import ChangedMeanwhile, FieldRefused

blueprint.add_app_template_global(store_health.of, "store_health")
blueprint.add_app_template_global(store_health.days_left, "authorization_days_left")
blueprint.add_app_template_global(store_health.is_ending, "authorization_is_ending")


class ReconnectForm(FlaskForm):
    """Nothing to fill in."""


class DisconnectForm(FlaskForm):
    """Why, if the person wants to say."""

    reason = StringField("Reason", validators=[Length(max=300, message="Use %(max)d characters at most.")])


class RenameForm(FlaskForm):
    """The store's name, and why if the person wants to say."""

    name = StringField(
        "Store name",
        validators=[
            InputRequired("Give the store a name, for example the city of its warehouse."),
            Length(max=stores.MAX_NAME_LENGTH, message="Use %(max)d characters at most."),
        ],
    )
    reason = StringField("Reason", validators=[Length(max=300, message="Use %(max)d characters at most.")])


@blueprint.route("/<int:store_id>/reconnect", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def reconnect(store_id: int) -> Response | str | tuple[str, int]:
    """Say what a new authorization keeps and changes; then send the browser to Amazon."""
    store = access.get(current_actor(), Store, store_id)
    if store.status is StoreStatus.DRAFT:
        return redirect(url_for("apps.integrate", store_id=store_id), 303)
    allow_form_target(connecting.consent_origin(store))
    form = ReconnectForm()
    if form.validate_on_submit():
        try:
            return redirect(connecting.begin(current_actor(), session_id(), store_id), 303)
        except FieldRefused as refusal:
            flash(f"{refusal.sentence} Rename this store, then connect it again.", "error")
            return redirect(url_for(".rename", store_id=store_id), 303)
    page = render_template(
        "stores/reconnect.html",
        form=form,
        store=store,
        tab="overview",
        country_name=countries.name_of(store.country_code),
    )
    return page, 422 if form.errors else 200


@blueprint.route("/<int:store_id>/disconnect", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def disconnect(store_id: int) -> Response | str | tuple[str, int]:
    """Ask, saying what happens; then disconnect."""
    store = access.get(current_actor(), Store, store_id)
    if store.status not in stores.LIVE:
        flash(f"{store.name or 'This store'} is not connected, so there is nothing to disconnect.", "info")
        return redirect(url_for(".overview", store_id=store_id), 303)
    form = DisconnectForm()
    if form.validate_on_submit():
        try:
            disconnecting.disconnect(current_actor(), store_id, form.reason.data or "")
        except FieldRefused as refusal:
            form.reason.errors = [*form.reason.errors, refusal.sentence]
        except ChangedMeanwhile as refusal:
            flash(refusal.sentence, "info")
            return redirect(url_for(".overview", store_id=store_id), 303)
        else:
            flash(f"{store.name} is disconnected from Amazon. Its orders, settings and mappings are kept.", "success")
            return redirect(url_for(".overview", store_id=store_id), 303)
    page = render_template("stores/disconnect.html", form=form, store=store, tab="overview")
    return page, 422 if form.errors else 200


@blueprint.route("/<int:store_id>/rename", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def rename(store_id: int) -> Response | str | tuple[str, int]:
    """Give the store another name."""
    store = access.get(current_actor(), Store, store_id)
    if store.status is StoreStatus.DRAFT:
        return redirect(url_for("apps.name", store_id=store_id), 303)
    form = RenameForm(name=store.name)
    if form.validate_on_submit():
        try:
            stores.rename(current_actor(), store_id, form.name.data, form.reason.data or "")
        except FieldRefused as refusal:
            field = form.reason if refusal.field == "reason" else form.name
            field.errors = [*field.errors, refusal.sentence]
        else:
            flash(f"The store is named {store.name} now.", "success")
            return redirect(url_for(".overview", store_id=store_id), 303)
    page = render_template("stores/rename.html", form=form, store=store, tab="overview")
    return page, 422 if form.errors else 200
