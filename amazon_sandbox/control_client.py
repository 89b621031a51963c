"""The sandbox's controls for tests and benches, over HTTP."""

from typing import Any

import httpx


class ControlError(Exception):
    """The sandbox refused a control call; the text says why."""


class Control:
    """A small client of the calls under /control/."""

    def __init__(self, url: str):
        # The calls stay on this machine over plain http; loading certificates would only cost each test its time.
        self._http = httpx.Client(base_url=f"{url}/control", timeout=120, trust_env=False, verify=False)  # noqa: S501

    def create_orders(self, count: int = 1, **fields: Any) -> list[str]:
        """Creates shipments (location_id, seller_id, lines, status, sku_codes, …); their ids, oldest first."""
        return self._call("POST", "/orders", {"count": count, **fields})["ids"]

    def shipments(self, **filters: Any) -> list[dict[str, Any]]:
        """Summaries, newest first, by status, seller_id, location_id, limit, offset."""
        return self._call("GET", "/shipments", params=filters)["shipments"]

    def shipment(self, shipment_id: str) -> dict[str, Any]:
        """One summary, with the `body` Amazon would answer."""
        return self._call("GET", f"/shipments/{shipment_id}")

    def cancel(self, shipment_id: str, by: str = "buyer", reason: str = "") -> dict[str, Any]:
        """Cancels as the buyer or the system."""
        return self._call("POST", f"/shipments/{shipment_id}/cancel", {"by": by, "reason": reason})

    def move(self, shipment_id: str, status: str) -> dict[str, Any]:
        """Moves a shipment on to a later status."""
        return self._call("POST", f"/shipments/{shipment_id}/move", {"status": status})

    def set_invoice(self, shipment_id: str, status: str = "AVAILABLE") -> dict[str, Any]:
        """Makes the invoice AVAILABLE, NOT_AVAILABLE or PENDING."""
        return self._call("POST", f"/shipments/{shipment_id}/invoice", {"status": status})

    def fault(self, kind: str, **limits: Any) -> int:
        """Switches a fault on (operation, count, probability, ms, status, skip, page, …); its id."""
        return self._call("POST", "/faults", {"kind": kind, **limits})["id"]

    def faults(self) -> list[dict[str, Any]]:
        """The faults still on."""
        return self._call("GET", "/faults")["faults"]

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Switches one fault off, or all."""
        self._call("DELETE", "/faults" if fault_id is None else f"/faults/{fault_id}")

    def plans(self, plans: dict[str, dict[str, float] | None] | None = None) -> dict[str, Any]:
        """Sets usage plans (`{"*": None}` lifts all) when given; answers all of them."""
        return self._call("GET", "/plans") if plans is None else self._call("POST", "/plans", plans)

    def options(self, **changes: Any) -> dict[str, Any]:
        """Changes switches such as latency_ms; answers all of them."""
        return self._call("POST", "/options", changes)

    def clock(self, **shift: float) -> dict[str, float]:
        """Shifts the clock by `advance_seconds`, or to `shift_seconds` from real time."""
        return self._call("POST", "/clock", shift)

    def revoke_tokens(self, seller_id: str | None = None, *, only_access_tokens: bool = False) -> int:
        """Ends authorizations (of all sellers without an id); how many."""
        body: dict[str, Any] = {"only_access_tokens": only_access_tokens}
        if seller_id is not None:
            body["seller_id"] = seller_id
        return self._call("POST", "/tokens/revoke", body)["n_revoked"]

    def issue_tokens(self, seller_id: str = "A3SBXSUNRISEIN") -> dict[str, Any]:
        """access_token, refresh_token, expires_in and selling_partner_id, without the consent page."""
        return self._call("POST", "/tokens/issue", {"seller_id": seller_id})

    def issue_code(self, redirect_uri: str, seller_id: str = "A3SBXSUNRISEIN") -> str:
        """A `spapi_oauth_code` as the consent page would give."""
        body = {"seller_id": seller_id, "redirect_uri": redirect_uri}
        return self._call("POST", "/codes", body)["spapi_oauth_code"]

    def stock(self, seller_id: str | None = None) -> list[dict[str, Any]]:
        """Published quantities."""
        return self._call("GET", "/stock", params={"seller_id": seller_id} if seller_id else None)["stock"]

    def set_stock(
        self, sku_code: str, n_units: int, location_id: str = "EXSB", seller_id: str = "A3SBXSUNRISEIN"
    ) -> list[dict[str, Any]]:
        """Changes a published quantity at once, as the seller would in Seller Central."""
        place = {"seller_id": seller_id, "location_id": location_id, "sku_code": sku_code}
        return self._call("POST", "/stock", {**place, "n_units": n_units})["stock"]

    def listings(self, seller_id: str = "A3SBXSUNRISEIN") -> list[dict[str, Any]]:
        """The seller's listings: those of the demo, with stock, or changed."""
        return self._call("GET", "/listings", params={"seller_id": seller_id})["listings"]

    def listing(self, sku_code: str, seller_id: str = "A3SBXSUNRISEIN") -> dict[str, Any]:
        """One listing as it shows now: price, mrp, currency, asin, attributes, n_pending."""
        return self._call("GET", "/listings", params={"seller_id": seller_id, "sku_code": sku_code})["listings"][0]

    def set_price(self, sku_code: str, price: str | None, seller_id: str = "A3SBXSUNRISEIN") -> dict[str, Any]:
        """Changes a price at once, as the seller would in Seller Central; None takes the offer away."""
        return self._call("POST", "/listings", {"seller_id": seller_id, "sku_code": sku_code, "price": price})

    def remove_listing(self, sku_code: str, seller_id: str = "A3SBXSUNRISEIN") -> list[dict[str, Any]]:
        """Takes a listing away with its stock, as the seller would in Seller Central; those that are left."""
        return self._call("DELETE", "/listings", {"seller_id": seller_id, "sku_code": sku_code})["listings"]

    def feeds(self, seller_id: str | None = None) -> list[dict[str, Any]]:
        """Feeds, oldest first."""
        return self._call("GET", "/feeds", params={"seller_id": seller_id} if seller_id else None)["feeds"]

    def end_feed(self, feed_id: str, status: str = "DONE") -> dict[str, Any]:
        """Ends a feed as DONE, FATAL or CANCELLED."""
        return self._call("POST", f"/feeds/{feed_id}/end", {"status": status})

    def create_returns(self, shipment_id: str, **fields: Any) -> list[str]:
        """Creates a return per line of a delivered shipment (sku_code, units, status, reason, location_id, …); ids."""
        return self._call("POST", "/returns", {"shipment_id": shipment_id, **fields})["ids"]

    def returns(self, **filters: Any) -> list[dict[str, Any]]:
        """Summaries of returns, newest first, by shipment_id, seller_id, status."""
        return self._call("GET", "/returns", params=filters)["returns"]

    def return_item(self, return_id: str) -> dict[str, Any]:
        """One summary, with the `body` Amazon would answer."""
        return self._call("GET", f"/returns/{return_id}")

    def move_return(self, return_id: str, status: str, **fields: Any) -> dict[str, Any]:
        """Moves a return on; `same_time=True` leaves its time of change, `otp` is the password from then on."""
        return self._call("POST", f"/returns/{return_id}/move", {"status": status, **fields})

    def stats(self, *, per_shipment: bool = False) -> dict[str, Any]:
        """Calls, answers, concurrency and effects."""
        return self._call("GET", "/stats", params={"per_shipment": "1"} if per_shipment else None)

    def clear_stats(self) -> None:
        """Counts calls anew."""
        self._call("POST", "/stats/clear", {})

    def reset(self) -> None:
        """Empties the world."""
        self._call("POST", "/reset", {})

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> Any:
        response = self._http.request(method, path, json=body, params=params)
        if response.status_code >= 400:
            raise ControlError(f"{method} {path}: {response.status_code} {response.text.strip()}")
        return response.json()
