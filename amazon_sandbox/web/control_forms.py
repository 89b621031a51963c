"""Reading the control pages' forms: the same checks as the JSON calls, with sentences for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from amazon_sandbox.web import control_input
from amazon_sandbox.world.generator import OrderRequest
from amazon_sandbox.world.options import Options
from amazon_sandbox.world.plans import DEFAULT_PLANS

Form = Mapping[str, str]
MAX_SHIFT_HOURS = 24 * 3650


def order_request(form: Form) -> OrderRequest:
    """What the form asks to create. ValueError with a sentence."""
    seller_id, _, location_id = form.get("place", "").partition("|")
    location_id = form.get("other_location_id", "").strip() or location_id
    body: dict[str, Any] = {
        "seller_id": seller_id,
        "location_id": location_id,
        "count": _whole(form, "count", "How many orders"),
        "lines": _whole(form, "lines", "Lines per order"),
        "status": form.get("status") or "ACCEPTED",
    }
    codes = [code for code in form.get("sku_codes", "").replace(",", " ").split() if code]
    if codes:
        body["sku_codes"] = codes
    if form.get("odd"):
        body["odd"] = form["odd"]
    if form.get("invoice_status"):
        body["invoice_status"] = form["invoice_status"]
    return control_input.order_request(body)


def fault(form: Form) -> tuple[str, dict[str, Any]]:
    """The fault's kind and limits. ValueError with a sentence."""
    body: dict[str, Any] = {"operation": form.get("operation") or None}
    if form.get("count", "").strip():
        body["count"] = _whole(form, "count", "How many times")
    per_cent = _number(form.get("per_cent", "").strip() or "100", "How often")
    if not 0 < per_cent <= 100:
        raise ValueError("“How often” must be above 0 and at most 100 per cent.")
    body["probability"] = per_cent / 100
    if form.get("ms", "").strip():
        body["ms"] = _whole(form, "ms", "Wait")
    if not form.get("kind"):
        raise ValueError("Choose what goes wrong.")
    return form["kind"], control_input.fault_limits(body)


def plans(form: Form, operations: Iterable[str]) -> dict[str, dict[str, float] | None]:
    """The usage plans: as typed (an empty rate means none), none at all, or Amazon's."""
    if form.get("all") == "none":
        return {"*": None}
    if form.get("all") == "amazon":
        return {
            name: {"rate": plan.rate, "burst": plan.burst} if plan else None for name, plan in DEFAULT_PLANS.items()
        }
    found: dict[str, dict[str, float] | None] = {}
    for name in operations:
        rate, burst = form.get(f"{name}-rate", "").strip(), form.get(f"{name}-burst", "").strip()
        found[name] = None
        if rate or burst:
            found[name] = {
                "rate": _number(rate, f"The rate of {name}"),
                "burst": _number(burst, f"The burst of {name}"),
            }
    return found


def options(form: Form) -> dict[str, Any]:
    """The switches of the form."""
    return {
        "latency_ms": _whole(form, "latency_ms", "Latency"),
        "access_token_seconds": _whole(form, "access_token_seconds", "Life of an access token"),
        "label_format": form.get("label_format", ""),
        "paging": form.get("paging", ""),
        "inventory_sequence": form.get("inventory_sequence", ""),
        "has_shipping_options": "has_shipping_options" in form,
        "app_is_draft": "app_is_draft" in form,
        **{
            name: _number(form[name], label)
            for name, label in (("listing_delay_seconds", "Until a price shows"), ("feed_seconds", "Stage of a feed"))
            if form.get(name, "").strip()
        },
    }


def shift(form: Form, current: Options) -> float:
    """The clock's new shift in seconds from real time."""
    if form.get("to") == "real":
        return 0.0
    hours = _number(form.get("hours", ""), "Hours")
    if abs(hours) > MAX_SHIFT_HOURS:
        raise ValueError("“Hours” may be ten years at most.")
    return current.clock_shift_seconds + hours * 3600


def _whole(form: Form, name: str, label: str) -> int:
    text = form.get(name, "").strip()
    if not text.isdecimal():
        raise ValueError(f"“{label}” must be a whole number.")
    return int(text)


def _number(text: str, label: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"“{label}” must be a number.") from error
