"""The API log: every call to Amazon that people may look at, kept for a set time."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, literal, select, union
from sqlalchemy.orm import joinedload, undefer

from flexdash.amazon.operations import NAMES
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import ApiCall, CallOutcome, Order
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.amazon_ids import read_ids
from flexdash.services.errors import NotVisible
from flexdash.services.order_numbers import id_of

OPERATIONS = NAMES
MAX_TEXT = 100
BATCH = 500
BATCHES_PER_TICK = 20  # 10,000 calls a minute: more than Amazon's plans let one store make


@dataclass(frozen=True)
class CallFilters:
    """What the log is narrowed to; None and "" mean not at all. `since` and `until` are moments, `until` not included.

    `text` is a whole id: Amazon's of a request, a shipment or an order, FlexDash's number of an order, or a SKU.
    """

    store_id: int | None = None
    operation: str = ""
    outcome: CallOutcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True)
class CallListing:
    """A SELECT of calls, unordered and unpaged. `sift` is what has to be looked for row by row, if anything has to.

    Calls found by a name are few: they are to be put in order themselves, not looked for along an index of all calls.
    """

    found: Select[tuple[ApiCall]]
    sift: ColumnElement[bool] | None = None
    is_by_name: bool = False


@dataclass(frozen=True)
class CallDetail:
    """One call with what was sent and answered, as text to read, and the order it is about."""

    call: ApiCall
    sent: str
    answered: str
    order: Order | None
    kept_until: datetime


def listing(actor: Actor, filters: CallFilters) -> CallListing:
    """Return the calls that `actor` may see and the filters leave; each way to narrow them has an index of its own."""
    sought = filters.text.strip()
    query = access.visible(actor, ApiCall, are_few=bool(sought))
    if filters.store_id is not None:
        query = query.where(ApiCall.store_id == filters.store_id)
    if filters.since is not None:
        query = query.where(ApiCall.started_at >= filters.since)
    if filters.until is not None:
        query = query.where(ApiCall.started_at < filters.until)
    if sought:
        query = query.where(ApiCall.id.in_(_ids_about(actor, sought)))
    if filters.operation:
        query = query.where(ApiCall.operation == filters.operation)
    if filters.outcome is None:
        return CallListing(query, is_by_name=bool(sought))
    if filters.operation and not sought:
        # No index knows which calls of an operation ended so. All of one operation may have ended well.
        return CallListing(query, ApiCall.outcome == filters.outcome)
    return CallListing(query.where(ApiCall.outcome == filters.outcome), is_by_name=bool(sought))


def load(actor: Actor, call_id: int) -> CallDetail:
    """Return one call whole; raise NotVisible."""
    query = access.visible(actor, ApiCall).where(ApiCall.id == call_id)
    call = db.session.scalars(
        query.options(joinedload(ApiCall.store), undefer(ApiCall.sent), undefer(ApiCall.answered))
    ).one_or_none()
    if call is None:
        raise NotVisible("call")
    order = None
    if call.amazon_shipment_id:
        of_shipment = (Order.store_id == call.store_id, Order.amazon_shipment_id == call.amazon_shipment_id)
        order = db.session.scalars(access.visible(actor, Order).where(*of_shipment)).one_or_none()
    return CallDetail(call, call.sent, _in_lines(call.answered), order, call.started_at + kept_for())


def kept_for() -> timedelta:
    """Return how long calls are kept."""
    return timedelta(days=settings.api_log_days)


def delete_old(now: datetime) -> int:
    """Delete the calls that were kept long enough and return how many; the next tick goes on where much is left.

    The oldest by id are looked at, for ids grow with time: nothing has to search. Each batch is a transaction.
    """
    total = 0
    for _ in range(BATCHES_PER_TICK):
        n_deleted = _delete_batch(now - kept_for())
        total += n_deleted
        if n_deleted < BATCH:
            break
    return total


def _delete_batch(before: datetime) -> int:
    oldest = select(ApiCall.id, ApiCall.started_at).order_by(ApiCall.id).limit(BATCH)
    due = [call_id for call_id, started_at in db.session.execute(oldest) if started_at < before]
    db.session.rollback()
    if due:
        with transaction() as session:
            session.execute(
                delete(ApiCall).where(ApiCall.id.in_(due)), execution_options={"synchronize_session": False}
            )
    return len(due)


def _ids_about(actor: Actor, sought: str) -> Select[tuple[int]]:
    """Return the SELECT of the ids of the calls about what `sought` names, each kind of name by its own index."""
    own = ApiCall.workspace_id + 0 == actor.workspace_id  # as `visible` has it of few
    sought = sought[:MAX_TEXT]
    names = dict.fromkeys([sought, *read_ids(sought).ids[:1]])
    of_orders = select(Order.amazon_shipment_id).where(Order.workspace_id == actor.workspace_id)
    ways = [select(ApiCall.id).where(own, ApiCall.sku_code == sought)]
    for name in names:
        ways.append(select(ApiCall.id).where(own, ApiCall.amazon_request_id == name, ApiCall.amazon_request_id != ""))
        ways.append(select(ApiCall.id).where(own, ApiCall.amazon_shipment_id == name))
        shipments = of_orders.where(Order.amazon_order_id == name)
        ways.append(select(ApiCall.id).where(own, ApiCall.amazon_shipment_id.in_(shipments)))
    if (own_id := id_of(sought)) is not None:
        shipments = of_orders.where(Order.id == literal(own_id))
        ways.append(select(ApiCall.id).where(own, ApiCall.amazon_shipment_id.in_(shipments)))
    found = union(*ways).subquery()
    return select(found.c.id)


def _in_lines(kept: str) -> str:
    """Return JSON with its members below each other; what is no JSON, or was cut, as it is."""
    try:
        return json.dumps(json.loads(kept), indent=2, ensure_ascii=False)
    except ValueError:
        return kept
