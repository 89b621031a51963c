"""What Amazon refuses as a whole, looked up for all stores together: pushes, and acknowledgements of orders."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select, text

from flexdash.extensions import db
from flexdash.models import AlarmKind, Listing, Order, RunState, Severity, Store, StoreStatus, Sync, SyncRun, SyncState
from flexdash.models.order import IS_ACKNOWLEDGEMENT_REFUSED
from flexdash.services import refused_runs, runs_of_sync
from flexdash.services.alarms.findings import Finding, of_store
from flexdash.services.order_numbers import number_of
from flexdash.services.syncs import FACTS
from flexdash.services.words import shortened

_PUSHES = tuple(facts for facts in FACTS.values() if facts.taken)


def pushes(now: datetime) -> Iterator[Finding]:
    """Find stores whose last run of a push ended with nothing taken.

    One such run is enough: unlike a network, a refusal does not pass by itself. Refused prices are not sent again, so
    no further run may ever come: there the alarm ends with the last refused price.
    """
    last = (
        select(SyncRun.id)
        .where(
            runs_of_sync.of(SyncState.store_id, SyncState.sync),
            SyncRun.retry_of_id.is_(None),
            SyncRun.state.in_((RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED)),
        )
        .order_by(*runs_of_sync.newest_first())
        .limit(1)
        .correlate(SyncState)
        .scalar_subquery()
    )
    # The second condition is always true; with it SQLite sees that the partial index fits.
    waits = exists().where(Listing.store_id == Store.id, text("price_state = 'refused'"), Listing.sku_code >= "")
    is_on = or_(
        *(
            and_(
                SyncState.sync == facts.sync,
                getattr(Store, facts.toggle).is_(True) if facts.toggle else waits,
            )
            for facts in _PUSHES
        )
    )
    rows = db.session.execute(
        select(SyncRun.id, SyncRun.sync, SyncRun.store_id, SyncRun.error_sentence, Store.workspace_id, Store.name)
        .select_from(SyncState)
        .join(Store, Store.id == SyncState.store_id)
        .join(SyncRun, SyncRun.id == last)
        .where(
            SyncState.sync.in_([facts.sync for facts in _PUSHES]),
            SyncRun.error_code == refused_runs.CODE,
            Store.status == StoreStatus.CONNECTED,
            is_on,
        )
    )
    for run in rows:
        what = "prices" if run.sync is Sync.PRICE_PUSH else "stock"
        yield Finding(
            run.workspace_id,
            AlarmKind.ALL_REFUSED,
            f"store:{run.store_id}:{run.sync.value}",
            f"{of_store(run.name)}: Amazon refuses its {what}. {shortened(run.error_sentence, 400)}",
            Severity.CRITICAL,
            run.store_id,
            f"/sync-runs/{run.id}",
        )


def acknowledgements(now: datetime) -> Iterator[Finding]:
    """Find stores with orders to be worked whose acknowledgement Amazon refused; ten times as many are told anew."""
    refused = (
        select(Order.store_id, func.count().label("n"), func.min(Order.id).label("first_id"))
        .where(text(IS_ACKNOWLEDGEMENT_REFUSED))
        .group_by(Order.store_id)
        .subquery()
    )
    rows = db.session.execute(
        select(Store.id, Store.workspace_id, Store.name, refused.c.n, refused.c.first_id)
        .join(refused, refused.c.store_id == Store.id)
        .where(Store.status == StoreStatus.CONNECTED)
    )
    for store in rows:
        first = number_of(store.first_id)
        what, path = f"order {first}", f"/orders/{store.first_id}"
        if store.n > 1:
            what = f"{store.n:,} orders, the first of them {first}"
            path = f"/orders?needs=acknowledgement&store={store.id}"
        yield Finding(
            store.workspace_id,
            AlarmKind.ACKNOWLEDGEMENT_REFUSED,
            f"store:{store.id}",
            f"{of_store(store.name)}: Amazon refused the acknowledgement of {what}, and may cancel what is not "
            "acknowledged.",
            Severity.WARNING,
            store.id,
            path,
            stage=len(str(store.n)),
        )
