"""Labels of many orders in one file: a PDF of all pages where all are PDFs, else a ZIP of the files."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from pypdf import PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from sqlalchemy import select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import DocumentKind, Order, OrderDocument
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.errors import ServiceError
from flexdash.services.order_work import documents
from flexdash.services.order_work.batches import AT_MOST
from flexdash.services.order_work.documents import OpenedDocument
from flexdash.services.order_work.moves import check_may_work


@dataclass(frozen=True)
class Printable:
    """One order and its labels; without any, `sentence` says why."""

    order: Order
    document_ids: tuple[int, ...]
    sentence: str = ""


def labels_of(actor: Actor, order_ids: Sequence[int]) -> list[Printable]:
    """Return, for each of these orders that `actor` sees, which labels there are to print, in the order given.

    Raises NotAllowed, and ServiceError when none or too many orders are given.
    """
    check_may_work(actor)
    wanted = list(dict.fromkeys(order_ids))
    if len(wanted) > AT_MOST:
        raise ServiceError(f"These are {len(wanted):,} orders. At most {AT_MOST:,} can be printed at once: pick fewer.")
    orders = {order.id: order for order in db.session.scalars(access.visible(actor, Order).where(Order.id.in_(wanted)))}
    if not orders:
        raise ServiceError("No order was chosen. Tick the orders whose labels you want, then press the button again.")
    by_order: dict[int, list[int]] = {}
    for order_id, document_id in db.session.execute(
        select(OrderDocument.order_id, OrderDocument.id)
        .where(
            OrderDocument.order_id.in_(orders),
            OrderDocument.kind == DocumentKind.LABEL,
            OrderDocument.replaced_at.is_(None),
        )
        .order_by(OrderDocument.order_id, OrderDocument.package_id, OrderDocument.id)
    ):
        by_order.setdefault(order_id, []).append(document_id)
    return [
        Printable(order, tuple(by_order.get(order.id, ())), "" if order.id in by_order else _why_none(order))
        for order_id in wanted
        if (order := orders.get(order_id))
    ]


def one_file(actor: Actor, printables: Sequence[Printable]) -> OpenedDocument:
    """Return all the labels in one file; each order's timeline keeps who took it.

    Raises DocumentUnreadable, and ServiceError when there is no label at all.
    """
    found = [
        documents.open_document(actor, printable.order.id, document_id)
        for printable in printables
        for document_id in printable.document_ids
    ]
    if not found:
        raise ServiceError("None of these orders has a label yet, so there is nothing to print.")
    name = f"labels-{clock.now():%Y%m%d-%H%M%S}"
    if all(document.content_type == "application/pdf" for document in found):
        try:
            return OpenedDocument(f"{name}.pdf", "application/pdf", _one_pdf(found))
        except (PyPdfError, ValueError):
            pass  # one of them is no PDF that can be read: each goes out as Amazon sent it
    return OpenedDocument(f"{name}.zip", "application/zip", _zip(found))


def _one_pdf(found: Sequence[OpenedDocument]) -> bytes:
    with PdfWriter() as writer:
        for document in found:
            for page in PdfReader(io.BytesIO(document.content)).pages:
                writer.add_page(page)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()


def _zip(found: Sequence[OpenedDocument]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for document in found:
            archive.writestr(document.file_name, document.content)
    return out.getvalue()


def _why_none(order: Order) -> str:
    if order.picked_at is None:
        return f"It is {order.state.after_is} and was not picked here, so there is no label yet."
    return "Its label is not here yet. See on its page, under Shipment, what it waits for."
