"""What Amazon said of the lines sent, in words and in the database.

An answer is written only where the line's number is still the row's; see `outbox`.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, bindparam, case, func, insert, update

from flexdash import clock, metrics
from flexdash.amazon.errors import AmazonError
from flexdash.amazon.inventory import InventoryResult
from flexdash.extensions import db
from flexdash.models import ItemFate, ItemOutcome, PublishedStock, PushState, SyncRunItem
from flexdash.services import run_sheets
from flexdash.services.inventory.outbox import IS_STILL_OURS, Line, key_of
from flexdash.services.inventory.quantities import is_among
from flexdash.services.inventory.remedies import remedy_of

_TABLE = PublishedStock.__table__


@dataclass(frozen=True, slots=True)
class Said:
    """What is kept of Amazon's word on a line that is not simply good."""

    code: str
    message: str


def write_accepted(answers: Sequence[tuple[Line, InventoryResult]]) -> None:
    """Keep what Amazon accepted. Inside the caller's transaction, which holds `lock`."""
    now = clock.now()
    metrics.count("inventory_quantities", len(answers), outcome=PushState.ACCEPTED)
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    others = []
    for line, result in answers:
        if _is_plain(line, result):
            alike[line.sequence_number, line.sent_at, result.reserved_quantity].append(line.published_id)
        else:
            others.append((line, result))
    for (number, sent_at, n_reserved), ids in alike.items():
        # Nearly all lines of a portion have one number and one answer: one statement writes them all.
        db.session.execute(
            update(_TABLE)
            .where(is_among(_TABLE.c.id, ids), _TABLE.c.sequence_number == number, _TABLE.c.sent_at == sent_at)
            .values(
                state=PushState.ACCEPTED,
                quantity=_TABLE.c.sent_quantity,
                accepted_at=now,
                error_code="",
                error_message="",
                amazon_sellable=_TABLE.c.sent_quantity,
                amazon_reserved=n_reserved,
                fetched_at=now,
            )
        )
    if others:
        db.session.connection().execute(
            update(_TABLE)
            .where(*IS_STILL_OURS)
            .values(
                state=PushState.ACCEPTED,
                quantity=_TABLE.c.sent_quantity,
                accepted_at=now,
                error_code=bindparam("b_code"),
                error_message=bindparam("b_message"),
                sequence_number=bindparam("b_seen"),
                amazon_sellable=func.coalesce(
                    bindparam("b_sellable", type_=_TABLE.c.quantity.type), _TABLE.c.amazon_sellable
                ),
                amazon_reserved=func.coalesce(
                    bindparam("b_reserved", type_=_TABLE.c.quantity.type), _TABLE.c.amazon_reserved
                ),
                fetched_at=case((bindparam("b_is_read", type_=Boolean), now), else_=_TABLE.c.fetched_at),
            ),
            [key_of(line) | _said_values(words_of(result)) | _numbers_of(line, result) for line, result in others],
        )


def write_refused(run_id: int, answers: Sequence[tuple[Line, InventoryResult | AmazonError]]) -> None:
    """Keep what Amazon refused, or did not answer, with its words and what to do. Inside the caller's transaction."""
    if not answers:
        return
    rows, items = [], []
    for line, answer in answers:
        said = words_of(answer)
        values = key_of(line) | _said_values(said) | {"b_state": state_of(answer), "b_seen": line.sequence_number}
        if isinstance(answer, InventoryResult):
            values["b_seen"] = _numbers_of(line, answer)["b_seen"]
        rows.append(values)
        items.append(refused_item(run_id, line.location.seller_flex_hub_id, line.sku_code, said))
    db.session.connection().execute(
        update(_TABLE)
        .where(*IS_STILL_OURS)
        .values(
            state=bindparam("b_state", type_=_TABLE.c.state.type),
            error_code=bindparam("b_code"),
            error_message=bindparam("b_message"),
            sequence_number=bindparam("b_seen"),
        ),
        rows,
    )
    db.session.execute(insert(SyncRunItem), items)
    for state, n in Counter(values["b_state"] for values in rows).items():
        metrics.count("inventory_quantities", n, outcome=state)


def refused_item(run_id: int, seller_flex_hub_id: str, sku_code: str, said: Said) -> dict[str, Any]:
    """Return the values of the SyncRunItem that says what Amazon refused."""
    return {
        "run_id": run_id,
        "outcome": ItemOutcome.REFUSED,
        "sku_code": sku_code,
        "seller_flex_hub_id": seller_flex_hub_id,
        "reason": said.message[:500],
        "remedy": remedy_of(said.code)[:300],
    }


def words_of(answer: InventoryResult | AmazonError) -> Said:
    """Return the code and the words to keep of Amazon's answer to a line; both "" when there is nothing to mend."""
    if isinstance(answer, AmazonError):
        if answer.is_retryable:
            message = f"Amazon did not answer ({answer.message}), so whether it took the quantity is not known."
            return Said("NO_ANSWER", message[:500])
        return Said((answer.code or "REFUSED")[:120], answer.message[:500])
    if not answer.is_answered:
        return Said("NO_ANSWER", "Amazon's answer said nothing about this SKU, so whether it took it is not known.")
    errors = ["/".join(part for part in (error.type, error.sub_type) if part) for error in answer.errors]
    errors = [error for error in errors if error]
    said = ", ".join(errors)
    if answer.is_accepted:
        return Said(errors[0][:120], f"Amazon took it and asks to mend: {said}"[:500]) if errors else Said("", "")
    status = f"{answer.status_code} {answer.reason}".strip()
    code = errors[0] if errors else answer.reason or f"HTTP {answer.status_code}"
    if state_of(answer) is PushState.UNKNOWN:
        fault = f"{status}: {said}" if said else status
        message = f"Amazon had a fault of its own ({fault}), so what became of it is not known."
        return Said(code[:120], message[:500])
    return Said(code[:120], f"Amazon refused it ({status}): {said or 'no reason given'}"[:500])


def item_of(line: Line, answer: InventoryResult | AmazonError, fate: ItemFate) -> run_sheets.Item:
    """Return what is kept on the run of a line and the answer to it."""
    said = words_of(answer)
    if fate is ItemFate.TOLD and isinstance(answer, InventoryResult):
        words = f"{answer.sellable_quantity} to sell, {answer.reserved_quantity or 0} reserved"
    else:
        words = f"{line.quantity} units" if not said.message else f"{line.quantity} units: {said.message}"
        if fate is ItemFate.REFUSED and state_of(answer) is PushState.UNKNOWN:
            fate = ItemFate.NO_ANSWER
    place = line.location.seller_flex_hub_id
    return run_sheets.Item(fate, line.sku_code, place=place, words=words, request_id=answer.request_id)


def state_of(answer: InventoryResult | AmazonError) -> PushState:
    """Return what became of a line: refused, or unknown where Amazon did not say."""
    if isinstance(answer, AmazonError):
        return PushState.UNKNOWN if answer.is_retryable else PushState.REFUSED
    is_fault = answer.status_code is not None and answer.status_code >= 500
    return PushState.UNKNOWN if is_fault or not answer.is_answered else PushState.REFUSED


def _is_plain(line: Line, result: InventoryResult) -> bool:
    return (
        not result.errors
        and result.sellable_quantity == line.quantity
        and result.reserved_quantity is not None
        and (result.sequence_number or 0) <= line.sequence_number
    )


def _numbers_of(line: Line, result: InventoryResult) -> dict[str, Any]:
    seen = result.sequence_number or 0
    return {
        # The highest used or seen; where the number is echoed, the one seen last.
        "b_seen": max(line.sequence_number, seen),
        "b_sellable": result.sellable_quantity,
        "b_reserved": result.reserved_quantity,
        "b_is_read": result.sellable_quantity is not None,
    }


def _said_values(said: Said) -> dict[str, str]:
    return {"b_code": said.code, "b_message": said.message}
