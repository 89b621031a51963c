"""What every template can use: filters for times, money and counts, and what a page's frame needs to know."""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import redis
from flask import Flask, current_app, g, has_request_context, request, url_for
from flask_login import current_user
from markupsafe import Markup, escape
from werkzeug.exceptions import HTTPException

from flexdash import clock
from flexdash.blueprints.guard import current_actor
from flexdash.services import countries
from flexdash.services.actors import Actor, Permission

NOTHING = "–"
_KEPT = "\N{NO-BREAK SPACE}"
_REDIS_ANSWER_SECONDS = 0.3
_REDIS_BELIEVED_SECONDS = 5.0
_CURRENCIES_WITHOUT_DECIMALS = {"JPY", "KRW", "CLP", "VND"}


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


def init_app(app: Flask) -> None:
    """Give the templates of `app` their filters and globals."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        local_time=local_time,
        relative_time=relative_time,
        money=money,
        count=count,
        label_cells=label_cells,
        country_name=countries.name_of,
    )
    app.jinja_env.globals.update(
        navigation=navigation, may=may, redis_is_away=redis_is_away, viewer_zone=viewer_zone, now=clock.now
    )
    settings = app.config["SETTINGS"]
    app.extensions["flexdash_redis_watch"] = RedisWatch(settings.redis_url)


# Times ----------------------------------------------------------------------------------------------------------------


def viewer_zone() -> ZoneInfo:
    """Return the time zone of the person looking: their own, else the workspace's, else UTC."""
    if not has_request_context():
        return ZoneInfo("UTC")
    if "viewer_zone" not in g:
        name = None
        if current_user and current_user.is_authenticated:
            name = current_user.time_zone or current_user.workspace.time_zone
        g.viewer_zone = _zone(name or "UTC")
    return g.viewer_zone


def local_time(value: datetime | None, form: str = "minute", zone: str | None = None, empty: str = NOTHING) -> str:
    """Return a `<time>` of `value` (aware) in the viewer's zone, or `zone`, with the zone named.

    `form`: "minute" (23 Nov 2026, 18:05 IST), "second", "day" (23 Nov 2026) or "clock" (18:05 IST).
    """
    if value is None:
        return escape(empty)
    here = value.astimezone(_zone(zone) if zone else viewer_zone())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(_machine(value), here.tzinfo, _words(here, form))


def relative_time(value: datetime | None, empty: str = "never") -> str:
    """Return a `<time>` that says how far `value` is from now ("5 minutes ago"), with the full time as its title."""
    if value is None:
        return escape(empty)
    here = value.astimezone(viewer_zone())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _machine(value), _words(here, "second"), _distance((value - clock.now()).total_seconds()) or _words(here, "day")
    )


def zone_name(moment: datetime) -> str:
    """Return what people call the zone of `moment` then: its letters, or UTC and the offset where it has none."""
    letters = moment.tzname() or ""
    if re.fullmatch(r"[A-Z]{2,5}", letters):
        return letters
    offset = moment.strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:5]}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _machine(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _words(here: datetime, form: str) -> str:
    # Where there is little room, the line breaks between day and time and nowhere else.
    day = f"{here.day}{_KEPT}{here:%b}{_KEPT}{here:%Y}"
    if form == "day":
        return day
    clock_time = f"{here:%H:%M:%S}" if form == "second" else f"{here:%H:%M}"
    if form == "clock":
        return f"{clock_time}{_KEPT}{zone_name(here)}"
    return f"{day}, {clock_time}{_KEPT}{zone_name(here)}"


def _distance(seconds: float) -> str | None:
    size = abs(seconds)
    if size < 45:
        return "just now" if seconds <= 0 else "in a moment"
    for unit_seconds, unit, limit in ((60, "minute", 3600), (3600, "hour", 86_400), (86_400, "day", 30 * 86_400)):
        if size < limit - unit_seconds / 2:
            words = count(max(1, round(size / unit_seconds)), unit)
            return f"{words} ago" if seconds < 0 else f"in {words}"
    return None


# Figures --------------------------------------------------------------------------------------------------------------


def money(value: Decimal | None, currency: str = "") -> str:
    """Return `value` with every digit it has and its currency: "1,234.50 INR". Nothing is rounded."""
    if value is None:
        return NOTHING
    n_decimals = max(0, -int(value.as_tuple().exponent)) if value.is_finite() else 0
    if currency not in _CURRENCIES_WITHOUT_DECIMALS:
        n_decimals = max(2, n_decimals)
    return f"{value:,.{n_decimals}f}{_KEPT}{currency}".strip()


def count(value: int | None, noun: str = "", plural: str = "") -> str:
    """Return `value` with its thousands set apart and, when given, the noun in the right number: "1,204 orders"."""
    if value is None:
        return NOTHING
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


# Tables ---------------------------------------------------------------------------------------------------------------

_ROW_OR_CELL = re.compile(r"<(tr|td|th)\b([^>]*)>|</(?:td|th)>")
_COLSPAN = re.compile(r'\bcolspan="(\d+)"')
_ROLES = {"tr": "row", "td": "cell", "th": "rowheader"}


def label_cells(rows: str, headings: Sequence[str | tuple[str, str]]) -> str:
    """Return the table `rows` with each cell carrying its column's heading as `data-label`.

    On a phone the rows become cards and the labels stand before the values, which a `div` holds together; the roles
    keep it a table for those who hear it, because a changed `display` would take that away.
    """
    labels = [heading if isinstance(heading, str) else heading[0] for heading in headings]
    position = 0

    def _label(match: re.Match[str]) -> str:
        nonlocal position
        tag, attributes = match.groups()
        if tag is None:
            return f"</div>{match.group()}"
        role = "" if "role=" in attributes else f' role="{_ROLES[tag]}"'
        if tag == "tr":
            position = 0
            return f"<tr{attributes}{role}>"
        span = _COLSPAN.search(attributes)
        label = labels[position] if position < len(labels) and not span else ""
        position += int(span.group(1)) if span else 1
        return f'<{tag}{attributes}{role} data-label="{escape(label)}"><div class="cell">'

    return Markup(_ROW_OR_CELL.sub(_label, rows))  # noqa: S704 (the rows were escaped when they were rendered)


# The frame of a page --------------------------------------------------------------------------------------------------


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


class RedisWatch:
    """Knows whether Redis answers, asking at most every few seconds and never waiting long: pages must still read."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=_REDIS_ANSWER_SECONDS, socket_connect_timeout=_REDIS_ANSWER_SECONDS, retry=None
        )
        self._lock = threading.Lock()
        self._is_away = False
        self._asked_at = float("-inf")

    def is_away(self) -> bool:
        """Return True when Redis did not answer the last time it was asked."""
        if time.monotonic() - self._asked_at < _REDIS_BELIEVED_SECONDS or not self._lock.acquire(blocking=False):
            return self._is_away
        try:
            self._is_away = not self._answers()
            self._asked_at = time.monotonic()
            return self._is_away
        finally:
            self._lock.release()

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False


def redis_is_away() -> bool:
    """Say whether the banner about Redis belongs on the page."""
    return current_app.extensions["flexdash_redis_watch"].is_away()
