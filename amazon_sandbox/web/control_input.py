"""Reading what control calls and forms ask for, with plain words for what is wrong."""

from typing import Any

from amazon_sandbox.world import accounts, odd, people
from amazon_sandbox.world.faults import DOCUMENT_OPERATIONS, TOKEN_OPERATION
from amazon_sandbox.world.generator import REJECTABLE, OrderRequest
from amazon_sandbox.world.plans import OPERATIONS
from amazon_sandbox.world.shelf import STATUSES

MAX_ORDERS = 100_000
ORDER_FIELDS = (
    "count",
    "lines",
    "units",
    "location_id",
    "location_ids",
    "seller_id",
    "country",
    "status",
    "sku_codes",
    "channel_name",
    "shipping_type",
    "processing_source",
    "invoice_status",
    "rejectable_statuses",
    "same_time",
    "updated_minutes_ago",
    "odd",
    "seed",
    "buyer",
    "order_id",
)
FAULT_FIELDS = (
    "operation",
    "count",
    "probability",
    "ms",
    "status",
    "skip",
    "seller_id",
    "shipment_id",
    "sku_code",
    "page",
)


def order_request(body: dict[str, Any]) -> OrderRequest:
    """What to create. The account follows from seller_id, else location_id, else country, else the first one.
    ValueError says which field is wrong."""
    _known(body, ORDER_FIELDS)
    locations = body.get("location_ids") or ([body["location_id"]] if body.get("location_id") else [])
    if not isinstance(locations, list) or not all(isinstance(x, str) and 0 < len(x) <= 36 for x in locations):
        raise ValueError("location_ids must be a list of texts of at most 36 characters")
    account = _account(body, locations)
    sku_codes = body.get("sku_codes") or people.SKU_CODES
    if isinstance(sku_codes, str) or not all(isinstance(code, str) and code for code in sku_codes):
        raise ValueError("sku_codes must be a list of texts")
    return OrderRequest(
        account=account,
        location_ids=tuple(locations) or account.location_ids[:1],
        n_orders=whole(body, "count", 1, 1, MAX_ORDERS),
        n_lines=whole(body, "lines", 0, 0, 50),
        n_units=whole(body, "units", 0, 0, 10_000),
        status=_one_of(body, "status", STATUSES, "ACCEPTED"),
        sku_codes=tuple(sku_codes),
        channel_name=_one_of(body, "channel_name", ("FBA", "MFN", "DF"), "FBA"),
        shipping_type=_one_of(body, "shipping_type", ("MARKETPLACE", "SELF"), "MARKETPLACE"),
        processing_source=_one_of(
            body, "processing_source", ("EXTERNAL_PLATFORM", "INTERNAL_PLATFORM"), "EXTERNAL_PLATFORM"
        ),
        invoice_status=_one_of(body, "invoice_status", ("AVAILABLE", "PENDING", "NOT_AVAILABLE"), "AVAILABLE"),
        rejectable_statuses=tuple(body.get("rejectable_statuses", REJECTABLE)),
        has_same_time=bool(body.get("same_time", False)),
        updated_minutes_ago=float(body.get("updated_minutes_ago", 0)),
        odd=_one_of(body, "odd", odd.KINDS, None),
        seed=body.get("seed"),
        buyer=dict(body.get("buyer", {})),
        order_id=_order_id(body),
    )


def fault_limits(body: dict[str, Any]) -> dict[str, Any]:
    """The limits of a fault, by the names `Faults.add` takes."""
    _known(body, FAULT_FIELDS)
    limits = {name: value for name, value in body.items() if value is not None and name != "count"}
    if body.get("count") is not None:
        limits["n_left"] = whole(body, "count", 1, 1, 10**9)
    _one_of(body, "operation", (*OPERATIONS, *DOCUMENT_OPERATIONS, TOKEN_OPERATION), None)
    for name in ("ms", "skip", "page", "status"):
        if name in limits:
            limits[name] = whole(limits, name, 0, 0, 600_000)
    return limits


def seller_named(body: dict[str, Any], *, is_required: bool = False) -> str | None:
    """The selling partner id asked for, checked."""
    seller_id = body.get("seller_id")
    if seller_id is None and not is_required:
        return None
    if seller_id not in accounts.BY_ID:
        raise ValueError(f"seller_id must be one of {', '.join(accounts.BY_ID)}")
    return seller_id


def _order_id(body: dict[str, Any]) -> str | None:
    order_id = body.get("order_id")
    if order_id is not None and (not isinstance(order_id, str) or not 0 < len(order_id) <= 50):
        raise ValueError("order_id must be a text of at most 50 characters")
    return order_id


def _account(body: dict[str, Any], locations: list[str]) -> accounts.Account:
    if body.get("seller_id"):
        return accounts.BY_ID[seller_named(body)]
    if body.get("country"):
        found = accounts.for_country(str(body["country"]))
        if found is None:
            known = ", ".join(account.marketplace.country_code for account in accounts.ACCOUNTS)
            raise ValueError(f"country must be one of {known}")
        return found
    return next(filter(None, map(accounts.for_location, locations)), accounts.ACCOUNTS[0])


def _known(body: dict[str, Any], names: tuple[str, ...]) -> None:
    unknown = set(body) - set(names)
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r}; known are {', '.join(names)}")


def whole(body: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    """The whole number of this name, checked; `default` where there is none."""
    value = body.get(name, default)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}")
    return value


def _one_of(body: dict[str, Any], name: str, choices: tuple[str, ...], default: str | None) -> Any:
    value = body.get(name, default)
    if value is not None and value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}")
    return value
