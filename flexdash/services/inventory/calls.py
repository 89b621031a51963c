"""Batches of lines to Amazon and back: what the threads of a push and of a fetch do. No database in here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flexdash.amazon.errors import AmazonError, NotFound, RequestRefused, StateConflict
from flexdash.amazon.inventory import MAX_BATCH, Inventory, InventoryItem, InventoryResult, InventoryUpdate
from flexdash.services.inventory.outbox import Line

Answer = InventoryResult | AmazonError
Item = TypeVar("Item", bound=InventoryItem)
# What Amazon says of a request as a whole because of something in it: then each line is asked about alone.
ABOUT_THE_REQUEST = (RequestRefused, NotFound, StateConflict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Up to ten lines of one call; `is_fetch` asks for Amazon's numbers instead of setting quantities."""

    lines: Sequence[Line]
    is_fetch: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch with an answer for each of its lines. The error is an AmazonError where none came."""

    batch: Batch
    answers: Sequence[Answer]


def batches(lines: Sequence[Line], *, is_fetch: bool = False) -> list[Batch]:
    """Return `lines` cut into batches, in their order."""
    return [Batch(lines[start : start + MAX_BATCH], is_fetch) for start in range(0, len(lines), MAX_BATCH)]


class Caller:
    """Does batches for one store. Safe in any thread; an AmazonError becomes the answer of the lines it is about."""

    def __init__(self, inventory: Inventory, marketplace_id: str, *, is_numbered: bool = True) -> None:
        self._inventory = inventory
        self._marketplace_id = marketplace_id
        self._is_numbered = is_numbered

    def __call__(self, batch: Batch) -> Answered:
        """Do one batch."""
        if batch.is_fetch:
            items = [
                InventoryItem(line.location.seller_flex_hub_id, line.sku_code, self._marketplace_id)
                for line in batch.lines
            ]
            return Answered(batch, ask(self._inventory.fetch, items))
        updates = [
            InventoryUpdate(
                line.location.seller_flex_hub_id,
                line.sku_code,
                self._marketplace_id,
                quantity=line.quantity,
                sequence_number=line.sequence_number if self._is_numbered else None,
            )
            for line in batch.lines
        ]
        return Answered(batch, ask(self._inventory.update, updates))


def ask(call: Callable[[Sequence[Item]], Sequence[InventoryResult]], items: Sequence[Item]) -> Sequence[Answer]:
    """Return Amazon's answer for each item of one call, or the error in its place.

    Where Amazon refuses the request as a whole, each item goes alone, so that one bad SKU does not take nine others
    with it.
    """
    try:
        return call(items)
    except ABOUT_THE_REQUEST as error:
        if len(items) == 1:
            return [error]
    except AmazonError as error:
        return [error] * len(items)
    return [ask(call, [item])[0] for item in items]
