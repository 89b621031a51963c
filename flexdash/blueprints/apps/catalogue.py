"""The page of all apps, and the one of Amazon Seller Flex."""

from dataclasses import dataclass

from flask import abort, render_template, request
from flask_wtf import FlaskForm
from wtforms import SelectField

from flexdash.blueprints.apps import blueprint
from flexdash.blueprints.fields import choices, chosen, whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import db
from flexdash.models import Seller
from flexdash.services import access, countries, seller_stores
from flexdash.services.actors import Actor, Permission

STORES_PER_PAGE = 50


@dataclass(frozen=True)
class App:
    """One app a seller can connect. `words` are what the search finds it by, beside its name and summary."""

    endpoint: str
    name: str
    summary: str
    words: str

    def is_found_by(self, text: str) -> bool:
        """Say whether every word of `text` is in what is known of the app."""
        known = f"{self.name} {self.summary} {self.words}".casefold()
        return all(word in known for word in text.casefold().split())


SECTIONS: tuple[tuple[str, tuple[App, ...]], ...] = (
    (
        "Marketplace",
        (
            App(
                "apps.seller_flex",
                "Amazon Seller Flex",
                "Orders that Amazon sells and your own warehouses ship: fetched, routed to a hub and acknowledged.",
                "sales channel external fulfillment fulfilment fba onsite",
            ),
        ),
    ),
)


SORTS = {
    "": ("Connected ones first, by name", seller_stores.LIVE_FIRST),
    "ending": ("Authorization ends first", seller_stores.ENDING_FIRST),
    "newest": ("Newest first", seller_stores.NEWEST_FIRST),
}


class StoresForm(FlaskForm):
    """The order of a seller's stores; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    sort = SelectField(
        "Order of the list", default="", choices=choices(*((sort, words) for sort, (words, _) in SORTS.items()))
    )


@blueprint.get("/apps")
@requires(Permission.VIEW)
def index() -> str:
    """Show the apps by section for the seller chosen in the URL, found by `q`."""
    actor = current_actor()
    sellers = visible_sellers(actor)
    seller = chosen_seller(actor, sellers)
    search = request.args.get("q", "").strip()
    sections = [(name, [app for app in apps if app.is_found_by(search)]) for name, apps in SECTIONS]
    summary = seller_stores.summary(actor, seller.id) if seller else None
    return render_template(
        "apps/index.html",
        sellers=sellers,
        seller=seller,
        search=search,
        sections=[(name, apps) for name, apps in sections if apps],
        summary=summary,
    )


@blueprint.get("/apps/amazon-seller-flex")
@requires(Permission.VIEW)
def seller_flex() -> str:
    """Show the chosen seller's stores, drafts too, and what is needed before another is added."""
    actor = current_actor()
    sellers = visible_sellers(actor)
    seller = chosen_seller(actor, sellers)
    form = StoresForm(request.args)
    page, rows = None, []
    if seller:
        _, order = SORTS[chosen(form.sort)]
        page = keyset_page(seller_stores.listing(actor, seller.id), order, request.args, STORES_PER_PAGE)
        shown = [store for store, *_ in page.items]
        healths = seller_stores.healths(shown)
        rows = [(store, countries.name_of(store.country_code), healths[store.id]) for store in shown]
    return render_template(
        "apps/seller_flex.html",
        sellers=sellers,
        seller=seller,
        summary=seller_stores.summary(actor, seller.id) if seller else None,
        form=form,
        page=page,
        rows=rows,
    )


def visible_sellers(actor: Actor) -> list[Seller]:
    """Return the active sellers the actor may see, by name."""
    return list(db.session.scalars(access.visible(actor, Seller).where(Seller.is_active).order_by(Seller.name)))


def chosen_seller(actor: Actor, sellers: list[Seller]) -> Seller | None:
    """Return the seller named in the URL, or the only one there is; None while the person has to choose.

    A seller that does not exist, or that the actor may not see, answers 404.
    """
    wanted = request.args.get("seller", "")
    if not wanted:
        return sellers[0] if len(sellers) == 1 else None
    seller_id = whole(wanted)
    if seller_id is None:
        abort(404)
    return access.get(actor, Seller, seller_id)
