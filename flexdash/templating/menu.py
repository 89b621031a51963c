"""The menu, and what the person looking may open."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app, g, request, url_for
from flask_login import current_user
from werkzeug.exceptions import HTTPException

from flexdash.blueprints.guard import current_actor
from flexdash.services.actors import Actor, Permission
from flexdash.services.order_work import counts
from flexdash.services.order_work.counts import WorkCounts


@dataclass(frozen=True)
class Destination:
    """One entry of the menu: shown to those whose role may open the page behind `path`."""

    label: str
    icon: str
    path: str
    also_under: tuple[str, ...] = ()
    count: Callable[[WorkCounts], int] | None = None  # what waits behind it for a person
    only_when_counted: bool = False  # left out while nothing waits

    def reach(self, path: str) -> int:
        """Return how much of `path` this entry accounts for, 0 when the page is not behind it."""
        if self.path == "/":
            return 1 if path == "/" else 0
        roots = (self.path, *self.also_under)
        return max((len(root) for root in roots if path == root or path.startswith(root + "/")), default=0)


MENU: tuple[tuple[str, tuple[Destination, ...]], ...] = (
    (
        "",
        (
            Destination("Home", "home", "/"),
            Destination("Orders", "box", "/orders"),
            Destination("Invoices to do", "log", "/orders/invoices", count=lambda counts: counts.n_invoices),
            Destination(
                "Shipments to fix",
                "tag",
                "/orders/to-fix",
                count=lambda counts: counts.n_to_fix,
                only_when_counted=True,
            ),
            Destination(
                "Conflicts",
                "warning",
                "/orders/conflicts",
                count=lambda counts: counts.n_conflicts,
                only_when_counted=True,
            ),
            Destination("Returns", "return", "/returns"),
            Destination("Stock", "shelf", "/stock"),
            Destination("Uploads", "upload", "/uploads"),
            Destination("Sync runs", "sync", "/sync-runs"),
            Destination("API log", "external", "/api-log"),
            Destination("Help", "help", "/help"),
        ),
    ),
    (
        "Settings",
        (
            Destination("Apps & Integration", "apps", "/apps", ("/stores", "/amazon")),
            Destination("Configuration Log", "log", "/configuration-log"),
        ),
    ),
    (
        "Workspace",
        (
            Destination("Users", "users", "/admin/users"),
            Destination("Sellers", "tag", "/admin/sellers"),
            Destination("Hubs", "warehouse", "/admin/hubs"),
            Destination("Access log", "eye", "/access-log"),
            Destination("Alarm settings", "bell", "/alarms/settings", ("/alarms/messages",)),
        ),
    ),
)


@dataclass(frozen=True)
class MenuEntry:
    label: str
    icon: str
    url: str
    is_here: bool
    count: int = 0


def navigation() -> list[tuple[str, list[MenuEntry]]]:
    """Return the menu for the person looking: groups of (heading, entries), without pages their role may not open.

    A page draws it twice, for wide windows and for phones; it is put together once.
    """
    if "navigation" not in g:
        g.navigation = _navigation()
    return g.navigation


def _navigation() -> list[tuple[str, list[MenuEntry]]]:
    actor, waiting = current_actor(), work_counts()
    here = max((item.reach(request.path) for _, items in MENU for item in items), default=0)
    groups = []
    for heading, destinations in MENU:
        entries = []
        for item in destinations:
            n = item.count(waiting) if item.count else 0
            endpoint = _endpoint_of(item.path)
            if endpoint is None or not _may_open(actor, endpoint) or (item.only_when_counted and not n):
                continue
            is_here = 0 < item.reach(request.path) == here
            entries.append(MenuEntry(item.label, item.icon, url_for(endpoint), is_here, n))
        if entries:
            groups.append((heading, entries))
    return groups


def work_counts() -> WorkCounts:
    """Return what waits for the person looking: for the menu and the bell, counted once for a page."""
    if "work_counts" not in g:
        g.work_counts = counts.of_actor(current_actor())
    return g.work_counts


def may(permission: str) -> bool:
    """Say whether the person looking has the permission of that name, such as "CONNECT_STORES"."""
    return bool(current_user and current_user.is_authenticated and current_actor().may(Permission[permission]))


def may_open(path: str) -> bool:
    """Say whether the person looking may open the page of FlexDash behind `path`, which can have a query."""
    try:
        endpoint = current_app.url_map.bind("localhost").match(path.partition("?")[0], method="GET")[0]
    except HTTPException:
        return False
    return _may_open(current_actor(), endpoint)


def _endpoint_of(path: str) -> str | None:
    known = current_app.extensions.setdefault("flexdash_menu_endpoints", {})
    if path not in known:
        try:
            known[path] = current_app.url_map.bind("localhost").match(path, method="GET")[0]
        except HTTPException:
            known[path] = None
    return known[path]


def _may_open(actor: Actor, endpoint: str) -> bool:
    # The view itself says who may open it (blueprints.guard), so the menu can never promise more or less.
    access = getattr(current_app.view_functions[endpoint], "access", None)
    return actor.may(access) if isinstance(access, Permission) else access is not None
