"""Taking up again what failed in a run, and nothing else: what that means differs from sync to sync."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    ItemFate,
    ItemOutcome,
    RunState,
    Sync,
    SyncRun,
    SyncRunItem,
)
from flexdash.services import access, run_sheets, sync_runs
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_pages import UNREADABLE

FAILED = frozenset({ItemFate.FAILED, ItemFate.NO_ANSWER})
MOST_NAMED = 500  # failed shipments or returns that one retry takes up: each costs one of Amazon's calls
ENDED = frozenset({RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED})


@dataclass(frozen=True)
class RetryOffer:
    """What *Retry failed items* does for one run, said before it is done. `permission` is who may."""

    sentence: str
    permission: Permission = Permission.START_SYNCS


_OFFERS = {
    Sync.ORDER_PULL: RetryOffer(
        "A run of its own asks Amazon again for the shipments that this one could not take in, and acknowledges what "
        "still waits for it. What Amazon refused to acknowledge is sent again from the order's page."
    ),
    Sync.INVENTORY_PUSH: RetryOffer(
        "A run of its own sends the refused and unanswered SKUs again, with the quantities they have by now, and no "
        "others. They go with the next Inventory Sync by themselves, too."
    ),
    Sync.INVENTORY_FETCH: RetryOffer("A run of its own asks Amazon again for the SKUs that gave no numbers."),
    Sync.PRICE_PUSH: RetryOffer(
        "The prices that Amazon refused in this run wait for the next price push, which starts within a minute. "
        "Those that got no answer go with it anyway.",
        Permission.MANAGE_STOCK,
    ),
    Sync.ORDER_STEPS: RetryOffer(
        "The steps that Amazon refused in this run are put back in line, and a run begins with them. What got no "
        "answer is tried again by itself; a refused cancellation is asked for anew on the order's page.",
        Permission.WORK_ORDERS,
    ),
    Sync.RETURN_PULL: RetryOffer(
        "A run of its own asks Amazon again, by its id, for each return that this one could not take in. A return "
        "without an id, and a location that Amazon does not list, is asked for by the next pull of returns."
    ),
}


def offer(run: SyncRun) -> RetryOffer | None:
    """Return what retrying the failed items of `run` would do; None where nothing failed or nothing can be retried."""
    if run.state not in ENDED or not run.n_failed:
        return None
    return _OFFERS.get(run.sync)


def request_retry(actor: Actor, run_id: int) -> SyncRun:
    """Make a run of its own for what failed in the run with this id, and return it; the caller enqueues it.

    For the syncs that `has_own_run` names. Raises as `sync_runs.request_now` does, and ServiceError when there is
    nothing to retry.
    """
    run = access.get(actor, SyncRun, run_id)
    _offered(run)
    if run.sync in (Sync.ORDER_PULL, Sync.RETURN_PULL):
        if not names_of(run.id, FAILED):
            raise ServiceError(
                "What failed in this run is nothing that Amazon can be asked for anew: what it refused to acknowledge "
                "is sent again from the order's own page, and what has no id the next run looks at again."
            )
    elif not _n_refused(run):
        raise ServiceError("What failed in this run is not known one by one any more. The next run takes it up.")
    store_id, sync = run.store_id, run.sync
    with transaction() as session:
        return sync_runs.new_by_hand(session, actor, store_id, sync, retry_of_id=run_id)


def has_own_run(sync: Sync) -> bool:
    """Say whether what failed in a run of `sync` is taken up by a run of its own."""
    return sync in (Sync.ORDER_PULL, Sync.RETURN_PULL, Sync.INVENTORY_PUSH, Sync.INVENTORY_FETCH)


def refused_skus(actor: Actor, run_id: int) -> list[str]:
    """Return the SKUs that Amazon refused in the run; raise ServiceError when none is known."""
    run = access.get(actor, SyncRun, run_id)
    _offered(run)
    refused = select(SyncRunItem.sku_code).where(
        SyncRunItem.run_id == run.id, SyncRunItem.outcome == ItemOutcome.REFUSED, SyncRunItem.sku_code != ""
    )
    codes = {*db.session.scalars(refused), *run_sheets.names_of(run.id, {ItemFate.REFUSED})}
    if not codes:
        raise ServiceError("No SKU that this run got refused is known any more, so there is nothing to retry.")
    return sorted(codes)


def names_of(run_id: int | None, fates: Collection[ItemFate]) -> list[str]:
    """Return Amazon's ids, or the SKUs, of the run's items with one of `fates`, each once, at most MOST_NAMED."""
    found = run_sheets.names_of(run_id, fates, MOST_NAMED) if run_id is not None else []
    return [name for name in found if not name.startswith(UNREADABLE)]


def _offered(run: SyncRun) -> RetryOffer:
    found = offer(run)
    if found is None:
        raise ServiceError("Nothing failed in this run that could be taken up on its own.")
    return found


def _n_refused(run: SyncRun) -> int:
    of_run = (SyncRunItem.run_id == run.id, SyncRunItem.outcome == ItemOutcome.REFUSED, SyncRunItem.sku_code != "")
    return db.session.scalar(select(func.count()).select_from(SyncRunItem).where(*of_run)) or 0
