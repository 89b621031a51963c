"""The list of all stores, the worst first."""

from typing import Any

from flask import render_template, request
from flask_wtf import FlaskForm
from wtforms import SearchField, SelectField

from flexdash.blueprints.fields import choices, chosen
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.blueprints.stores import blueprint
from flexdash.extensions import db
from flexdash.models import Seller
from flexdash.services import access, countries
from flexdash.services.actors import Actor, Permission
from flexdash.services.dashboard import store_list
from flexdash.services.dashboard.store_list import Standing, StoreFilters

STORES_PER_PAGE = 50
BY_NAME = "name"
STANDING_WORDS = {
    Standing.REFUSED: "Needs re-authorization",
    Standing.STALE: "Stale",
    Standing.WAITING: "Waits for its first turn",
    Standing.FRESH: "Fresh",
    Standing.OFF: "No sync turned on",
    Standing.DRAFT: "Not connected yet",
    Standing.DISCONNECTED: "Disconnected",
}


class StoresForm(FlaskForm):
    """What the list of stores is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = SearchField("Store", default="")
    state = SelectField(
        "State",
        default="",
        choices=choices(("", "All states"), *((one.value, words) for one, words in STANDING_WORDS.items())),
    )
    seller = SelectField("Seller", default="")
    country = SelectField("Country", default="")
    sort = SelectField("Order of the list", default="", choices=choices(("", "Worst first"), (BY_NAME, "By name")))

    def __init__(self, args: Any, actor: Actor) -> None:
        super().__init__(args)
        sellers = db.session.scalars(access.visible(actor, Seller).order_by(Seller.name, Seller.id))
        self.seller.choices = choices(("", "All sellers"), *((str(one.id), one.name) for one in sellers))
        found = sorted((countries.name_of(code), code) for code in store_list.country_codes(actor))
        self.country.choices = choices(("", "All countries"), *((code, name) for name, code in found))
        self.validate()

    def filters(self) -> StoreFilters:
        """Return what was chosen; what is none of the choices narrows nothing."""
        return StoreFilters(
            standing=Standing(state) if (state := chosen(self.state)) else None,
            seller_id=int(seller) if (seller := chosen(self.seller)) else None,
            country_code=chosen(self.country),
            text=(self.q.data or "")[:100],
        )


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show all stores, drafts and disconnected ones too, each with how fresh it is in a sentence."""
    actor = current_actor()
    form = StoresForm(request.args, actor)
    filters = form.filters()
    order = store_list.BY_NAME if chosen(form.sort) == BY_NAME else store_list.WORST_FIRST
    page = keyset_page(store_list.listing(actor, filters), order, request.args, STORES_PER_PAGE)
    return render_template(
        "stores/index.html",
        page=page,
        rows=store_list.of([store for store, _, _ in page.items]),
        form=form,
        is_filtered=filters != StoreFilters(),
        may_connect=actor.may(Permission.CONNECT_STORES),
    )
