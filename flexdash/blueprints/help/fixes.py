"""What a diagnosis says to do, as links and buttons: the address of each, and whose role includes it."""

from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app, request, url_for

from flexdash.models import Order
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.diagnosis.checks import Fix, FixKind
from flexdash.services.order_work import invoices

BUTTONS = ("sync",)  # values that travel in the form of a button and not in its address


@dataclass(frozen=True)
class Target:
    """Where a kind of fix leads. `{name}` in the label is what it acts on; `does` is what only some roles may."""

    label: str
    endpoint: str
    does: Permission = Permission.VIEW
    is_button: bool = False  # it is done by a click; else it is a page
    fragment: str = ""


@dataclass(frozen=True)
class Remedy:
    """One fix for the person looking. `url` is None where they may not even open the page; `who` can do it then."""

    label: str
    url: str | None
    is_button: bool = False
    is_outside: bool = False  # a page of Amazon's
    hidden: tuple[tuple[str, str], ...] = ()
    who: str = ""  # "" when the person can do it themselves


TARGETS: dict[FixKind, Target] = {
    FixKind.CONNECT_STORE: Target("Connect a store", "apps.seller_flex", Permission.CONNECT_STORES),
    FixKind.RECONNECT: Target("Reconnect {name}", "stores.reconnect", Permission.CONNECT_STORES),
    FixKind.REAUTHORIZE: Target("Re-authorize {name}", "stores.reconnect", Permission.CONNECT_STORES),
    FixKind.TOGGLES: Target("Open the settings of {name}", "stores.settings", Permission.CONFIGURE_STORES),
    FixKind.LOG_ROW: Target("See that change in the Configuration Log", "audit.detail"),
    FixKind.STOCK_RULES: Target("Open the stock rules of {name}", "stores.settings", Permission.CONFIGURE_STORES),
    FixKind.HUB_MAPPING: Target("Open Hub Mapping", "stores.hub_mapping", Permission.CONFIGURE_STORES),
    FixKind.HUBS: Target("Open Hubs", "admin.hubs", Permission.MANAGE_PEOPLE),
    FixKind.UPLOAD_CATALOG: Target("Upload the catalog of {name}", "uploads.new", Permission.MANAGE_STOCK),
    FixKind.LISTING: Target("Open the listing {name}", "stores.listing"),
    FixKind.PRICE: Target("Set the price of {name}", "stores.edit_price", Permission.MANAGE_STOCK),
    FixKind.SEND_PRICE: Target("Send the price again", "stores.resend_price", Permission.MANAGE_STOCK, is_button=True),
    FixKind.STOCK: Target("Open Stock", "stock.index", Permission.MANAGE_STOCK),
    FixKind.INVENTORY: Target("Open {name} on the Inventory page", "stores.inventory", Permission.START_SYNCS),
    FixKind.ZEROS: Target("Look at the push that waits", "stores.inventory_zeros", Permission.MANAGE_STOCK),
    FixKind.ORDER: Target("Open order {name}", "orders.detail"),
    FixKind.ORDERS: Target("Open the list of orders", "orders.index"),
    FixKind.CANCEL_ORDER: Target("Cancel order {name} …", "orders.cancel", Permission.WORK_ORDERS),
    FixKind.SEND_CANCELLATION: Target("Send now", "orders.send_cancellation", Permission.WORK_ORDERS, is_button=True),
    FixKind.ACKNOWLEDGE: Target("Send it again with the next sync", "orders.acknowledge", Permission.WORK_ORDERS, True),
    FixKind.RETRY_STEP: Target("Retry", "orders.retry_step", Permission.WORK_ORDERS, is_button=True),
    FixKind.PACKAGES: Target("Edit the packages of {name}", "orders.packages", Permission.WORK_ORDERS),
    FixKind.INVOICES: Target("See all invoices to do", "orders.invoices"),
    FixKind.SELLER_CENTRAL: Target("Open it in Seller Central", ""),
    FixKind.QUARANTINE: Target("See the quarantine", "orders.quarantine"),
    FixKind.RUN: Target("Look at the run", "sync.detail"),
    FixKind.SYNC_NOW: Target("Sync now", "stores.sync_now", Permission.START_SYNCS, is_button=True),
    FixKind.RECOVER: Target("Recover it in {name}", "stores.recover", Permission.START_SYNCS),
    FixKind.OTHER_STORE: Target("Look in {name}", ""),
    FixKind.ASK_INSTEAD: Target("Ask about {name}", ""),
    FixKind.ORDER_MISSING: Target("Find out why it is not here", "help.order_missing"),
}


def remedies(actor: Actor, fixes: Iterable[Fix]) -> list[Remedy]:
    """Return `fixes` as the pages offer them to `actor`, in their order."""
    return [_remedy(actor, fix) for fix in fixes]


def _remedy(actor: Actor, fix: Fix) -> Remedy:
    target = TARGETS[fix.kind]
    label = target.label.format(name=fix.name or "the store")
    if fix.kind is FixKind.SELLER_CENTRAL:
        order = access.get(actor, Order, int(str(fix.values["order_id"])))
        return Remedy(label, invoices.address_of(order), is_outside=True)
    if fix.kind is FixKind.OTHER_STORE:
        kept = {name: value for name, value in request.args.items() if name in ("q", "about")}
        return Remedy(label, url_for(str(request.endpoint), store=fix.values["store_id"], **kept))
    if fix.kind is FixKind.ASK_INSTEAD:
        kept = {name: value for name, value in request.args.items() if name in ("about", "store")}
        return Remedy(label, url_for(str(request.endpoint), q=fix.values["q"], **kept))
    may_do = actor.may(target.does)
    who = "" if may_do else _who(target.does)
    if target.is_button and not may_do:
        return Remedy(label, None, who=who)
    endpoint, values = target.endpoint, dict(fix.values)
    if fix.kind is FixKind.UPLOAD_CATALOG:
        values["kind"] = "catalog"
        if not may_do and values.get("store"):  # the upload is not for them, the catalog itself is
            endpoint, values, label = "stores.catalog", {"store_id": values["store"]}, f"Open the catalog of {fix.name}"
    hidden = tuple((name, str(values.pop(name))) for name in BUTTONS if target.is_button and name in values)
    can_open = actor.may(_opened_by(endpoint))
    url = url_for(endpoint, **values) if can_open else None
    return Remedy(label, url, is_button=target.is_button, hidden=hidden, who=who)


def _opened_by(endpoint: str) -> Permission:
    """Return what the page itself asks for, as its view says."""
    access_of_view = getattr(current_app.view_functions[endpoint], "access", Permission.VIEW)
    return access_of_view if isinstance(access_of_view, Permission) else Permission.VIEW


def _who(permission: Permission) -> str:
    return "An admin can do this." if permission is Permission.MANAGE_PEOPLE else "A merchant or an admin can do this."
