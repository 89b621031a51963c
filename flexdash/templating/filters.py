"""Times in the viewer's zone, money, and counts, as pages write them."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from flask import g, has_request_context
from flask_login import current_user
from markupsafe import Markup, escape

from flexdash import clock
from flexdash.currencies import decimals_of
from flexdash.services.words import zone_name

NOTHING = "–"
_KEPT = "\N{NO-BREAK SPACE}"


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
    return _time(value, str(here.tzinfo), _words(here, form))


def relative_time(value: datetime | None, empty: str = "never") -> str:
    """Return a `<time>` that says how far `value` is from now ("5 minutes ago"), with the full time as its title."""
    if value is None:
        return escape(empty)
    here = value.astimezone(viewer_zone())
    words = _distance((value - clock.now()).total_seconds()) or _words(here, "day")
    return _time(value, _words(here, "second"), words)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _time(value: datetime, title: str, words: str) -> Markup:
    # Put together here and not by Markup.format: a page has a hundred of them, and that takes five times as long.
    shown = f'<time datetime="{_machine(value)}" title="{escape(title)}">{escape(words)}</time>'
    return Markup(shown)  # noqa: S704 (escaped above)


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


def money(value: Decimal | None, currency: str = "") -> str:
    """Return `value` with every digit it has and its currency: "1,234.50 INR". Nothing is rounded."""
    if value is None:
        return NOTHING
    n_decimals = max(0, -int(value.as_tuple().exponent)) if value.is_finite() else 0
    n_decimals = max(decimals_of(currency), n_decimals)
    return f"{value:,.{n_decimals}f}{_KEPT}{currency}".strip()


def count(value: int | None, noun: str = "", plural: str = "") -> str:
    """Return `value` with its thousands set apart and, when given, the noun in the right number: "1,204 orders"."""
    if value is None:
        return NOTHING
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
