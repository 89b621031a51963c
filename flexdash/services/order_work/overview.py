"""How the work on one order stands, for its page: what can be done next, and what Amazon has been asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import (
    Order,
    OrderCancellation,
    OrderDocument,
    OrderPackage,
    OrderState,
    OrderStep,
    StepKind,
    StepState,
)
from flexdash.services.order_changes import CANCELLED_BY
from flexdash.services.order_states import OPEN, Event, allowed
from flexdash.services.order_work import invoices, packing, step_rows, transitions
from flexdash.services.order_work.attempts import LABELLED, rank_of

WORKED = frozenset({OrderState.PICKED, OrderState.PACKED, OrderState.READY_TO_SHIP})


@dataclass(frozen=True)
class OptionView:
    """A way of shipping that Amazon offers; `words` name carrier and time, in the hub's zone."""

    id: str
    words: str


@dataclass(frozen=True)
class WorkView:
    """What the page of an order shows of its work. `actions` are what a person can do now, in the order of the way."""

    actions: tuple[Event, ...]
    steps: Sequence[OrderStep]  # the shipment's, without the cancellation
    packages: Sequence[OrderPackage]
    documents: Sequence[OrderDocument]  # the present ones
    was_worked: bool  # somebody picked it: a cancellation now means to stop and put things back
    is_asking_amazon: bool
    is_live: bool  # something may change on the page without the person doing it
    can_edit_packages: bool
    can_begin_steps: bool  # it is worked in Amazon's own tool, and its label can be fetched from there
    cancel_step: OrderStep | None
    missing: tuple[str, ...]  # what a person has to give before Amazon takes the packages
    seller_central_url: str  # where Seller Central shows the order, "" when that is not known
    options: Mapping[str, tuple[OptionView, ...]]  # by package id
    line_words: Mapping[str, str]  # SKU by the id of the order's line

    def options_of(self, package: OrderPackage) -> tuple[OptionView, ...]:
        """Return the ways of shipping that Amazon offered for the package."""
        return self.options.get(package.package_id, ())

    def chosen_option(self, package: OrderPackage) -> OptionView | None:
        """Return the one that is chosen, where Amazon offered some."""
        return next((one for one in self.options_of(package) if one.id == package.shipping_option_id), None)

    def size_words(self, package: OrderPackage) -> str:
        """Return length, width, height and weight of the package in words; "?" for what is not known."""
        sides = (package.length_cm, package.width_cm, package.height_cm)
        cm = " × ".join("?" if side is None else f"{side.normalize():f}" for side in sides)
        weight = "?" if package.weight_g is None else f"{package.weight_g:,}"
        return f"{cm} cm, {weight} g"

    def contents_words(self, package: OrderPackage) -> str:
        """Return what is in the package, such as "2 × TEE-BLK-M"."""
        named = [
            f"{line['n_units']} × {self.line_words.get(line['line_id'], line['line_id'])}" for line in package.lines
        ]
        return ", ".join(named)

    @property
    def failed(self) -> Sequence[OrderStep]:
        """The steps that wait for a person."""
        return [step for step in self.steps if step.state is StepState.FAILED]


def of_order(order: Order) -> WorkView:
    """Return how the work on `order` stands."""
    rows = step_rows.of_order(order)
    cancel_step = next((step for step in rows if step.kind is StepKind.CANCEL), None)
    steps = [step for step in rows if step.kind is not StepKind.CANCEL]
    has_steps = any(step.kind in transitions.SHIPMENT_STEPS for step in steps)
    packages = packing.of_order(order)
    is_cancelling = order.cancellation is OrderCancellation.CANCELLING
    waiting = [step for step in rows if step.state is StepState.WAITING]
    is_asking = any(step.error_sentence == "" for step in waiting) and not order.is_invoice_waiting
    labels = next((step for step in steps if step.kind is StepKind.LABELS), None)
    actions = tuple(event for event in allowed(order.state) if event is not Event.RELEASE)
    if is_cancelling:
        actions = tuple(event for event in actions if event is Event.DELIVER)
    is_packing = order.state in WORKED and has_steps and not is_labelled(order, labels) and not is_cancelling
    return WorkView(
        actions=actions,
        steps=steps,
        packages=packages,
        documents=_documents(order),
        was_worked=order.picked_at is not None,
        is_asking_amazon=is_asking,
        is_live=bool(waiting) or order.state in OPEN,
        can_edit_packages=is_packing,
        can_begin_steps=order.state in WORKED and not has_steps and not is_cancelling,
        cancel_step=cancel_step,
        missing=tuple(packing.missing(order, packages)) if is_packing else (),
        seller_central_url=invoices.address_of(order) if order.is_invoice_waiting else "",
        options=_options(order, steps),
        line_words={line.amazon_line_id: line.sku_code for line in order.lines},
    )


def is_labelled(order: Order, labels: OrderStep | None) -> bool:
    """Say whether Amazon has made the labels of `order`, whose step is `labels`: it takes no change of packages then,
    even while a label is made again or its file is not here yet."""
    return (labels is not None and labels.state is StepState.DONE) or rank_of(order.amazon_status) >= LABELLED


def cancelled_words(order: Order) -> str:
    """Return who cancelled the order, for the middle of a sentence."""
    if order.cancelled_by in CANCELLED_BY:
        return CANCELLED_BY[order.cancelled_by]
    if order.cancellation is not OrderCancellation.NONE:
        return f"in FlexDash by {order.moved_by}" if order.moved_by else "in FlexDash"
    return "on Amazon"


def _options(order: Order, steps: Sequence[OrderStep]) -> dict[str, tuple[OptionView, ...]]:
    step = next((step for step in steps if step.kind is StepKind.SHIPPING_OPTION), None)
    offered = step.detail.get("options", {}) if step is not None else {}
    zone = ZoneInfo(order.hub.time_zone) if order.hub else UTC
    return {
        package_id: tuple(OptionView(one["id"], _option_words(one, zone)) for one in ways)
        for package_id, ways in offered.items()
    }


def _option_words(option: Mapping[str, Any], zone: tzinfo) -> str:
    words = [option.get("carrier") or "Carrier not named"]
    if option.get("starts_at"):
        starts = datetime.fromisoformat(option["starts_at"]).astimezone(zone)
        words.append(f"{starts:%d %b %Y, %H:%M}")
        if option.get("ends_at"):
            ends = datetime.fromisoformat(option["ends_at"]).astimezone(zone)
            words[-1] += f"–{ends:%H:%M}"
        words[-1] += f" {starts:%Z}"
    return ", ".join(words)


def _documents(order: Order) -> Sequence[OrderDocument]:
    query = select(OrderDocument).where(OrderDocument.order_id == order.id, OrderDocument.replaced_at.is_(None))
    return db.session.scalars(query.order_by(OrderDocument.id)).all()
