"""Packages, shipping options, invoice and labels of External Fulfillment shipments 2024-09-11."""

from flask import Blueprint, request

from amazon_sandbox.web.gate import Answer, amazon_operation, config, json_body, query, world
from amazon_sandbox.web.shipments_api import BASE
from amazon_sandbox.world.errors import invalid_input

PACKAGE_STATUSES = (
    "CREATED",
    "PICKUP_SLOT_RETRIEVED",
    "INVOICE_GENERATED",
    "SHIPLABEL_GENERATED",
    "SHIPPED",
    "DELIVERED",
)
SUB_STATUSES = ("OUT_FOR_DELIVERY", "DELIVERED", "NOT_DELIVERED", "UNDELIVERABLE")
blueprint = Blueprint("packages_api", __name__)


@blueprint.post(f"{BASE}/<shipment_id>/packages")
@amazon_operation("createPackages")
def create_packages(seller_id: str, shipment_id: str) -> Answer:
    """Takes the packages of a confirmed shipment."""
    query()
    world().parcels.create(seller_id, shipment_id, json_body(is_required=True))
    return 204, None


@blueprint.put(f"{BASE}/<shipment_id>/packages/<package_id>")
@amazon_operation("updatePackage")
def update_package(seller_id: str, shipment_id: str, package_id: str) -> Answer:
    """Replaces one package."""
    query()
    world().parcels.update(seller_id, shipment_id, package_id, json_body(is_required=True))
    return 204, None


@blueprint.patch(f"{BASE}/<shipment_id>/packages/<package_id>")
@amazon_operation("updatePackageStatus")
def update_package_status(seller_id: str, shipment_id: str, package_id: str) -> Answer:
    """SHIPPED or DELIVERED, told in the query (Seller Flex) or in the body."""
    in_query = query("status").get("status")
    body = json_body(is_required=False) or {}
    if not isinstance(body, dict):
        raise invalid_input("The body must be an object.")
    if in_query not in (None, "SHIPPED"):
        raise invalid_input("The query's status can only be SHIPPED.")
    in_body = body.get("status")
    if in_body is not None and in_body not in PACKAGE_STATUSES:
        raise invalid_input(f"status must be one of {', '.join(PACKAGE_STATUSES)}.")
    if body.get("subStatus") is not None and body["subStatus"] not in SUB_STATUSES:
        raise invalid_input(f"subStatus must be one of {', '.join(SUB_STATUSES)}.")
    if not isinstance(body.get("reason", ""), str) or len(body.get("reason", "")) > 128:
        raise invalid_input("reason must be a text of at most 128 characters.")
    if in_query and in_body and in_query != in_body:
        raise invalid_input("The query and the body tell different statuses.")
    status = in_query or in_body
    if status is None:
        raise invalid_input("The status is missing, in the query and in the body.")
    world().parcels.set_status(seller_id, shipment_id, package_id, status, body)
    return 204, None


@blueprint.get(f"{BASE}/<shipment_id>/shippingOptions")
@amazon_operation("retrieveShippingOptions")
def retrieve_shipping_options(seller_id: str, shipment_id: str) -> Answer:
    """The pick-up slots of a package, none where the channel's shipping is fixed."""
    package_id = query("packageId").get("packageId")
    if not package_id:
        raise invalid_input("packageId is required.")
    return 200, world().parcels.shipping_options(seller_id, shipment_id, package_id)


@blueprint.post(f"{BASE}/<shipment_id>/invoice")
@amazon_operation("generateInvoice")
def generate_invoice(seller_id: str, shipment_id: str) -> Answer:
    """Makes and answers the invoice."""
    query()
    return 200, world().parcels.generate_invoice(seller_id, shipment_id)


@blueprint.get(f"{BASE}/<shipment_id>/invoice")
@amazon_operation("retrieveInvoice")
def retrieve_invoice(seller_id: str, shipment_id: str) -> Answer:
    """The invoice made earlier."""
    query()
    return 200, world().parcels.retrieve_invoice(seller_id, shipment_id)


@blueprint.put(f"{BASE}/<shipment_id>/shipLabels")
@amazon_operation("generateShipLabels")
def generate_ship_labels(seller_id: str, shipment_id: str) -> Answer:
    """Makes (GENERATE) or prints again (REGENERATE) labels of packages."""
    given = query("operation", "shippingOptionId")
    operation = given.get("operation")
    if operation not in ("GENERATE", "REGENERATE"):
        raise invalid_input("operation is required and must be GENERATE or REGENERATE.")
    base_url = config().public_url or request.host_url.rstrip("/")
    body = json_body(is_required=False)
    option_id = given.get("shippingOptionId")
    return 200, world().parcels.labels(seller_id, shipment_id, operation, option_id, body, base_url)
