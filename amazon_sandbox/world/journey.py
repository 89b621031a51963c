"""What moves a shipment on, and what refuses to: the status machine of External Fulfillment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from amazon_sandbox.world import errors
from amazon_sandbox.world.shelf import OPEN_STATUSES, STATUSES, Record

if TYPE_CHECKING:
    from amazon_sandbox.world.world import World

REJECTION_REASONS = ("OUT_OF_STOCK", "CUSTOMER_REQUESTED")


class Journey:
    """The acknowledging and ending of shipments, by the seller and by Amazon."""

    def __init__(self, world: World):
        self._world = world

    @contextlib.contextmanager
    def of(self, seller_id: str | None, shipment_id: str) -> Iterator[Record]:
        """Holds the world still and gives the seller's shipment. ApiError 404 when there is none."""
        with self._world.database.lock:
            record = self._world.shelf.find(shipment_id, seller_id)
            if record is None:
                raise errors.not_found(f"Shipment {shipment_id} does not exist.")
            yield record

    def refuse_unless(self, record: Record, allowed: tuple[str, ...], effect: str) -> None:
        """ApiError 409 unless the shipment's status is among the allowed ones; the refusal is counted."""
        if record.status not in allowed:
            self._world.stats.refused(effect)
            raise errors.conflict(f"Shipment {record.id} is {record.status}; this needs {' or '.join(allowed)}.")

    def confirm(self, seller_id: str, shipment_id: str) -> Record:
        """The seller acknowledges: ACCEPTED becomes CONFIRMED."""
        with self.of(seller_id, shipment_id) as record:
            self.refuse_unless(record, ("ACCEPTED",), "confirm")
            return self._world.shelf.save(record, {**record.shipment(), "status": "CONFIRMED"}, "confirm")

    def reject(self, seller_id: str, shipment_id: str, body: dict[str, Any] | None) -> Record:
        """The seller rejects the whole shipment, where its marketplace still allows that."""
        with self.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            reason = _rejection_reason(shipment, body)
            eligible = tuple(shipment["shipmentInfo"].get("orderStatesEligibleForRejection", ()))
            self.refuse_unless(record, tuple(s for s in eligible if s != "CANCELLED"), "reject")
            _cancel(shipment, "SELLER_REJECTED", reason, self._world.clock.now())
            return self._world.shelf.save(record, shipment, "reject")

    def cancel(self, shipment_id: str, kind: str = "MARKETPLACE_CANCELLED", reason: str = "") -> Record:
        """Cancelled on Amazon's side. ApiError 409 when it has left the warehouse or is cancelled already."""
        with self.of(None, shipment_id) as record:
            self.refuse_unless(record, tuple(s for s in STATUSES if s in OPEN_STATUSES), "cancel")
            shipment = record.shipment()
            _cancel(shipment, kind, reason or "Buyer cancelled the order", self._world.clock.now())
            return self._world.shelf.save(record, shipment)

    def move(self, shipment_id: str, status: str) -> Record:
        """Amazon (or SmartHub) moves the shipment on to a later status, filling in packages on the way."""
        if status == "CANCELLED":
            return self.cancel(shipment_id)
        if status not in STATUSES:
            raise errors.invalid_input(f"status must be one of {', '.join(STATUSES)}.")
        with self.of(None, shipment_id) as record:
            self.refuse_unless(record, STATUSES[: STATUSES.index(status)], "move")
            shipment = record.shipment()
            shipment["status"] = status
            if STATUSES.index(status) >= STATUSES.index("PACKAGE_CREATED"):
                shipment.setdefault("packages", [_package_of_all(shipment)])
                for package in shipment["packages"]:
                    package["status"] = status.replace("PACKAGE_CREATED", "CREATED")
            return self._world.shelf.save(record, shipment)

    def set_invoice_status(self, shipment_id: str, status: str) -> Record:
        """The marketplace says whether an invoice can be had (AVAILABLE, NOT_AVAILABLE or PENDING)."""
        if status not in ("AVAILABLE", "NOT_AVAILABLE", "PENDING"):
            raise errors.invalid_input("status must be AVAILABLE, NOT_AVAILABLE or PENDING.")
        with self.of(None, shipment_id) as record:
            shipment = record.shipment()
            shipment["shipmentRequirements"]["invoice"]["status"] = status
            return self._world.shelf.save(record, shipment)


def _rejection_reason(shipment: dict[str, Any], body: dict[str, Any] | None) -> str:
    """The reason given, after checking that the body rejects every line wholly."""
    if not isinstance(body, dict) or not isinstance(body.get("lineItems"), list):
        raise errors.invalid_input("REJECT needs a body with lineItems.")
    if not isinstance(body.get("referenceId"), str) or not body["referenceId"]:
        raise errors.invalid_input("REJECT needs a referenceId.")
    reasons, named = set(), []
    for entry in body["lineItems"]:
        line = entry.get("lineItem") if isinstance(entry, dict) else None
        if not isinstance(line, dict) or not isinstance(line.get("id"), str):
            raise errors.invalid_input("Each entry of lineItems needs lineItem.id.")
        if entry.get("reason") not in REJECTION_REASONS:
            raise errors.invalid_input(f"reason must be {' or '.join(REJECTION_REASONS)}.")
        if line.get("quantity", 0) != 0:
            raise errors.unprocessable("quantity must be 0: a line is rejected wholly.")
        reasons.add(entry["reason"])
        named.append(line["id"])
    if sorted(named) != sorted(line["shipmentLineItemId"] for line in shipment["lineItems"]):
        raise errors.unprocessable("Every line of the shipment must be rejected, each once; part is not possible.")
    return min(reasons)


def _cancel(shipment: dict[str, Any], kind: str, reason: str, now: float) -> None:
    shipment["status"] = "CANCELLED"
    for line in shipment["lineItems"]:
        line["cancellations"] = [
            {
                "cancelledQuantity": line["numberOfUnits"],
                "cancelledTimestamp": str(int(now)),
                "cancellationType": kind,
                "cancellationReason": reason,
            }
        ]
    for package in shipment.get("packages", ()):
        package["status"] = "CANCELLED"


def _package_of_all(shipment: dict[str, Any]) -> dict[str, Any]:
    """One parcel with every line, as Amazon's own page would make it."""
    side = {"value": "20.00", "dimensionUnit": "CM"}
    return {
        "id": "1",
        "dimensions": {"length": side, "width": side, "height": side},
        "weight": {"value": "500.00", "weightUnit": "G"},
        "packageLineItems": [
            {"packageLineItemId": line["shipmentLineItemId"], "quantity": line["numberOfUnits"]}
            for line in shipment["lineItems"]
        ],
        "status": "CREATED",
    }
