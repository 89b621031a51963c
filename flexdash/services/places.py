"""Names of time zones and countries, from the time zone database that comes with Python's tzdata package."""

from functools import lru_cache
from importlib.resources import files

from flexdash.services.errors import FieldRefused


@lru_cache
def time_zones() -> tuple[str, ...]:
    """Return the zones a person can choose, one or more per country and UTC, sorted by name."""
    names = {line.split("\t")[2] for line in _lines("zone.tab")}
    return ("UTC", *sorted(names))


@lru_cache
def countries() -> dict[str, str]:
    """Return country names by their two-letter ISO 3166 code, sorted by name."""
    pairs = (line.split("\t") for line in _lines("iso3166.tab"))
    return dict(sorted(pairs, key=lambda pair: pair[1]))


def country_name(code: str) -> str:
    """Return the name of the country with `code`, or the code itself when it is not known."""
    return countries().get(code, code)


def check_time_zone(name: str) -> None:
    """Raise FieldRefused for the field `time_zone` unless `name` is one of `time_zones`."""
    if name not in time_zones():
        raise FieldRefused("time_zone", "Choose a time zone of the list, such as Asia/Kolkata.")


def check_country(code: str) -> None:
    """Raise FieldRefused for the field `country_code` unless `code` is one of `countries`."""
    if code not in countries():
        raise FieldRefused("country_code", "Choose a country of the list.")


def _lines(name: str) -> list[str]:
    text = (files("tzdata") / "zoneinfo" / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
