"""The pages of sellers and their SKUs."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.admin import blueprint
from flexdash.blueprints.admin.forms import (
    DeactivateForm,
    FilterForm,
    RenameSellerForm,
    SellerForm,
    SellerSkusForm,
    SellerStoresForm,
)
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.models import Seller, Sku, Store
from flexdash.services import sellers as brands
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError


@blueprint.get("/sellers")
@requires(Permission.MANAGE_PEOPLE)
def sellers() -> str:
    """List the sellers of the workspace."""
    actor, form = current_actor(), FilterForm(request.args)
    query = brands.listing(actor, form.search(), form.is_active())
    order = [(Seller.id, "desc")] if form.is_newest_first() else [(Seller.name, "asc"), (Seller.id, "asc")]
    page = keyset_page(query, order, request.args)
    n_stores = brands.n_stores(actor, [item.id for item in page.items])
    return render_template("admin/sellers.html", page=page, form=form, n_stores=n_stores)


@blueprint.route("/sellers/new", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def add_seller() -> Response | tuple[str, int]:
    """Add a seller."""
    form = SellerForm()
    if form.validate_on_submit():
        try:
            added = brands.add(current_actor(), name=form.name.data)
        except ServiceError as refusal:
            form.refuse(refusal)
        else:
            flash(f"{added.name} is added.", "success")
            return redirect(url_for("admin.seller", seller_id=added.id), code=303)
    return render_template("admin/add_seller.html", form=form), 422 if form.errors else 200


@blueprint.get("/sellers/<int:seller_id>")
@requires(Permission.MANAGE_PEOPLE)
def seller(seller_id: int) -> str:
    """Show a seller with its stores."""
    actor, form = current_actor(), SellerStoresForm(request.args)
    query = brands.stores(actor, seller_id, form.search(), form.chosen_status())
    by_name = turned([(Store.name, "asc"), (Store.id, "asc")], form.is_backwards)
    return render_template(
        "admin/seller.html",
        seller=brands.get(actor, seller_id),
        page=keyset_page(query, [(Store.id, "desc")] if form.is_newest_first() else by_name, request.args),
        form=form,
    )


@blueprint.get("/sellers/<int:seller_id>/skus")
@requires(Permission.MANAGE_PEOPLE)
def seller_skus(seller_id: int) -> str:
    """Show the SKUs of a seller, each with the stores whose catalog has it."""
    actor, form = current_actor(), SellerSkusForm(request.args)
    query = brands.skus(actor, seller_id, form.search())
    page = keyset_page(query, turned([(Sku.sku_code, "asc")], form.is_backwards), request.args)
    return render_template(
        "admin/seller_skus.html",
        seller=brands.get(actor, seller_id),
        page=page,
        listed_in=brands.listed_in(actor, seller_id, [sku.sku_code for sku in page.items]),
        form=form,
    )


@blueprint.route("/sellers/<int:seller_id>/rename", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def rename_seller(seller_id: int) -> Response | tuple[str, int]:
    """Give a seller another name."""
    present = brands.get(current_actor(), seller_id)
    form = RenameSellerForm(data={"name": present.name})
    if form.validate_on_submit():
        try:
            renamed = brands.rename(current_actor(), seller_id, name=form.name.data, reason=form.reason.data or "")
        except ServiceError as refusal:
            form.refuse(refusal)
            present = brands.get(current_actor(), seller_id)
        else:
            flash(f"The seller is called {renamed.name} now.", "success")
            return redirect(url_for("admin.seller", seller_id=seller_id), code=303)
    return render_template("admin/rename_seller.html", form=form, seller=present), 422 if form.errors else 200


@blueprint.route("/sellers/<int:seller_id>/deactivate", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def deactivate_seller(seller_id: int) -> Response | tuple[str, int]:
    """Ask first, naming the stores that go on syncing, then take a seller out of use."""
    actor, form = current_actor(), DeactivateForm()
    present = brands.get(actor, seller_id)
    if form.validate_on_submit():
        try:
            gone = brands.deactivate(actor, seller_id, form.reason.data or "")
        except ServiceError as refusal:
            form.refuse(refusal)
            present = brands.get(actor, seller_id)
        else:
            flash(f"{gone.name} is deactivated.", "success")
            return redirect(url_for("admin.seller", seller_id=seller_id), code=303)
    page = render_template(
        "admin/deactivate_seller.html", form=form, seller=present, stores=brands.syncing_stores(actor, seller_id)
    )
    return page, 422 if form.errors else 200


@blueprint.post("/sellers/<int:seller_id>/reactivate")
@requires(Permission.MANAGE_PEOPLE)
def reactivate_seller(seller_id: int) -> Response:
    """Put a seller to use again."""
    back = brands.reactivate(current_actor(), seller_id)
    flash(f"{back.name} is active again.", "success")
    return redirect(url_for("admin.seller", seller_id=seller_id), code=303)
