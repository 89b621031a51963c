"""Invoices and labels as Amazon made them: kept encrypted, handed to those who may, fetched again on demand."""

from dataclasses import dataclass

from sqlalchemy import select, update

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    AccessKind,
    DocumentKind,
    Order,
    OrderDocument,
    OrderEvent,
    OrderState,
    OrderStep,
    StepKind,
    StepState,
)
from flexdash.services import access, access_log
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible, ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import step_rows
from flexdash.services.order_work.moves import MoveRefused, check_may_work
from flexdash.vault import UnreadableSecret

# What is passed on as it is; anything else goes out as plain bytes.
ENDINGS = {
    "application/pdf": "pdf",
    "image/png": "png",
    "application/zpl": "zpl",
    "application/x-zpl": "zpl",
    "x-application/zpl": "zpl",
    "text/plain": "txt",
}
NO_TYPE = "application/octet-stream"


class DocumentUnreadable(ServiceError):
    """No key in ENCRYPTION_KEYS opens the document."""


@dataclass(frozen=True)
class OpenedDocument:
    """A document to hand to a person."""

    file_name: str
    content_type: str
    content: bytes


def keep(order: Order, kind: DocumentKind, content_type: str, content: bytes, package_id: str = "") -> None:
    """Keep a document of the locked `order` in place of the one before it, inside the caller's transaction."""
    now = clock.now()
    db.session.execute(
        update(OrderDocument)
        .where(
            OrderDocument.order_id == order.id,
            OrderDocument.kind == kind,
            OrderDocument.package_id == package_id,
            OrderDocument.replaced_at.is_(None),
        )
        .values(replaced_at=now),
        execution_options={"synchronize_session": "fetch"},
    )
    db.session.add(
        OrderDocument(
            workspace_id=order.workspace_id,
            order_id=order.id,
            kind=kind,
            package_id=package_id,
            content_type=(content_type if content_type in ENDINGS else NO_TYPE),
            n_bytes=len(content),
            content_encrypted=vault.encrypt_bytes(content),
            made_at=now,
        )
    )


def open_document(actor: Actor, order_id: int, document_id: int) -> OpenedDocument:
    """Return a document of the order; the timeline keeps who took it, for it names the buyer.

    Raises NotVisible, NotAllowed and DocumentUnreadable.
    """
    check_may_work(actor)
    with transaction() as session:
        order = access.get(actor, Order, order_id)
        document = access.get(actor, OrderDocument, document_id)
        if document.order_id != order.id:
            raise NotVisible("document")
        try:
            content = vault.decrypt_bytes(document.content_encrypted)
        except UnreadableSecret as error:
            raise DocumentUnreadable(
                "The document cannot be opened: the key it was encrypted with is missing from ENCRYPTION_KEYS. Tell "
                "whoever runs FlexDash to put the key back, or have Amazon make it again."
            ) from error
        what = f"the {document.kind}" + (f" of package {document.package_id}" if document.package_id else "")
        where = f" from {actor.address}" if actor.address else ""
        sentence = f"{actor.name} downloaded {what}{where}."
        session.add(OrderEvent(order_id=order.id, kind="revealed", sentence=sentence, actor_name=actor.name))
        number = number_of(order.id)
        access_log.record(actor, AccessKind.DOCUMENT, f"{actor.name} downloaded {what} of {number}", order=order)
        name = "-".join(part for part in (number, document.kind.value, document.package_id) if part)
        return OpenedDocument(f"{name}.{ENDINGS.get(document.content_type, 'bin')}", document.content_type, content)


def ask_again(actor: Actor, order_id: int, kind: DocumentKind) -> Order:
    """Have Amazon make a document again; the one that is here stays until then.

    Raises NotVisible, NotAllowed and MoveRefused.
    """
    check_may_work(actor)
    step_kind = StepKind.LABELS if kind is DocumentKind.LABEL else StepKind.INVOICE
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        step = session.scalars(
            select(OrderStep).where(OrderStep.order_id == order.id, OrderStep.kind == step_kind)
        ).one_or_none()
        if step is None or step.state is not StepState.DONE:
            raise MoveRefused("There is nothing that Amazon could make again yet.")
        if order.buyer_deleted_at is not None:
            raise MoveRefused("The documents of this order were deleted with the buyer's data.")
        if kind is DocumentKind.LABEL and order.state in (OrderState.SHIPPED, OrderState.DELIVERED):
            raise MoveRefused(f"This order is {order.state.after_is}, so Amazon prints no label again.")
        if order.state is OrderState.CANCELLED:
            raise MoveRefused("This order is Cancelled, so it needs no document any more.")
        step_rows.begin_again(step, asked_by=actor.name)
        step.detail = {**step.detail, "is_reprint": True}
        sentence = f"{actor.name} asked Amazon for the {kind} again."
        session.add(OrderEvent(order_id=order.id, kind="step", sentence=sentence, actor_name=actor.name))
        return order
