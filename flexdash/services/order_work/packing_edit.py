"""Changing how an order is packed: what a person gives is checked here, before Amazon sees it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import select

from flexdash.amazon.packages import MIN_WEIGHT_GRAMS
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    Order,
    OrderCancellation,
    OrderEvent,
    OrderLine,
    OrderPackage,
    OrderStep,
    StepKind,
)
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.errors import ServiceError
from flexdash.services.order_work import packing, step_rows
from flexdash.services.order_work.moves import MoveRefused, check_may_work
from flexdash.services.order_work.overview import WORKED, is_labelled

MAX_PACKAGES = 20
LONGEST_CM, HEAVIEST_G = Decimal(1000), 1_000_000
_SIDES = (("length_cm", "length"), ("width_cm", "width"), ("height_cm", "height"))


class PackagesRefused(ServiceError):
    """Some values cannot be. `problems` has a sentence per field: "2-weight_g" is the second package's weight, and
    "2-line-7-units" what stands for the line 7 in it; "" is about all of it."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True)
class LineInput:
    """What a person typed about one line in one package."""

    n_units: str = "0"
    serial_numbers: str = ""
    country_of_origin: str = ""
    item_value: str = ""
    hazmat_labels: str = ""


@dataclass(frozen=True)
class PackageInput:
    """What a person typed about one package; `lines` by the id of the order's line."""

    length_cm: str = ""
    width_cm: str = ""
    height_cm: str = ""
    weight_g: str = ""
    lines: dict[str, LineInput] = field(default_factory=dict)


def why_not_editable(order: Order) -> str:
    """Return why the packages of `order` cannot be changed, "" when they can."""
    if order.state not in WORKED:
        return (
            f"This order is {order.state.after_is}: packages are changed while it is being worked, after it was picked."
        )
    if order.cancellation is OrderCancellation.CANCELLING:
        return "This order is being cancelled at Amazon; its packages stay as they are until Amazon answers."
    labels = _step(order, StepKind.LABELS)
    if labels is None:
        return "This order is worked in Amazon's own tool. Fetch its shipment details first."
    if is_labelled(order, labels):
        return "Its labels are made, so the packages cannot be changed any more."
    return ""


def edit(actor: Actor, order_id: int, given: Sequence[PackageInput]) -> Order:
    """Pack the order as a person says and let its steps go on; return it.

    Raises NotVisible, NotAllowed, MoveRefused where it is too late, and PackagesRefused.
    """
    check_may_work(actor)
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        if refusal := why_not_editable(order):
            raise MoveRefused(refusal)
        read = _read(order, given)
        known = packing.of_order(order)
        is_at_amazon = any(package.is_at_amazon for package in known)
        if is_at_amazon and len(known) != len(read):
            raise PackagesRefused(
                {"": f"Amazon knows this order in {len(known)} packages; their number cannot be changed any more."}
            )
        _write(order, known, read, keeps_ids=is_at_amazon)
        _let_steps_go_on(order, actor)
        n = f"{len(read)} packages" if len(read) > 1 else "one package"
        sentence = f"{actor.name} changed how it is packed: {n}."
        session.add(OrderEvent(order_id=order.id, kind="step", sentence=sentence, actor_name=actor.name))
        return order


def choose_option(actor: Actor, order_id: int, package_row_id: int, option_id: str) -> Order:
    """Choose one of the ways of shipping that Amazon offered for a package; return the order.

    Raises NotVisible, NotAllowed, and MoveRefused where it is too late or Amazon did not offer it.
    """
    check_may_work(actor)
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        if refusal := why_not_editable(order):
            raise MoveRefused(refusal)
        package = session.get(OrderPackage, package_row_id, populate_existing=True)
        step = _step(order, StepKind.SHIPPING_OPTION)
        if package is None or package.order_id != order.id or step is None:
            raise MoveRefused("This package is not part of the order any more. Look at its packages again.")
        offered = step.detail.get("options", {}).get(package.package_id, [])
        if option_id not in {one["id"] for one in offered}:
            raise MoveRefused("Amazon does not offer this way of shipping for the package. Pick one of the list.")
        if package.shipping_option_id != option_id:
            package.shipping_option_id = option_id
            sentence = f"{actor.name} chose another way of shipping for package {package.package_id}."
            session.add(OrderEvent(order_id=order.id, kind="step", sentence=sentence, actor_name=actor.name))
        return order


def _write(order: Order, known: Sequence[OrderPackage], read: Sequence[dict[str, Any]], *, keeps_ids: bool) -> None:
    if not keeps_ids:
        for package in known:
            db.session.delete(package)
        db.session.flush()
        for number, values in enumerate(read, start=1):
            name = packing.package_id(order, number)
            db.session.add(OrderPackage(order_id=order.id, package_id=name, **values))
        return
    for package, values in zip(known, read, strict=True):
        if any(getattr(package, column) != value for column, value in values.items()):
            for column, value in values.items():
                setattr(package, column, value)
            package.is_at_amazon = False  # Amazon gets it anew


def _let_steps_go_on(order: Order, actor: Actor) -> None:
    step = _step(order, StepKind.PACKAGES)
    if step is not None:
        step_rows.begin_again(step, asked_by=actor.name)


def _step(order: Order, kind: StepKind) -> OrderStep | None:
    query = select(OrderStep).where(OrderStep.order_id == order.id, OrderStep.kind == kind)
    return db.session.scalars(query).one_or_none()


def _read(order: Order, given: Sequence[PackageInput]) -> list[dict[str, Any]]:
    problems: dict[str, str] = {}
    if not given:
        problems[""] = "Give at least one package."
    if len(given) > MAX_PACKAGES:
        problems[""] = f"An order can have {MAX_PACKAGES} packages at most."
    packed: Counter[str] = Counter()
    read = []
    for number, package in enumerate(given[:MAX_PACKAGES], start=1):
        values: dict[str, Any] = {}
        for column, words in _SIDES:
            values[column] = _side(getattr(package, column), words, f"{number}-{column}", problems)
        values["weight_g"] = _weight(package.weight_g, f"{number}-weight_g", problems)
        values["lines"] = []
        for line in order.lines:
            typed = package.lines.get(line.amazon_line_id, LineInput())
            if found := _line(line, typed, f"{number}-line-{line.id}", problems):
                values["lines"].append(found)
                packed[line.amazon_line_id] += found["n_units"]
        if not values["lines"] and not any(key.startswith(f"{number}-line") for key in problems):
            problems.setdefault("", f"Package {number} is empty. Put something into it, or remove it.")
        read.append(values)
    if not any("-units" in key for key in problems):
        for line in order.lines:
            n = packed[line.amazon_line_id]
            if n != line.n_units:
                where = f"{len(given)}-line-{line.id}-units"
                problems[where] = f"{line.sku_code}: the order has {line.n_units}, the packages hold {n} together."
    if problems:
        raise PackagesRefused(problems)
    return read


def _side(text: str, words: str, key: str, problems: dict[str, str]) -> Decimal | None:
    value = _decimal(text)
    if value is None or not 0 < value <= LONGEST_CM:
        problems[key] = f"Give the {words} in centimetres, such as 20.5; at most {LONGEST_CM}."
        return None
    return value


def _weight(text: str, key: str, problems: dict[str, str]) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 9 and MIN_WEIGHT_GRAMS <= int(text) <= HEAVIEST_G):
        problems[key] = f"Give the weight in whole grams: at least {MIN_WEIGHT_GRAMS}, which is Amazon's least."
        return None
    return int(text)


def _line(line: OrderLine, typed: LineInput, key: str, problems: dict[str, str]) -> dict[str, Any] | None:
    text = typed.n_units.strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) <= line.n_units):
        problems[f"{key}-units"] = f"{line.sku_code}: give how many of the {line.n_units} units go into this package."
        return None
    n_units = int(text)
    if n_units == 0:
        return None
    found: dict[str, Any] = {"line_id": line.amazon_line_id, "n_units": n_units}
    _read_serials(line, typed, n_units, found, f"{key}-serial_numbers", problems)
    _read_country(line, typed, found, f"{key}-country_of_origin", problems)
    _read_value(line, typed, found, f"{key}-item_value", problems)
    labels = [word for word in typed.hazmat_labels.replace(",", "\n").split() if word]
    if packing.requirement(line, "hazmat_labels") == packing.REQUIRED:
        if not labels or any(len(word) > 50 for word in labels):
            problems[f"{key}-hazmat_labels"] = f"{line.sku_code}: Amazon wants its hazmat labels, one per line."
        found["hazmat_labels"] = labels
    return found


def _read_serials(
    line: OrderLine, typed: LineInput, n_units: int, found: dict[str, Any], key: str, problems: dict[str, str]
) -> None:
    rule = packing.requirement(line, "serial_numbers")
    serials = typed.serial_numbers.replace(",", "\n").split()
    if rule == packing.DISALLOWED or (rule != packing.REQUIRED and not serials):
        return
    if len(serials) != n_units or len(set(serials)) != n_units or any(len(serial) > 100 for serial in serials):
        problems[key] = f"{line.sku_code}: give one serial number per unit ({n_units}), each its own, one per line."
    found["serial_numbers"] = serials


def _read_country(line: OrderLine, typed: LineInput, found: dict[str, Any], key: str, problems: dict[str, str]) -> None:
    rule, code = packing.requirement(line, "country_of_origin"), typed.country_of_origin.strip().upper()
    if rule == packing.DISALLOWED or (rule != packing.REQUIRED and not code):
        return
    if not (len(code) == 2 and code.isascii() and code.isalpha()):
        problems[key] = f"{line.sku_code}: give the country of origin as two letters, such as IN."
    found["country_of_origin"] = code


def _read_value(line: OrderLine, typed: LineInput, found: dict[str, Any], key: str, problems: dict[str, str]) -> None:
    rule, text = packing.requirement(line, "item_value"), typed.item_value.strip()
    if rule == packing.DISALLOWED or (rule != packing.REQUIRED and not text):
        return
    value = _decimal(text)
    if value is None or not 0 < value < 10**9:
        problems[key] = f"{line.sku_code}: give the value of one unit, such as 499.00."
    found["item_value"] = [text, line.currency]


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and -value.as_tuple().exponent <= 4 else None
