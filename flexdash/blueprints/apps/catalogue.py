"""The page of all apps, and the one of Amazon Seller Flex."""

from dataclasses import dataclass

from flask import abort, render_template, request

from flexdash.blueprints.apps import blueprint
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.extensions import db
from flexdash.models import Seller, Store, StoreStatus
from flexdash.services import access, countries, store_health, stores, sync_status
from flexdash.services.actors import Actor, Permission


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


@blueprint.get("/apps")
@requires(Permission.VIEW)
def index() -> str:
    """Show the apps by section for the seller chosen in the URL, found by `q`."""
    actor = current_actor()
    sellers = visible_sellers(actor)
    seller = chosen_seller(actor, sellers)
    search = request.args.get("q", "").strip()
    sections = [(name, [app for app in apps if app.is_found_by(search)]) for name, apps in SECTIONS]
    connected = _connected(actor, seller)
    return render_template(
        "apps/index.html",
        sellers=sellers,
        seller=seller,
        search=search,
        sections=[(name, apps) for name, apps in sections if apps],
        n_connected=len(connected),
        worst=store_health.worst([_health(store) for store in connected]),
        ending=[store for store in connected if _needs_banner(store)],
    )


@blueprint.get("/apps/amazon-seller-flex")
@requires(Permission.VIEW)
def seller_flex() -> str:
    """Show the chosen seller's stores, drafts too, and what is needed before another is added."""
    actor = current_actor()
    sellers = visible_sellers(actor)
    seller = chosen_seller(actor, sellers)
    found = stores.list_of_seller(actor, seller.id) if seller else []
    return render_template(
        "apps/seller_flex.html",
        sellers=sellers,
        seller=seller,
        rows=[(store, countries.name_of(store.country_code), _health(store)) for store in found],
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


def _health(store: Store) -> store_health.StoreHealth:
    is_at_work = store.status is StoreStatus.CONNECTED and store.is_order_sync_on
    return store_health.of(store, is_stale=is_at_work and any(sync.is_stale for sync in sync_status.of(store)))


def _needs_banner(store: Store) -> bool:
    return store.status is StoreStatus.NEEDS_REAUTHORIZATION or store_health.is_ending(store)


def _connected(actor: Actor, seller: Seller | None) -> list[Store]:
    if seller is None:
        return []
    absent = {StoreStatus.DRAFT, StoreStatus.DISCONNECTED}
    return [store for store in stores.list_of_seller(actor, seller.id) if store.status not in absent]
