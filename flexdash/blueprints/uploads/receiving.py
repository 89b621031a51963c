"""Handing a file in: for what, and the file itself."""

from typing import Any

from flask import current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.utils import redirect

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.uploads import blueprint
from flexdash.blueprints.uploads.forms import FileForm
from flexdash.blueprints.uploads.words import KIND_WORDS, MODE_WORDS
from flexdash.extensions import db, settings
from flexdash.jobs import queues
from flexdash.models import Seller, StockMode, Store, StoreStatus, UploadKind, UploadPlace
from flexdash.request_checks import takes_large_body
from flexdash.services import access
from flexdash.services.actors import Permission
from flexdash.services.errors import FieldRefused
from flexdash.services.uploads import places, receiving
from flexdash.services.uploads.kinds import Target
from flexdash.services.uploads.registry import KINDS

MODE_HINTS = {
    StockMode.SET: "For a count: each row says what lies in the hub now. Hubs and SKUs without a row stay as they are.",
    StockMode.ADD: "For a delivery: each row says what came in on top of what is there.",
}


def _largest_body() -> int:
    return (settings.max_upload_megabytes + 1) * 1024 * 1024  # the other fields of the form lie beside the file


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
@takes_large_body(_largest_body, lambda: receiving.too_large(settings.max_upload_megabytes))
def new() -> ResponseReturnValue:
    """Ask what a file is for, then for the file; keep it and lead to its page."""
    kind = _kind()
    store_id, seller_id = whole(request.args.get("store")), whole(request.args.get("seller"))
    if kind is None or (seller_id if kind is UploadKind.STOCK else store_id) is None:
        return _choose()
    place = receiving.place(current_actor(), kind, store_id=store_id, seller_id=seller_id)
    form = FileForm(kind)
    if request.method == "POST" and form.validate():
        given = request.files.get("file")
        try:
            if given is None or not given.filename:
                raise FieldRefused("file", "Choose the CSV file first.")
            upload_id = receiving.receive(
                current_actor(),
                kind,
                given.filename,
                given.stream,  # type: ignore[arg-type]
                store_id=store_id,
                seller_id=seller_id,
                stock_mode=StockMode(form.stock_mode.data) if form.stock_mode else None,
            )
        except FieldRefused as refusal:
            form.show(refusal)
        else:
            queues.enqueue_upload(upload_id)
            return redirect(url_for(".detail", upload_id=upload_id), 303)
    return _ask(place, form), 422 if form.errors else 200


def _kind() -> UploadKind | None:
    name = request.args.get("kind", "")
    return UploadKind(name) if name in set(UploadKind) else None


def _ask(place: UploadPlace, form: FileForm) -> str:
    target = Target(
        0,
        current_actor().workspace_id,
        place.seller.id,
        place.store.id if place.store else None,
        place.store.currency if place.store else "",
        StockMode.SET if place.kind is UploadKind.STOCK else None,
    )
    where: dict[str, Any] = {"store": place.store.id} if place.store else {"seller": place.seller.id}
    return render_template(
        "uploads/new.html",
        place=place,
        waiting=places.waiting(place),
        form=form,
        columns=KINDS[place.kind].columns(target),
        kind_words=KIND_WORDS,
        mode_hints={mode.value: hint for mode, hint in MODE_HINTS.items()},
        mode_words=MODE_WORDS,
        template_url=url_for(".template", kind=place.kind.value, **where),
        max_megabytes=settings.max_upload_megabytes,
        has_stock_page="stock.index" in current_app.view_functions,
    )


def _choose() -> str:
    actor = current_actor()
    stores = access.visible(actor, Store).where(Store.status != StoreStatus.DRAFT).order_by(Store.name, Store.id)
    sellers = access.visible(actor, Seller).where(Seller.is_active).order_by(Seller.name, Seller.id)
    return render_template(
        "uploads/_choose.html",
        stores=db.session.scalars(stores).all(),
        sellers=db.session.scalars(sellers).all(),
        kind=_kind(),
    )
