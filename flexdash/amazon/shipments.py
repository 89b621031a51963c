"""External Fulfillment shipments, version 2024-09-11: read, acknowledge, pack, label, invoice.

https://developer-docs.amazon.com/sp-api/docs/retrieve-list-of-shipments and …/docs/process-shipment. What is sent is
checked first (InvalidArgument, nothing leaves); besides, every method raises the errors of `Transport.call`.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flexdash.amazon import strict
from flexdash.amazon.errors import UnreadableAnswer
from flexdash.amazon.operations import SHIPMENTS_PATH, shipment_operations
from flexdash.amazon.packages import Courier, Package, PackageLabel, ShippingOptions, read_label, read_options
from flexdash.amazon.statuses import STATUSES
from flexdash.amazon.transport import Answer, Transport

MAX_RESULTS = 100
MAX_LOCATION_ID = 36
MAX_CHANNEL_NAME = 10
MAX_PACKAGES_PER_LABEL_CALL = 50
REJECTION_REASONS = ("OUT_OF_STOCK", "CUSTOMER_REQUESTED")
PACKAGE_STATUSES = (
    "CREATED",
    "PICKUP_SLOT_RETRIEVED",
    "INVOICE_GENERATED",
    "SHIPLABEL_GENERATED",
    "SHIPPED",
    "DELIVERED",
)
PACKAGE_SUB_STATUSES = ("OUT_FOR_DELIVERY", "DELIVERED", "NOT_DELIVERED", "UNDELIVERABLE")
_MAX_TOKEN = 8192
_SAME_TOKEN_LIMIT = 3


@dataclass(frozen=True, slots=True)
class ShipmentPage:
    """One page: the shipments as Amazon sent them (`read_shipment` reads one), the token of the next page or None at
    the end, Amazon's clock when it answered, and its id of the request."""

    shipments: list[Any] = field(repr=False)
    next_token: str | None
    amazon_date: datetime | None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A file. `format` is Amazon's ZPL, PDF, PNG or PLAIN_TEXT ("" when left out)."""

    format: str
    content: bytes = field(repr=False)


class Shipments:
    """The shipments of one selling partner. `rate` is the pace to start from, in requests per second."""

    def __init__(self, transport: Transport, rate: float = 1.0) -> None:
        self._transport = transport
        self._operations = shipment_operations(strict.seconds("rate", rate))

    def page(
        self,
        status: str,
        marketplace_id: str | None = None,
        channel_name: str | None = None,
        location_id: str | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        max_results: int = MAX_RESULTS,
        token: str | None = None,
    ) -> ShipmentPage:
        """Return one page of the shipments in `status`. A page may be empty and still have a next one.

        Times are aware and bound the shipment's last update. `token` comes from the page before, which must have been
        asked for with the same arguments.
        """
        query = _page_query(
            status, marketplace_id, channel_name, location_id, updated_after, updated_before, max_results
        )
        if token is not None:
            query.append(("paginationToken", strict.text("token", token, _MAX_TOKEN)))
        return _read_page(self._call("getShipments", (), query))

    def pages(
        self,
        status: str,
        marketplace_id: str | None = None,
        channel_name: str | None = None,
        location_id: str | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        max_results: int = MAX_RESULTS,
        token: str | None = None,
    ) -> Iterator[ShipmentPage]:
        """Yield pages until Amazon gives no further token; an empty page does not end it.

        Every page is asked for with the same arguments. `token` starts in the middle. Raises UnreadableAnswer when
        Amazon hands out the same token for the third time, which would go on for ever.
        """
        seen: Counter[str] = Counter([token] if token is not None else [])
        while True:
            page = self.page(
                status, marketplace_id, channel_name, location_id, updated_after, updated_before, max_results, token
            )
            token = page.next_token
            yield page
            if token is None:
                return
            seen[token] += 1
            if seen[token] >= _SAME_TOKEN_LIMIT:
                raise UnreadableAnswer(
                    "Amazon keeps sending the same page token, so the list has no end", operation="getShipments"
                )

    def get(self, shipment_id: str) -> dict[str, Any]:
        """Return one shipment as Amazon sent it."""
        return self._call("getShipment", (strict.segment("shipment_id", shipment_id),), shipment_id=shipment_id).data

    def confirm(self, shipment_id: str) -> None:
        """Acknowledge the shipment. After StateConflict read it again: it may be confirmed already, or cancelled."""
        self._process(shipment_id, "CONFIRM", None)

    def reject(self, shipment_id: str, reference_id: str, line_ids: Sequence[str], reason: str) -> None:
        """Reject the whole shipment: give all its line ids, Amazon knows no partial rejection.

        `reference_id` is unique per rejection and the same when it is repeated; `reason` is one of REJECTION_REASONS.
        """
        strict.choice("reason", reason, REJECTION_REASONS)
        if isinstance(line_ids, str) or not line_ids:
            raise strict.refuse("line_ids", "must name every line of the shipment")
        body = {
            "referenceId": strict.text("reference_id", reference_id),
            "lineItems": [
                {"lineItem": {"id": strict.text("line_ids", line_id), "quantity": 0}, "reason": reason}
                for line_id in line_ids
            ],
        }
        self._process(shipment_id, "REJECT", body)

    def create_packages(self, shipment_id: str, packages: Sequence[Package]) -> None:
        """Tell Amazon how the shipment is packed."""
        if not packages:
            raise strict.refuse("packages", "must hold at least one package")
        if len({package.id for package in packages}) < len(packages):
            raise strict.refuse("packages", "must have an id of its own each")
        body = {"packages": [package.body() for package in packages]}
        path = (strict.segment("shipment_id", shipment_id), "packages")
        self._call("createPackages", path, body=body, shipment_id=shipment_id, expects_json=False)

    def update_package(self, shipment_id: str, package: Package) -> None:
        """Replace what Amazon knows of one package."""
        path = (*_package_path(shipment_id, package.id),)
        self._call("updatePackage", path, body=package.body(), shipment_id=shipment_id, expects_json=False)

    def mark_shipped(self, shipment_id: str, package_id: str, *, in_query: bool = True) -> None:
        """Tell Amazon that a package was handed over.

        `in_query` sends `?status=SHIPPED`, which Amazon keeps for Seller Flex; otherwise the status is in the body.
        """
        if not in_query:
            self.update_package_status(shipment_id, package_id, "SHIPPED")
            return
        path = _package_path(shipment_id, package_id)
        query = [("status", "SHIPPED")]
        self._call("updatePackageStatus", path, query, {}, shipment_id=shipment_id, expects_json=False)

    def update_package_status(
        self, shipment_id: str, package_id: str, status: str, sub_status: str | None = None, reason: str | None = None
    ) -> None:
        """Tell Amazon a package's status in the body, as shipping by the seller's own carrier needs it."""
        body = {"status": strict.choice("status", status, PACKAGE_STATUSES)}
        if sub_status is not None:
            body["subStatus"] = strict.choice("sub_status", sub_status, PACKAGE_SUB_STATUSES)
        if reason is not None:
            body["reason"] = strict.text("reason", reason, 128)
        path = _package_path(shipment_id, package_id)
        self._call("updatePackageStatus", path, body=body, shipment_id=shipment_id, expects_json=False)

    def shipping_options(self, shipment_id: str, package_id: str) -> ShippingOptions:
        """Return the ways a package can be shipped. None at all is normal where the channel ships in one fixed way."""
        path = (strict.segment("shipment_id", shipment_id), "shippingOptions")
        query = [("packageId", strict.text("package_id", package_id))]
        return read_options(self._call("retrieveShippingOptions", path, query, shipment_id=shipment_id).data)

    def generate_invoice(self, shipment_id: str) -> Document:
        """Have Amazon make the invoice, and return it."""
        return self._invoice("generateInvoice", shipment_id)

    def retrieve_invoice(self, shipment_id: str) -> Document:
        """Return the invoice Amazon made before."""
        return self._invoice("retrieveInvoice", shipment_id)

    def ship_labels(
        self,
        shipment_id: str,
        package_ids: Sequence[str] = (),
        *,
        is_reprint: bool = False,
        shipping_option_id: str | None = None,
        courier: Courier | None = None,
    ) -> list[PackageLabel]:
        """Have Amazon make the labels (`is_reprint`: make them again), and return one result per package.

        Without `package_ids` Amazon labels every package. `courier` only for a carrier that is not Amazon's.
        """
        if isinstance(package_ids, str) or len(package_ids) > MAX_PACKAGES_PER_LABEL_CALL:
            raise strict.refuse("package_ids", f"must be a list of at most {MAX_PACKAGES_PER_LABEL_CALL} ids")
        query = [("operation", "REGENERATE" if is_reprint else "GENERATE")]
        if shipping_option_id is not None:
            query.append(("shippingOptionId", strict.text("shipping_option_id", shipping_option_id)))
        body: dict[str, Any] | None = None
        if package_ids or courier:
            body = {"packageIds": [strict.text("package_ids", package_id) for package_id in package_ids]}
            if courier:
                body["courierSupportedAttributes"] = courier.body()
        path = (strict.segment("shipment_id", shipment_id), "shipLabels")
        data = self._call("generateShipLabels", path, query, body, shipment_id=shipment_id).data
        labels = data.get("packageShipLabelList")
        if not isinstance(labels, list):
            raise UnreadableAnswer(
                "Amazon's answer holds no labels", operation="generateShipLabels", is_outcome_unknown=True
            )
        return [read_label(label) for label in labels]

    def _process(self, shipment_id: str, operation: str, body: dict[str, Any] | None) -> None:
        path = (strict.segment("shipment_id", shipment_id),)
        query = [("operation", operation)]
        self._call("processShipment", path, query, body, shipment_id=shipment_id, expects_json=False)

    def _invoice(self, operation: str, shipment_id: str) -> Document:
        path = (strict.segment("shipment_id", shipment_id), "invoice")
        document = self._call(operation, path, shipment_id=shipment_id).data.get("document")
        try:
            content = base64.b64decode(document["content"], validate=True)
            format_ = document.get("format")
        except (TypeError, KeyError, ValueError, AttributeError, binascii.Error) as error:
            raise UnreadableAnswer("Amazon's answer holds no readable document", operation=operation) from error
        return Document(format_ if isinstance(format_, str) else "", content)

    def _call(
        self,
        name: str,
        path: Sequence[str],
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        *,
        shipment_id: str = "",
        expects_json: bool = True,
    ) -> Answer:
        return self._transport.call(
            self._operations[name],
            (*SHIPMENTS_PATH, *path),
            query,
            body,
            shipment_id=shipment_id,
            expects_json=expects_json,
        )


def _package_path(shipment_id: str, package_id: str) -> tuple[str, str, str]:
    return strict.segment("shipment_id", shipment_id), "packages", strict.segment("package_id", package_id)


def _page_query(
    status: str,
    marketplace_id: str | None,
    channel_name: str | None,
    location_id: str | None,
    updated_after: datetime | None,
    updated_before: datetime | None,
    max_results: int,
) -> list[tuple[str, str]]:
    query = [("status", strict.choice("status", status, STATUSES))]
    if marketplace_id is not None:
        query.append(("marketplaceId", strict.text("marketplace_id", marketplace_id)))
    if channel_name is not None:
        query.append(("channelName", strict.text("channel_name", channel_name, MAX_CHANNEL_NAME)))
    if location_id is not None:
        query.append(("locationId", strict.text("location_id", location_id, MAX_LOCATION_ID)))
    if updated_after is not None:
        query.append(("lastUpdatedAfter", strict.moment("updated_after", updated_after)))
    if updated_before is not None:
        query.append(("lastUpdatedBefore", strict.moment("updated_before", updated_before, rounds_up=True)))
    if updated_after is not None and updated_before is not None and updated_after >= updated_before:
        raise strict.refuse("updated_after", "must be before updated_before")
    query.append(("maxResults", str(strict.whole("max_results", max_results, 1, MAX_RESULTS))))
    return query


def _read_page(answer: Answer) -> ShipmentPage:
    shipments = answer.data.get("shipments")
    pagination = answer.data.get("pagination")
    token = pagination.get("nextToken") if isinstance(pagination, dict) else None
    if shipments is None:
        shipments = []
    is_pagination_odd = pagination is not None and not isinstance(pagination, dict)
    if not isinstance(shipments, list) or is_pagination_odd or not isinstance(token, str | None):
        # Guessing here would end a list early, and orders would be missed without a word.
        raise UnreadableAnswer(
            "Amazon's page of shipments is not in its own form", operation="getShipments", request_id=answer.request_id
        )
    return ShipmentPage(shipments, token or None, answer.date, answer.request_id)
