"""How an order is packed: the packages FlexDash makes by itself, and what is still missing before Amazon takes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from flexdash.amazon.packages import MIN_WEIGHT_GRAMS, Package, PackageLine
from flexdash.extensions import db
from flexdash.models import Listing, Order, OrderLine, OrderPackage
from flexdash.services.words import listed, shortened

# Amazon's compliance attribute of a line: the member of a package's line it governs, and its name for people.
COMPLIANCE = {
    "serialNumberRequirement": ("serial_numbers", "serial number"),
    "countryOfOriginRequirement": ("country_of_origin", "country of origin"),
    "itemValueRequirement": ("item_value", "item value"),
    "hazmatLabelsRequirement": ("hazmat_labels", "hazmat label"),
}
REQUIRED, DISALLOWED = "REQUIRED", "DISALLOWED"


@dataclass(frozen=True)
class Size:
    """Measures of a package; None is not known."""

    length_cm: Decimal | None = None
    width_cm: Decimal | None = None
    height_cm: Decimal | None = None
    weight_g: int | None = None


def of_order(order: Order) -> Sequence[OrderPackage]:
    """Return the order's packages, the first made first."""
    query = select(OrderPackage).where(OrderPackage.order_id == order.id).order_by(OrderPackage.id)
    return db.session.scalars(query).all()


def make_default(order: Order) -> None:
    """Make one package with everything in it, as large and heavy as the catalog says; none when there are some.

    Inside the caller's transaction. What the catalog does not know a person has to give.
    """
    if of_order(order):
        return
    size = default_size(order)
    db.session.add(
        OrderPackage(
            order_id=order.id,
            package_id=package_id(order, 1),
            length_cm=size.length_cm,
            width_cm=size.width_cm,
            height_cm=size.height_cm,
            weight_g=size.weight_g,
            lines=[default_line(line) for line in order.lines],
        )
    )


def package_id(order: Order, number: int) -> str:
    """Return FlexDash's name of an order's package, which Amazon keeps."""
    return f"FD{order.id}-{number}"


def default_line(line: OrderLine, n_units: int | None = None) -> dict[str, Any]:
    """Return a line of a package with what FlexDash can say by itself; never what Amazon does not allow."""
    found: dict[str, Any] = {"line_id": line.amazon_line_id, "n_units": line.n_units if n_units is None else n_units}
    if requirement(line, "item_value") == REQUIRED and line.item_total is not None and line.currency:
        each = (line.item_total / line.n_units).quantize(Decimal("0.01"))
        found["item_value"] = [str(each), line.currency]
    return found


def default_size(order: Order) -> Size:
    """Return the size of one package with the whole order in it, from the catalog: things are laid on one another."""
    codes = {line.sku_code for line in order.lines}
    listings = {
        listing.sku_code: listing
        for listing in db.session.scalars(
            select(Listing).where(Listing.store_id == order.store_id, Listing.sku_code.in_(codes))
        )
    }
    known = [(line.n_units, listings.get(line.sku_code)) for line in order.lines]

    def every(name: str) -> list[tuple[int, Any]] | None:
        values = [(n, getattr(listing, name, None)) for n, listing in known]
        return None if any(not value for _, value in values) else values

    lengths, widths, heights = every("length_cm"), every("width_cm"), every("height_cm")
    weights = every("weight_g")
    return Size(
        length_cm=max(value for _, value in lengths) if lengths else None,
        width_cm=max(value for _, value in widths) if widths else None,
        height_cm=sum((n * value for n, value in heights), Decimal(0)) if heights else None,
        weight_g=max(sum(n * value for n, value in weights), MIN_WEIGHT_GRAMS) if weights else None,
    )


def requirement(line: OrderLine, member: str) -> str:
    """Return Amazon's word on a member of a package's line: REQUIRED, DISALLOWED, or what else it says."""
    for attribute, (name, _) in COMPLIANCE.items():
        if name == member:
            return str(line.compliance.get(attribute) or "")
    raise LookupError(member)


def missing(order: Order, packages: Iterable[OrderPackage]) -> list[str]:
    """Return what a person has to give before Amazon takes the packages, as sentences; empty when nothing."""
    packages = list(packages)
    if not packages:
        return ["The order has no package yet."]
    found = []
    by_id = {line.amazon_line_id: line for line in order.lines}
    for number, package in enumerate(packages, start=1):
        name = "The package" if len(packages) == 1 else f"Package {number}"
        lacking = [
            words
            for words, value in (
                ("length", package.length_cm),
                ("width", package.width_cm),
                ("height", package.height_cm),
                ("weight", package.weight_g),
            )
            if not value
        ]
        if lacking:
            found.append(f"{name} lacks its {listed(lacking)}: the catalog does not say.")
        for packed in package.lines:
            line = by_id.get(packed["line_id"])
            if line is None:
                continue
            for _, (member, words) in COMPLIANCE.items():
                if requirement(line, member) == REQUIRED and not _is_given(packed, member):
                    plural = "s" if member == "serial_numbers" and packed["n_units"] > 1 else ""
                    found.append(f"{name}: Amazon wants the {words}{plural} of {shortened(line.sku_code, 40)}.")
    return found


def _is_given(packed: dict[str, Any], member: str) -> bool:
    value = packed.get(member)
    return len(value or ()) == packed["n_units"] if member == "serial_numbers" else bool(value)


def for_amazon(order: Order, package: OrderPackage) -> Package:
    """Return the package as Amazon takes it; what is not allowed for a line is left out. All sizes must be known."""
    by_id = {line.amazon_line_id: line for line in order.lines}
    lines, hazmat = [], []
    for packed in package.lines:
        line = by_id[packed["line_id"]]
        given = {
            member: packed[member]
            for member, _ in COMPLIANCE.values()
            if packed.get(member) and requirement(line, member) != DISALLOWED
        }
        hazmat += [label for label in given.get("hazmat_labels", ()) if label not in hazmat]
        value = given.get("item_value")
        lines.append(
            PackageLine(
                line_id=packed["line_id"],
                n_units=packed["n_units"],
                serial_numbers=tuple(given.get("serial_numbers", ())),
                country_of_origin=given.get("country_of_origin"),
                item_value=(value[0], value[1]) if value else None,
            )
        )
    if not (package.length_cm and package.width_cm and package.height_cm and package.weight_g):
        raise ValueError(f"package {package.package_id} has no size yet")
    return Package(
        id=package.package_id,
        length=package.length_cm,
        width=package.width_cm,
        height=package.height_cm,
        weight=package.weight_g,
        lines=lines,
        hazmat_labels=tuple(hazmat),
    )
