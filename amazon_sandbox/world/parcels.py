"""Packing and shipping: packages, shipping options, invoice, labels, and the handover of a shipment."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from amazon_sandbox.world import documents, errors, parcel_checks
from amazon_sandbox.world.clock import iso
from amazon_sandbox.world.shelf import Record

if TYPE_CHECKING:
    from amazon_sandbox.world.world import World

PACKED = ("PACKAGE_CREATED", "PICKUP_SLOT_RETRIEVED")
BEFORE_LABEL = (*PACKED, "INVOICE_GENERATED")
BEFORE_HANDOVER = (*BEFORE_LABEL, "SHIPLABEL_GENERATED")
WITH_INVOICE = ("INVOICE_GENERATED", "SHIPLABEL_GENERATED", "SHIPPED", "DELIVERED")
CARRIER = "Sandbox Logistics"
HOUR = 3600


class Parcels:
    """The operations of the seller from CONFIRMED on. Each raises ApiError 404, 409 or 422 as Amazon would."""

    def __init__(self, world: World):
        self._world = world

    def create(self, seller_id: str, shipment_id: str, body: Any) -> Record:
        """Takes the packages of a CONFIRMED shipment; together they hold every unit."""
        packages = body.get("packages") if isinstance(body, dict) else None
        if not isinstance(packages, list) or not packages:
            raise errors.invalid_input("packages must be a list of at least one package.")
        with self._world.journey.of(seller_id, shipment_id) as record:
            self._world.journey.refuse_unless(record, ("CONFIRMED",), "packages")
            shipment = record.shipment()
            parcel_checks.check_all(shipment, packages)
            shipment["packages"] = [{**package, "status": "CREATED"} for package in packages]
            shipment["status"] = "PACKAGE_CREATED"
            return self._world.shelf.save(record, shipment, "packages")

    def update(self, seller_id: str, shipment_id: str, package_id: str, body: Any) -> Record:
        """Replaces one package, until its label is made."""
        with self._world.journey.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            old = _package(shipment, package_id)
            self._world.journey.refuse_unless(record, BEFORE_LABEL, "update_package")
            parcel_checks.check(shipment, body)
            if body["id"] != package_id:
                raise errors.invalid_input("The package's id must be the one in the path.")
            packages = [p if p["id"] != package_id else {**body, "status": old["status"]} for p in shipment["packages"]]
            parcel_checks.check_all(shipment, packages)
            shipment["packages"] = packages
            return self._world.shelf.save(record, shipment, "update_package")

    def shipping_options(self, seller_id: str, shipment_id: str, package_id: str) -> dict[str, Any]:
        """The slots on offer, none where the channel's shipping is fixed; the shipment moves to
        PICKUP_SLOT_RETRIEVED."""
        with self._world.journey.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            self._world.journey.refuse_unless(record, BEFORE_HANDOVER, "shipping_options")
            _package(shipment, package_id)
            if record.status == "PACKAGE_CREATED":
                _advance(shipment, "PICKUP_SLOT_RETRIEVED")
                self._world.shelf.save(record, shipment, "shipping_options")
            options = self._options(record)
        return {"shippingOptions": options, **({"recommendedShippingOption": options[0]} if options else {})}

    def generate_invoice(self, seller_id: str, shipment_id: str) -> dict[str, Any]:
        """Makes the invoice, once, when the marketplace has it available."""
        with self._world.journey.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            self._world.journey.refuse_unless(record, PACKED, "invoice")
            status = shipment["shipmentRequirements"]["invoice"].get("status")
            if status != "AVAILABLE":
                self._world.stats.refused("invoice")
                raise errors.conflict(f"The marketplace says that the invoice is {status}.")
            now_ms = self._world.clock.now_ms()
            shipment["invoiceInfo"] = {"invoiceId": f"INV-{record.seq:07d}", "creationDateTime": iso(now_ms)}
            _advance(shipment, "INVOICE_GENERATED")
            self._world.shelf.save(record, shipment, "invoice")
            return _invoice(shipment)

    def retrieve_invoice(self, seller_id: str, shipment_id: str) -> dict[str, Any]:
        """The invoice made earlier. ApiError 404 before that."""
        with self._world.journey.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            if record.status not in WITH_INVOICE and "invoiceInfo" not in shipment:
                raise errors.not_found("The shipment has no invoice yet.")
            return _invoice(shipment)

    def labels(
        self, seller_id: str, shipment_id: str, operation: str, option_id: str | None, body: Any, base_url: str
    ) -> dict[str, Any]:
        """Labels of the packages named (all without a body): each SUCCESS with its file, or FAILURE with why."""
        with self._world.journey.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            is_first = operation == "GENERATE"
            self._world.journey.refuse_unless(record, BEFORE_HANDOVER[: 3 if is_first else 4], "labels")
            if is_first and record.status in PACKED and _needs_invoice(shipment):
                self._world.stats.refused("labels")
                raise errors.conflict("The shipment's invoice must be generated before its labels.")
            if not is_first and not any(_is_labelled(package) for package in shipment["packages"]):
                self._world.stats.refused("labels")
                raise errors.conflict("There is no label yet that could be generated again.")
            wanted = _wanted_ids(shipment, body)
            slot = self._slot(record, option_id)
            found = {package["id"]: package for package in shipment["packages"]}
            labels = [self._label(record, found.get(name), name, is_first, slot, base_url) for name in wanted]
            done = {label["packageId"] for label in labels if label["status"] == "SUCCESS"}
            for package in shipment["packages"]:
                if package["id"] in done:
                    package["status"] = "SHIPLABEL_GENERATED"
            if all(map(_is_labelled, shipment["packages"])):
                shipment["status"] = "SHIPLABEL_GENERATED"
            if done:
                self._world.shelf.save(record, shipment, "labels" if is_first else "relabels")
        return {"packageShipLabelList": labels}

    def set_status(
        self, seller_id: str, shipment_id: str, package_id: str, status: str, told: dict[str, Any]
    ) -> Record:
        """Marks a package SHIPPED, or DELIVERED where the seller delivers; the shipment follows its last package."""
        with self._world.journey.of(seller_id, shipment_id) as record:
            shipment = record.shipment()
            package = _package(shipment, package_id)
            if status not in ("SHIPPED", "DELIVERED"):
                raise errors.unprocessable("A package can be set to SHIPPED or DELIVERED only.")
            if status == "DELIVERED" and shipment["shippingInfo"].get("shippingType") != "SELF":
                raise errors.unprocessable("Only a shipment that the seller delivers can be set to DELIVERED.")
            needed = "SHIPLABEL_GENERATED" if status == "SHIPPED" else "SHIPPED"
            self._world.journey.refuse_unless(record, (needed,), status.lower())
            if package["status"] != needed:
                self._world.stats.refused(status.lower())
                raise errors.conflict(f"Package {package_id} is {package['status']}; this needs {needed}.")
            package["status"] = status
            shipment.update({key: told[key] for key in ("subStatus", "reason") if told.get(key)})
            if all(other["status"] == status for other in shipment["packages"]):
                shipment["status"] = status
            return self._world.shelf.save(record, shipment, status.lower())

    def _options(self, record: Record) -> list[dict[str, Any]]:
        if not self._world.options.has_shipping_options:
            return []
        start = int(self._world.clock.now()) // HOUR * HOUR + 2 * HOUR
        return [
            {
                "shippingOptionId": f"SLOT-{record.id}-{number}",
                "shipBy": "MARKETPLACE",
                "carrierName": CARRIER,
                "pickupWindow": {"startTime": start + number * 3 * HOUR, "endTime": start + (number * 3 + 2) * HOUR},
            }
            for number in range(3)
        ]

    def _slot(self, record: Record, option_id: str | None) -> dict[str, Any] | None:
        """The option chosen, the recommended one when none is, None where there are none."""
        options = self._options(record)
        if option_id is None:
            return options[0] if options else None
        found = next((option for option in options if option["shippingOptionId"] == option_id), None)
        if found is None:
            raise errors.unprocessable(f"There is no shipping option {option_id} for this shipment.")
        return found

    def _label(
        self,
        record: Record,
        package: dict[str, Any] | None,
        package_id: str,
        is_first: bool,
        slot: dict[str, Any] | None,
        base_url: str,
    ) -> dict[str, Any]:
        label: dict[str, Any] = {"packageId": package_id, "status": "FAILURE"}
        if package is None:
            label["errorDetails"] = {"code": "SC_00003", "message": f"The shipment has no package {package_id}."}
            return label
        if _is_labelled(package) is is_first:
            why = "has its label; REGENERATE prints it again" if is_first else "has no label yet"
            label["errorDetails"] = {"code": "StateConflict", "message": f"Package {package_id} {why}."}
            return label
        fault = self._world.faults.fires(
            ("label_failure",), "generateShipLabels", seller_id=record.seller_id, shipment_id=record.id
        )
        if fault is not None:
            label["errorDetails"] = {"code": "SC_00000", "message": "The carrier made no label: a sandbox fault."}
            return label
        address = self._world.label_links.make(base_url, record.id, package_id)
        metadata = {"carrierName": CARRIER, "trackingId": documents.tracking_id(record.id, package_id)}
        if slot:
            metadata |= {"shippingOptionId": slot["shippingOptionId"], "pickupWindow": slot["pickupWindow"]}
        return label | {"status": "SUCCESS", "shipLabelMetadata": metadata, "fileData": {"url": address}}


def _package(shipment: dict[str, Any], package_id: str) -> dict[str, Any]:
    found = next((p for p in shipment.get("packages", ()) if p["id"] == package_id), None)
    if found is None:
        raise errors.not_found(f"The shipment has no package {package_id}.")
    return found


def _advance(shipment: dict[str, Any], status: str) -> None:
    shipment["status"] = status
    for package in shipment["packages"]:
        package["status"] = status


def _is_labelled(package: dict[str, Any]) -> bool:
    return package["status"] == "SHIPLABEL_GENERATED"


def _needs_invoice(shipment: dict[str, Any]) -> bool:
    return shipment["shipmentRequirements"]["invoice"].get("requirement") == "REQUIRED"


def _wanted_ids(shipment: dict[str, Any], body: Any) -> list[str]:
    if body is None:
        return [package["id"] for package in shipment["packages"]]
    ids = body.get("packageIds") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids) or not 1 <= len(ids) <= 50:
        raise errors.invalid_input("packageIds must be a list of 1 to 50 package ids.")
    return list(dict.fromkeys(ids))


def _invoice(shipment: dict[str, Any]) -> dict[str, Any]:
    content = base64.b64encode(documents.invoice_pdf(shipment)).decode()
    return {"document": {"format": "PDF", "content": content}}
