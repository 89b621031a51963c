"""What a package must hold before External Fulfillment takes it."""

from decimal import Decimal, InvalidOperation
from typing import Any

from amazon_sandbox.world.errors import invalid_input, unprocessable

GRAMS = {"G": Decimal(1), "KG": Decimal(1000), "LB": Decimal("453.59237"), "OZ": Decimal("28.349523125")}
LENGTH_UNITS = ("CM", "M", "IN")
MIN_GRAMS = 5
HANDLING = ("NORMAL", "FRAGILE")
# Compliance attribute of a shipment line -> the field of a package line it governs.
GOVERNED = {
    "serialNumberRequirement": "serialNumbers",
    "countryOfOriginRequirement": "countryOfOrigin",
    "itemValueRequirement": "itemValue",
}


def check_all(shipment: dict[str, Any], packages: list[dict[str, Any]]) -> None:
    """Each package on its own, then that together they hold every unit of the shipment, none twice."""
    ids = [package.get("id") for package in packages if isinstance(package, dict)]
    if len(set(map(str, ids))) != len(packages):
        raise unprocessable("Each package needs an id of its own.")
    n_packed: dict[str, int] = {}
    for package in packages:
        check(shipment, package)
        for line in package["packageLineItems"]:
            n_packed[line["packageLineItemId"]] = n_packed.get(line["packageLineItemId"], 0) + line["quantity"]
    for line in shipment["lineItems"]:
        if n_packed.get(line["shipmentLineItemId"], 0) != line["numberOfUnits"]:
            raise unprocessable(
                f"Line {line['shipmentLineItemId']} has {line['numberOfUnits']} units; "
                f"the packages hold {n_packed.get(line['shipmentLineItemId'], 0)}."
            )


def check(shipment: dict[str, Any], package: Any) -> None:
    """ApiError 400 for a body that is not a package, 422 for one that cannot be taken for this shipment."""
    if not isinstance(package, dict) or not _is_text(package.get("id")):
        raise invalid_input("A package needs an id.")
    dimensions = package.get("dimensions")
    for name in ("length", "width", "height"):
        side = dimensions.get(name) if isinstance(dimensions, dict) else None
        if _positive(side, "dimensionUnit", LENGTH_UNITS, f"dimensions.{name}") <= 0:
            raise unprocessable(f"dimensions.{name} must be above 0.")
    weight = _positive(package.get("weight"), "weightUnit", tuple(GRAMS), "weight")
    if weight * GRAMS[package["weight"]["weightUnit"]] < MIN_GRAMS:
        raise unprocessable(f"A package weighs at least {MIN_GRAMS} grams.")
    if package.get("packageHandlingRequirements", "NORMAL") not in HANDLING:
        raise invalid_input(f"packageHandlingRequirements must be {' or '.join(HANDLING)}.")
    lines = package.get("packageLineItems")
    if not isinstance(lines, list) or not lines:
        raise invalid_input("packageLineItems must name at least one line.")
    of_shipment = {line["shipmentLineItemId"]: line for line in shipment["lineItems"]}
    labels = package.get("hazmatLabels") or []
    for line in lines:
        _check_line(of_shipment, line)
        rule = of_shipment[line["packageLineItemId"]]["complianceAttributes"]["hazmatLabelsRequirement"]
        _obey(rule, bool(labels), "hazmatLabels", line["packageLineItemId"])


def _check_line(of_shipment: dict[str, Any], line: Any) -> None:
    if not isinstance(line, dict) or not _is_text(line.get("packageLineItemId")):
        raise invalid_input("Each entry of packageLineItems needs packageLineItemId.")
    quantity = line.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        raise invalid_input("quantity must be a whole number.")
    if line["packageLineItemId"] not in of_shipment:
        raise unprocessable(f"The shipment has no line {line['packageLineItemId']}.")
    if quantity < 1:
        raise unprocessable("quantity must be 1 or more.")
    rules = of_shipment[line["packageLineItemId"]]["complianceAttributes"]
    for attribute, field in GOVERNED.items():
        _obey(rules[attribute], bool(line.get(field)), field, line["packageLineItemId"])
    serials = line.get("serialNumbers") or []
    if serials and (len(serials) != quantity or len(set(serials)) != quantity):
        raise unprocessable(f"Line {line['packageLineItemId']} needs one serial number per unit, each its own.")


def _obey(rule: str, is_there: bool, field: str, line_id: str) -> None:
    if rule == "REQUIRED" and not is_there:
        raise unprocessable(f"Line {line_id}: {field} is REQUIRED by its complianceAttributes.")
    if rule == "DISALLOWED" and is_there:
        raise unprocessable(f"Line {line_id}: {field} is DISALLOWED by its complianceAttributes.")


def _positive(measure: Any, unit_field: str, units: tuple[str, ...], name: str) -> Decimal:
    """The value of a measure such as {"value": "20.5", "dimensionUnit": "CM"}."""
    if not isinstance(measure, dict) or measure.get(unit_field) not in units:
        raise invalid_input(f"{name} needs a value and a {unit_field} of {', '.join(units)}.")
    value = measure.get("value")
    if not isinstance(value, str):
        raise invalid_input(f"{name}.value must be a decimal number written as text.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise invalid_input(f"{name}.value is not a decimal number.") from error
    if not number.is_finite():
        raise invalid_input(f"{name}.value is not a decimal number.")
    return number


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
