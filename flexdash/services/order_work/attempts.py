"""One attempt at one step at Amazon: what is asked there, and what came of it. Knows no database and works in threads.

Each attempt begins with how the shipment stands at Amazon, so one that was cut off anywhere is made again without
doing anything twice. Operations: https://developer-docs.amazon.com/sp-api/docs/process-shipment
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog

from flexdash.amazon import faults, files, statuses
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import (
    AccessDenied,
    AmazonError,
    NotFound,
    RequestRefused,
    StateConflict,
    UnreadableShipment,
)
from flexdash.amazon.packages import Package, PackageLabel, ShippingOption
from flexdash.amazon.shipment_reader import Cancellation, Shipment, read_shipment
from flexdash.models import StepKind
from flexdash.models.order_work import LACKS_SOMETHING
from flexdash.services.words import after_refusals, as_sentence

logger = structlog.get_logger(__name__)

INVOICE_NOT_THERE = ("PENDING", "NOT_AVAILABLE")


@dataclass(frozen=True)
class PackedPackage:
    """A package as it is known here. `body` is what Amazon would be sent, None while something is missing."""

    id: str
    body: Package | None
    is_at_amazon: bool
    shipping_option_id: str
    has_label: bool


@dataclass(frozen=True)
class Task:
    """A step to attempt, with all it needs. `known` is how Amazon had the shipment moments ago, if that is known."""

    step_id: int
    order_id: int
    kind: StepKind
    shipment_id: str
    line_ids: tuple[str, ...]
    packages: tuple[PackedPackage, ...]
    detail: Mapping[str, Any]
    missing: tuple[str, ...]
    has_invoice: bool
    is_ship_in_query: bool
    file_origin: str
    timeout_seconds: float
    known: Shipment | None = None


class Ended(StrEnum):
    DONE = "done"
    NOT_NEEDED = "not needed"
    FAILED = "failed"  # repeating it changes nothing: a person has to look
    TRY_AGAIN = "try again"  # it went wrong, and may go well later
    WAITS = "waits"  # nothing is wrong: Amazon is not ready
    NO_ANSWER = "no answer"  # `error` says why; nothing is known


@dataclass(frozen=True)
class LabelFile:
    """A label with its file."""

    label: PackageLabel
    file: files.FetchedFile


@dataclass(frozen=True)
class Result:
    """What came of an attempt. `shipment` is how Amazon has it now, None where that was not learned."""

    task: Task
    ended: Ended
    sentence: str = ""
    code: str = ""
    shipment: Shipment | None = None
    error: AmazonError | None = None
    options: Mapping[str, tuple[ShippingOption, ...]] = field(default_factory=dict)
    recommended: Mapping[str, str] = field(default_factory=dict)
    invoice: files.FetchedFile | None = field(default=None, repr=False)
    labels: tuple[LabelFile, ...] = ()
    is_confirmed: bool = False  # the order was acknowledged on the way


def attempt(client: AmazonClient, task: Task) -> Result:
    """Do the step, or find it done, and say what came of it; never raises: one order costs no other its step."""
    try:
        return _DO[task.kind](client, task)
    except NotFound as error:
        words = "Amazon does not know this shipment, or a part of it. Look it up in Seller Central."
        return Result(task, Ended.FAILED, words, error.code)
    except (RequestRefused, AccessDenied, StateConflict) as error:
        return Result(task, Ended.FAILED, as_sentence(f"Amazon refused: {after_refusals(error.message)}"), error.code)
    except UnreadableShipment as error:
        words = as_sentence(f"Amazon's answer about the shipment cannot be read: {error.reason}")
        return Result(task, Ended.TRY_AGAIN, words)
    except AmazonError as error:
        return Result(task, Ended.NO_ANSWER, as_sentence(error.message), error.code, error=error)
    except Exception as error:
        logger.error("step failed by a fault of our own", step_id=task.step_id, fault=faults.fault(error))
        words = "FlexDash failed in it, by a fault of its own. Tell whoever runs FlexDash; the log has the details."
        return Result(task, Ended.TRY_AGAIN, words)


def rank(shipment: Shipment) -> int:
    """Return how far Amazon is with the shipment, to compare with `rank_of`."""
    return statuses.lookup(shipment.status).rank


def rank_of(status: str) -> int:
    """Return the place of a status on Amazon's way."""
    return statuses.lookup(status).rank


CANCELLED, SHIPPED, LABELLED = rank_of("CANCELLED"), rank_of("SHIPPED"), rank_of("SHIPLABEL_GENERATED")
INVOICED, PACKED = rank_of("INVOICE_GENERATED"), rank_of("PACKAGE_CREATED")


def _present(client: AmazonClient, task: Task, *, afresh: bool = False) -> Shipment:
    if task.known is not None and not afresh:
        return task.known
    return read_shipment(client.shipments.get(task.shipment_id))


def _is_over(shipment: Shipment) -> bool:
    """Whether nothing is left to prepare: cancelled, or gone."""
    return rank(shipment) >= SHIPPED


def _over(task: Task, shipment: Shipment) -> Result:
    word = statuses.lookup(shipment.status).label
    return Result(task, Ended.NOT_NEEDED, f"Amazon has the order as {word}.", shipment=shipment)


def _packages(client: AmazonClient, task: Task) -> Result:
    shipment = _present(client, task)
    if _is_over(shipment):
        return _over(task, shipment)
    is_confirmed = False
    if rank(shipment) < rank_of("CONFIRMED"):
        try:
            client.shipments.confirm(task.shipment_id)
            shipment, is_confirmed = replace(shipment, status="CONFIRMED"), True
        except StateConflict:
            shipment = _present(client, task, afresh=True)
            if _is_over(shipment):
                return _over(task, shipment)
    if rank(shipment) < PACKED:
        if task.missing:
            words = " ".join(task.missing) + " Edit the packages; FlexDash then goes on by itself."
            return Result(task, Ended.FAILED, words, LACKS_SOMETHING, shipment, is_confirmed=is_confirmed)
        try:
            client.shipments.create_packages(task.shipment_id, _bodies(task))
            made = replace(shipment, status="PACKAGE_CREATED")
            return Result(task, Ended.DONE, shipment=made, is_confirmed=is_confirmed)
        except StateConflict:
            shipment = _present(client, task, afresh=True)
            if _is_over(shipment):
                return _over(task, shipment)
            if rank(shipment) < PACKED:
                raise
    if rank(shipment) >= LABELLED:
        is_known = all(package.is_at_amazon for package in task.packages)
        words = "" if is_known else "Amazon has made the labels already, so the packages are now as Amazon has them."
        return Result(task, Ended.DONE, words, shipment=shipment, is_confirmed=is_confirmed)
    at_amazon = {package.id for package in shipment.packages}
    for package in task.packages:
        if package.id in at_amazon and not package.is_at_amazon and package.body is not None:
            client.shipments.update_package(task.shipment_id, package.body)
    return Result(task, Ended.DONE, shipment=shipment, is_confirmed=is_confirmed)


def _bodies(task: Task) -> list[Package]:
    return [package.body for package in task.packages if package.body is not None]


def _shipping_option(client: AmazonClient, task: Task) -> Result:
    shipment = _present(client, task)
    if _is_over(shipment):
        return _over(task, shipment)
    if rank(shipment) >= LABELLED:
        return Result(task, Ended.NOT_NEEDED, "Amazon has made the labels already.", shipment=shipment)
    options, recommended = {}, {}
    for package in task.packages:
        offered = client.shipments.shipping_options(task.shipment_id, package.id)
        if offered.options:
            options[package.id] = offered.options
            best = offered.recommended or offered.options[0]
            recommended[package.id] = best.id
    if rank(shipment) == PACKED:
        shipment = replace(shipment, status="PICKUP_SLOT_RETRIEVED")
    if not options:
        words = "Amazon ships these orders in one fixed way, so there is nothing to choose."
        return Result(task, Ended.NOT_NEEDED, words, shipment=shipment)
    return Result(task, Ended.DONE, shipment=shipment, options=options, recommended=recommended)


def _invoice(client: AmazonClient, task: Task) -> Result:
    shipment = _present(client, task)
    if rank(shipment) == CANCELLED:
        return _over(task, shipment)
    if shipment.invoice_requirement == "NOT_REQUIRED":
        return Result(task, Ended.NOT_NEEDED, "Amazon wants no invoice with this order.", shipment=shipment)
    if rank(shipment) < INVOICED:
        by_hand = bool(task.detail.get("is_settled_by_hand"))
        if shipment.invoice_status in INVOICE_NOT_THERE:
            return _invoice_is_not_there(task, shipment, by_hand=by_hand)
        try:
            document = client.shipments.generate_invoice(task.shipment_id)
            made = replace(shipment, status="INVOICE_GENERATED")
            return Result(task, Ended.DONE, shipment=made, invoice=_file_of(document.format, document.content))
        except StateConflict as error:
            shipment = _present(client, task, afresh=True)
            if rank(shipment) == CANCELLED:
                return _over(task, shipment)
            if rank(shipment) < INVOICED:
                return _invoice_is_not_there(task, shipment, by_hand=by_hand, said=error.message)
    try:
        document = client.shipments.retrieve_invoice(task.shipment_id)
    except NotFound:
        return Result(task, Ended.NOT_NEEDED, "Amazon has no invoice for this order.", shipment=shipment)
    return Result(task, Ended.DONE, shipment=shipment, invoice=_file_of(document.format, document.content))


def _invoice_is_not_there(task: Task, shipment: Shipment, *, by_hand: bool, said: str = "") -> Result:
    if by_hand:
        words = "A person saw to the invoice in Seller Central."
        return Result(task, Ended.NOT_NEEDED, words, shipment=shipment)
    said = said or f"Amazon says that the invoice is {shipment.invoice_status}"
    return Result(task, Ended.WAITS, f"{said}. FlexDash asks again by itself.", shipment=shipment)


_FORMATS = {"PDF": "application/pdf", "PNG": "image/png", "ZPL": "application/zpl", "PLAIN_TEXT": "text/plain"}


def _file_of(format_: str, content: bytes) -> files.FetchedFile:
    return files.FetchedFile(_FORMATS.get(format_.upper(), "application/octet-stream"), content)


def _labels(client: AmazonClient, task: Task) -> Result:
    shipment = _present(client, task, afresh=True)  # nothing is printed for an order that nobody wants any more
    is_reprint = bool(task.detail.get("is_reprint"))
    if _is_over(shipment):
        if is_reprint and rank(shipment) != CANCELLED:
            return Result(task, Ended.FAILED, "It has left the hub, so Amazon prints no label again.", "left", shipment)
        return _over(task, shipment)
    done_there = {package.id for package in shipment.packages if rank_of(package.status) >= LABELLED}
    if rank(shipment) >= LABELLED and not shipment.packages:
        done_there = {package.id for package in task.packages}
    groups: dict[tuple[bool, str], list[str]] = {}
    for package in task.packages:
        if is_reprint or not package.has_label:
            again = package.id in done_there
            option = "" if again else package.shipping_option_id
            groups.setdefault((again, option), []).append(package.id)
    found, refusals = [], []
    for (again, option), package_ids in groups.items():
        for label in client.shipments.ship_labels(
            task.shipment_id, package_ids, is_reprint=again, shipping_option_id=option or None
        ):
            if label.is_success:
                file = files.fetch(label.url, timeout_seconds=task.timeout_seconds, own_origin=task.file_origin)
                found.append(LabelFile(label, file))
            else:
                refusals.append(f"package {label.package_id}: {label.error_message or 'no reason given'}")
    if refusals:
        words = f"Amazon made no label for {'; '.join(refusals)}."
        return Result(task, Ended.TRY_AGAIN, words, "no_label", shipment, labels=tuple(found))
    if len(found) < sum(len(ids) for ids in groups.values()):
        return Result(task, Ended.TRY_AGAIN, "Amazon left a package out of its answer.", "no_label", shipment)
    return Result(task, Ended.DONE, shipment=replace(shipment, status="SHIPLABEL_GENERATED"), labels=tuple(found))


def _ship(client: AmazonClient, task: Task) -> Result:
    shipment = _present(client, task, afresh=True)
    package_ids = [package.id for package in shipment.packages] or [package.id for package in task.packages]
    for package_id in package_ids:
        if rank(shipment) >= SHIPPED:
            break
        status = next((package.status for package in shipment.packages if package.id == package_id), "")
        if rank_of(status) >= SHIPPED:
            continue
        try:
            client.shipments.mark_shipped(task.shipment_id, package_id, in_query=task.is_ship_in_query)
        except StateConflict:
            shipment = _present(client, task, afresh=True)
            status = next((package.status for package in shipment.packages if package.id == package_id), "")
            if rank(shipment) < SHIPPED and rank_of(status) < SHIPPED:
                raise
    if rank(shipment) == CANCELLED:
        words = "Amazon has the order as Cancelled, so the hand-over was not told there."
        return Result(task, Ended.NOT_NEEDED, words, shipment=shipment)
    if rank(shipment) < SHIPPED:
        shipment = replace(shipment, status="SHIPPED")
    return Result(task, Ended.DONE, shipment=shipment)


def _cancel(client: AmazonClient, task: Task) -> Result:
    shipment = _present(client, task, afresh=True)
    if rank(shipment) == CANCELLED:
        return Result(task, Ended.DONE, shipment=shipment)
    if shipment.rejectable_statuses and shipment.status not in shipment.rejectable_statuses:
        label = statuses.lookup(shipment.status).label
        words = f"Amazon takes no cancellation of this order any more: it has it as {label} ({shipment.status})."
        return Result(task, Ended.FAILED, words, "not_eligible", shipment)
    reason = str(task.detail.get("reason", ""))
    try:
        client.shipments.reject(task.shipment_id, str(task.detail.get("reference", "")), task.line_ids, reason)
    except StateConflict:
        shipment = _present(client, task, afresh=True)
        if rank(shipment) != CANCELLED:
            raise
        return Result(task, Ended.DONE, shipment=shipment)
    by_us = Cancellation("SELLER_REJECTED", str(task.detail.get("words", reason)), datetime.now(UTC))
    return Result(task, Ended.DONE, shipment=replace(shipment, status="CANCELLED", cancellation=by_us))


_DO: dict[StepKind, Callable[[AmazonClient, Task], Result]] = {
    StepKind.CANCEL: _cancel,
    StepKind.PACKAGES: _packages,
    StepKind.SHIPPING_OPTION: _shipping_option,
    StepKind.INVOICE: _invoice,
    StepKind.LABELS: _labels,
    StepKind.SHIP: _ship,
}
