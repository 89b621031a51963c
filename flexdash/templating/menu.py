"""The menu, and what the person looking may open."""

from dataclasses import dataclass

from flask import current_app, request, url_for
from flask_login import current_user
from werkzeug.exceptions import HTTPException

from flexdash.blueprints.guard import current_actor
from flexdash.services.actors import Actor, Permission


@dataclass(frozen=True)
class Destination:
    """One entry of the menu: shown to those whose role may open the page behind `path`."""

    label: str
    icon: str
    path: str
    also_under: tuple[str, ...] = ()

    def is_here(self, path: str) -> bool:
        """Say whether the page at `path` belongs to this entry."""
        if self.path == "/":
            return path == "/"
        return any(path == root or path.startswith(root + "/") for root in (self.path, *self.also_under))


MENU: tuple[tuple[str, tuple[Destination, ...]], ...] = (
    (
        "",
        (
            Destination("Home", "home", "/"),
            Destination("Orders", "box", "/orders"),
            Destination("Sync runs", "sync", "/sync-runs"),
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
        ),
    ),
)


@dataclass(frozen=True)
class MenuEntry:
    label: str
    icon: str
    url: str
    is_here: bool


def navigation() -> list[tuple[str, list[MenuEntry]]]:
    """Return the menu for the person looking: groups of (heading, entries), without pages their role may not open."""
    actor = current_actor()
    groups = []
    for heading, destinations in MENU:
        entries = [
            MenuEntry(item.label, item.icon, url_for(endpoint), item.is_here(request.path))
            for item in destinations
            if (endpoint := _endpoint_of(item.path)) and _may_open(actor, endpoint)
        ]
        if entries:
            groups.append((heading, entries))
    return groups


def may(permission: str) -> bool:
    """Say whether the person looking has the permission of that name, such as "CONNECT_STORES"."""
    return bool(current_user and current_user.is_authenticated and current_actor().may(Permission[permission]))


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
