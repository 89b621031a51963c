"""The rows of a recovery: one per id, written inside the transaction of what they tell."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Recovery, RecoveryItem, RecoveryOutcome
from flexdash.services.recovery_outcomes import MAX_SENTENCE, Brought
from flexdash.services.words import shortened

# Of several shipments of one order, and of several looks at one shipment, the first of these outcomes is the item's.
_WEIGHT = {outcome: -place for place, outcome in enumerate(RecoveryOutcome)}
_WORDS = {
    RecoveryOutcome.IMPORTED: "imported",
    RecoveryOutcome.HERE_ALREADY: "here already",
    RecoveryOutcome.NOT_IMPORTED: "not imported",
}


def keep_found(item_id: int, brought: Sequence[Brought], unknown: str = "") -> None:
    """Write what became of the shipments of one id that was asked for; without any it is missing, and why: `unknown`.

    Several shipments of an order are written one by one or together, as they are met.
    """
    item = db.session.get_one(RecoveryItem, item_id, populate_existing=True)
    if not brought and item.outcome is None:
        item.outcome, item.sentence = RecoveryOutcome.MISSING, shortened(unknown, MAX_SENTENCE)
    for one in brought:
        _add(item, one)
    db.session.flush()


def keep_listed(recovery_id: int, brought: Sequence[Brought]) -> None:
    """Write a row for each shipment that a list brought; one that was imported before keeps its row as it is."""
    if not brought:
        return
    table = RecoveryItem.__table__
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    new = statement.excluded
    is_kept = table.c.outcome == RecoveryOutcome.IMPORTED
    statement = statement.on_conflict_do_update(
        index_elements=["recovery_id", "amazon_id"],
        set_={
            "outcome": case((is_kept, table.c.outcome), else_=new.outcome),
            "sentence": case((is_kept, table.c.sentence), else_=new.sentence),
            "order_id": new.order_id,
        },
    )
    db.session.execute(
        statement,
        [
            {
                "recovery_id": recovery_id,
                "amazon_id": one.amazon_shipment_id[:100],
                "outcome": one.outcome,
                "sentence": one.sentence,
                "order_id": one.order_id,
            }
            for one in brought
        ],
    )


def keep_without_answer(item_ids: Sequence[int]) -> None:
    """Write that Amazon did not answer for these ids, while it did for others."""
    sentence = "Amazon did not answer when it was asked for this id, several times in a row."
    db.session.execute(
        update(RecoveryItem)
        .where(RecoveryItem.id.in_(item_ids))
        .values(outcome=RecoveryOutcome.NO_ANSWER, sentence=sentence)
    )


def keep_missing_orders(recovery_id: int, since: datetime) -> None:
    """Write that the order ids left are those of no shipment that changed since this moment."""
    sentence = (
        "Amazon cannot be asked by order id, and none of the shipments that changed on Amazon since "
        f"{since.day} {since:%b %Y} belongs to it. If it is older, give its shipment id."
    )
    db.session.execute(
        update(RecoveryItem)
        .where(RecoveryItem.recovery_id == recovery_id, RecoveryItem.outcome.is_(None))
        .values(outcome=RecoveryOutcome.MISSING, sentence=sentence)
    )


def count(recovery_id: int) -> dict[RecoveryOutcome | None, int]:
    """Return how many ids of a recovery came to what; None stands for those not looked at yet."""
    counted = db.session.execute(
        select(RecoveryItem.outcome, func.count())
        .where(RecoveryItem.recovery_id == recovery_id)
        .group_by(RecoveryItem.outcome)
    )
    return dict(counted.all())


def finish(recovery_id: int) -> None:
    """Write that everything asked for was looked at, and what it came to."""
    counts = {outcome.value: n for outcome, n in count(recovery_id).items() if outcome is not None}
    db.session.execute(
        update(Recovery).where(Recovery.id == recovery_id).values(finished_at=clock.now(), counts=counts)
    )


def _add(item: RecoveryItem, one: Brought) -> None:
    is_first = item.outcome in (None, RecoveryOutcome.MISSING, RecoveryOutcome.NO_ANSWER)
    sentence = one.sentence
    if one.amazon_shipment_id != item.amazon_id:  # one of the shipments of an order
        told = "" if is_first else f"{item.sentence} "
        if f"{one.amazon_shipment_id}:" in told:
            return
        sentence = f"{told}Shipment {one.amazon_shipment_id}: {_WORDS[one.outcome]}. {one.sentence}".strip()
    if is_first or _WEIGHT[one.outcome] > _WEIGHT[item.outcome]:
        item.outcome, item.order_id = one.outcome, one.order_id
    item.sentence = shortened(sentence, MAX_SENTENCE)
